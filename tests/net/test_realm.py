# SPDX-License-Identifier: GPL-3.0-or-later
"""The limit of connections of one user, at each way to log in."""

from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.net.limits import Limits
from tests.net.transport import Listener


class UserLimitTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.listener = Listener(limits=Limits(user_connections_max=1))

    def test_second_login_is_refused(self) -> None:
        """RFC 5530 §3, LIMIT: "The operation ran up against an implementation limit"."""
        self.listener.logged_in()
        second = self.listener.connect()
        second.received()
        second.send(b"a LOGIN user secret\r\n")
        self.assertEqual(second.received(), b"a NO [LIMIT] at most 1 connections of one user\r\n")
        self.assertEqual(self.listener.world.account.closed, 1)

    def test_authenticate_is_refused_too(self) -> None:
        self.listener.logged_in()
        second = self.listener.connect()
        second.received()
        second.send(b"a AUTHENTICATE PLAIN AHVzZXIAc2VjcmV0\r\n")
        self.assertIn(b"a NO [LIMIT] ", second.received())

    def test_challenges_pass_through(self) -> None:
        peer = self.listener.connect()
        peer.received()
        peer.send(b"a AUTHENTICATE X-ASK\r\ndXNlcg==\r\nc2VjcmV0\r\n")
        self.assertIn(b"a OK [CAPABILITY ", peer.received())

    def test_wrong_password_counts_nothing(self) -> None:
        first = self.listener.connect()
        first.send(b"a LOGIN user wrong\r\n")
        self.assertIn(b"a NO [AUTHENTICATIONFAILED] ", first.received())
        self.listener.logged_in()

    def test_user_has_left_with_logout_although_the_socket_lingers(self) -> None:
        first = self.listener.logged_in()
        first.send(b"a LOGOUT\r\n")
        self.assertEqual(self.listener.presence.connections, 1)
        self.listener.logged_in()

    def test_user_has_left_when_the_connection_is_lost(self) -> None:
        first = self.listener.logged_in()
        first.lose()
        self.listener.logged_in()

    def test_exchange_that_is_cancelled_is_let_go(self) -> None:
        peer = self.listener.connect()
        peer.received()
        peer.send(b"a AUTHENTICATE X-ASK\r\n*\r\n")
        self.assertIn(b"a BAD ", peer.received())
        [exchange] = self.listener.world.realm.exchanges
        self.assertTrue(exchange.cancelled)
