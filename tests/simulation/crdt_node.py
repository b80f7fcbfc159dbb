# SPDX-License-Identifier: GPL-3.0-or-later
"""
A replica made of the rules of `pluto_tw.crdt` over records in memory.

Events are computed one after the other on the staged state; a commit takes some milliseconds, and
what comes meanwhile goes into the next one. A crash drops what was staged; a commit that was under
way is durable or not, by chance.
"""

from collections import Counter
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, TypeVar

from pluto_tw.crdt.dots import Vector, seq_of
from pluto_tw.crdt.records import ACCOUNT, PLACEMENT, AccountRecord, Records
from pluto_tw.crdt.replica import Moment, Replica
from pluto_tw.crdt.rules import Rules
from pluto_tw.crdt.transaction import Transaction
from pluto_tw.mail.changes import Change, Exposed
from tests.simulation.crdt_account import CrdtAccount, CrdtMailbox
from tests.simulation.crdt_links import Kept, Links
from tests.simulation.crdt_view import observable_of, shown_of
from tests.simulation.network import START_MS, Timeline
from tests.simulation.node import Served, Shown, World
from tests.simulation.oracle import Observable
from tests.simulation.plan import Settings
from tests.simulation.waiting import Settled, VirtualWaiting
from tests.support.records import MemoryRecords

T = TypeVar("T")

HEARTBEAT_SECONDS = 1.0
#: A checkpoint follows a commit after this long.
CHECKPOINT_SECONDS = 0.1
COMMIT_MS_MAX = 6
PRUNE_MARGIN_MS = 2000


@dataclass(slots=True)
class Staged:
    """A transaction that is not durable, and who waits for it to be."""

    tx: Transaction
    done: list[Settled[None]] = field(default_factory=list)


