# SPDX-License-Identifier: GPL-3.0-or-later
"""The mechanisms PLAIN and LOGIN."""

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.auth.sasl import MECHANISMS, Ask, authorized_key
from pluto_tw.auth.users import User
from pluto_tw.mail.codes import AUTHENTICATIONFAILED, AUTHORIZATIONFAILED
from pluto_tw.mail.errors import No
from tests.auth.test_authenticator import HERE, AuthenticatorCase


class MechanismCase(AuthenticatorCase):
    name = b""

    def setUp(self) -> None:
        super().setUp()
        self.mechanism = MECHANISMS[self.name](self.authenticator, HERE)

    def respond(self, response: bytes | None) -> Deferred[Ask | User]:
        return self.run_to_wait(self.mechanism.respond(response))

    def assert_asks(self, response: bytes | None, challenge: bytes) -> None:
        self.assertEqual(self.successResultOf(self.respond(response)), Ask(challenge))

    def assert_user(self, response: bytes) -> None:
        user = self.successResultOf(self.respond(response))
        assert isinstance(user, User)
        self.assertEqual(user.key, "fred")


class PlainTests(MechanismCase):
    name = b"PLAIN"

    def test_client_speaks_first(self) -> None:
        self.assertTrue(self.mechanism.client_first)
        self.assert_asks(None, b"")

    def test_without_an_authorization_identity(self) -> None:
        self.assert_user(b"\0fred\0secret")

    def test_with_the_same_authorization_identity(self) -> None:
        self.assert_user(b"Fred\0fred\0secret")

    def test_nobody_acts_for_another(self) -> None:
        for other in (b"mary\0fred\0secret", b"\xff\0fred\0secret"):
            self.assertEqual(self.refusal(self.respond(other)), AUTHORIZATIONFAILED)

    def test_the_password_comes_first(self) -> None:
        """RFC 4616 §2: the authorization identity is looked at after the verification."""
        refused = self.respond(b"mary\0fred\0wrong")
        self.assertEqual(self.refusal(refused), AUTHENTICATIONFAILED)

    def test_other_messages_are_refused(self) -> None:
        for message in (b"", b"fred\0secret", b"\0fred\0secret\0", b"\0fred"):
            self.assertEqual(self.refusal(self.respond(message)), AUTHENTICATIONFAILED)


class LoginTests(MechanismCase):
    name = b"LOGIN"

    def test_server_asks_for_both(self) -> None:
        self.assertFalse(self.mechanism.client_first)
        self.assert_asks(None, b"Username:")
        self.assert_asks(b"fred", b"Password:")
        self.assert_user(b"secret")

    def test_the_name_may_come_first(self) -> None:
        """With the command, as programs send it (RFC 4959) where the draft has no such thing."""
        self.assertTrue(self.mechanism.takes_initial)
        self.assert_asks(b"fred", b"Password:")
        self.assert_user(b"secret")

    def test_wrong_password(self) -> None:
        self.assert_asks(None, b"Username:")
        self.assert_asks(b"fred", b"Password:")
        self.assertEqual(self.refusal(self.respond(b"x")), AUTHENTICATIONFAILED)

    def test_an_empty_name_is_a_name(self) -> None:
        self.assert_asks(None, b"Username:")
        self.assert_asks(b"", b"Password:")
        self.assertEqual(self.refusal(self.respond(b"secret")), AUTHENTICATIONFAILED)


class ExternalTests(SynchronousTestCase):
    def test_a_key_is_taken_as_it_is(self) -> None:
        self.assertEqual(authorized_key("jörg".encode()), "jörg")

    def test_anything_else_is_refused(self) -> None:
        """RFC 4422 §A.1: no identity is derived, and only the canonical form is a key."""
        for response in (b"", b"Fred", b"\xff", b"fr\0ed", b" fred"):
            with self.assertRaises(No) as raised:
                authorized_key(response)
            self.assertEqual(raised.exception.code, AUTHORIZATIONFAILED)
