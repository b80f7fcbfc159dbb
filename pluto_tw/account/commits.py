# SPDX-License-Identifier: GPL-3.0-or-later
"""
The commits of one account: one in flight, and what is staged meanwhile for the one after it.

Everything is computed on `records`, which is what is committed with all that is staged above it.
When a commit is durable, its news are told before anybody who awaits it goes on. When it fails, all
that is staged goes with it, and the account is read again: now, or as soon as somebody asks and it
can be read.
"""

from collections.abc import Callable, Sequence
from functools import partial

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

    *tell* is called with what is durable, *lost* when what was staged is dropped, after the account
    was read again if it could be. Both must not raise. Raises `ShardFailed`.
    """

    def __init__(
        self,
        ground: Ground,
        site: Site,
        identity: bytes,
        name: str,
        tell: Callable[[Staged], None],
        lost: Callable[[], None],
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
        self._lane.submit(saving.work(), partial(self._done, staged, saving, promises))

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
        self._tell(staged)
        if saving.drops_bodies:
            self._ground.bodies.sweep()
        for promise in promises:
            promise.fire(None)
        self._flush()

    def _fail(self, staged: Staged, error: Exception) -> None:
        promises = [*self._promises_in_flight, *self._promises]
        self._doubtful = staged
        self.is_readable = False
        try:
            self.read_again()
        except ShardFailed:
            self._promises, self._promises_in_flight = [], []
            self._lost()
        for promise in promises:
            promise.fail(error)

    def read_again(self) -> None:
        """After a commit failed: reads what is durable. Raises `ShardFailed`."""
        self._read()
        doubtful, self._doubtful = self._doubtful, None
        self._lost()
        if doubtful is not None and doubtful.records.account().m == self.stored.scalars.m:
            # It is durable after all, or it changed nothing that anybody is told of.
            self._tell(doubtful)
