# SPDX-License-Identifier: GPL-3.0-or-later
"""
The commits of one account: one in flight, and what is staged meanwhile for the one after it.

Everything is computed on `records`, which is what is committed with all that is staged above it.
When a commit is durable, its news are told before anybody who awaits it goes on. When it fails, all
that is staged goes with it, and the account is read again: now, or as soon as somebody asks and it
can be read.

A bug on the way into memory does not make undone what is durable: who awaits it is answered. But
memory may be anything then, so it is read again as well, and sessions that were shown it are ended.
"""

from collections.abc import Callable, Sequence
from functools import partial

from pluto_tw.account.bugs import attempt
from pluto_tw.account.failures import ShardFailed
from pluto_tw.account.records import StoredRecords
from pluto_tw.account.saving import Saving
from pluto_tw.account.site import Ground, Site
from pluto_tw.account.staging import Staged
from pluto_tw.account.transfers import Transfer, Way
from pluto_tw.account.upload import Received
from pluto_tw.crdt.records import Records
from pluto_tw.crdt.transaction import Transaction
from pluto_tw.mail.waiting import Promise


class Commits:
    """
    Of the account *identity*, called *name*.

    *tell* is called with what is durable. *lost* is called when what was staged is dropped, after
    the account was read again if it could be; with True if what was told may be wrong as well.
    Raises `ShardFailed`.
    """

    def __init__(
        self,
        ground: Ground,
        site: Site,
        identity: bytes,
        name: str,
        tell: Callable[[Staged], None],
        lost: Callable[[bool], None],
    ) -> None:
        self._ground = ground
        self._site = site
        self._identity = identity
        self._name = name
        self._tell = tell
        self._lost = lost
        #: What was in flight when a commit failed: nobody knows whether it is durable.
        self._doubtful: Staged | None = None
        self._read()

    def _read(self) -> None:
        self.stored = StoredRecords(
            self._ground.shard, self._ground.numbers, self._identity, self._site.members.lowest_slot
        )
        #: What the next commit holds.
        self.staged = Staged(self.stored)
        #: Whether what is in memory is what the database has.
        self.is_readable = True
        self._lane = self._ground.shard.lane()
        self._in_flight: Staged | None = None
        self._promises: list[Promise[None]] = []
        self._promises_in_flight: list[Promise[None]] = []

    @property
    def records(self) -> Records:
        """The newest state, staged changes included."""
        if self._in_flight is None and self.staged.records.is_empty:
            return self.stored
        return self.staged.records

    @property
    def is_idle(self) -> bool:
        """Whether nothing is staged and nothing is in flight."""
        return self._in_flight is None and self.staged.is_empty

    def uncommitted(self) -> list[Staged]:
        """What is staged, the newest first."""
        return [self.staged] if self._in_flight is None else [self.staged, self._in_flight]

    async def commit(self, tx: Transaction, received: Sequence[Received] = ()) -> None:
        """
        Stages the event *tx*, computed on `records`, before this returns; when it is durable, and
        all that it was computed on, the rest follows. Raises `ShardFailed`.
        """
        if not tx.is_empty or received:
            self.stage(tx, received)
        await self.settled()

    def stage(self, tx: Transaction, received: Sequence[Received] = ()) -> None:
        """Stages the event *tx*, computed on `records`, for whatever commit comes next."""
        self.staged.add(tx, received)

    async def keep(self, way: Way, transfer: Transfer | None) -> None:
        """Keeps how far a snapshot is, None: none any more; durable then. Raises `ShardFailed`."""
        self.staged.transfers[way] = transfer
        await self.settled()

    async def settled(self) -> None:
        """Returns when all that is staged is durable. Raises `ShardFailed`."""
        if self.is_idle:
            return
        promise: Promise[None] = self._site.waiting.promise()
        self._promises.append(promise)
        self._flush()
        await promise

    def _flush(self) -> None:
        """Commits what is staged, unless a commit is in flight."""
        if self._in_flight is not None or not self._promises:
            return
        if self.staged.is_empty:
            promises, self._promises = self._promises, []
            for promise in promises:
                promise.fire(None)
            return
        staged = self._in_flight = self.staged
        promises = self._promises_in_flight = self._promises
        self.staged, self._promises = Staged(self.stored, staged), []
        saving = Saving(
            self.stored,
            staged,
            self._ground.bodies,
            self._ground.numbers,
            self._name,
            self._site.slot,
        )
        work = attempt(self._site.waiting, saving.work)
        if work is None:
            self._fail(staged, ShardFailed("it could not be written down"))
            return
        self._lane.submit(work, partial(self._done, staged, saving, promises))

    def _done(
        self,
        staged: Staged,
        saving: Saving,
        promises: Sequence[Promise[None]],
        error: Exception | None,
    ) -> None:
        if error is not None:
            self._fail(staged, error)
            return
        try:
            if not attempt(self._site.waiting, partial(self._take_over, staged, saving)):
                self._start_over()
            if saving.drops_bodies:
                self._ground.bodies.sweep()
        finally:
            for promise in promises:
                promise.fire(None)
        self._flush()

    def _take_over(self, staged: Staged, saving: Saving) -> bool:
        """*staged* is durable: memory follows, and then all who are told. Returns True."""
        stored = self.stored
        stored.account = saving.account
        stored.position = saving.position
        for way, transfer in staged.transfers.items():
            if transfer is None:
                stored.transfers.pop(way, None)
            else:
                stored.transfers[way] = transfer
        stored.adopt(staged.records.changed(), staged.tallies, staged.recents, saving.outstanding)
        stored.quota_messages = staged.quota_messages
        stored.quota_octets = staged.quota_octets
        self._in_flight = None
        self._promises_in_flight = []
        self.staged.rebase()
        return self._told(staged)

    def _told(self, staged: Staged) -> bool:
        self._tell(staged)
        return True

    def _start_over(self) -> None:
        """After a bug: of what is in memory nothing is relied on, staged events included."""
        dropped = self._promises
        self.is_readable = False
        self._lost(True)
        try:
            self.read_again()
            # Whoever follows this account hears that there is something new.
            attempt(self._site.waiting, partial(self._told, Staged(self.stored)))
        except ShardFailed:
            # It is read as soon as somebody asks.
            self._promises, self._promises_in_flight = [], []
        finally:
            for promise in dropped:
                promise.fail(ShardFailed("what this was computed on is not known any more"))

    def _fail(self, staged: Staged, error: Exception) -> None:
        promises = [*self._promises_in_flight, *self._promises]
        self._doubtful = staged
        self.is_readable = False
        try:
            self.read_again()
        except ShardFailed:
            self._promises, self._promises_in_flight = [], []
            self._lost(False)
        finally:
            for promise in promises:
                promise.fail(error)

    def read_again(self) -> None:
        """After a commit failed: reads what is durable. Raises `ShardFailed`."""
        self._read()
        doubtful, self._doubtful = self._doubtful, None
        self._lost(False)
        if doubtful is None or doubtful.records.account().m != self.stored.scalars.m:
            return
        # It is durable after all, or it changed nothing that anybody is told of.
        if not attempt(self._site.waiting, partial(self._told, doubtful)):
            self._start_over()
