# SPDX-License-Identifier: GPL-3.0-or-later
"""Members that come and go, and what becomes of accounts meanwhile."""

from dataclasses import replace

from twisted.internet.defer import Deferred

from pluto_tw.account import receiving, sending, statements
from pluto_tw.account.members import REMOVED_HERE
from pluto_tw.account.subnet import MEMBERS_KEY, SETTLE_SECONDS, Admission, Standing
from pluto_tw.crdt.dots import SLOTS_MAX, Vector
from pluto_tw.crdt.members import State
from pluto_tw.mail.codes import AUTHORIZATIONFAILED, UNAVAILABLE
from pluto_tw.mail.errors import No
from pluto_tw.mail.names import INBOX
from tests.account.accounts import Node
from tests.account.members_case import IDS, MembersCase
from tests.account.pair import KEY


class AddingTests(MembersCase):
    def test_it_is_a_member_when_all_have_acknowledged(self) -> None:
        """It gives no numbers "before all members have acked member_add"."""
        a, b, c = self.nodes
        self.assertEqual(a.store.subnet.admission("new", IDS[3]), Admission(Standing.UNKNOWN))
        self.assertEqual(self.now(a.store.subnet.add("new", IDS[3])), 3)
        self.assertEqual(self.now(a.store.subnet.add("new", IDS[3])), 3)
        waiting = Admission(Standing.WAITING, 3)
        self.assertEqual(a.store.subnet.admission("new", IDS[3]), waiting)
        self.tell_all(a, b)
        self.assertEqual(a.store.subnet.admission("new", IDS[3]), waiting)
        self.assertEqual(b.site.members.others, {0, 2, 3})
        self.assertEqual(c.site.members.others, {0, 1})
        self.tell_all(a, b, c)
        for node in self.nodes:
            found = node.store.subnet.admission("new", IDS[3])
            self.assertEqual(found, Admission(Standing.MEMBER, 3))
            self.assertEqual(node.site.members.replica_ids[3], IDS[3])

    def test_two_that_are_added_at_once_do_not_wait_for_each_other(self) -> None:
        """The first is a member when the founders know it, the second when the first does too."""
        a, b, c = self.nodes
        self.assertEqual(self.now(a.store.subnet.add("x", b"x" * 16)), 3)
        self.assertEqual(self.now(a.store.subnet.add("y", b"y" * 16)), 4)
        self.tell_all(a, b, c)
        first = a.store.subnet.admission("x", b"x" * 16)
        self.assertEqual(first, Admission(Standing.MEMBER, 3))
        second = a.store.subnet.admission("y", b"y" * 16)
        self.assertEqual(second, Admission(Standing.WAITING, 4))
        founding = [replace(m, added=0) for m in a.site.members.table()]
        x = self.founded(3, founding)
        self.tell_all(a, x)
        second = a.store.subnet.admission("y", b"y" * 16)
        self.assertEqual(second, Admission(Standing.MEMBER, 4))

    def test_all_accounts_count_it_at_once(self) -> None:
        a = self.nodes[0]
        self.assertEqual(a.store.account(KEY).rules.members, {1, 2})
        self.now(a.store.subnet.add("new", IDS[3]))
        self.assertEqual(a.store.account(KEY).rules.members, {1, 2, 3})
        self.assertEqual(a.store.account("other").rules.members, {1, 2, 3})

    def test_of_two_given_one_slot_the_lower_operation_keeps_it(self) -> None:
        a, b, c = self.nodes
        self.now(a.store.subnet.add("x", b"x" * 16))
        self.now(b.store.subnet.add("y", b"y" * 16))
        self.tell_all(a, b, c)
        standings = {
            (
                node.store.subnet.admission("x", b"x" * 16),
                node.store.subnet.admission("y", b"y" * 16),
            )
            for node in self.nodes
        }
        self.assertEqual(standings, {(Admission(Standing.MEMBER, 3), Admission(Standing.UNKNOWN))})
        self.assertEqual(self.now(b.store.subnet.add("y", b"y" * 16)), 4)

    def test_name_of_a_member_is_taken(self) -> None:
        subnet = self.nodes[0].store.subnet
        self.assertEqual(subnet.admission("us", b"z" * 16), Admission(Standing.TAKEN, 2))
        self.assertEqual(subnet.admission("us", IDS[2]), Admission(Standing.MEMBER, 2))

    def test_founder_is_learned_when_it_is_met(self) -> None:
        """Its id is durable, and never another one."""
        node = self.member(0, known=False)
        subnet, members = node.store.subnet, node.site.members
        self.assertEqual(subnet.admission("us", IDS[2]), Admission(Standing.FOUNDER, 2))
        told: list[None] = []
        stop = members.watch(lambda: told.append(None))
        self.assertTrue(members.learn(2, IDS[2]))
        self.assertTrue(members.learn(2, IDS[2]))
        self.assertFalse(members.learn(2, IDS[3]))
        self.assertFalse(members.learn(9, IDS[3]))
        stop()
        self.assertEqual((self.kept, len(told)), ([(2, IDS[2])], 1))

    def test_operations_of_who_is_not_known_are_held(self) -> None:
        node = self.member(0, known=False)
        us = self.nodes[2]
        self.now(us.store.session(KEY, KEY).subscribe(INBOX, True))
        found = sending.next_batch(us.store.account(KEY), ())
        assert isinstance(found, sending.Outgoing)
        taken = self.now(receiving.receive(node.store.account(KEY), found.batch))
        self.assertEqual((taken.unknown, taken.operations), (2, 0))
        node.site.members.learn(2, IDS[2])
        taken = self.now(receiving.receive(node.store.account(KEY), found.batch))
        self.assertEqual((taken.unknown, taken.operations), (None, 1))

    def test_slots_end(self) -> None:
        subnet = self.nodes[0].store.subnet
        for number in range(3, SLOTS_MAX):
            self.assertEqual(self.now(subnet.add(f"n{number}", bytes([100 + number]) * 16)), number)
        self.assertEqual(subnet.slots_left(), 0)
        self.assertEqual(subnet.admission("more", b"\xff" * 16), Admission(Standing.FULL))
        self.assertIsNone(self.now(subnet.add("more", b"\xff" * 16)))

    def test_nobody_sees_its_account(self) -> None:
        store = self.nodes[0].store
        error = self.assertRaises(No, store.session, MEMBERS_KEY, MEMBERS_KEY)
        self.assertEqual(error.code, AUTHORIZATIONFAILED)


