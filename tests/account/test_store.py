# SPDX-License-Identifier: GPL-3.0-or-later
"""All accounts of a node: where each is, who may see it, which are in memory."""

from collections.abc import Awaitable
from typing import TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.account.account import AccountSession
from pluto_tw.account.database import MemoryDatabase
from pluto_tw.account.shard import Shard
from pluto_tw.account.site import Ground
from pluto_tw.account.store import Store, identity_of
from pluto_tw.mail.codes import AUTHORIZATIONFAILED
from pluto_tw.mail.errors import No
from pluto_tw.mail.messages import NewMessage
from pluto_tw.mail.names import INBOX
from tests.account.accounts import site_of
from tests.support.hop import SynchronousHop

T = TypeVar("T")


class StoreTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.site = site_of(Clock())
        self.grounds = [self.ground(number) for number in range(3)]

    def ground(self, number: int) -> Ground:
        hop = SynchronousHop()
        database = MemoryDatabase(f"shard {number}", bytes([number]) * 16)
        self.addCleanup(database.destroy)
        shard = Shard(database, self.site.waiting, hop, [hop])
        self.now(shard.start())
        return Ground(shard)

    def store(self, idle_max: int = 1000) -> Store:
        return Store("subnet", self.site, self.grounds, ".", idle_max=idle_max)

    def now(self, work: Awaitable[T]) -> T:
        async def run() -> T:
            return await work

        return self.successResultOf(Deferred.fromCoroutine(run()))

    def append(self, session: AccountSession) -> None:
        upload = session.upload(1)
        self.now(upload.write(b"x"))
        self.now(session.append(INBOX, [NewMessage(upload, frozenset(), None)]))

    def test_identity_follows_from_subnet_and_key(self) -> None:
        """The same at every replica; another one in another subnet."""
        self.assertEqual(len(identity_of("subnet", "fred")), 16)
        found = {identity_of(subnet, key) for subnet in ("a", "b") for key in ("x", "y")}
        self.assertEqual(len(found), 4)
        self.assertEqual(identity_of("subnet", "fred").hex(), "befd2791dadf4f31647831f92674a69c")

    def test_accounts_spread_over_the_shards_for_ever(self) -> None:
        store = self.store()
        for number in range(40):
            self.append(store.session(f"user{number}", f"user{number}"))
        query = "SELECT name FROM account ORDER BY name"
        names = [{name for (name,) in g.shard.read(query)} for g in self.grounds]
        self.assertEqual(sum(map(len, names)), 40)
        self.assertTrue(all(len(found) > 4 for found in names))
        again = self.store()
        for number in range(40):
            session = again.session(f"user{number}", f"user{number}")
            self.assertEqual(self.now(session.status(INBOX)).messages, 1)

    def test_nobody_sees_the_account_of_another(self) -> None:
        store = self.store()
        error = self.assertRaises(No, store.session, "fred", "barney")
        self.assertEqual(error.code, AUTHORIZATIONFAILED)

    def test_who_may_see_what_is_asked_in_one_place(self) -> None:
        asked: list[tuple[str, str]] = []

        def may_see(user: str, key: str) -> bool:
            asked.append((user, key))
            return True

        store = Store("subnet", self.site, self.grounds, ".", may_see=may_see)
        session = store.session("fred", "barney")
        self.assertEqual((asked, session.user), ([("fred", "barney")], "fred"))

    def test_sessions_of_one_account_share_it(self) -> None:
        store = self.store()
        self.append(store.session("fred", "fred"))
        self.assertEqual(self.now(store.session("fred", "fred").status(INBOX)).messages, 1)
        self.assertIs(store.account("fred"), store.account("fred"))

    def test_idle_accounts_go_when_there_are_too_many(self) -> None:
        store = self.store(idle_max=2)
        sessions = [store.session(f"user{n}", f"user{n}") for n in range(6)]
        accounts = [store.account(f"user{n}") for n in range(6)]
        for session in sessions:
            self.append(session)
            session.close()
            session.close()
        kept = [n for n in range(6) if store.account(f"user{n}") is accounts[n]]
        self.assertEqual(kept, [4, 5])
        for number in range(6):
            session = store.session(f"user{number}", f"user{number}")
            self.assertEqual(self.now(session.status(INBOX)).messages, 1)

    def test_account_in_use_stays(self) -> None:
        store = self.store(idle_max=0)
        kept = store.session("fred", "fred")
        account = store.account("fred")
        for number in range(5):
            store.session(f"user{number}", f"user{number}").close()
        self.assertIs(store.account("fred"), account)
        kept.close()
        store.session("other", "other").close()
        self.assertIsNot(store.account("fred"), account)

    def test_closed_store_takes_nothing(self) -> None:
        store = self.store()
        session = store.session("fred", "fred")
        self.append(session)
        self.now(store.close())
        work = Deferred.fromCoroutine(session.subscribe(INBOX, True))
        self.failureResultOf(work, No)
