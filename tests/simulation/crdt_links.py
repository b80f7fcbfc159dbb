# SPDX-License-Identifier: GPL-3.0-or-later
"""
What replicas made of `pluto_tw.crdt` tell each other.

Own operations go at once, everybody's each second, with a checkpoint read from the committed state;
now and then the whole state goes instead. A replica that joins asks for a snapshot piece by piece,
each read from the sender as it is then. Who is added or removed travels with every packet, as it
would in the subnet's own account.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from pluto_tw.crdt import chain, members, snapshot
from pluto_tw.crdt.codec import Segment, decode_batch, decode_op, encode_batch
from pluto_tw.crdt.dots import SLOT_BITS, Vector, is_below, joined, make_dot, raised, seq_of
from pluto_tw.crdt.ops import Op
from pluto_tw.crdt.records import HEAD, LOG
from pluto_tw.crdt.resync import Checkpoint

if TYPE_CHECKING:
    from tests.simulation.crdt_node import CrdtNode

#: A peer that was not heard for this long is down.
HEARD_MS = 3000
#: A joiner asks again after this long.
ASK_SECONDS = 0.4


class Answer(msgspec.Struct, array_like=True):
    """A piece of a snapshot, what it was asked by, and where to go on: nowhere at its end."""

    header: bytes
    asked: snapshot.Cursor
    piece: bytes
    after: snapshot.Cursor | None
    trailer: bytes


class Packet(msgspec.Struct, array_like=True):
    """What one replica sends to another."""

    x: int
    vector: Vector
    heads: tuple[bytes, ...]
    sequencer: int
    added: tuple[int, ...]
    removed: tuple[int, ...]
    batch: bytes = b""
    #: The whole state: header, pieces, trailer.
    state: tuple[bytes, ...] = ()
    ask: snapshot.Cursor | None = None
    answer: Answer | None = None


_encode = msgspec.msgpack.Encoder().encode
_packet = msgspec.msgpack.Decoder(Packet)


@dataclass(slots=True)
class Known:
    """What is known of a peer since the last start; *sent* is what it has if nothing was lost."""

    stated: Vector = ()
    sent: Vector = ()
    heard_at: int = -10_000
    #: The removals that it knows of.
    removed: frozenset[int] = frozenset()


@dataclass(slots=True)
class Kept:
    """What survives a crash beside the records."""

    #: Slots that were ever added, and of these the ones removed.
    added: set[int]
    removed: set[int] = field(default_factory=set)
    #: Of the removed ones those that still count for stability.
    counted: set[int] = field(default_factory=set)
    #: Headers of the snapshots that others take from here, and what they must reach.
    giving: dict[int, snapshot.Header] = field(default_factory=dict)
    reach: dict[int, Vector] = field(default_factory=dict)
    #: The snapshot that is loaded here: from whom, what to ask for next.
    source: int | None = None
    cursor: snapshot.Cursor = field(default_factory=snapshot.Cursor)
    #: This database is older than what it shipped.
    rolled_back: bool = False


class Links:
    """The links of one node since its last start."""

    def __init__(self, node: "CrdtNode") -> None:
        self._node = node
        self._kept = node.kept
        self._peers: dict[int, Known] = {}
        self._decoded: dict[int, Op] = {}
        self.update_members()

    # Who counts.

    def live(self) -> list[int]:
        """The slots of the other members that are not removed."""
        kept = self._kept
        return sorted(kept.added - kept.removed - {self._node.slot})

    def update_members(self) -> None:
        """Tells the rules who counts for stability."""
        kept = self._kept
        self._node.replica.members = frozenset((*self.live(), *kept.counted))
        self._node.replica.pins = {slot: first.stable for slot, first in kept.giving.items()}

    def heard(self) -> frozenset[int]:
        """The peers that are up, as far as is known."""
        now = self._node.timeline.now
        return frozenset(s for s, peer in self._peers.items() if now - peer.heard_at <= HEARD_MS)

    def remove(self, slot: int) -> None:
        """Removes *slot* without its consent."""
        kept = self._kept
        if slot not in kept.removed:
            kept.removed.add(slot)
            kept.counted.add(slot)
            kept.giving.pop(slot, None)
            self.update_members()
            node = self._node
            node.stage(node.replica.forget_peer(node.top(), node.moment(), slot))

    def add(self, slot: int) -> None:
        """Adds *slot*."""
        if slot not in self._kept.added:
            self._kept.added.add(slot)
            self.update_members()

    def _leave_out(self) -> None:
        kept = self._kept
        live = self.live()
        for slot in sorted(kept.counted):
            acknowledged = [s for s, peer in self._peers.items() if slot in peer.removed]
            stated = {s: peer.stated for s, peer in self._peers.items()}
            own = self._node.vector()
            if members.may_leave_out(slot, live, acknowledged, own, stated):
                kept.counted.discard(slot)
                self._node.world.note(f"node {self._node.slot}: slot {slot} counts no more")
                self.update_members()

    # Sending.

    def ship(self, own_only: bool) -> None:
        """Sends what peers lack: the node's own operations, or everybody's."""
        for slot in self.live():
            peer = self._peers.setdefault(slot, Known())
            if not own_only:
                # What was sent and is not acknowledged is sent again: it may be lost, or may have
                # come before what it needs.
                peer.sent = peer.stated
            if self._node.is_loading():
                self._send(slot)
                continue
            segments, lacks = self._segments(peer, own_only)
            share = self._node.settings.snapshots
            if lacks or (segments and self._node.chance.random() < share):
                self._node.counts["states sent"] += 1
                self._send(slot, state=self._state())
            else:
                self._send(slot, segments)

    def _go_on(self, slot: int, peer: Known) -> None:
        """What was sent has come: sends more, if it was not all."""
        vector = self._node.vector()
        if self._node.is_loading() or is_below(vector, peer.stated):
            return
        if is_below(peer.sent, peer.stated):
            segments, _ = self._segments(peer, own_only=False)
            if segments:
                self._send(slot, segments)

    def state_all(self) -> None:
        """Sends a checkpoint to everybody."""
        for slot in self.live():
            self._send(slot)

    def _segments(self, peer: Known, own_only: bool) -> tuple[list[Segment], bool]:
        """What to send, and whether operations that the peer lacks were pruned."""
        after = joined(peer.stated, peer.sent)
        segments = []
        account = self._node.account
        origins = (self._node.slot,) if own_only else range(len(account.vv))
        for origin in origins:
            seq = seq_of(after, origin)
            if seq < seq_of(account.base, origin):
                # A joiner is on its way to having them.
                return [], not own_only and bool(peer.stated)
            found = self._segment(origin, seq)
            if found is not None:
                segments.append(found)
                peer.sent = raised(peer.sent, origin, found.ops[-1].dot >> SLOT_BITS)
        return segments, False

    def _segment(self, origin: int, seq: int) -> Segment | None:
        records = self._node.records
        logged = records.log_after(origin, seq, self._node.settings.batch_ops)
        if not logged:
            return None
        assert logged[0].dot >> SLOT_BITS == seq + 1, "the log has no holes above its base"
        before = records.get(LOG, make_dot(origin, seq)) or records.get(HEAD, make_dot(origin, seq))
        head = chain.first_head(b"") if before is None else before.head
        return Segment(head, tuple(self._op(entry.dot, entry.data) for entry in logged))

    def _op(self, dot: int, data: bytes) -> Op:
        found = self._decoded.get(dot)
        if found is None:
            found = self._decoded[dot] = decode_op(data)
        return found

    def _state(self) -> tuple[bytes, ...]:
        first = snapshot.header(self._node.account)
        parts = [snapshot.encode(first)]
        cursor: snapshot.Cursor | None = snapshot.Cursor()
        while cursor is not None:
            piece, cursor = snapshot.read_piece(self._node.records, first, cursor)
            parts.append(snapshot.encode(piece))
        parts.append(snapshot.encode(snapshot.trailer(self._node.account)))
        return tuple(parts)

    def _send(
        self,
        target: int,
        segments: Sequence[Segment] = (),
        state: tuple[bytes, ...] = (),
        ask: snapshot.Cursor | None = None,
        answer: Answer | None = None,
    ) -> None:
        node = self._node
        stated = node.replica.checkpoint(node.records)
        packet = Packet(
            stated.x,
            stated.vector,
            node.account.heads,
            stated.sequencer,
            tuple(sorted(self._kept.added)),
            tuple(sorted(self._kept.removed)),
            encode_batch(segments) if segments else b"",
            state,
            ask,
            answer,
        )
        node.world.send(node.slot, target, _encode(packet))

    # Receiving.

    def receive(self, source: int, message: bytes) -> None:
        """A packet of *source*."""
        if source in self._kept.removed:
            return
        packet = _packet.decode(message)
        if self._is_older(packet):
            return
        peer = self._peers.setdefault(source, Known())
        peer.heard_at = self._node.timeline.now
        peer.stated = joined(peer.stated, packet.vector)
        peer.removed |= frozenset(packet.removed)
        for slot in packet.added:
            self.add(slot)
        for slot in packet.removed:
            self.remove(slot)
        self._leave_out()
        if packet.ask is not None:
            self._give(source, packet.ask)
        if packet.answer is not None:
            self._take(packet.answer)
        self._let_go(source, peer)
        self._go_on(source, peer)
        if self._node.kept.source is None:
            self._apply(source, packet)

    def _is_older(self, packet: Packet) -> bool:
        """
        Whether the peer's knowledge of this node shows that its database was put back; who does
        not know that of itself yet listens to nothing else.
        """
        node = self._node
        mine = seq_of(node.vector(), node.slot)
        theirs = seq_of(packet.vector, node.slot)
        if chain.compare(True, (mine, b""), (theirs, b""), b"") is chain.Finding.BEHIND:
            node.notice_rollback()
            return True
        return self._kept.rolled_back

    def _apply(self, source: int, packet: Packet) -> None:
        node = self._node
        moment = node.moment()
        if packet.state:
            first = snapshot.decode_header(packet.state[0])
            pieces = [snapshot.decode_piece(piece) for piece in packet.state[1:-1]]
            last = snapshot.decode_trailer(packet.state[-1])
            if node.is_loading():
                return
            node.counts["states merged"] += not is_below(first.vector, node.top_vector())
            node.stage(node.replica.merge(node.top(), moment, first, pieces, last))
        segments = decode_batch(packet.batch) if packet.batch else []
        ops = [op for segment in segments for op in segment.ops]
        checkpoint = Checkpoint(source, packet.x, packet.vector, packet.sequencer)
        node.stage(node.replica.receive(node.top(), moment, ops, checkpoint))

    # Snapshots for those who join.

    def start_loading(self, source: int) -> None:
        """Has this node, which is empty, load the state of *source*."""
        self._kept.source = source
        self.keep_asking()

    def keep_asking(self) -> None:
        """Asks for the next piece until there is none."""
        source = self._kept.source
        if source is not None:
            if source in self._kept.removed:
                # What was loaded of it does no harm, as pieces are joined.
                self._kept.source = source = self.live()[0]
                self._kept.cursor = snapshot.Cursor()
            self._send(source, ask=self._kept.cursor)
            self._node.waiting.later(ASK_SECONDS, self.keep_asking)

    def _give(self, target: int, cursor: snapshot.Cursor) -> None:
        if self._node.is_loading():
            return
        kept, node = self._kept, self._node
        if target not in kept.giving:
            if node.top() is not node.records:
                # What is staged may fold what the snapshot must hold; it will be asked for again.
                return
            kept.giving[target] = snapshot.header(node.account)
            self.update_members()
        first = kept.giving[target]
        piece, after = snapshot.read_piece(
            node.records, first, cursor, octets_most=300, read_most=3
        )
        trailer = b""
        if after is None:
            last = snapshot.trailer(node.account)
            kept.reach[target] = last.vector
            trailer = snapshot.encode(last)
        answer = Answer(snapshot.encode(first), cursor, snapshot.encode(piece), after, trailer)
        self._send(target, answer=answer)

    def _take(self, answer: Answer) -> None:
        kept, node = self._kept, self._node
        if kept.source is None or answer.asked != kept.cursor:
            return
        first = snapshot.decode_header(answer.header)
        parts: list[snapshot.Header | snapshot.Piece | snapshot.Trailer] = [
            first,
            snapshot.decode_piece(answer.piece),
        ]
        if answer.after is None:
            parts.append(snapshot.decode_trailer(answer.trailer))
            kept.source = None
        else:
            kept.cursor = answer.after
        node.counts["pieces loaded"] += 1
        node.stage_now(node.replica.load(node.top(), node.moment(), parts))

    def _let_go(self, source: int, peer: Known) -> None:
        reach = self._kept.reach.get(source)
        if reach is not None and is_below(reach, peer.stated):
            del self._kept.reach[source]
            self._kept.giving.pop(source, None)
            self.update_members()
