# SPDX-License-Identifier: GPL-3.0-or-later
"""
A shard: one database that holds many accounts, one writer, and commits in groups.

This file decides in which order works become durable, who is told of what, and what happens when
the database fails. SQL is run by `writer.py` and on readers; what the works say is left to their
makers. All of it is called on one thread, the event loop's, and nothing here blocks that thread
but `read`.

- All that waits goes into the next transaction, up to `TRANSACTION_OCTETS_MAX`: the more is going
  on, the fewer syncs of the disk a commit costs.
- A `Lane` is the commits of one account (or one upload), each computed on what the earlier ones
  left. They are done in order. Once one fails, so do all after it, for ever: their maker reads
  again what is committed and begins a new lane.
- Who is told that a work is done is told after COMMIT, in the order in which the works came, and
  before the next transaction begins; so answers to it go into that one. A bug of theirs is logged,
  and is no trouble of the shard: it is shared by thousands.
"""

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import partial
from typing import Any, Final, TypeVar, assert_never

from pluto_tw.account.bugs import attempt, outcome
from pluto_tw.account.database import Database
from pluto_tw.account.failures import ShardFailed, Trouble, WorkRefused
from pluto_tw.account.queue import Batch, Done, Lane, Queue, Queued
from pluto_tw.account.readers import Readers
from pluto_tw.account.soundness import StoreDamaged, StoreRefused
from pluto_tw.account.soundness import check as check_structure
from pluto_tw.account.work import Row, Work
from pluto_tw.account.writer import Outcome, Writer
from pluto_tw.mail.waiting import Promise, ThreadHop, Waiting

T = TypeVar("T")

#: After trouble nothing is tried for so long, twice as long each time it is met again. Short, as
#: clients wait and space may be back; but each try fills a full disk's last blocks again.
RETRY_SECONDS_FIRST: Final = 0.25
RETRY_SECONDS_MAX: Final = 8.0


class State(Enum):
    """How a shard is; the value is for people."""

    OPEN = "open"
    #: Reads work; writes are refused until the next try.
    READ_ONLY = "read-only"
    #: Nothing works; it is opened again by itself.
    FAILED = "failed"
    #: Nothing works until an operator has done something.
    DAMAGED = "damaged"
    CLOSED = "closed"


@dataclass(slots=True)
class Count:
    """What a shard has done since it was opened, for metrics."""

    transactions: int = 0
    works: int = 0
    failures: int = 0