class RemovingTests(MembersCase):
    def stated(self, node: Node) -> Vector:
        return node.store.account(KEY).commits.stored.scalars.stable

    def test_founding_member_is_removed_for_ever(self) -> None:
        a, b, c = self.nodes
        self.assertTrue(self.now(a.store.subnet.remove("us", forced=True)))
        self.assertFalse(self.now(a.store.subnet.remove("us", forced=True)))
        self.tell_all(a, b, c)
        for node in self.nodes:
            found = node.store.subnet.admission("us", IDS[2])
            self.assertEqual(found, Admission(Standing.REMOVED, 2))
            again = node.store.subnet.admission("us", IDS[3])
            self.assertEqual(again.standing, Standing.UNKNOWN)
        gone = a.site.members.of_slot(2)
        assert gone is not None
        self.assertEqual((gone.state, gone.replica), (State.FORCED, IDS[2]))
        self.assertEqual(c.site.members.why, REMOVED_HERE)
        work = Deferred.fromCoroutine(c.store.session(KEY, KEY).subscribe(INBOX, True))
        self.assertEqual(self.failureResultOf(work, No).value.code, UNAVAILABLE)
        a.restart()
        self.assertEqual(a.site.members.others, {1})

    def test_stability_waits_until_all_have_the_same_of_it(self) -> None:
        """When all "state the same vv[k]", "only then k is left out"."""
        a, b, c = self.nodes
        self.now(c.store.session(KEY, KEY).subscribe(INBOX, True))
        self.tell(c, b, KEY)
        self.now(a.store.subnet.remove("us", forced=True))
        self.tell_all(a, b)
        self.clock.advance(SETTLE_SECONDS)
        account = a.store.account(KEY)
        self.now(receiving.receive(account, b"", statements.checkpoint(b.store.account(KEY))))
        self.assertEqual(account.rules.members, {1, 2})
        self.tell_all(a, b, key=KEY)
        self.clock.advance(SETTLE_SECONDS)
        self.tell_all(a, b, key=KEY)
        self.assertEqual(account.rules.members, {1})
        self.now(a.store.session(KEY, KEY).subscribe(INBOX, False))
        self.tell_all(a, b, key=KEY)
        self.clock.advance(10)
        self.assertEqual(self.stated(a), (1, 0, 1))
