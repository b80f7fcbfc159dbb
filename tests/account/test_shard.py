# SPDX-License-Identifier: GPL-3.0-or-later
"""Group commit: what is durable when, who is told what, and what trouble does to whom."""

import sqlite3
from collections.abc import Callable

from twisted.internet.defer import Deferred

from pluto_tw.account import queue as queue_module
from pluto_tw.account import shard as shard_module
from pluto_tw.account.database import MemoryDatabase
from pluto_tw.account.failures import ShardFailed, WorkRefused
from pluto_tw.account.queue import Lane
from pluto_tw.account.shard import Shard, State
from pluto_tw.account.soundness import StoreDamaged, StoreRefused
from pluto_tw.account.work import Work
from pluto_tw.mail.codes import UNAVAILABLE
from pluto_tw.mail.errors import No
from tests.account.case import IDENTITY, StoreTestCase, awaited, pages_max
from tests.support.hop import HeldHop, SynchronousHop


def note(number: int, value: int | str | None = None) -> Work:
    """A work that leaves one row, of which there may be one for each *value*."""
    work = Work()
    work.add("INSERT INTO upload VALUES (?)", (number if value is None else value,))
    return work


def octets(count: int) -> Work:
    """A work that stores *count* octets."""
    work = Work()
    work.add_rows("INSERT INTO chunk (data) VALUES (?)", [(b"x" * 4096,)] * (count // 4096), count)
    return work


class Told:
    """Keeps what the makers of works are told, in order."""

    def __init__(self) -> None:
        self.all: list[tuple[str, Exception | None]] = []

    def of(self, name: str) -> Callable[[Exception | None], None]:
        return lambda error: self.all.append((name, error))

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.all]

    @property
    def errors(self) -> dict[str, type[Exception] | None]:
        return {name: type(error) if error else None for name, error in self.all}


class ShardTestCase(StoreTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.hop = HeldHop()
        self.shard = self.started(writer=self.hop)
        self.told = Told()

    def submit(self, lane: Lane, number: int, value: int | str | None = None) -> None:
        lane.submit(note(number, value), self.told.of(f"w{number}"))

    def noted(self) -> list[int]:
        return [content for (content,) in self.rows("SELECT content FROM upload ORDER BY content")]


class CommitTests(ShardTestCase):
    def test_nobody_is_told_before_the_commit(self) -> None:
        """What a client or a peer was told has always been durable before."""
        waiting = Deferred.fromCoroutine(awaited(self.shard.lane().commit(note(1))))
        self.assertNoResult(waiting)
        self.hop.run()
        self.assertEqual(self.noted(), [1])
        self.assertNoResult(waiting)
        self.hop.tell()
        self.successResultOf(waiting)

    def test_what_waits_goes_into_one_transaction(self) -> None:
        lanes = [self.shard.lane() for _ in range(5)]
        for number, lane in enumerate(lanes, 1):
            self.submit(lane, number)
        self.hop.finish()
        self.assertEqual(self.shard.count.works, 5)
        # The first goes at once, and the others wait for it together.
        self.assertEqual(self.shard.count.transactions, 2)

    def test_makers_are_told_in_the_order_of_their_works(self) -> None:
        a, b = self.shard.lane(), self.shard.lane()
        for number, lane in enumerate([a, b, a, b, b, a], 1):
            self.submit(lane, number)
        self.hop.finish()
        self.assertEqual(self.told.names, ["w1", "w2", "w3", "w4", "w5", "w6"])

    def test_answers_go_into_the_next_transaction(self) -> None:
        lane = self.shard.lane()
        lane.submit(note(1), lambda error: self.submit(lane, 2))
        self.hop.step()
        self.assertEqual(self.hop.given, 1)
        self.hop.finish()
        self.assertEqual(self.noted(), [1, 2])

    def test_a_large_queue_is_cut(self) -> None:
        """`TRANSACTION_OCTETS_MAX`."""
        self.patch(queue_module, "TRANSACTION_OCTETS_MAX", 10_000)
        lane = self.shard.lane()
        for _ in range(9):
            lane.submit(octets(4096), self.told.of("chunk"))
        self.hop.finish()
        self.assertEqual(self.shard.count.transactions, 1 + 3)

    def test_many_rows_are_one_work(self) -> None:
        work = Work()
        work.add_rows("INSERT INTO upload VALUES (?)", [(n + 10,) for n in range(100)])
        work.add_rows("INSERT INTO upload VALUES (?)", [])
        other = note(1)
        other.extend(work)
        self.shard.lane().submit(other, self.told.of("w"))
        self.hop.finish()
        self.assertEqual(self.rows("SELECT count(*) FROM upload"), [(101,)])
        self.assertEqual(self.told.errors, {"w": None})


class LaneTests(ShardTestCase):
    def test_a_wrong_work_takes_its_lane_and_no_other(self) -> None:
        """One savepoint a lane: what builds on a wrong work goes with it, and nothing else."""
        first, a, b = (self.shard.lane() for _ in range(3))
        self.submit(first, 1)
        self.submit(a, 2)
        self.submit(b, 3)
        self.submit(a, 4, 1)
        self.submit(b, 5)
        self.hop.finish()
        self.assertEqual(self.noted(), [1, 3, 5])
        self.assertEqual(
            self.told.errors,
            {"w1": None, "w2": WorkRefused, "w3": None, "w4": WorkRefused, "w5": None},
        )

    def test_works_behind_a_wrong_one_fail_with_it(self) -> None:
        """They were computed on what it would have left."""
        lane, other = self.shard.lane(), self.shard.lane()
        self.submit(lane, 1, 100)
        self.submit(other, 2, 100)
        self.hop.step()  # w1
        self.hop.run()  # w2, which is refused
        self.submit(other, 3)
        self.submit(lane, 4)
        self.hop.tell()
        self.assertEqual(self.told.errors, {"w1": None, "w2": WorkRefused, "w3": WorkRefused})
        self.hop.finish()
        self.assertEqual(self.noted(), [4, 100])

    def test_a_lane_that_failed_takes_no_more(self) -> None:
        lane = self.shard.lane()
        lane.submit(octets(4096), self.told.of("w0"))
        self.submit(lane, 1, "\ud800")
        self.hop.finish()
        self.submit(lane, 2)
        self.assertEqual(self.told.errors["w2"], WorkRefused)
        self.assertEqual(self.hop.given, 0)
        self.submit(self.shard.lane(), 3)
        self.hop.finish()
        self.assertEqual(self.noted(), [3])

    def test_values_that_are_no_column_s_are_the_lane_s_fault(self) -> None:
        for value in (1 << 64, "\ud800", object()):
            work = Work()
            work.add("INSERT INTO upload VALUES (?)", (value,))  # type: ignore[arg-type]
            self.shard.lane().submit(work, self.told.of("wrong"))
            self.submit(self.shard.lane(), len(self.told.all) + 1)
            self.hop.finish()
        self.assertIs(self.shard.state, State.OPEN)
        self.assertEqual(self.told.errors["wrong"], WorkRefused)
        self.assertEqual(len(self.noted()), 3)

    def test_foreign_keys_and_checks_hold(self) -> None:
        for sql in (
            "INSERT INTO floor VALUES (99, 'INBOX', 1)",
            "INSERT INTO body VALUES (1, zeroblob(32), 5, -1, 0, 1)",
            "INSERT INTO body VALUES (1, 'text of 32 characters, not octets', 5, 1, 0, 1)",
        ):
            work = Work()
            work.add(sql)
            self.shard.lane().submit(work, self.told.of(sql))
            self.hop.finish()
        self.assertEqual(set(self.told.errors.values()), {WorkRefused})


class CrashTests(ShardTestCase):
    def test_a_crash_before_the_transaction_leaves_nothing(self) -> None:
        self.submit(self.shard.lane(), 1)
        self.hop.crash()
        again = self.started()
        self.assertEqual(again.read("SELECT content FROM upload"), [])
        self.assertEqual(self.told.all, [])

    def test_a_crash_before_the_answer_leaves_all(self) -> None:
        self.submit(self.shard.lane(), 1)
        self.hop.run()
        self.hop.crash()
        again = self.started()
        self.assertEqual(again.read("SELECT content FROM upload"), [(1,)])
        self.assertEqual(self.told.all, [])

    def test_a_crash_within_the_transaction_leaves_nothing(self) -> None:
        self.database.connection.execute("BEGIN IMMEDIATE")
        self.database.connection.execute("INSERT INTO upload VALUES (1)")
        again = self.started()
        self.assertEqual(again.read("SELECT * FROM upload"), [])


class CrowdTests(ShardTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.patch(queue_module, "QUEUED_OCTETS_ROOM", 20_000)
        self.patch(queue_module, "QUEUED_OCTETS_MAX", 60_000)
        self.patch(queue_module, "TRANSACTION_OCTETS_MAX", 10_000)

    def filled(self, count: int) -> None:
        for _ in range(count):
            self.shard.lane().submit(octets(8192), self.told.of("chunk"))

    def test_there_is_room_at_first(self) -> None:
        self.successResultOf(Deferred.fromCoroutine(self.shard.room()))

    def test_room_waits_for_the_queue(self) -> None:
        self.filled(5)
        asked = [Deferred.fromCoroutine(self.shard.room()) for _ in range(2)]
        self.assertNoResult(asked[0])
        self.hop.finish()
        for one in asked:
            self.successResultOf(one)

    def test_who_does_not_ask_is_refused_in_the_end(self) -> None:
        self.filled(8)
        self.assertEqual(self.told.errors, {"chunk": ShardFailed})
        self.hop.finish()
        self.filled(1)
        self.hop.finish()
        self.assertEqual(self.told.all[-1], ("chunk", None))

    def test_earlier_works_of_a_lane_are_durable_although_a_later_one_found_no_room(self) -> None:
        self.filled(6)
        lane = self.shard.lane()
        self.submit(lane, 1)
        lane.submit(octets(16_384), self.told.of("large"))
        self.hop.finish()
        self.assertEqual(self.told.errors["w1"], None)
        self.assertEqual(self.told.errors["large"], ShardFailed)
        self.assertEqual(self.noted(), [1])


class FullTests(ShardTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.submit(self.shard.lane(), 1)
        self.hop.finish()
        pages_max(self.database.connection, 20)

    def fill(self) -> None:
        self.shard.lane().submit(octets(400_000), self.told.of("large"))
        self.hop.finish()

    def space_returns(self) -> None:
        self.database.connection.execute("PRAGMA max_page_count = 100000")

    def test_a_full_disk_is_unavailable_to_clients(self) -> None:
        self.fill()
        error = dict(self.told.all)["large"]
        assert isinstance(error, No)
        self.assertEqual(error.code, UNAVAILABLE)
        self.assertIs(self.shard.state, State.READ_ONLY)
        self.assertIn("full", self.shard.reason)

    def test_what_was_acknowledged_stays_and_can_be_read(self) -> None:
        self.fill()
        self.assertEqual(self.shard.read("SELECT content FROM upload"), [(1,)])

    def test_all_that_waits_fails(self) -> None:
        self.shard.lane().submit(octets(400_000), self.told.of("large"))
        self.submit(self.shard.lane(), 2)
        self.hop.finish()
        self.assertEqual(self.told.errors["w2"], ShardFailed)

    def test_nothing_is_tried_until_some_time_has_passed(self) -> None:
        self.fill()
        self.space_returns()
        self.submit(self.shard.lane(), 2)
        self.assertEqual(self.told.errors["w2"], ShardFailed)
        self.assertEqual(self.hop.given, 0)

    def test_it_recovers_by_itself_when_space_returns(self) -> None:
        self.fill()
        self.space_returns()
        self.clock.advance(shard_module.RETRY_SECONDS_FIRST)
        self.submit(self.shard.lane(), 2)
        self.hop.finish()
        self.assertEqual(self.told.errors["w2"], None)
        self.assertIs(self.shard.state, State.OPEN)

    def test_each_vain_try_doubles_the_wait(self) -> None:
        """From `RETRY_SECONDS_FIRST` to `RETRY_SECONDS_MAX`."""
        self.fill()
        for wait in (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 8.0):
            tries = self.shard.count.failures
            self.clock.advance(wait * 0.75)
            self.fill()
            self.assertEqual(self.shard.count.failures, tries)
            self.clock.advance(wait * 0.25)
            self.fill()
            self.assertEqual(self.shard.count.failures, tries + 1)


class BreakingConnection:
    """A connection whose next COMMIT fails after it was done, or before."""

    def __init__(self, connection: sqlite3.Connection, done: bool) -> None:
        self._connection = connection
        self._done = done

    def execute(self, sql: str, *arguments: object) -> object:
        if sql == "COMMIT":
            if self._done:
                self._connection.execute("COMMIT")
            error = sqlite3.OperationalError("disk I/O error")
            error.sqlite_errorcode = sqlite3.SQLITE_IOERR
            raise error
        return self._connection.execute(sql, *arguments)  # type: ignore[arg-type]

    def executemany(self, sql: str, rows: object) -> object:
        return self._connection.executemany(sql, rows)  # type: ignore[arg-type]

    @property
    def in_transaction(self) -> bool:
        return self._connection.in_transaction


class BreakingDatabase(MemoryDatabase):
    """A database in memory whose first connection breaks at its first COMMIT."""

    def __init__(self, done: bool) -> None:
        super().__init__("breaking", IDENTITY)
        self.done = done
        self.opened = 0
        #: How often opening it fails after the break, and how.
        self.refusals = 0
        self.refusal: StoreRefused = StoreRefused(self.name, "no disk", "look for it")

    def open(self) -> sqlite3.Connection:
        self.opened += 1
        if self.opened > 1 and self.refusals:
            self.refusals -= 1
            raise self.refusal
        connection = super().open()
        if self.opened == 1:
            return BreakingConnection(connection, self.done)  # type: ignore[return-value]
        return connection

    def release(self, connection: sqlite3.Connection) -> None:
        super().release(self.connection)


class BrokenTests(StoreTestCase):
    """After an I/O error in COMMIT its outcome is unknown: close the shard, reopen, read again."""

    def broken(self, done: bool, refusals: int = 0) -> tuple[Shard, Told]:
        self.breaking = BreakingDatabase(done)
        self.breaking.refusals = refusals
        self.addCleanup(self.breaking.destroy)
        shard, told = self.started(self.breaking), Told()
        shard.lane().submit(note(1), told.of("w1"))
        return shard, told

    def test_its_makers_are_told_that_it_failed(self) -> None:
        for done in (False, True):
            _, told = self.broken(done)
            self.assertEqual(told.errors, {"w1": ShardFailed})

    def test_it_is_open_again_and_shows_what_is_true(self) -> None:
        for done in (False, True):
            shard, _ = self.broken(done)
            self.assertIs(shard.state, State.OPEN)
            self.assertEqual(shard.read("SELECT count(*) FROM upload"), [(int(done),)])
            self.assertEqual(self.breaking.opened, 2)

    def test_makers_find_it_open_when_they_are_told(self) -> None:
        """They read again at once what they had computed on."""
        self.breaking = BreakingDatabase(False)
        self.addCleanup(self.breaking.destroy)
        shard = self.started(self.breaking)
        found: list[object] = []
        shard.lane().submit(
            note(1), lambda error: found.append(shard.read("SELECT content FROM upload"))
        )
        self.assertEqual(found, [[]])

    def test_while_it_cannot_be_opened_all_is_refused(self) -> None:
        shard, told = self.broken(False, refusals=2)
        self.assertIs(shard.state, State.FAILED)
        self.assertIn("no disk", shard.reason)
        self.assertRaises(ShardFailed, shard.read, "SELECT 1")
        self.failed(shard.load(lambda connection: None), ShardFailed)
        shard.lane().submit(note(2), told.of("w2"))
        self.assertEqual(told.errors["w2"], ShardFailed)

    def test_it_is_tried_again_without_being_asked(self) -> None:
        shard, told = self.broken(False, refusals=2)
        self.clock.advance(shard_module.RETRY_SECONDS_FIRST)
        self.assertIs(shard.state, State.FAILED)
        self.clock.advance(2 * shard_module.RETRY_SECONDS_FIRST)
        self.assertIs(shard.state, State.OPEN)
        shard.lane().submit(note(2), told.of("w2"))
        self.assertEqual(told.errors["w2"], None)

    def test_a_damaged_one_is_not_tried_again(self) -> None:
        self.breaking = BreakingDatabase(False)
        self.addCleanup(self.breaking.destroy)
        self.breaking.refusals = 1
        self.breaking.refusal = StoreDamaged("breaking", "damaged", "restore it")
        shard = self.started(self.breaking)
        shard.lane().submit(note(1), Told().of("w1"))
        self.assertIs(shard.state, State.DAMAGED)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_readers_that_cannot_be_opened_are_trouble_too(self) -> None:
        shard, _ = self.broken(False, refusals=1)

        def refuse() -> sqlite3.Connection:
            raise sqlite3.OperationalError("no reader")

        patch = self.patch(self.breaking, "reader", refuse)
        self.clock.advance(shard_module.RETRY_SECONDS_FIRST)
        self.assertIs(shard.state, State.FAILED)
        self.assertIn("no reader", shard.reason)
        patch.restore()
        self.clock.advance(shard_module.RETRY_SECONDS_MAX)
        self.assertIs(shard.state, State.OPEN)

    def test_closed_while_it_is_opened_again_it_stays_closed(self) -> None:
        self.breaking = BreakingDatabase(False)
        self.addCleanup(self.breaking.destroy)
        hop = HeldHop()
        shard, told = self.started(self.breaking, writer=hop), Told()
        shard.lane().submit(note(1), told.of("w1"))
        hop.step()  # The transaction.
        hop.step()  # The release.
        closing = Deferred.fromCoroutine(shard.close())
        hop.finish()
        self.successResultOf(closing)
        self.assertIs(shard.state, State.CLOSED)
        self.assertEqual(told.errors, {"w1": ShardFailed})
        self.assertRaises(ShardFailed, shard.read, "SELECT 1")

    def test_closing_ends_the_tries(self) -> None:
        shard, _ = self.broken(False, refusals=2)
        self.ran(shard.close())
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertIs(shard.state, State.CLOSED)


class DamagedTests(StoreTestCase):
    def test_a_damaged_database_is_left_alone(self) -> None:
        shard, told = self.started(), Told()

        def damaged(lanes: object) -> object:
            error = sqlite3.DatabaseError("database disk image is malformed")
            error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
            return shard._writer._taken_back(error)

        self.patch(shard._writer, "transact", damaged)
        shard.lane().submit(note(1), told.of("w1"))
        self.assertEqual(told.errors, {"w1": ShardFailed})
        self.assertIs(shard.state, State.DAMAGED)
        self.assertIn("malformed", shard.reason)
        self.assertEqual(self.clock.getDelayedCalls(), [])


class BugTests(StoreTestCase):
    """A bug costs those whom it is about; the shard, and all who use it, go on."""

    def test_a_bug_of_who_is_told_is_not_the_others(self) -> None:
        """A shard holds thousands of users; one of them is not its trouble."""
        hop = HeldHop()
        shard, told = self.started(writer=hop), Told()

        def wrong(error: Exception | None) -> None:
            raise KeyError("a bug")

        shard.lane().submit(note(1), told.of("w1"))
        shard.lane().submit(note(2), wrong)
        shard.lane().submit(note(3), told.of("w3"))
        hop.finish()
        self.assertEqual(told.errors, {"w1": None, "w3": None})
        self.assertIs(shard.state, State.OPEN)
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 1)
        shard.lane().submit(note(4), told.of("w4"))
        hop.finish()
        self.assertEqual(told.errors["w4"], None)

    def test_a_bug_of_who_is_told_of_trouble_is_not_the_others(self) -> None:
        shard, told = self.started(), Told()
        lane = shard.lane()

        def wrong(error: Exception | None) -> None:
            raise KeyError("a bug")

        refused = Work()
        refused.add("INSERT INTO nowhere VALUES (1)")
        lane.submit(refused, wrong)
        lane.submit(note(1), told.of("w1"))
        shard.lane().submit(note(2), told.of("w2"))
        self.assertEqual(told.errors, {"w1": WorkRefused, "w2": None})
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 1)

    def test_a_bug_in_the_writer_is_as_an_unknown_outcome(self) -> None:
        """As after an error of COMMIT: "closed, reopened and the account read again"."""
        shard, told = self.started(), Told()

        def wrong(lanes: object) -> object:
            raise KeyError("a bug")

        patch = self.patch(shard._writer, "transact", wrong)
        shard.lane().submit(note(1), told.of("w1"))
        patch.restore()
        self.assertEqual(told.errors, {"w1": ShardFailed})
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 1)
        self.assertIs(shard.state, State.OPEN)
        shard.lane().submit(note(2), told.of("w2"))
        self.assertEqual(told.errors["w2"], None)
        self.assertEqual(self.rows("SELECT content FROM upload"), [(2,)])


class CloseTests(ShardTestCase):
    def test_what_is_queued_is_done_first(self) -> None:
        self.submit(self.shard.lane(), 1)
        self.submit(self.shard.lane(), 2)
        closing = Deferred.fromCoroutine(self.shard.close())
        self.assertNoResult(closing)
        self.submit(self.shard.lane(), 3)
        self.hop.finish()
        self.successResultOf(closing)
        self.assertEqual(self.told.errors, {"w1": None, "w2": None, "w3": ShardFailed})
        self.assertEqual(self.noted(), [1, 2])

    def test_it_is_marked_as_closed(self) -> None:
        self.assertEqual(self.rows("SELECT clean FROM shard"), [(0,)])
        closing = Deferred.fromCoroutine(self.shard.close())
        self.hop.finish()
        self.successResultOf(closing)
        self.assertEqual(self.rows("SELECT clean FROM shard"), [(1,)])

    def test_a_disk_that_is_full_does_not_keep_it_open(self) -> None:
        """It stays marked, and is checked at the next start."""
        self.database.connection.execute("PRAGMA query_only = ON")
        closing = Deferred.fromCoroutine(self.shard.close())
        self.hop.finish()
        self.successResultOf(closing)
        self.assertEqual(self.rows("SELECT clean FROM shard"), [(0,)])

    def test_closing_twice_is_harmless(self) -> None:
        for _ in range(2):
            closing = Deferred.fromCoroutine(self.shard.close())
            self.hop.finish()
            self.successResultOf(closing)

    def test_who_waits_for_room_goes_on(self) -> None:
        self.patch(queue_module, "QUEUED_OCTETS_ROOM", 0)
        self.submit(self.shard.lane(), 1)
        self.submit(self.shard.lane(), 2)
        asked = Deferred.fromCoroutine(self.shard.room())
        closing = Deferred.fromCoroutine(self.shard.close())
        self.hop.finish()
        self.successResultOf(closing)
        self.successResultOf(asked)


class StartTests(StoreTestCase):
    def test_a_refused_one_leaves_nothing_open(self) -> None:
        database = self.on_disk(may_create=False)
        shard = Shard(database, self.waiting, SynchronousHop(), [SynchronousHop()])
        error = self.failed(shard.start(), StoreRefused)
        self.assertIn("missing", str(error))
        self.assertIs(shard.state, State.CLOSED)
        # Its lock is free.
        self.ran(self.started(self.on_disk()).close())


class ReadTests(StoreTestCase):
    def test_readers_see_the_commit(self) -> None:
        shard = self.started()
        self.commit(shard, note(7))
        self.assertEqual(shard.read("SELECT content FROM upload WHERE content = ?", (7,)), [(7,)])
        self.assertEqual(
            self.ran(shard.load(lambda c: c.execute("SELECT content FROM upload").fetchall())),
            [(7,)],
        )

    def test_a_wrong_query_is_a_bug(self) -> None:
        shard = self.started()
        self.assertRaises(sqlite3.OperationalError, shard.read, "SELECT nothing FROM nowhere")

    def test_a_disk_that_fails_is_unavailable_to_clients(self) -> None:
        shard = self.started()

        def fail(connection: sqlite3.Connection) -> None:
            error = sqlite3.OperationalError("disk I/O error")
            error.sqlite_errorcode = sqlite3.SQLITE_IOERR_READ
            raise error

        self.failed(shard.load(fail), ShardFailed)

    def test_the_least_busy_reader_is_taken(self) -> None:
        hops = [HeldHop(), HeldHop()]
        shard = Shard(self.database, self.waiting, SynchronousHop(), hops)
        starting = Deferred.fromCoroutine(shard.start())
        for hop in hops:
            hop.finish()
        self.successResultOf(starting)
        loads = [Deferred.fromCoroutine(shard.load(lambda c: None)) for _ in range(4)]
        self.assertEqual([hop.given for hop in hops], [2, 2])
        for hop in hops:
            hop.finish()
        for load in loads:
            self.successResultOf(load)

    def test_the_whole_database_can_be_checked(self) -> None:
        self.ran(self.started().check(SynchronousHop()))
