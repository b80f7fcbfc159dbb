# SPDX-License-Identifier: GPL-3.0-or-later
"""Changed subnets on a node that has mail are refused, and the users named."""

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.account.database import MemoryDatabase
from pluto_tw.auth.names import AccountKey
from pluto_tw.auth.routing import subnet_by_key
from pluto_tw.mail.names import MailboxName
from pluto_tw.node.misplaced import NAMED_MAX, UsersMisplaced, check_placed
from tests.account.accounts import in_memory

KEYS = [f"user{number}" for number in range(60)]
BEFORE = ("a", "b")


class MisplacedTests(SynchronousTestCase):
    def setUp(self) -> None:
        clock = Clock()
        self.node = in_memory(clock)
        assert isinstance(self.node.database, MemoryDatabase)
        self.addCleanup(self.node.database.destroy)

    def create(self, key: str) -> None:
        """An account with a change of its own is on the disk."""
        session = self.node.store.session(key, key)
        self.successResultOf(Deferred.fromCoroutine(session.create(MailboxName("x"), frozenset())))
        session.close()

    def test_users_of_the_same_subnets_are_where_they_belong(self) -> None:
        for key in KEYS:
            if subnet_by_key(BEFORE, AccountKey(key)) == "a":
                self.create(key)
        check_placed(self.node.store, "a", BEFORE)

    def test_first_ten_are_named_and_all_counted(self) -> None:
        for key in KEYS:
            self.create(key)
        away = sorted(key for key in KEYS if subnet_by_key(BEFORE, AccountKey(key)) != "a")
        with self.assertRaises(UsersMisplaced) as refused:
            check_placed(self.node.store, "a", BEFORE)
        text = str(refused.exception)
        self.assertIn(f"{len(away)} accounts", text)
        self.assertIn(f"{away[0]}, {away[1]}", text)
        self.assertNotIn(away[NAMED_MAX], text)
        self.assertIn(f"and {len(away) - NAMED_MAX} more", text)
