# SPDX-License-Identifier: GPL-3.0-or-later
from collections.abc import Sequence
from typing import Any, cast

from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.crdt import commands, snapshot
from pluto_tw.crdt.clock import AHEAD_MS_MAX
from pluto_tw.crdt.commands import Appending
from pluto_tw.crdt.ops import Cl, Ep, Message, Op
from pluto_tw.crdt.records import ACCOUNT, BOX, LOG, PLACEMENT, TABLES, VIEW, Box, Placement, Table
from pluto_tw.crdt.replica import Moment, Replica
from pluto_tw.crdt.rules import Rules
from pluto_tw.crdt.transaction import Missing, Transaction
from pluto_tw.mail.changes import Ended, Exposed, Touched, Vanished
from pluto_tw.mail.errors import No
from pluto_tw.mail.messages import StoreMode
from pluto_tw.mail.names import INBOX, MailboxName
from pluto_tw.mail.sets import NumberSet
from tests.support.cluster import START_MS
from tests.support.records import MemoryRecords

_MESSAGE = Message(b"hash", 100, 0, 0)
_BOTH = frozenset({0, 1})


class ReplicaCase(SynchronousTestCase):
    """A sequencer and another replica; time is in milliseconds since the start."""

    def setUp(self) -> None:
        self.records = [MemoryRecords(), MemoryRecords()]
        self.replicas = [Replica(slot, [0, 1]) for slot in (0, 1)]
        self.ms = 10_000

    def now(self, heard: frozenset[int] = _BOTH) -> Moment:
        self.ms += 1
        return Moment(START_MS + self.ms, self.ms / 1000, heard)

    def commit(self, slot: int, tx: Transaction) -> Transaction:
        self.records[slot].commit(tx)
        self.replicas[slot].committed(tx, self.now())
        return tx

    def append(
        self, slot: int, count: int = 1, heard: frozenset[int] = _BOTH
    ) -> tuple[Transaction, Appending]:
        tx, result = self.replicas[slot].command(
            self.records[slot],
            self.now(heard),
            lambda r, t: commands.append(r, t, INBOX, [_MESSAGE] * count),
        )
        self.commit(slot, tx)
        return tx, result

    def receive(self, slot: int, ops: list[Op]) -> Transaction:
        return self.commit(slot, self.replicas[slot].receive(self.records[slot], self.now(), ops))


