# SPDX-License-Identifier: GPL-3.0-or-later
"""
A replica made of the real `account`: SQLite in memory, its queue, its one path for every write.

Only threads, clock, disk and links are the simulation's. The writer's thread does a work some
milliseconds after it was given and tells of it some milliseconds later, so that a crash can come
before, between and after; what is in the database then is all that is left. COMMITs may fail.
Bodies go with the operations that name them. Members do not change here, and no snapshots are sent.
"""

from collections import Counter
from collections.abc import Coroutine
from random import Random
from typing import Any

import msgspec

from pluto_tw.account import exchange
from pluto_tw.account.members import Members
from pluto_tw.account.shard import Shard
from pluto_tw.account.site import Ground, Site
from pluto_tw.account.soundness import StoreRefused
from pluto_tw.account.store import Store
from pluto_tw.account.upload import new_digest
from pluto_tw.crdt.codec import decode_batch, decode_op
from pluto_tw.crdt.dots import Vector, covers, joined
from pluto_tw.crdt.ops import Add
from pluto_tw.crdt.resync import Checkpoint
from pluto_tw.crdt.rules import Rules
from pluto_tw.mail.errors import No
from tests.simulation.account_session import AccountServed
from tests.simulation.crdt_links import HEARD_MS, Known
from tests.simulation.crdt_view import observable_of, shown_of
from tests.simulation.disk import Disk
from tests.simulation.invariants import Violation
from tests.simulation.network import Timeline
from tests.simulation.node import Served, Shown, World
from tests.simulation.oracle import Observable
from tests.simulation.plan import Settings
from tests.simulation.threads import AtOnce, Later
from tests.simulation.waiting import VirtualWaiting

SEPARATOR = "/"
USER = "fred"
HEARTBEAT_SECONDS = 1.0
CHECKPOINT_SECONDS = 0.1
_BODY = "SELECT id, size FROM body WHERE hash = ?"


class Packet(msgspec.Struct, array_like=True):
    """What one replica sends to another; *bodies* are those that *batch* names."""

    x: int
    vector: Vector
    sequencer: int
    batch: bytes = b""
    bodies: tuple[bytes, ...] = ()


_encode = msgspec.msgpack.Encoder().encode
_packet = msgspec.msgpack.Decoder(Packet)


