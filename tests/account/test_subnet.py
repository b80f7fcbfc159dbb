# SPDX-License-Identifier: GPL-3.0-or-later
"""Members that come and go, and what becomes of accounts meanwhile."""

from dataclasses import replace

from twisted.internet.defer import Deferred

from pluto_tw.account import exchange
from pluto_tw.account.database import MemoryDatabase
from pluto_tw.account.members import REMOVED_HERE, Member, Members
from pluto_tw.account.replica import Halted
from pluto_tw.account.subnet import MEMBERS_KEY, SETTLE_SECONDS, Admission, Standing
from pluto_tw.crdt.dots import SLOTS_MAX, Vector
from pluto_tw.crdt.members import State
from pluto_tw.crdt.rules import Rules
from pluto_tw.mail.codes import AUTHORIZATIONFAILED, UNAVAILABLE
from pluto_tw.mail.errors import No
from pluto_tw.mail.names import INBOX, MailboxName
from tests.account.accounts import Node, site_of
from tests.account.pair import KEY, SubnetCase

IDS = {slot: bytes([slot + 1]) * 16 for slot in range(4)}
NAMES = ("eu", "storage", "us")


class MembersCase(SubnetCase):
    """Three founding members, which have met."""

    def setUp(self) -> None:
        super().setUp()
        self.kept: list[tuple[int, bytes]] = []
        self.nodes = [self.member(slot) for slot in range(3)]
        self.clock.advance(10)

    def member(self, slot: int, known: bool = True) -> Node:
        founding = [
            Member(other, name, IDS[other] if known or other == slot else b"")
            for other, name in enumerate(NAMES)
        ]
        members = Members(slot, founding, lambda *found: self.kept.append(found))
        rules = Rules(members.replica_ids)
        site = replace(site_of(self.clock), members=members, rules=rules)
        database = MemoryDatabase(f"node {slot}", bytes([slot]) * 16)
        self.addCleanup(database.destroy)
        return Node(database, site)

    def tell(self, sender: Node, receiver: Node, key: str = MEMBERS_KEY) -> None:
        """All operations of an account without mail, and what the sender states."""
        source, target = sender.store.account(key), receiver.store.account(key)
        found = exchange.next_batch(source, exchange.vector(target))
        batch = found.batch if isinstance(found, exchange.Outgoing) else b""
        self.now(exchange.receive(target, batch, exchange.checkpoint(source)))

    def tell_all(self, *nodes: Node, key: str = MEMBERS_KEY) -> None:
        for _ in range(2):
            for sender in nodes:
                for receiver in nodes:
                    if sender is not receiver:
                        self.tell(sender, receiver, key)


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
        found = exchange.next_batch(us.store.account(KEY), ())
        assert isinstance(found, exchange.Outgoing)
        taken = self.now(exchange.receive(node.store.account(KEY), found.batch))
        self.assertEqual((taken.unknown, taken.operations), (2, 0))
        node.site.members.learn(2, IDS[2])
        taken = self.now(exchange.receive(node.store.account(KEY), found.batch))
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
        self.now(exchange.receive(account, b"", exchange.checkpoint(b.store.account(KEY))))
        self.assertEqual(account.rules.members, {1, 2})
        self.tell_all(a, b, key=KEY)
        self.clock.advance(SETTLE_SECONDS)
        self.tell_all(a, b, key=KEY)
        self.assertEqual(account.rules.members, {1})
        self.now(a.store.session(KEY, KEY).subscribe(INBOX, False))
        self.tell_all(a, b, key=KEY)
        self.clock.advance(10)
        self.assertEqual(self.stated(a), (1, 0, 1))


class RollbackTests(MembersCase):
    def halted(self, node: Node) -> list[Halted]:
        found: list[Halted] = []
        node.store.account_halted = found.append
        return found

    def test_replica_that_was_put_back_stops_also_after_a_restart(self) -> None:
        a, b, _ = self.nodes
        for name in map(MailboxName, ("x", "y")):
            self.now(a.store.session(KEY, KEY).create(name, frozenset()))
        self.tell(a, b, KEY)
        old = self.member(0)
        self.now(old.store.session(KEY, KEY).create(MailboxName("z"), frozenset()))
        found = self.halted(old)
        stated = exchange.checkpoint(b.store.account(KEY))
        account = old.store.account(KEY)
        self.assertIs(exchange.compare(account, stated), exchange.Trouble.BEHIND)
        self.assertEqual([(h.identity, h.slot) for h in found], [(account.identity, 1)])
        self.assertEqual(old.store.halted(), [KEY])
        old.restart()
        self.assertEqual(old.store.halted(), [KEY])
        work = Deferred.fromCoroutine(old.store.session(KEY, KEY).subscribe(INBOX, True))
        self.assertEqual(self.failureResultOf(work, No).value.code, UNAVAILABLE)
        self.now(old.store.resume(KEY))
        self.now(old.store.session(KEY, KEY).subscribe(INBOX, True))
        self.assertEqual(old.store.halted(), [])

    def test_peer_that_states_less_than_it_had_was_put_back(self) -> None:
        a, b, _ = self.nodes
        self.now(a.store.session(KEY, KEY).create(MailboxName("x"), frozenset()))
        self.tell_all(a, b, key=KEY)
        account = a.store.account(KEY)
        stated = exchange.checkpoint(b.store.account(KEY))
        self.assertIsNone(exchange.compare(account, stated, first=True))
        stated = replace(stated, vector=())
        self.assertIs(exchange.compare(account, stated, first=True), exchange.Trouble.FORGOT)
        self.assertIsNone(exchange.compare(account, stated))