class AppendTests(ReplicaCase):
    def test_the_sequencer_knows_the_uid_at_once(self) -> None:
        tx, result = self.append(0, 2)
        self.assertEqual(commands.uids_of(self.records[0], result.pids), [1, 2])
        self.assertEqual(tx.waits, [])
        (change,) = tx.changes[0]
        assert isinstance(change, Exposed)
        self.assertEqual((change.uids, change.modseq), (NumberSet.of([1, 2]), tx.m))

    def test_an_append_writes_ten_records(self) -> None:
        """Nothing is written in proportion to the mailbox."""
        self.append(0, 500)
        tx, _ = self.append(0)

        written = [len(tx.staged(cast("Table[Any, Any]", table))) for table in TABLES]
        self.assertLessEqual(sum(written), 10)

    def test_another_replica_waits_for_the_sequencer(self) -> None:
        """While the sequencer is heard, the UID is its; until then nothing is exposed."""
        tx, result = self.append(1)
        self.assertEqual(tx.waits, list(result.pids))
        self.assertEqual(tx.changes, {})
        claim = self.receive(0, tx.ops)
        told = self.receive(1, claim.ops)
        self.assertEqual(commands.uids_of(self.records[1], result.pids), [1])
        self.assertIn(0, told.changes)

    def test_a_sequencer_that_is_not_heard_is_not_waited_for(self) -> None:
        tx, result = self.append(1, 2, frozenset({1}))
        self.assertEqual(tx.waits, [])
        self.assertEqual(commands.uids_of(self.records[1], result.pids), [65, 66])

    def test_a_wait_ends_with_a_provisional_claim(self) -> None:
        """The replica claims provisionally what has no claim, and exposes it."""
        tx, result = self.append(1)
        ended = self.replicas[1].wait_ended(self.records[1], self.now(), tx.waits)
        self.commit(1, ended)
        self.assertEqual(commands.uids_of(self.records[1], result.pids), [65])
        (op,) = ended.ops
        assert isinstance(op.body, Cl)
        self.assertEqual(op.body.epoch, 0)
        again = self.replicas[1].wait_ended(self.records[1], self.now(), tx.waits)
        self.assertTrue(again.is_empty)

    def test_after_three_waits_in_vain_nobody_waits(self) -> None:
        """... until a claim of the sequencer comes in time."""
        for _ in range(3):
            tx, _result = self.append(1)
            self.assertEqual(len(tx.waits), 1)
            self.commit(1, self.replicas[1].wait_ended(self.records[1], self.now(), tx.waits))
        tx, _result = self.append(1)
        self.assertEqual(tx.waits, [])

    def test_a_claim_in_time_makes_it_wait_again(self) -> None:
        """It is impatient no longer than the sequencer is slow."""
        made: list[Op] = []
        for _ in range(3):
            tx, _result = self.append(1)
            ended = self.replicas[1].wait_ended(self.records[1], self.now(), tx.waits)
            made += [*tx.ops, *self.commit(1, ended).ops]
        for milliseconds, waits in ((1000, 0), (1000, 0), (100, 1)):
            tx, _result = self.append(1)
            self.assertEqual(tx.waits, [])
            answer = self.receive(0, [*made, *tx.ops])
            made = []
            self.ms += milliseconds
            self.receive(1, answer.ops)
            self.assertEqual(self.replicas[1].is_patient, bool(waits))

    def test_after_a_start_unclaimed_mail_waits_again(self) -> None:
        _tx, result = self.append(1)
        pids, row = Replica(1, [0, 1]).unclaimed(self.records[1])
        self.assertEqual((pids, row), (list(result.pids), 0))

    def test_a_refused_command_leaves_nothing(self) -> None:
        with self.assertRaises(No):
            self.replicas[0].command(
                self.records[0], self.now(), lambda r, t: commands.delete(r, t, INBOX)
            )