class CrdtNode:
    """One replica; `Node` in `node.py`."""

    def __init__(
        self,
        slot: int,
        settings: Settings,
        timeline: Timeline,
        world: World,
        rules: Callable[[Mapping[int, bytes]], Rules],
    ) -> None:
        self.slot = slot
        self.settings = settings
        self.timeline = timeline
        self.world = world
        self.counts: Counter[str] = Counter()
        self.records = MemoryRecords(settings.first_slot)
        self.kept = Kept(set(world.members))
        self.chance = Random(f"node {settings.seed} {slot}")
        self._rules = rules({})
        self._rules.stripe = settings.stripe
        self._rules.uid_restart = settings.uid_restart
        self._skew_ms = self.chance.randint(-settings.skew_ms, settings.skew_ms)
        self._extra_ms = 0
        self._starts = 0
        self._copy: MemoryRecords | None = None
        self._begin()

    # A life.

    def _begin(self) -> None:
        self._up = True
        self.waiting = VirtualWaiting(self.timeline, self._skew_ms)
        self.replica = Replica(
            self.slot,
            (),
            self._rules,
            started=self.waiting.seconds() if self._starts else -100.0,
            rank=self.slot - self.settings.first_slot,
            jitter=self.chance.random(),
        )
        self._starts += 1
        self._staged: list[Staged] = []
        self._under_way: list[Staged] = []
        self._checkpoint_due = False
        self._waits: set[bytes] = set()
        self._waiters: list[tuple[list[bytes], Settled[None]]] = []
        #: The log of each mailbox: changes, and which placements were exposed.
        self.logs: dict[int, list[tuple[Change, dict[int, bytes]]]] = {}
        self.sessions: dict[int, list[CrdtMailbox]] = {}
        #: How many sessions show a placement, or will.
        self.pinned: Counter[bytes] = Counter()
        self._shown: dict[int, Shown] | None = None
        self.links = Links(self)
        self.waiting.later(self.chance.random(), self._beat)
        self.links.keep_asking()
        self._await_unclaimed()

    def crash(self) -> None:
        if not self._up:
            return
        if self._under_way and self.chance.random() < 0.5:
            for staged in self._under_way:
                self._store(staged)
            self._tell([staged.tx for staged in self._under_way])
            self.counts["commits whose reply was lost"] += 1
        self.counts["events lost"] += len(self._staged)
        self._up = False
        self.waiting.stop()

    def restart(self) -> None:
        if not self._up:
            self._begin()

    def slow_down(self, ms: int) -> None:
        self._extra_ms = ms

    def wear_out(self, share: float) -> None:
        """What a disk does is the account's to bear."""

    def damage(self) -> None:
        """There are no bodies."""

    def serve(self) -> Served | None:
        empty = self.kept.source is not None and self.account.gate is None
        if not self._up or self.kept.rolled_back or empty:
            return None
        return CrdtAccount(self) if self._rules.serves(self.account) else None

    def is_loading(self) -> bool:
        return self.kept.source is not None or self.account.gate is not None

    # Copies of the database.

    def back_up(self) -> None:
        self._copy = self.records.copy()

    def put_back(self, others: Sequence[Vector]) -> bool:
        known = max((seq_of(other, self.slot) for other in others), default=0)
        account = None if self._copy is None else self._copy.get(ACCOUNT, 0)
        if self._copy is None or account is None or seq_of(account.vv, self.slot) >= known:
            return False
        self.crash()
        self.records = self._copy
        self.kept.rolled_back = True
        self._begin()
        return True

    def notice_rollback(self) -> None:
        """A peer knows more of this node's operations than it does itself."""
        self.counts["rollbacks noticed"] += 1
        self.crash()
        self.world.dethroned(self.slot)

    # Events become transactions.

    @property
    def account(self) -> AccountRecord:
        """The committed scalars."""
        found = self.records.get(ACCOUNT, 0)
        assert found is not None
        return found

    def top(self) -> Records:
        """The state that the next event is computed on."""
        return self._staged[-1].tx if self._staged else self.records

    def top_vector(self) -> Vector:
        """The vector of that state."""
        found = self.top().get(ACCOUNT, 0)
        assert found is not None
        return found.vv

    def moment(self) -> Moment:
        """Now, by this node's clock."""
        return Moment(
            START_MS + self.timeline.now + self._skew_ms, self.waiting.seconds(), self.links.heard()
        )

    async def command(self, run: Callable[[Rules, Transaction], T]) -> tuple[Transaction, T]:
        """Runs a client's command; what it gives is durable."""
        tx, result = self.replica.command(self.top(), self.moment(), run)
        self.stage(tx)
        await self.settled()
        return tx, result

    async def settled(self) -> None:
        """Returns when all that is staged now is durable."""
        if self._staged:
            promise: Settled[None] = Settled()
            self._staged[-1].done.append(promise)
            await promise

    async def placed(self, pids: Sequence[bytes]) -> None:
        """Returns when *pids*, made here, are exposed, or their wait has ended."""
        if not self._are_placed(pids):
            promise: Settled[None] = Settled()
            self._waiters.append((list(pids), promise))
            await promise

    def _are_placed(self, pids: Sequence[bytes]) -> bool:
        if not any(pid in self._waits for pid in pids):
            return True
        placements = [self.records.get(PLACEMENT, pid) for pid in pids]
        return all(placement is not None and placement.uid for placement in placements)

    def stage(self, tx: Transaction) -> None:
        """Puts *tx*, computed on `top`, in the queue for the next commit."""
        if tx.more:
            self.waiting.later(0.02, self._tick)
        if tx.ahead:
            self.counts["operations from the future"] += 1
        # Who does not know yet whether its database is old makes no operations.
        if tx.is_empty or self.kept.rolled_back:
            return
        self._staged.append(Staged(tx))
        if not self._under_way:
            self._start_commit()

    def stage_now(self, tx: Transaction) -> None:
        """*tx* is durable at once, with all before it."""
        self.stage(tx)
        while self._staged:
            self._under_way = list(self._staged)
            self._end_commit()

    def _start_commit(self) -> None:
        under_way = self._under_way = list(self._staged)
        ms = self.chance.randint(1, COMMIT_MS_MAX) + self._extra_ms

        def end() -> None:
            if self._under_way is under_way:
                self._end_commit()

        self.waiting.later(ms / 1000, end)

    def _end_commit(self) -> None:
        done = self._under_way
        self._under_way = []
        for staged in done:
            self._store(staged)
        del self._staged[: len(done)]
        if self._staged:
            self._staged[0].tx.below = self.records
        txs = [staged.tx for staged in done]
        for tx in txs:
            self.replica.committed(tx, self.moment())
            self._start_waits(tx.waits)
        self._tell(txs)
        if any(tx.ops for tx in txs):
            self.links.ship(own_only=True)
        elif any(tx.taken for tx in txs) and not self._checkpoint_due:
            self._checkpoint_due = True
            self.waiting.later(CHECKPOINT_SECONDS, self._state)
        if self._staged:
            self._start_commit()
        for staged in done:
            for promise in staged.done:
                promise.fire(None)
        self._wake()

    def _store(self, staged: Staged) -> None:
        tx = staged.tx
        self.records.commit(tx)
        self._shown = None
        for key, changes in tx.changes.items():
            log = self.logs.setdefault(key, [])
            for change in changes:
                exposed: dict[int, bytes] = {}
                if isinstance(change, Exposed):
                    exposed = {
                        placement.uid: pid
                        for pid, placement in tx.staged(PLACEMENT).items()
                        if placement is not None
                        and placement.key == key
                        and placement.uid in change.uids
                    }
                log.append((change, exposed))
                for session in self.sessions.get(key, ()):
                    session.pin(exposed)

    def _tell(self, txs: Sequence[Transaction]) -> None:
        if any(tx.ops or tx.taken or tx.keys for tx in txs):
            self.world.committed(self, [op for tx in txs for op in tx.ops])

    # Waiting for UIDs.

    def _start_waits(self, pids: Sequence[bytes]) -> None:
        if pids:
            self._waits.update(pids)
            self.waiting.later(self.settings.uid_wait_ms / 1000, lambda: self._end_wait(pids))

    def _end_wait(self, pids: Sequence[bytes]) -> None:
        self.stage(self.replica.wait_ended(self.top(), self.moment(), pids))
        self.waiting.start(self._after_wait(pids))

    async def _after_wait(self, pids: Sequence[bytes]) -> None:
        await self.settled()
        self._waits.difference_update(pids)
        self._wake()

    def _await_unclaimed(self) -> None:
        row = 0
        while True:
            pids, row = self.replica.unclaimed(self.records, row)
            self._start_waits(pids)
            if not row:
                return

    def _wake(self) -> None:
        waiters, self._waiters = self._waiters, []
        for pids, promise in waiters:
            if self._are_placed(pids):
                promise.fire(None)
            else:
                self._waiters.append((pids, promise))

    # Time passes.

    def _beat(self) -> None:
        self.waiting.later(HEARTBEAT_SECONDS, self._beat)
        self._tick()
        self._fold()
        self.links.ship(own_only=False)

    def _fold(self) -> None:
        """
        Folds and prunes, on committed state only: what is staged may hide a message that a session
        shows or will show, and which would be folded in the same commit.
        """
        limit = self.settings.fold_slice
        if limit and not self._staged:
            pinned = self.pinned.__contains__
            self.stage(self.replica.fold(self.top(), self.moment(), pinned, limit))
            if self.settings.prunes:
                self.stage(self.replica.prune(self.top(), self.moment(), PRUNE_MARGIN_MS))

    def _state(self) -> None:
        self._checkpoint_due = False
        self.links.state_all()

    def _tick(self) -> None:
        if self.replica.is_busy(self.top()):
            self.stage(self.replica.tick(self.top(), self.moment()))

    def hand_over(self, slot: int) -> None:
        if self._up and self.replica.is_holder(self.top()) and slot != self.slot:
            self.world.note(f"node {self.slot}: hands over to {slot}")
            self.counts["handovers"] += 1
            self.stage(self.replica.hand_over(self.top(), self.moment(), slot))

    def receive(self, source: int, message: bytes) -> None:
        if self._up:
            self.links.receive(source, message)

    def run(self, coroutine: Coroutine[Any, Any, None]) -> None:
        self.waiting.start(coroutine)

    # Members.

    def load_from(self, source: int) -> None:
        self.links.start_loading(source)

    def add_member(self, slot: int) -> None:
        self.links.add(slot)

    def remove_member(self, slot: int) -> None:
        self.links.remove(slot)

    def knows_member(self, slot: int) -> bool:
        return slot in self.kept.added

    def has_removed(self, slot: int) -> bool:
        return slot in self.kept.removed

    def leave(self) -> None:
        """Members that go as they wish are the account's."""

    # For the checks.

    def destroy(self) -> None:
        self.waiting.finish()

    def is_up(self) -> bool:
        return self._up

    def vector(self) -> Vector:
        return self.account.vv

    def observable(self) -> Observable:
        return observable_of(self.records)

    def shown(self) -> dict[int, Shown]:
        if self._shown is None:
            self._shown = shown_of(self.records)
        return self._shown

    def bodiless(self) -> set[bytes]:
        return set()

    def agreed(self) -> object:
        return frozenset(self.kept.added), frozenset(self.kept.removed)

    def figures(self) -> dict[str, int]:
        return dict(self.counts)
