# SPDX-License-Identifier: GPL-3.0-or-later
"""Snapshots of accounts: whole, resumed, beside commits, and never into an account with mail."""

from twisted.internet.defer import Deferred

from pluto_tw.account import receiving, sending, snapshots, statements
from pluto_tw.account.pace import FOLD_SECONDS, LOG_MARGIN_SECONDS, PRUNE_SECONDS
from pluto_tw.account.replica import SNAPSHOT_SECONDS_MAX
from pluto_tw.account.transfers import Way
from pluto_tw.crdt.codec import decode_batch
from pluto_tw.crdt.dots import EMPTY
from pluto_tw.crdt.snapshot import decode_piece
from pluto_tw.mail.codes import UNAVAILABLE
from pluto_tw.mail.errors import No
from pluto_tw.mail.names import INBOX
from tests.account.accounts import Node
from tests.account.pair import KEY, SubnetCase
from tests.support.hop import HeldHop


class SnapshotTests(SubnetCase):
    """A has mail, B is new; both know each other."""

    def setUp(self) -> None:
        super().setUp()
        self.a = self.node(0, [1])
        self.b = self.node(1, [0])
        self.clock.advance(10)

    def fill(self, count: int = 600) -> None:
        self.patch(snapshots, "PIECE_OCTETS", 4096)
        self.append(self.a, *(b"message %d" % number for number in range(count)))

    def open_gate(self, node: Node) -> None:
        self.ship(self.a, node)
        for _ in range(10):
            self.clock.advance(1)

    def same(self) -> None:
        self.assertEqual(self.digest(self.a), self.digest(self.b))

    def test_copy_is_the_same(self) -> None:
        self.fill()
        self.flag(self.a, "\\Deleted", 3, 4)
        self.flag(self.a, "$Work", 5, 6)
        self.assertTrue(self.copy(self.a, self.b))
        self.open_gate(self.b)
        self.assertTrue(snapshots.is_open(self.account(self.b)))
        self.same()
        self.append(self.b, b"written here")
        self.ship(self.b, self.a)
        self.ship(self.a, self.b)
        self.same()

    def test_nothing_is_served_before_all_is_here(self) -> None:
        """S5: it makes no operations, ships nothing and serves nobody."""
        self.fill()
        self.assertFalse(self.copy(self.a, self.b, pieces=2))
        session = self.b.store.session(KEY, KEY)
        for work in (session.status(INBOX), session.subscribe(INBOX, True)):
            error = self.failureResultOf(Deferred.fromCoroutine(work), No)
            self.assertEqual(error.value.code, UNAVAILABLE)
        self.assertIs(sending.next_batch(self.account(self.b), EMPTY), sending.Lack.NOTHING)

    def test_operations_wait_for_the_end_of_the_snapshot(self) -> None:
        self.fill()
        self.copy(self.a, self.b, pieces=2)
        found = sending.next_batch(self.account(self.a), EMPTY)
        assert isinstance(found, sending.Outgoing)
        taken = self.now(receiving.receive(self.account(self.b), found.batch))
        self.assertEqual((taken.loading, taken.operations), (True, 0))

    def test_operations_that_waited_while_a_snapshot_was_begun_are_not_taken(self) -> None:
        """A batch that was looked at before waits for room; the account is another one then."""
        self.fill(5)
        self.copy(self.a, self.b, pieces=0)
        found = sending.next_batch(self.account(self.a), EMPTY)
        assert isinstance(found, sending.Outgoing)
        ops = [op for segment in decode_batch(found.batch) for op in segment.ops]
        self.assertEqual(self.now(self.account(self.b).receive(ops, None)).taken, 0)

    def test_broken_link_and_restarts_cost_a_piece(self) -> None:
        """The cursor is durable with each piece, the header at the sender."""
        self.fill()
        cursors = []
        for node in (self.a, self.b, self.a, self.b):
            self.copy(self.a, self.b, pieces=2)
            node.restart()
            loading = snapshots.loading(self.account(self.b))
            assert loading is not None
            cursors.append(loading.cursor)
        self.assertEqual(len(set(cursors)), 4)
        self.assertTrue(self.copy(self.a, self.b))
        self.open_gate(self.b)
        self.same()

    def test_sender_goes_on_meanwhile(self) -> None:
        """The gate is shut until all that the sender had at its end is here."""
        self.fill()
        self.copy(self.a, self.b, pieces=3)
        self.flag(self.a, "\\Deleted", 1, 2, 590)
        self.append(self.a, b"later")
        self.copy(self.a, self.b, pieces=3)
        self.flag(self.a, "\\Seen", *range(64 * 32, 64 * 32 + 10))
        self.assertTrue(self.copy(self.a, self.b))
        self.assertFalse(snapshots.is_open(self.account(self.b)))
        self.open_gate(self.b)
        self.same()

    def test_bodies_come_before_the_piece(self) -> None:
        self.fill(5)
        self.assertTrue(self.copy(self.a, self.b))
        query = "SELECT count(*) FROM body WHERE state = 0 AND refs > 0"
        self.assertEqual(self.b.shard.read(query), [(5,)])

    def test_account_with_operations_takes_none(self) -> None:
        self.fill(3)
        self.append(self.b, b"mine")
        begun = self.now(snapshots.begin(self.account(self.a), 1))
        assert begun is not None
        answer = self.now(snapshots.start(self.account(self.b), 0, begun.header))
        self.assertIn("has operations", answer.refused)
        self.assertTrue(snapshots.is_open(self.account(self.b)))

    def test_octets_that_are_none_are_refused(self) -> None:
        self.fill(3)
        target = self.account(self.b)
        self.assertTrue(self.now(snapshots.start(target, 0, b"\xc1")).refused)
        begun = self.now(snapshots.begin(self.account(self.a), 1))
        assert begun is not None
        cursor = self.now(snapshots.start(target, 0, begun.header)).cursor
        self.assertTrue(self.now(snapshots.take(target, 0, cursor, b"\xc1", b"", b"")).refused)
        self.assertTrue(self.now(snapshots.take(target, 5, cursor, b"", b"", b"")).refused)
        self.assertIsNone(self.now(snapshots.piece(self.account(self.a), 1, b"\xc1")))

    def test_pin_ends_when_the_receiver_has_reached_the_end(self) -> None:
        self.fill(3)
        self.copy(self.a, self.b)
        self.assertEqual(set(self.account(self.a).rules.pins), {1})
        self.a.restart()
        self.assertEqual(set(self.account(self.a).rules.pins), {1})
        self.open_gate(self.b)
        stated = statements.checkpoint(self.account(self.b))
        self.now(receiving.receive(self.account(self.a), b"", stated))
        self.assertEqual(self.account(self.a).rules.pins, {})
        self.assertEqual(self.a.shard.read("SELECT * FROM snapshot"), [])

    def test_snapshot_that_nobody_takes_is_forgotten(self) -> None:
        self.fill(3)
        begun = self.now(snapshots.begin(self.account(self.a), 1))
        assert begun is not None
        self.clock.advance(SNAPSHOT_SECONDS_MAX + 1)
        self.account(self.a).follow_pins()
        self.assertEqual(self.account(self.a).rules.pins, {})
        self.assertIsNone(self.now(snapshots.piece(self.account(self.a), 1, begun.cursor)))

    def test_who_lacks_pruned_operations_needs_one(self) -> None:
        self.fill(3)
        self.ship(self.a, self.b)
        stated = statements.checkpoint(self.account(self.b))
        self.now(receiving.receive(self.account(self.a), b"", stated))
        self.clock.advance(LOG_MARGIN_SECONDS)
        self.append(self.a, b"one more")
        self.clock.advance(FOLD_SECONDS)
        self.clock.advance(PRUNE_SECONDS)
        account = self.account(self.a)
        self.assertIs(sending.next_batch(account, EMPTY), sending.Lack.PRUNED)
        self.assertIsInstance(sending.next_batch(account, self.known(self.b)), sending.Outgoing)

    def test_log_is_read_while_it_is_pruned(self) -> None:
        """Between the commit and its being told the log is shorter than is known."""
        alone = self.node(2, [])
        self.append(alone, b"first", b"second")
        self.clock.advance(LOG_MARGIN_SECONDS)
        self.append(alone, b"third")
        held = HeldHop()
        alone.restart(held)
        account = self.account(alone)
        self.clock.advance(FOLD_SECONDS)
        held.finish()
        self.clock.advance(PRUNE_SECONDS)
        self.assertEqual(held.given, 1)
        held.run()
        self.assertIs(sending.next_batch(account, EMPTY), sending.Lack.NOTHING)
        held.tell()
        self.assertIs(sending.next_batch(account, EMPTY), sending.Lack.PRUNED)

    def test_crash_before_and_after_the_commit_of_a_piece(self) -> None:
        """A piece and its cursor are durable together, or neither is."""
        self.fill(200)
        self.copy(self.a, self.b, pieces=1)
        for is_done in (False, True):
            held = HeldHop()
            self.b.restart(held)
            target = self.account(self.b)
            before = snapshots.loading(target)
            assert before is not None
            sent = self.now(snapshots.piece(self.account(self.a), 1, before.cursor))
            assert sent is not None
            wanted = {p.blob for p in decode_piece(sent.piece).placements}
            taking = Deferred.fromCoroutine(
                snapshots.take(
                    target, 0, before.cursor, sent.piece, sent.cursor, b"", frozenset(wanted)
                )
            )
            self.assertNoResult(taking)
            count = "SELECT count(*) FROM message"
            [(messages,)] = self.b.shard.read(count)
            if is_done:
                held.run()
            self.b.restart()
            after = snapshots.loading(self.account(self.b))
            assert after is not None
            self.assertEqual(after.cursor == sent.cursor, is_done)
            self.assertEqual(self.b.shard.read(count)[0][0] > messages, is_done)
            # Nobody tells the dead any more.
            held.crash()
        self.assertTrue(self.copy(self.a, self.b))
        self.open_gate(self.b)
        self.same_but_bodies()

    def test_of_two_begun_at_once_the_later_one_is_loaded(self) -> None:
        """What is left of the other was gone on with when the account was serving again."""
        c = self.node(2, [0, 1])
        self.fill(5)
        self.ship(self.a, c)
        held = HeldHop()
        self.b.restart(held)
        target = self.account(self.b)
        starting = []
        for node in (c, self.a):
            begun = self.now(snapshots.begin(self.account(node), 1))
            assert begun is not None
            starting.append(
                Deferred.fromCoroutine(snapshots.start(target, node.site.slot, begun.header))
            )
        held.finish()
        for one in starting:
            self.assertFalse(self.successResultOf(one).refused)
        for _ in range(2):
            [way] = target.commits.stored.transfers
            self.assertEqual(way, Way(0, incoming=True))
            self.b.restart()
            target = self.account(self.b)

    def same_but_bodies(self) -> None:
        """Some of which were taken for lost."""
        self.assertEqual(self.known(self.a), self.known(self.b))
        self.assertTrue(snapshots.is_open(self.account(self.b)))