class Shard:
    """
    *readers* are the threads of long reads, one connection each.

    Make it, then await `start`; await `close` at the end.
    """

    def __init__(
        self, database: Database, waiting: Waiting, writer: ThreadHop, readers: Sequence[ThreadHop]
    ) -> None:
        self.waiting = waiting
        self.name = database.name
        self.count = Count()
        self.state = State.CLOSED
        #: Why it is not open, for the operator.
        self.reason = ""
        self._database = database
        self._writer = Writer(database)
        self._writer_hop = writer
        self._readers = Readers(database, readers)
        self._queue = Queue(waiting)
        self._draining = False
        self._closing = False
        #: What was free when it was asked in the transaction that is going on.
        self._free: int | None = None
        self._idle: list[Promise[None]] = []
        self._retry_seconds = RETRY_SECONDS_FIRST
        self._retry_at = 0.0
        self._cancel_retry: Callable[[], None] | None = None

    async def start(self) -> None:
        """Opens the database. Raises `StoreRefused`, and then nothing is open."""
        assert self.state is State.CLOSED, "a shard is started once"
        try:
            await self._open()
        except StoreRefused:
            await self._release()
            self._database.finish()
            raise

    async def close(self) -> None:
        """Finishes what is queued and closes the database; later works are refused."""
        if self._closing:
            return
        was_sound = self.state in (State.OPEN, State.READ_ONLY)
        # Works in the queue are still done; `queue` takes no more.
        self._closing = True
        self.state, self.reason = State.CLOSED, "it is closed"
        if self._cancel_retry is not None:
            self._cancel_retry()
        if self._draining:
            idle: Promise[None] = self.waiting.promise()
            self._idle.append(idle)
            await idle
        self._queue.admit()
        await self._readers.release()
        try:
            await self._writer_hop.call(self._writer.close if was_sound else self._writer.release)
        except sqlite3.Error:
            # A disk that is full or gone: it stays marked, and is checked at the next start.
            await self._writer_hop.call(self._writer.release)
        finally:
            self._database.finish()

    @property
    def queued_octets(self) -> int:
        """What waits for the next transaction."""
        return self._queue.octets

    # Writing.

    def lane(self) -> Lane:
        """A new lane, whose first work is computed on what is committed now."""
        return Lane(self)

    async def room(self) -> None:
        """
        Returns when the queue is short enough for more: asked before a command computes its
        work, and by uploads before each chunk. Who waits goes on in the order of asking.
        """
        await self._queue.room()

    def queue(self, lane: Lane, work: Work, done: Done) -> None:
        """`Lane.submit`."""
        if lane.error is None:
            lane.error = self._refusal(work)
        if lane.error is not None:
            done(lane.error)
            return
        self._queue.put(Queued(lane, work, done))
        if not self._draining:
            self._draining = True
            self.waiting.start(self._drain())

    def _refusal(self, work: Work) -> Exception | None:
        """Why *work* cannot be queued now."""
        if self.state is State.OPEN or (
            self.state is State.READ_ONLY and self.waiting.seconds() >= self._retry_at
        ):
            if self._queue.has_place(work):
                return None
            return ShardFailed("too much is waiting to be written")
        return ShardFailed(self.reason)

    async def _drain(self) -> None:
        """Runs while there are works; the only one that uses the writer's thread meanwhile."""
        in_flight: list[Queued] = []
        try:
            while self._queue:
                batch = self._queue.take()
                in_flight = batch.queued
                self._free = None
                done = await self._transact(batch)
                if done.trouble is None:
                    self._committed(batch, done)
                else:
                    await self._failed(batch, done.trouble, done.cause)
        except Exception as error:
            # A bug where trouble is met: nobody knows what is open now. Nobody who waits is left
            # waiting; who runs this logs it. (Not when a process ends and what still waits is
            # thrown away: nobody waits for it any more.)
            self._enter(State.DAMAGED, f"{type(error).__name__} after trouble; restart the node")
            self._fail_all(in_flight, self.reason)
            raise
        finally:
            self._draining = False
            self._free = None
            for promise in self._idle:
                promise.fire(None)
            self._idle.clear()

    async def _transact(self, batch: Batch) -> Outcome:
        """Does the works of *batch*. A bug there leaves as much unknown as an error of COMMIT."""
        transaction = self._writer_hop.call(
            partial(self._writer.transact, list(batch.lanes.values()))
        )
        self._queue.admit()
        found = await outcome(self.waiting, transaction)
        return Outcome({}, Trouble.BROKEN, found) if isinstance(found, Exception) else found

    def _committed(self, batch: Batch, done: Outcome) -> None:
        self.count.transactions += 1
        self.count.works += len(batch.queued)
        self._retry_seconds = RETRY_SECONDS_FIRST
        if self.state is State.READ_ONLY:
            self.state, self.reason = State.OPEN, ""
        if not done.refused:
            for queued in batch.queued:
                self._tell(queued, None)
        else:
            self._told_apart(batch, done.refused)
        self._queue.admit()

    def _told_apart(self, batch: Batch, causes: dict[int, Exception]) -> None:
        """Lanes of *batch*, by their index, were refused for *causes*; the others are durable."""
        lanes = list(batch.lanes)
        refused: dict[Lane, WorkRefused] = {}
        for index, cause in causes.items():
            error = WorkRefused(f"a work was refused by SQLite: {cause}")
            error.__cause__ = cause
            lanes[index].error = refused[lanes[index]] = error
        # All are taken out of the queue before anybody can put in what replaces them.
        lost = self._queue.drop(lambda queued: queued.lane in refused)
        for queued in (*batch.queued, *lost):
            self._tell(queued, refused.get(queued.lane))

    def _tell(self, queued: Queued, error: Exception | None) -> None:
        """What is done with it is no trouble of the shard, nor of the others who are told."""
        attempt(self.waiting, partial(queued.done, error))

    async def _failed(self, batch: Batch, trouble: Trouble, cause: Exception | None) -> None:
        """Nothing of *batch* holds, and so nothing that is queued on it."""
        self.count.failures += 1
        reason = trouble.value if cause is None else f"{trouble.value} ({cause})"
        match trouble:
            case Trouble.FULL | Trouble.BUSY:
                self._enter(State.READ_ONLY, reason)
                self._back_off()
            case Trouble.BROKEN:
                # Before anybody is told: what they read again must be the database as it now is.
                self._enter(State.FAILED, reason)
                await self._release()
                await self._reopen()
            case Trouble.DAMAGED:
                self._enter(State.DAMAGED, reason)
                await self._release()
            case _:
                assert_never(trouble)
        self._fail_all(batch.queued, reason)

    def _enter(self, state: State, reason: str) -> None:
        """In *state* from now on, unless it is being closed."""
        if not self._closing:
            self.state, self.reason = state, reason

    def _fail_all(self, queued: list[Queued], reason: str) -> None:
        """All works of *queued*, empty then, and of the queue fail, and with them their lanes."""
        everything = [*queued, *self._queue.drop(lambda _: True)]
        queued.clear()
        error = ShardFailed(reason)
        for one in everything:
            one.lane.error = error
        for one in everything:
            self._tell(one, error)
        self._queue.admit()

    # Trouble.

    def _back_off(self) -> None:
        self._retry_at = self.waiting.seconds() + self._retry_seconds
        self._retry_seconds = min(2 * self._retry_seconds, RETRY_SECONDS_MAX)

    async def _reopen(self) -> None:
        """Opens the database after trouble, now or as soon as it can be opened."""
        self._cancel_retry = None
        if self._closing:
            return
        try:
            await self._open()
        except StoreDamaged as error:
            await self._release()
            self._enter(State.DAMAGED, str(error))
        except StoreRefused as error:
            await self._release()
            self._enter(State.FAILED, str(error))
            if not self._closing:
                self._back_off()
                self._cancel_retry = self.waiting.later(
                    self._retry_at - self.waiting.seconds(),
                    lambda: self.waiting.start(self._reopen()),
                )

    async def _open(self) -> None:
        await self._writer_hop.call(self._writer.open)
        try:
            if not self._closing:
                await self._readers.open()
        except sqlite3.Error as error:
            raise StoreRefused(self.name, str(error), "look at its disk") from error
        if self._closing:
            raise StoreRefused(self.name, "it is being closed", "start it again")
        self.state, self.reason = State.OPEN, ""

    async def _release(self) -> None:
        """Ends all connections as a crash would."""
        await self._readers.release()
        await self._writer_hop.call(self._writer.release)

    # Reading.

    def read(self, sql: str, row: Row = ()) -> list[tuple[Any, ...]]:
        """
        The rows of a query that reads few pages, as committed; on this thread, at once.

        For records by their key: 5-20 µs where the pages are cached, which most are, as their
        inner pages and those just written are; a hop to another thread costs 50 µs and a wait,
        after which all that the caller knew must be looked at again. Raises `ShardFailed`.
        """
        return self._readers.read(sql, row)

    async def load(self, read: Callable[[sqlite3.Connection], T]) -> T:
        """
        What *read* makes of a connection, on a reader's thread: bodies, whole mailboxes.

        It must end soon and leave no statement half read, since the log cannot be emptied behind
        the oldest transaction. Raises `ShardFailed`.
        """
        return await self._readers.load(read)

    async def check(self, hop: ThreadHop) -> None:
        """
        Reads the whole database, bodies included, on a thread of its own (minutes), while all
        goes on. Raises `StoreRefused` if its structure is damaged.
        """
        database = self._database

        def check() -> None:
            connection = database.reader()
            try:
                check_structure(connection, database.name)
            finally:
                database.release(connection)

        await hop.call(check)

    def free_octets(self) -> int:
        """
        How many octets the database may still grow, as far as can be known.

        As of the newest transaction while one follows the other; else as of now.
        """
        if self._free is not None:
            return self._free
        free = self._database.free_octets()
        if self._draining:
            self._free = free
        return free