class ReceiveTests(ReplicaCase):
    def test_order_is_found(self) -> None:
        """A batch may hold operations in any order."""
        one, _ = self.append(0)
        two, _ = self.append(0)
        tx = self.receive(1, [*reversed(one.ops + two.ops)])
        self.assertEqual(tx.taken, 4)

    def test_gaps_are_left(self) -> None:
        """An operation whose context is not here is discarded, and will be sent again."""
        self.append(0)
        two, _ = self.append(0)
        tx = self.receive(1, two.ops)
        self.assertEqual(tx.taken, 0)
        self.assertTrue(tx.is_empty)

    def test_duplicates_are_left(self) -> None:
        one, _ = self.append(0)
        self.receive(1, one.ops)
        self.assertTrue(self.receive(1, one.ops).is_empty)

    def test_a_clock_far_ahead_is_held(self) -> None:
        """A far-future stamp would be inherited by all: held, with an alarm, never dropped."""
        one, _ = self.append(0)
        op = one.ops[0]
        far = Op(op.dot, op.hlc + ((AHEAD_MS_MAX + 60_000) << 20), op.vector, op.body)
        tx = self.receive(1, [far])
        self.assertTrue(tx.ahead)
        self.assertEqual(tx.taken, 0)
        self.assertFalse(self.receive(1, one.ops).ahead)

    def test_what_is_missing_halts(self) -> None:
        """I8: "An op that names a missing placement is an internal error: halt the account"."""
        with self.assertRaises(Missing):
            self.receive(1, [Op(32, 1 << 50, (), Cl(0, 0, 32, (b"M" * 16,), (1,)))])
        account = self.records[1].get(ACCOUNT, 0)
        assert account is not None
        self.assertEqual(account.vv, ())

    def test_modseq_is_above_all_that_was_applied(self) -> None:
        self.ms = 3_000_000
        one, _ = self.append(0)
        self.ms = 0
        tx = self.receive(1, one.ops)
        self.assertGreater(tx.m, one.m)
        self.assertEqual(tx.m & 31, 1)
        logged = self.records[1].get(LOG, one.ops[0].dot)
        view = self.records[1].get(VIEW, 0)
        assert logged is not None and view is not None
        self.assertEqual((logged.msq, view.hm), (tx.m, tx.m))

    def test_flags_are_told_as_flags(self) -> None:
        """A claim raises a mod-sequence too, without a change of flags."""
        one, result = self.append(0)
        self.receive(1, one.ops)
        stored, _ = self.replicas[0].command(
            self.records[0],
            self.now(),
            lambda r, t: commands.store(r, t, result.pids, StoreMode.ADD, frozenset({"\\Seen"})),
        )
        self.commit(0, stored)
        tx = self.receive(1, stored.ops)
        (change,) = tx.changes[0]
        assert isinstance(change, Touched)
        self.assertEqual((change.flags, change.uids), (True, NumberSet.of([1])))
        removed, _ = self.replicas[0].command(
            self.records[0], self.now(), lambda r, t: commands.remove(r, t, result.pids)
        )
        self.commit(0, removed)
        (gone,) = self.receive(1, removed.ops).changes[0]
        assert isinstance(gone, Vanished)
        self.assertEqual(gone.uids, NumberSet.of([1]))


class TakeOverTests(ReplicaCase):
    def test_outstanding_for_long_takes_over(self) -> None:
        _tx, result = self.append(1)
        self.assertTrue(self.replicas[1].is_busy(self.records[1]))
        early = self.replicas[1].tick(self.records[1], self.now())
        self.assertTrue(early.is_empty)
        self.ms += 8_000
        late = self.commit(1, self.replicas[1].tick(self.records[1], self.now()))
        self.assertIsInstance(late.ops[0].body, Ep)
        self.assertTrue(self.replicas[1].is_holder(self.records[1]))
        self.assertEqual(commands.uids_of(self.records[1], result.pids), [65])
        self.assertFalse(self.replicas[1].is_busy(self.records[1]))

    def test_after_its_start_the_sequencer_waits_a_little(self) -> None:
        """It leaves alone what has a claim, until it has heard what the others have."""
        tx, _result = self.append(1, 1, frozenset({1}))
        self.ms += 1
        self.replicas[0] = Replica(0, [0, 1], started=self.ms / 1000)
        first = self.receive(0, tx.ops)
        # Adoption goes on: it collides with nothing.
        self.assertEqual([type(op.body) for op in first.ops], [Cl])


class GateTests(ReplicaCase):
    def test_nothing_is_served_while_loading(self) -> None:
        _one, _ = self.append(0)
        account = self.records[0].get(ACCOUNT, 0)
        assert account is not None
        first = snapshot.header(account)
        joiner, records = Replica(2, [0, 1, 2]), MemoryRecords()
        records.commit(joiner.load(records, self.now(), [first]))
        with self.assertRaises(No) as caught:
            joiner.command(
                records, self.now(), lambda r, t: commands.append(r, t, INBOX, [_MESSAGE])
            )
        self.assertEqual(caught.exception.code, "UNAVAILABLE")
        piece, cursor = snapshot.read_piece(self.records[0], first, snapshot.Cursor())
        self.assertIsNone(cursor)
        last = snapshot.trailer(account)
        records.commit(joiner.load(records, self.now(), [piece]))
        tx = joiner.load(records, self.now(), [first, last])
        records.commit(tx)
        self.assertTrue(joiner.rules.serves(tx.account()))
        self.assertEqual([p.uid for p in records.tables[PLACEMENT.number].values()], [1])

    def test_loading_needs_an_empty_account(self) -> None:
        self.append(0)
        account = self.records[0].get(ACCOUNT, 0)
        assert account is not None
        with self.assertRaises(AssertionError):
            self.replicas[0].load(self.records[0], self.now(), [snapshot.header(account)])


