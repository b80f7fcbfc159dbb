# SPDX-License-Identifier: GPL-3.0-or-later
"""What nobody uses stays in memory as long as there is room."""

from dataclasses import replace

from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.account.cache import IdleCache
from tests.account.accounts import Node
from tests.account.replica_case import ReplicaCase


class IdleCacheTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.cache = IdleCache(100)
        self.unloaded: list[str] = []

    def rest(self, what: str, octets: int) -> None:
        self.cache.rest(what, octets, lambda: self.unloaded.append(what))

    def test_what_was_used_longest_ago_goes_first(self) -> None:
        for what in "abc":
            self.rest(what, 40)
        self.assertEqual((self.unloaded, self.cache.octets), (["a"], 80))
        self.rest("b", 40)
        self.rest("d", 60)
        self.assertEqual((self.unloaded, self.cache.octets), (["a", "c"], 100))

    def test_what_is_in_use_stays(self) -> None:
        self.rest("a", 90)
        self.cache.use("a")
        self.cache.use("never seen")
        self.rest("b", 90)
        self.assertEqual((self.unloaded, self.cache.octets), ([], 90))

    def test_what_is_too_large_goes_at_once(self) -> None:
        self.rest("a", 101)
        self.assertEqual((self.unloaded, self.cache.octets), (["a"], 0))


class MailboxesTests(ReplicaCase):
    def test_closed_mailbox_is_found_again(self) -> None:
        self.append()
        first = self.open()
        columns = first._columns
        first.derived["key"] = "value"
        first.close()
        self.append()
        again = self.open()
        self.assertIs(again._columns, columns)
        self.assertEqual(dict(again.derived), {}, "nobody had it open")
        self.assertEqual(len(again.uids()), 2)

    def test_closed_mailbox_goes_when_there_is_no_room(self) -> None:
        self.node = Node(self.database, replace(self.node.site, idle=IdleCache(0)))
        self.login()
        self.append()
        first = self.open()
        columns = first._columns
        other = self.open()
        first.close()
        third = self.open()
        self.assertIs(third._columns, columns, "somebody has it open")
        other.close()
        third.close()
        again = self.open()
        self.assertIsNot(again._columns, columns)
        self.assertEqual(len(again.uids()), 1)
