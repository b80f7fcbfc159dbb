# SPDX-License-Identifier: GPL-3.0-or-later
"""The realm of the users that `pluto_tw.auth` knows."""

from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.auth.authenticator import Authenticator
from pluto_tw.auth.file import AuthFile
from pluto_tw.auth.hashing import HashingThreads
from pluto_tw.auth.slowdown import ADDRESS_FAILURES_FREE, Slowdown
from pluto_tw.auth.users import User
from pluto_tw.imap.ports import Account, Challenge, Connection
from pluto_tw.mail.codes import PRIVACYREQUIRED, UNAVAILABLE
from pluto_tw.mail.errors import No
from pluto_tw.net.login import AccountRealm
from pluto_tw.net.waiting import ReactorWaiting
from tests.support.account import MemoryAccount
from tests.support.hop import SynchronousHop

T = TypeVar("T")

SECURE = Connection("2001:db8::1", 4711, secure=True)
OPEN = Connection("2001:db8::1", 4711, secure=False)


class AccountRealmTests(SynchronousTestCase):
    def setUp(self) -> None:
        path = Path(self.mktemp())
        path.write_text("Fred;secret\n")
        users = AuthFile(path, ";")
        users.load()
        self.clock = Clock()
        waiting = ReactorWaiting(self.clock)
        threads = HashingThreads([SynchronousHop()], waiting)
        self.opened: list[User] = []
        self.failure: Exception | None = None
        self.realm = AccountRealm(
            Authenticator(users, threads, Slowdown(waiting.seconds), waiting, b"k" * 16),
            self.open_account,
            lambda address: address.partition("::")[0],
        )

    async def open_account(self, user: User) -> Account:
        self.opened.append(user)
        if self.failure is not None:
            raise self.failure
        return MemoryAccount(user.key)

    def result(self, work: Coroutine[Deferred[Any], Any, T]) -> T:
        return self.successResultOf(Deferred.fromCoroutine(work))

    def refusal(self, work: Coroutine[Deferred[Any], Any, object]) -> str | None:
        failure = self.failureResultOf(Deferred.fromCoroutine(work), No)
        assert isinstance(failure.value, No)
        return failure.value.code

    def test_nothing_works_where_somebody_may_listen(self) -> None:
        self.assertEqual(self.realm.mechanisms(OPEN), ())
        self.assertFalse(self.realm.login_allowed(OPEN))
        self.assertEqual(self.refusal(self.realm.login(b"fred", b"secret", OPEN)), PRIVACYREQUIRED)

    def test_plain_is_the_first_mechanism(self) -> None:
        """Clients take the first that they know."""
        self.assertEqual(self.realm.mechanisms(SECURE), (b"PLAIN", b"LOGIN"))
        self.assertTrue(self.realm.login_allowed(SECURE))

    def test_login(self) -> None:
        account = self.result(self.realm.login(b"FRED", b"secret", SECURE))
        self.assertEqual(account.user, "fred")
        self.assertEqual([user.name for user in self.opened], ["Fred"])

    def test_nobody_else_reaches_an_account(self) -> None:
        self.refusal(self.realm.login(b"fred", b"Secret", SECURE))
        self.assertEqual(self.opened, [])

    def test_plain(self) -> None:
        exchange = self.realm.exchange(b"PLAIN", SECURE)
        self.assertTrue(exchange.client_first)
        account = self.result(exchange.respond(b"\0fred\0secret"))
        assert not isinstance(account, Challenge)
        self.assertEqual(account.user, "fred")
        exchange.cancel()

    def test_login_mechanism(self) -> None:
        exchange = self.realm.exchange(b"LOGIN", SECURE)
        self.assertFalse(exchange.client_first)
        self.assertEqual(self.result(exchange.respond(None)), Challenge(b"Username:"))
        self.assertEqual(self.result(exchange.respond(b"fred")), Challenge(b"Password:"))
        self.assertIsInstance(self.result(exchange.respond(b"secret")), MemoryAccount)

    def test_an_account_may_be_away(self) -> None:
        self.failure = No(UNAVAILABLE, "the store is not open")
        self.assertEqual(self.refusal(self.realm.login(b"fred", b"secret", SECURE)), UNAVAILABLE)

    def test_failures_count_for_the_network(self) -> None:
        """Not for the address: of IPv6, everybody has enough of them."""
        for number in range(ADDRESS_FAILURES_FREE + 1):
            connection = Connection(f"2001:db8::{number}", 1, secure=True)
            self.refusal(self.realm.login(b"user%d" % number, b"x", connection))
        late = Deferred.fromCoroutine(self.realm.login(b"fred", b"secret", SECURE))
        self.assertNoResult(late)
        self.clock.advance(1)
        self.successResultOf(late)
