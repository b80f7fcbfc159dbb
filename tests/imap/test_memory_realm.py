# SPDX-License-Identifier: GPL-3.0-or-later
"""The realm that other tests stand on."""

from collections.abc import Coroutine
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.imap.ports import Account, Challenge, Connection, Realm
from pluto_tw.mail.codes import (
    AUTHENTICATIONFAILED,
    AUTHORIZATIONFAILED,
    PRIVACYREQUIRED,
    UNAVAILABLE,
)
from pluto_tw.mail.errors import No
from tests.support.account import MemoryAccount
from tests.support.realm import ASK, PLAIN, MemoryRealm

T = TypeVar("T")

SECURE = Connection("192.0.2.1", 40000, secure=True)
INSECURE = Connection("192.0.2.1", 40000, secure=False)


class MemoryRealmTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.account: Account = MemoryAccount("fred")
        self.memory = MemoryRealm({b"fred": (b"secret", MemoryAccount("fred"))})
        self.account = self.memory.account_of(b"fred", b"secret")
        self.realm: Realm = self.memory

    def now(self, work: Coroutine[Any, Any, T]) -> T:
        return self.successResultOf(Deferred.fromCoroutine(work))

    def refuses(self, code: str, work: Coroutine[Any, Any, object]) -> None:
        failure = self.failureResultOf(Deferred.fromCoroutine(work), No)
        self.assertEqual(failure.value.code, code)

    def test_login(self) -> None:
        """Ports, `Realm.login`: "No: as `Exchange.respond`"."""
        self.assertIs(self.now(self.realm.login(b"fred", b"secret", SECURE)), self.account)
        self.refuses(AUTHENTICATIONFAILED, self.realm.login(b"fred", b"Secret", SECURE))
        self.refuses(AUTHENTICATIONFAILED, self.realm.login(b"eve", b"secret", SECURE))
        self.refuses(PRIVACYREQUIRED, self.realm.login(b"fred", b"secret", INSECURE))

    def test_insecure_connections_carry_no_password_unasked(self) -> None:
        """Ports, `login_allowed`, `mechanisms`: what works "on this connection as it is"."""
        self.assertEqual(list(self.realm.mechanisms(SECURE)), [PLAIN, ASK])
        self.assertEqual(list(self.realm.mechanisms(INSECURE)), [ASK])
        self.assertTrue(self.realm.login_allowed(SECURE))
        self.assertFalse(self.realm.login_allowed(INSECURE))

    def test_plain(self) -> None:
        """RFC 4616 §2: authzid, authcid and passwd, with NUL between."""
        for response, code in (
            (b"\0fred\0wrong", AUTHENTICATIONFAILED),
            (b"eve\0fred\0secret", AUTHORIZATIONFAILED),
            (b"fred\0secret", AUTHENTICATIONFAILED),
        ):
            self.refuses(code, self.realm.exchange(PLAIN, SECURE).respond(response))
        for response in (b"\0fred\0secret", b"fred\0fred\0secret"):
            exchange = self.realm.exchange(PLAIN, SECURE)
            self.assertTrue(exchange.client_first)
            self.assertEqual(self.now(exchange.respond(None)), Challenge(b""))
            self.assertIs(self.now(exchange.respond(response)), self.account)

    def test_server_asks_first(self) -> None:
        """Ports, `Challenge`: "The mechanism wants another response"."""
        for password in (b"secret", b"wrong"):
            exchange = self.realm.exchange(ASK, INSECURE)
            self.assertFalse(exchange.client_first)
            self.assertEqual(self.now(exchange.respond(None)), Challenge(b"user?"))
            self.assertEqual(self.now(exchange.respond(b"fred")), Challenge(b"password?"))
            if password == b"secret":
                self.assertIs(self.now(exchange.respond(password)), self.account)
            else:
                self.refuses(AUTHENTICATIONFAILED, exchange.respond(password))

    def test_exchange_remembers_that_it_was_cancelled(self) -> None:
        """Ports, `cancel`: "harmless after the end"."""
        exchange = self.realm.exchange(ASK, SECURE)
        exchange.cancel()
        exchange.cancel()
        self.assertTrue(self.memory.exchanges[0].cancelled)

    def test_realm_fails_when_asked_to(self) -> None:
        """Ports, `respond`: "No: ... UNAVAILABLE"."""
        self.memory.fail_next(No(UNAVAILABLE, "the directory is away"))
        self.refuses(UNAVAILABLE, self.realm.login(b"fred", b"secret", SECURE))
        self.now(self.realm.login(b"fred", b"secret", SECURE))
