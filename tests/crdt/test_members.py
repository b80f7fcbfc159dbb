# SPDX-License-Identifier: GPL-3.0-or-later
from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.crdt import commands, members
from pluto_tw.crdt.members import State
from pluto_tw.crdt.records import Member
from tests.support.cluster import Cluster


class MemberTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.cluster = Cluster("AB")

    def add(self, at: str, slot: int, name: str) -> None:
        self.cluster.command(at, lambda r, t: commands.add_member(r, t, slot, name.encode(), name))

    def remove(self, at: str, slot: int, forced: bool) -> None:
        self.cluster.command(at, lambda r, t: commands.remove_member(r, t, slot, forced))

    def members(self, at: str) -> list[Member]:
        return list(self.cluster.sites[at].records.members())

    def test_of_two_adds_of_a_slot_one_keeps_it(self) -> None:
        """The lower dot keeps the slot, at all replicas; the other is made again."""
        self.add("A", 2, "one")
        self.add("B", 2, "two")
        self.cluster.settle()
        found = self.members("A")
        self.assertEqual(found, self.members("B"))
        self.assertEqual([member.name for member in found], ["one"])
        self.assertEqual(members.free_slot(found), 0)

    def test_a_slot_is_burned(self) -> None:
        """Slots are unique for ever, also after removal."""
        self.add("A", 0, "one")
        self.cluster.settle()
        self.remove("B", 0, False)
        self.remove("A", 0, True)
        self.cluster.settle()
        self.add("A", 0, "again")
        self.remove("A", 9, False)
        self.cluster.settle()
        (found,) = self.members("B")
        self.assertEqual((found.name, found.state), ("one", State.FORCED))
        self.assertEqual(members.live([found]), frozenset())
        self.assertEqual(members.free_slot([found]), 1)
        self.assertEqual(members.slots_left([found]), 31)

    def test_no_slot_is_left(self) -> None:
        all_of_them = [Member(slot, b"x", "x", State.LIVE, 1) for slot in range(32)]
        self.assertIsNone(members.free_slot(all_of_them))

    def test_a_removed_slot_is_left_out_late(self) -> None:
        """
        "Stability does not pass ack[k] until every remaining member has acked it and all state
        the same vv[k]".
        """
        own = (5, 5, 3)
        stated = {0: (5, 5, 3), 1: (9, 9, 3)}
        self.assertTrue(members.may_leave_out(2, [0, 1], [0, 1], own, stated))
        self.assertFalse(members.may_leave_out(2, [0, 1], [0], own, stated))
        self.assertFalse(members.may_leave_out(2, [0, 1], [0, 1], own, {**stated, 1: (9, 9, 4)}))
        self.assertFalse(members.may_leave_out(2, [0, 1], [0, 1], own, {0: (5, 5, 3)}))

    def test_members_travel_in_state(self) -> None:
        self.add("A", 0, "one")
        self.cluster.settle()
        self.cluster.cuts.add(frozenset("AB"))
        self.remove("A", 0, False)
        self.add("A", 1, "two")
        self.cluster.cuts.clear()
        self.cluster.send_state("A", "B")
        self.assertEqual(self.members("A"), self.members("B"))
