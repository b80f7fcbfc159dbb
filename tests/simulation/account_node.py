# SPDX-License-Identifier: GPL-3.0-or-later
"""
A replica made of the real `account`: SQLite in memory, its queue, its one path for every write.

Only threads, clock, disk and links are the simulation's. The writer's thread does a work some
milliseconds after it was given and tells of it some milliseconds later, so that a crash can come
before, between and after; what is in the database then is all that is left. COMMITs may fail. How
replicas talk is in `account_links.py` and `account_snapshots.py`, who is one in
`account_members.py`; a node's number here is its address, which for a newcomer is not its slot.
"""

from collections import Counter
from collections.abc import Callable, Coroutine, Mapping, Sequence
from random import Random
from typing import Any, Final

from pluto_tw.account.account import AccountSession
from pluto_tw.account.failures import ShardFailed
from pluto_tw.account.members import DRAINING, JOINING, Members
from pluto_tw.account.pace import Pace
from pluto_tw.account.replica import AccountReplica, Halted
from pluto_tw.account.shard import Shard
from pluto_tw.account.site import Ground, Site
from pluto_tw.account.soundness import StoreRefused
from pluto_tw.account.store import Store
from pluto_tw.account.upload import new_digest
from pluto_tw.crdt.codec import decode_op
from pluto_tw.crdt.dots import Vector, seq_of
from pluto_tw.crdt.ops import Add
from pluto_tw.crdt.rules import Rules
from pluto_tw.mail.errors import No
from tests.simulation.account_links import Links
from tests.simulation.account_members import (
    USER,
    Membership,
    founder,
    name_of,
    newcomer,
)
from tests.simulation.account_session import AccountServed
from tests.simulation.crdt_view import observable_of, shown_of
from tests.simulation.disk import Disk
from tests.simulation.invariants import Violation
from tests.simulation.network import Timeline
from tests.simulation.node import Served, Shown, World
from tests.simulation.oracle import Observable
from tests.simulation.plan import Settings
from tests.simulation.threads import AtOnce, Later
from tests.simulation.waiting import VirtualWaiting

SEPARATOR: Final = "/"
HEARTBEAT_SECONDS: Final = 1.0
PRUNE_MARGIN_SECONDS: Final = 2.0