class CountingRecords(MemoryRecords):
    """Counts the placements that range reads gave."""

    given = 0

    def placements_in(self, bid: int, after_row: int, limit: int) -> Sequence[Placement]:
        found = super().placements_in(bid, after_row, limit)
        self.given += len(found)
        return found


class CostTests(ReplicaCase):
    """Nothing costs in proportion to a mailbox, except what names all of it."""

    def setUp(self) -> None:
        super().setUp()
        self.records = [CountingRecords(), CountingRecords()]
        self.replicas = [Replica(slot, [0, 1]) for slot in (0, 1)]

    def filled(self, name: str) -> list[Op]:
        messages = [_MESSAGE] * 1000

        def fill(rules: Rules, tx: Transaction) -> None:
            commands.create(rules, tx, MailboxName(name), (), ".")
            commands.append(rules, tx, MailboxName(name), messages)

        tx, _ = self.replicas[0].command(self.records[0], self.now(), fill)
        return self.commit(0, tx).ops

    def cost(self, slot: int, tx: Transaction) -> int:
        """Records written and placements read in ranges."""
        records = self.records[slot]
        assert isinstance(records, CountingRecords)
        written = [len(tx.staged(cast("Table[Any, Any]", table))) for table in TABLES]
        return sum(written) + records.given

    def test_rename_and_delete(self) -> None:
        """A mailbox vanishes as a whole by one range, here and where it comes from a peer."""
        made = self.filled("N")
        self.receive(1, made)
        for records in self.records:
            assert isinstance(records, CountingRecords)
            records.given = 0
        old, new = MailboxName("N"), MailboxName("Z")
        tx, _ = self.replicas[0].command(
            self.records[0], self.now(), lambda r, t: commands.rename(r, t, old, new, ".")
        )
        self.commit(0, tx)
        self.assertLess(self.cost(0, tx), 12)
        self.assertLess(self.cost(1, self.receive(1, tx.ops)), 12)

        def delete(rules: Rules, tx: Transaction) -> None:
            # Without the count of `exposed`, which is answered from memory.
            commands.delete(rules, tx, new)

        for records in self.records:
            assert isinstance(records, CountingRecords)
            records.given = 0
        tx, _ = self.replicas[0].command(self.records[0], self.now(), delete)
        self.assertLess(self.cost(0, tx) - 1000, 12)
        (changes,) = tx.changes.values()
        self.assertEqual([type(change) for change in changes], [Ended, Vanished])
        self.commit(0, tx)
        self.assertLess(self.cost(1, self.receive(1, tx.ops)) - 1000, 12)


class SliceTests(ReplicaCase):
    def test_a_large_mailbox_is_walked_in_slices(self) -> None:
        """What joins a mailbox is placed by slices of a thousand; until then it is outstanding."""
        self.append(0, 2500)
        records = self.records[0]

        def rename(rules: Rules, tx: Transaction) -> None:
            box: Box = tx.edit(BOX, 0)
            box.home, box.era = -1, box.era + 1
            tx.boxes[0] = None

        tx, _ = self.replicas[0].command(records, self.now(), rename)
        slices = 0
        self.commit(0, tx)
        while tx.more:
            slices += 1
            self.assertLessEqual(len(tx.staged(PLACEMENT)), 1000)
            tx = self.commit(0, self.replicas[0].tick(records, self.now()))
        self.assertEqual(slices, 2)
        self.assertEqual(len(records.exposed(0, 0)), 2500)
