# SPDX-License-Identifier: GPL-3.0-or-later
"""
What replicas of the real account send to each other, and what becomes of it.

What was committed goes at once, to every member, and each second all that a member has not
acknowledged goes again, since links lose. Bodies come with the operations that name them, or when
they are asked for. What to make of a batch, a body or a piece is the account's to say.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from pluto_tw.account import receiving, sending, statements
from pluto_tw.account.incoming import BodyLink, Incoming, read_body
from pluto_tw.account.replica import AccountReplica
from pluto_tw.crdt.codec import decode_batch
from pluto_tw.crdt.dots import EMPTY, Vector, joined, seq_of
from pluto_tw.crdt.ops import Add
from pluto_tw.crdt.resync import Checkpoint
from pluto_tw.replication.losses import Losses
from pluto_tw.replication.window import Turns
from tests.simulation import account_packets as packets
from tests.simulation.account_members import KEYS, USER, address_of, name_of
from tests.simulation.account_packets import Batch, Bodies, Body, Packet, Stated, Wants
from tests.simulation.account_snapshots import Snapshots
from tests.simulation.crdt_links import HEARD_MS
from tests.simulation.invariants import Violation

if TYPE_CHECKING:
    from tests.simulation.account_node import AccountNode

#: A checkpoint follows a commit after this long.
CHECKPOINT_SECONDS: Final = 0.1

#: Bodies that one packet asks for.
WANTS_MAX: Final = 50


@dataclass(slots=True)
class Peer:
    """What is known of a member since the last start; *sent*: what it has if nothing was lost."""

    address: int
    slot: int
    link: BodyLink
    turns: Turns
    heard_at: int = -10_000
    stated: dict[str, Vector] = field(default_factory=dict)
    sent: dict[str, Vector] = field(default_factory=dict)


class Links:
    """The links of one life of a node."""

    def __init__(self, node: "AccountNode") -> None:
        self._node = node
        self._peers: dict[int, Peer] = {}
        self._losses = Losses(self.heard)
        self._snapshots = Snapshots(node, self)
        self._due: set[str] = set()
        self._checkpoint_due = False

    @property
    def now(self) -> int:
        """Milliseconds since the start of the run."""
        return self._node.timeline.now

    def heard(self) -> frozenset[int]:
        """The slots of the members that are up, as far as is known."""
        return frozenset(p.slot for p in self._peers.values() if self.now - p.heard_at <= HEARD_MS)

    def known_lost(self, account: AccountReplica) -> frozenset[bytes]:
        """Bodies that nobody who can be reached has."""
        return self._losses.known_lost(account)

    def _others(self) -> list[Peer]:
        node = self._node
        found = []
        for member in node.members.table():
            if member.is_live and member.slot != node.members.slot:
                found.append(self._peer(address_of(member.name), member.slot))
        return found

    def _peer(self, address: int, slot: int) -> Peer:
        peer = self._peers.get(address)
        if peer is None:
            node = self._node
            peer = Peer(address, slot, node.store.link(), Turns(node.waiting))
            self._peers[address] = peer
        return peer

    # Out.

    def send(self, address: int, says: packets.Said | None = None) -> None:
        """States what is committed, and says something."""
        node = self._node
        stated = []
        if node.is_open:
            for key in KEYS:
                found = node.store.checkpoint(key)
                stated.append(Stated(key, found.x, found.vector, found.sequencer))
        own = node.identity
        packet = Packet(name_of(node.slot), own.replica, own.joined, tuple(stated), says)
        node.world.send(node.slot, address, packets.encode(packet))

    def committed(self, key: str, made: bool) -> None:
        """Something was; *made*: operations were made in it."""
        if made:
            if key not in self._due:
                self._due.add(key)
                self._node.waiting.later(0, lambda: self._ship(key))
        elif not self._checkpoint_due:
            self._checkpoint_due = True
            self._node.waiting.later(CHECKPOINT_SECONDS, self._state)

    def _ship(self, key: str) -> None:
        self._due.discard(key)
        self._node.attempt(self._ship_to_all(key))

    async def _ship_to_all(self, key: str) -> None:
        for peer in self._others():
            self._ship_to(peer, key)

    def _state(self) -> None:
        self._checkpoint_due = False
        self._node.attempt(self._state_to_all())

    async def _state_to_all(self) -> None:
        for peer in self._others():
            self.send(peer.address)

    def beat(self) -> None:
        """Each second: what is not acknowledged goes again."""
        for peer in self._others():
            if self.now - peer.heard_at > HEARD_MS:
                # The channel has ended, and what it was to bring is for others to bring.
                peer.link.close()
                peer.link = self._node.store.link()
            self.send(peer.address)
            for key in KEYS:
                peer.sent[key] = EMPTY
                self._ship_to(peer, key)
        self._repair()

    def _ship_to(self, peer: Peer, key: str) -> None:
        node = self._node
        account = node.store.account(key)
        stated = peer.stated.get(key, EMPTY)
        own = statements.vector(account)
        if account.halted:
            return
        batches = sending.ops_since(account, joined(stated, peer.sent.get(key, EMPTY)))
        is_new = not any(stated) and peer.heard_at >= 0 and any(own)
        if batches is None:
            # Who has something, and lacks what was pruned, is on its way to having it.
            if is_new:
                node.attempt(self._snapshots.offer(peer, key))
        elif is_new and self._joins(peer) and node.chance.random() < node.settings.snapshots:
            node.attempt(self._snapshots.offer(peer, key))
        else:
            peer.sent[key] = joined(peer.sent.get(key, EMPTY), own)
            node.attempt(self._send_batches(peer, key, account, list(batches)))

    def _joins(self, peer: Peer) -> bool:
        member = self._node.members.of_slot(peer.slot)
        return member is not None and bool(member.added)

    async def _send_batches(
        self, peer: Peer, key: str, account: AccountReplica, batches: list[bytes]
    ) -> None:
        for batch in batches:
            bodies: tuple[Body, ...] = ()
            if self._node.chance.random() >= self._node.settings.bare:
                hashes = {
                    message.blob
                    for segment in decode_batch(batch)
                    for op in segment.ops
                    if isinstance(op.body, Add)
                    for message in op.body.messages
                }
                bodies = await self.bodies(account, hashes)
            self.send(peer.address, Batch(key, batch, bodies))

    async def bodies(self, account: AccountReplica, hashes: Iterable[bytes]) -> tuple[Body, ...]:
        """Bodies as they are sent."""
        return tuple(
            [Body(hash, await read_body(account, hash, 0, 64 * 1024)) for hash in sorted(hashes)]
        )

    # In.

    def receive(self, message: bytes) -> None:
        """A packet, of whoever it may be."""
        node = self._node
        packet = packets.decode(message)
        address = address_of(packet.name)
        says = packet.says
        if not node.is_open:
            if isinstance(says, packets.Admitted):
                node.membership.admitted(says)
            return
        member = node.members.of_replica(packet.replica)
        if isinstance(says, packets.Hello):
            node.membership.answer(packet.name, packet.replica)
        elif isinstance(says, packets.Removed):
            node.membership.turned_away(says)
        elif member is not None and not member.is_live:
            self.send(address, packets.Removed())
        elif member is not None:
            peer = self._peer(address, member.slot)
            if node.is_old:
                self._look_back(peer, packet)
            else:
                peer.heard_at = self.now
                self._take(peer, packet)

    def _look_back(self, peer: Peer, packet: Packet) -> None:
        """
        Whose database was put back, which nobody has told it.

        As long as nobody who knows more of it is there it does nothing, as at a start it waits for
        its peers: else it would use its numbers twice.
        """
        node = self._node
        own = node.members.slot
        for said in packet.stated:
            here = node.store.checkpoint(said.key)
            if seq_of(said.vector, own) > seq_of(here.vector, own):
                stated = Checkpoint(peer.slot, said.x, said.vector, said.sequencer)
                statements.compare(node.store.account(said.key), stated)
                return

    def _take(self, peer: Peer, packet: Packet) -> None:
        node = self._node
        says = packet.says
        for said in packet.stated:
            known = peer.stated.get(said.key, EMPTY)
            peer.stated[said.key] = joined(known, said.vector)
            stated = Checkpoint(peer.slot, said.x, said.vector, said.sequencer)
            if isinstance(says, Batch) and says.key == said.key:
                node.attempt(self._in_turn(peer, says, stated))
            else:
                account = node.store.account(said.key)
                node.attempt(self._note(account, stated))
        if packet.complete:
            node.membership.heard(packet.name, {said.key: said.vector for said in packet.stated})
        if isinstance(says, Wants):
            node.attempt(self._give(peer, says))
        elif isinstance(says, packets.Offer):
            node.attempt(self._in_turn(peer, says))
        elif isinstance(says, packets.Loaded):
            node.attempt(self._snapshots.go_on(peer, says))
        elif isinstance(says, Bodies | packets.Part):
            node.attempt(self._in_turn(peer, says))

    async def _note(self, account: AccountReplica, stated: Checkpoint) -> None:
        await receiving.receive(account, b"", stated)

    async def _in_turn(
        self,
        peer: Peer,
        says: Batch | Bodies | packets.Offer | packets.Part,
        stated: Checkpoint | None = None,
    ) -> None:
        """What comes from one peer for one account is done in the order in which it comes."""
        await peer.turns.enter(says.key)
        try:
            if isinstance(says, Batch):
                await self._take_batch(peer, says, stated)
            elif isinstance(says, Bodies):
                account = self._node.store.account(says.key)
                await self.bring(account, peer, says.bodies, None)
            elif isinstance(says, packets.Offer):
                await self._snapshots.offered(peer, says)
            else:
                await self._snapshots.take(peer, says)
        finally:
            peer.turns.leave(says.key)

    async def _take_batch(self, peer: Peer, says: Batch, stated: Checkpoint | None) -> None:
        account = self._node.store.account(says.key)

        async def take() -> receiving.Taken:
            lost = self.known_lost(account)
            return await receiving.receive(account, says.batch, stated, lost, peer.link)

        taken = await take()
        if taken.missing and says.bodies:
            await self.bring(account, peer, says.bodies, taken.missing)
            taken = await take()
        if taken.missing:
            self.want(peer, says.key, taken.missing)
        if taken.ahead:
            self._node.counts["operations from the future"] += 1
        if taken.refused is not None:
            raise Violation("exchange", f"node {self._node.slot}: {taken} from {peer.address}")

    # Bodies.

    def want(self, peer: Peer, key: str, missing: Collection[tuple[bytes, int]]) -> None:
        """Asks for bodies."""
        self._node.counts["bodies asked for"] += len(missing)
        self.send(peer.address, Wants(key, tuple(missing)[:WANTS_MAX]))

    def _seek(self, peer: Peer, key: str, body: tuple[bytes, int]) -> None:
        """Asks all others for what *peer* does not have."""
        for other in self._others():
            if other is not peer and other.slot in self.heard():
                self.want(other, key, [body])

    async def _give(self, peer: Peer, says: Wants) -> None:
        account = self._node.store.account(says.key)
        bodies = await self.bodies(account, {hash for hash, _ in says.bodies})
        self.send(peer.address, Bodies(says.key, bodies))

    async def bring(
        self,
        account: AccountReplica,
        peer: Peer,
        bodies: Iterable[Body],
        missing: Collection[tuple[bytes, int]] | None,
    ) -> None:
        """Takes in *bodies*, those that are *missing*, None: all of them."""
        wanted = None if missing is None else dict(missing)
        for body in bodies:
            if wanted is not None and body.hash not in wanted:
                continue
            if body.octets is None:
                self._node.counts["bodies lost"] += 1
                peer.link.give_up(account, [body.hash])
                self._losses.lost_at(account, body.hash, peer.slot)
                if wanted is not None:
                    self._seek(peer, account.name, (body.hash, wanted[body.hash]))
                continue
            incoming = peer.link.begin(account, body.hash, len(body.octets))
            if isinstance(incoming, Incoming):
                fits = await incoming.write(body.octets) and await incoming.finish()
                if not fits:
                    raise Violation("bodies", f"node {self._node.slot}: {body.hash.hex()}")

    def _repair(self) -> None:
        """Asks somebody for what is missing or damaged."""
        node = self._node
        unfit = node.store.unfit(0, 0, WANTS_MAX)
        peers = [peer for peer in self._others() if peer.slot in self.heard()]
        if unfit and peers:
            wants = [(hash, size) for _, hash, size in unfit]
            self.want(node.chance.choice(peers), USER, wants)