class AccountNode:
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
        self.chance = Random(f"node {settings.seed} {slot}")
        founding = range(settings.first_slot, settings.first_slot + settings.replicas)
        self.identity = founder(slot, founding) if slot in founding else newcomer(slot)
        #: Whether its database was put back, and nobody has told it.
        self.is_old = False
        self._rules = rules
        self._skew_ms = self.chance.randint(-settings.skew_ms, settings.skew_ms)
        self._extra_ms = 0
        self._told = 0
        #: Hashes of all bodies that operations made here name.
        self._added: set[bytes] = set()
        self._database = Disk(f"node {slot}", bytes([slot]) * 16, self.chance, self.counts)
        self._copy: tuple[bytes, Vector] | None = None
        self._lives: list[VirtualWaiting] = []
        self._begin()

    # A life.

    def _begin(self) -> None:
        self._up = True
        self.is_open = False
        self.waiting = VirtualWaiting(self.timeline, self._skew_ms)
        self._lives.append(self.waiting)
        self._shown: dict[int, Shown] | None = None
        self.links = Links(self)
        self.membership = Membership(self)
        if self.identity.slot is None:
            self.membership.ask()
        else:
            self.open()

    def open(self) -> None:
        """Who it is, is known: opens its database."""
        own = self.identity
        assert own.slot is not None
        self.members = Members(own.slot, own.table)
        if not own.joined:
            self.members.withhold(JOINING)
        if own.leaving:
            self.members.withhold(DRAINING)
        rules = self._rules(self.members.replica_ids)
        rules.stripe = self.settings.stripe
        rules.uid_restart = self.settings.uid_restart
        pace = Pace(1.0, self.settings.fold_slice, 1.0, PRUNE_MARGIN_SECONDS)
        site = Site(
            self.members,
            self.waiting,
            self.links.heard,
            uid_wait_seconds=self.settings.uid_wait_ms / 1000,
            jitter_seconds=self.chance.random(),
            pace=pace,
            rules=rules,
        )
        writer = Later(self.waiting, lambda: self.chance.randint(1, 6) + self._extra_ms)
        shard = Shard(self._database, self.waiting, writer, [AtOnce()])
        self.waiting.start(self._open(shard, site))

    async def _open(self, shard: Shard, site: Site) -> None:
        try:
            await shard.start()
            store = Store("subnet", site, [Ground(shard)], SEPARATOR)
        except (StoreRefused, ShardFailed):
            # Its supervisor starts it again.
            self._up = False
            self.waiting.stop()
            self.timeline.after(1000, self.restart)
            return
        self.store = store
        store.peers_woken = self._committed
        store.account_halted = self._halted
        self.is_open = True
        if not self.is_old:
            self._committed(USER)
            self.waiting.later(self.chance.random(), self._beat)

    @property
    def account(self) -> AccountReplica:
        """The user's account."""
        return self.store.account(USER)

    def crash(self) -> None:
        if self._up:
            self._up = self.is_open = False
            self.waiting.stop()

    def restart(self) -> None:
        if not self._up:
            self._begin()

    def slow_down(self, ms: int) -> None:
        self._extra_ms = ms

    def wear_out(self, share: float) -> None:
        self._database.failing = share

    def is_up(self) -> bool:
        return self._up

    def is_loading(self) -> bool:
        if not self.is_open or self.is_old or not self.identity.joined:
            return True
        try:
            return self.account.commits.stored.scalars.gate is not None
        except ShardFailed:
            return True

    def destroy(self) -> None:
        for waiting in self._lives:
            waiting.finish()
        self._database.destroy()

    def serve(self) -> Served | None:
        if self.is_loading() or not self.members.serves:
            return None
        return AccountServed(self._session(), self)

    def _session(self) -> AccountSession:
        return self.store.session(USER, USER)

    def run(self, coroutine: Coroutine[Any, Any, None]) -> None:
        self.waiting.start(coroutine)

    def attempt(self, work: Coroutine[Any, Any, None]) -> None:
        """Does *work*, unless the store does not take it now: it comes again by itself."""

        async def run() -> None:
            try:
                await work
            except No:
                self.counts["refused by the store"] += 1

        self.waiting.start(run())

    def _beat(self) -> None:
        self.waiting.later(HEARTBEAT_SECONDS, self._beat)
        self.attempt(self._beat_once())

    async def _beat_once(self) -> None:
        self.links.beat()
        self.membership.beat()

    # Copies of the database, and damage.

    def back_up(self) -> None:
        if self.is_open and not self.is_loading():
            # In memory there is what was told, in the database what was committed.
            positions, own = self.account.ground.positions, self.members.slot
            try:
                found = positions.checkpoint(self.account.identity, own)
            except ShardFailed:
                return
            self._copy = self._database.copy(), () if found is None else found.vector

    def put_back(self, others: Sequence[Vector]) -> bool:
        own = self.identity.slot
        if self._copy is None or own is None or self.identity.leaving:
            return False
        octets, vector = self._copy
        if seq_of(vector, own) >= max((seq_of(other, own) for other in others), default=0):
            return False
        self.crash()
        self._database.put_back(octets)
        self.is_old = True
        self._begin()
        return True

    def damage(self) -> None:
        self.world.damaged.update(self._database.damage())

    def _halted(self, halted: Halted) -> None:
        if self.is_old:
            self.counts["rollbacks noticed"] += 1
            self.timeline.after(0, lambda: self.world.dethroned(self.slot))
        else:
            self.timeline.fail(Violation("I8", f"node {self.slot} halts: {halted.reason}"))

    # What was committed.

    def _committed(self, key: str) -> None:
        if key != USER:
            self.links.committed(key, made=True)
            return
        self._shown = None
        logged = self.account.commits.stored.log_after(self.members.slot, self._told, 10**6)
        ops = [decode_op(entry.data) for entry in logged]
        for op in ops:
            self._told = op.dot >> 5
            if isinstance(op.body, Add):
                self._added.update(message.blob for message in op.body.messages)
        try:
            self.world.committed(self, ops)
        except Violation as violation:
            # Not here, within the commit, whose failures the account takes care of.
            self.timeline.fail(violation)
        self.links.committed(key, made=bool(ops))

    def require_durable(self, octets: bytes) -> None:
        """A client was told OK: the message is in the log. I3."""
        digest = new_digest()
        digest.update(octets)
        if digest.digest() not in self._added:
            raise Violation("I3", f"node {self.slot} said OK to {octets!r}, and does not have it")

    def receive(self, source: int, message: bytes) -> None:
        if not self._up:
            return
        try:
            self.links.receive(message)
        except No:
            self.counts["refused by the store"] += 1

    # Members.

    def hand_over(self, slot: int) -> None:
        if not self.is_open or self.is_old or slot == self.slot:
            return
        successor = self.members.of_name(name_of(slot))
        account = self.account
        if successor is not None and account.rules.is_holder(account.commits.records):
            self.counts["handovers"] += 1
            self.attempt(account.hand_over(successor.slot))

    def load_from(self, source: int) -> None:
        """A newcomer finds its way itself."""

    def add_member(self, slot: int) -> None:
        """As above."""

    def knows_member(self, slot: int) -> bool:
        return True

    def remove_member(self, slot: int) -> None:
        if self.is_open:
            self.attempt(self._remove(name_of(slot)))

    async def _remove(self, name: str) -> None:
        await self.store.subnet.remove(name, forced=True)

    def has_removed(self, slot: int) -> bool:
        return self.is_open and self.members.of_name(name_of(slot)) is None

    def leave(self) -> None:
        self.membership.leave()

    # For the checks.

    def vector(self) -> Vector:
        try:
            return self.store.checkpoint(USER).vector if self.is_open else ()
        except ShardFailed:
            return ()

    def observable(self) -> Observable:
        return observable_of(self.account.commits.stored)

    def shown(self) -> dict[int, Shown]:
        if self._shown is None:
            self._shown = shown_of(self.account.commits.stored)
        return self._shown

    def bodiless(self) -> set[bytes]:
        shown = {
            letter.blob
            for mailbox in self.observable().mailboxes.values()
            for letter in mailbox.letters.values()
        }
        account = self.account
        return shown - account.ground.bodies.here(sorted(shown))

    def agreed(self) -> object:
        return tuple((m.slot, m.name, m.replica, int(m.state)) for m in self.members.table())

    def figures(self) -> dict[str, int]:
        return dict(self.counts)