class AccountNode:
    """One replica; `Node` in `node.py`."""

    def __init__(
        self, slot: int, settings: Settings, timeline: Timeline, world: World, rules: Rules
    ) -> None:
        self.slot = slot
        self.counts: Counter[str] = Counter()
        self._settings = settings
        self._timeline = timeline
        self._world = world
        self._rules = rules
        self._rules.stripe = settings.stripe
        self._rules.uid_restart = settings.uid_restart
        self._chance = Random(f"node {settings.seed} {slot}")
        self._skew_ms = self._chance.randint(-settings.skew_ms, settings.skew_ms)
        self._extra_ms = 0
        self._told = 0
        #: Hashes of all bodies that operations made here name.
        self._added: set[bytes] = set()
        self._database = Disk(f"node {slot}", bytes([slot]) * 16, self._chance, self.counts)
        self._lives: list[VirtualWaiting] = []
        self._begin()

    # A life.

    def _begin(self) -> None:
        self._up = True
        self._waiting = VirtualWaiting(self._timeline, self._skew_ms)
        self._lives.append(self._waiting)
        self._peers: dict[int, Known] = {}
        self._checkpoint_due = False
        self._shown: dict[int, Shown] | None = None
        site = Site(
            Members.fixed(self.slot, self._world.members),
            self._waiting,
            self._heard,
            uid_wait_seconds=self._settings.uid_wait_ms / 1000,
            jitter_seconds=self._chance.random(),
            rules=self._rules,
        )
        writer = Later(self._waiting, lambda: self._chance.randint(1, 6) + self._extra_ms)
        shard = Shard(self._database, self._waiting, writer, [AtOnce()])
        self._waiting.start(self._open(shard, site))

    async def _open(self, shard: Shard, site: Site) -> None:
        try:
            await shard.start()
        except StoreRefused:
            # Its supervisor starts it again.
            self._up = False
            self._waiting.stop()
            self._timeline.after(1000, self.restart)
            return
        self._ground = Ground(shard)
        self._store = Store("subnet", site, [self._ground], SEPARATOR)
        self._store.peers_woken = lambda key: self._committed()
        self.account = self._store.account(USER)
        self._ready = True
        self._committed()
        self._waiting.later(self._chance.random(), self._beat)

    _ready = False

    def crash(self) -> None:
        if self._up:
            self._up = self._ready = False
            self._waiting.stop()

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
        return not self._ready

    def destroy(self) -> None:
        for waiting in self._lives:
            waiting.finish()
        self._database.destroy()

    def serve(self) -> Served | None:
        if not self._ready:
            return None
        return AccountServed(self._store.session(USER, USER), self)

    def run(self, coroutine: Coroutine[Any, Any, None]) -> None:
        self._waiting.start(coroutine)

    def hand_over(self, slot: int) -> None:
        if self._ready and slot != self.slot:
            rules = self.account.rules
            if rules.is_holder(self.account.commits.records):
                self.counts["handovers"] += 1
                self._try(self.account.hand_over(slot))

    def _try(self, work: Coroutine[Any, Any, None]) -> None:
        """Does *work*, unless the store does not take it now: it comes again by itself."""

        async def run() -> None:
            try:
                await work
            except No:
                self.counts["refused by the store"] += 1

        self._waiting.start(run())

    # What was committed.

    def _committed(self) -> None:
        if self.account.halted:
            self._timeline.fail(Violation("I8", self.account.halted))
        self._shown = None
        logged = self.account.commits.stored.log_after(self.slot, self._told, 10**6)
        ops = [decode_op(entry.data) for entry in logged]
        self._told += len(ops)
        for op in ops:
            if isinstance(op.body, Add):
                self._added.update(message.blob for message in op.body.messages)
        try:
            self._world.committed(self, ops)
        except Violation as violation:
            # Not here, within the commit, whose failures the account takes care of.
            self._timeline.fail(violation)
        if ops:
            self._waiting.later(0, lambda: self._ship(eager=True))
        elif not self._checkpoint_due:
            self._checkpoint_due = True
            self._waiting.later(CHECKPOINT_SECONDS, self._state)

    def require_durable(self, octets: bytes) -> None:
        """A client was told OK: the message is in the log. I3."""
        digest = new_digest()
        digest.update(octets)
        if digest.digest() not in self._added:
            raise Violation("I3", f"node {self.slot} said OK to {octets!r}, and does not have it")

    # Links.

    def _heard(self) -> frozenset[int]:
        now = self._timeline.now
        return frozenset(s for s, peer in self._peers.items() if now - peer.heard_at <= HEARD_MS)

    def _beat(self) -> None:
        self._waiting.later(HEARTBEAT_SECONDS, self._beat)
        self._ship(eager=False)

    def _state(self) -> None:
        self._checkpoint_due = False
        for slot in self._world.members:
            if slot != self.slot:
                self._send(slot, exchange.checkpoint(self.account))

    def _ship(self, eager: bool) -> None:
        for slot in self._world.members:
            if slot != self.slot:
                peer = self._peers.setdefault(slot, Known())
                if not eager:
                    peer.sent = peer.stated
                self._try(self._ship_to(slot, joined(peer.stated, peer.sent)))
                peer.sent = joined(peer.sent, self.vector())

    async def _ship_to(self, slot: int, known: Vector) -> None:
        stated = exchange.checkpoint(self.account)
        batches = exchange.ops_since(self.account, known)
        assert batches is not None, "nothing is pruned within a day"
        sent = False
        for batch in batches:
            bodies = await self._bodies(batch)
            self._send(slot, stated, batch, bodies)
            sent = True
        if not sent:
            self._send(slot, stated)

    async def _bodies(self, batch: bytes) -> tuple[bytes, ...]:
        hashes: dict[bytes, None] = {}
        for segment in decode_batch(batch):
            for op in segment.ops:
                if isinstance(op.body, Add):
                    hashes.update(dict.fromkeys(message.blob for message in op.body.messages))
        bodies = []
        for hash in hashes:
            for number, size in self._ground.shard.read(_BODY, (hash,)):
                body = self._ground.bodies.body(number, size)
                bodies.append(b"".join([chunk async for chunk in body.read(0, size)]))
        return tuple(bodies)

    def _send(
        self, slot: int, stated: Checkpoint, batch: bytes = b"", bodies: tuple[bytes, ...] = ()
    ) -> None:
        packet = Packet(stated.x, stated.vector, stated.sequencer, batch, bodies)
        self._world.send(self.slot, slot, _encode(packet))

    def receive(self, source: int, message: bytes) -> None:
        if self._ready:
            packet = _packet.decode(message)
            peer = self._peers.setdefault(source, Known())
            peer.heard_at = self._timeline.now
            peer.stated = joined(peer.stated, packet.vector)
            self._try(self._take(source, packet))

    async def _take(self, source: int, packet: Packet) -> None:
        stated = Checkpoint(source, packet.x, packet.vector, packet.sequencer)
        if not packet.batch:
            await self.account.receive([], stated)
            return
        taken = await exchange.receive(self.account, packet.batch, stated)
        if taken.missing:
            for octets in packet.bodies:
                upload = self._ground.bodies.upload(len(octets))
                await upload.write(octets)
                await self._ground.bodies.keep(await upload.finish())
                upload.abandon()
            taken = await exchange.receive(self.account, packet.batch, stated)
        # Bodies of operations that are here already may be gone everywhere, or just now.
        lost: set[bytes] = set()
        while found := {hash for hash, _ in taken.missing} - self._needed(packet.batch):
            lost |= found
            taken = await exchange.receive(self.account, packet.batch, stated, frozenset(lost))
        if taken.refused is not None or taken.missing:
            raise Violation("exchange", f"node {self.slot}: {taken} from {source}")

    def _needed(self, batch: bytes) -> set[bytes]:
        """The bodies of operations in *batch* that are not here yet."""
        return {
            message.blob
            for segment in decode_batch(batch)
            for op in segment.ops
            if isinstance(op.body, Add) and not covers(self.vector(), op.dot)
            for message in op.body.messages
        }

    # Members do not change here.

    def back_up(self) -> None: ...

    def put_back(self, known: int) -> bool:
        return False

    def load_from(self, source: int) -> None: ...

    def add_member(self, slot: int) -> None: ...

    def remove_member(self, slot: int) -> None: ...

    def knows_member(self, slot: int) -> bool:
        return False

    # For the checks.

    def vector(self) -> Vector:
        return exchange.vector(self.account)

    def observable(self) -> Observable:
        return observable_of(self.account.commits.stored)

    def shown(self) -> dict[int, Shown]:
        if self._shown is None:
            self._shown = shown_of(self.account.commits.stored)
        return self._shown

    def figures(self) -> dict[str, int]:
        return dict(self.counts)
