# SPDX-License-Identifier: GPL-3.0-or-later
"""
Whole state instead of operations: for a replica that is new, or lacks operations that were pruned.

The sender reads its records in key order, each as it is at that moment, while it goes on serving:
what it has sent lies between its vectors at the beginning (`Header.vector`) and at the end
(`Trailer.vector`). The receiver joins the pieces, each in a transaction of its own, takes over the
first vector, and applies the operations after it as usual; effects are joins, so that what it has
of them already does no harm. Until it has reached the second vector its gate is shut: it serves
nobody, makes no operations and folds nothing. Until the last piece is read the sender folds nothing
that became stable since the beginning (`Replica.pins`), or an operation that the receiver gets
later might name what it folded; and it counts the receiver as a member, of which it knows nothing.

This file decides what is in a snapshot and how it is read; `joining.py` what becomes of it.
"""

from collections.abc import Iterable
from typing import Final

import msgspec
from msgspec import Struct

from pluto_tw.crdt.chain import HEAD_OCTETS
from pluto_tw.crdt.codec import decode_op
from pluto_tw.crdt.dots import (
    SLOT_BITS,
    SLOTS_MAX,
    Vector,
    is_below,
    seq_of,
)
from pluto_tw.crdt.pids import is_birth, is_pid
from pluto_tw.crdt.records import (
    CONTEXT,
    VIEW,
    AccountRecord,
    Box,
    Member,
    Meta,
    Placement,
    Records,
    Subscription,
    key_of,
)
from pluto_tw.crdt.validate import check_vector

VERSION: Final = 1

#: Octets of a piece that a sender aims at, as for batches; one record may be above it.
PIECE_OCTETS: Final = 128 * 1024
PIECE_OCTETS_MAX: Final = 1024 * 1024

#: Records that are read at once: with all the flags that they may have, they still fit in a piece.
READ_MAX: Final = 16


class Header(Struct, frozen=True, array_like=True):
    """The sender at the beginning: vector, the hash of each origin at it, what was stable."""

    version: int
    vector: Vector
    heads: tuple[bytes, ...]
    stable: Vector


class Trailer(Struct, frozen=True, array_like=True):
    """The sender at the end; *m* is its newest stamp, below which the receiver gives none."""

    version: int
    vector: Vector
    m: int
    sequencer: int
    maxv: int


class BoxPart(Struct, frozen=True, array_like=True):
    """The replicated fields of a box, and the highest UID that its view has named."""

    bid: int
    name: str
    named: tuple[int, int]
    v: int
    gen: int
    use: tuple[str, ...]
    tags: Vector
    rens: tuple[int, ...]
    dels: tuple[int, ...]
    maxuid: int


class PlacementPart(Struct, frozen=True, array_like=True):
    """The immutable and replicated fields of a placement."""

    pid: bytes
    box: int
    email: bytes
    blob: bytes
    size: int
    date: int
    zone: int
    order: tuple[int, int, int]
    tags: Vector
    rms: tuple[int, ...]
    moved: dict[bytes, tuple[int, ...]]
    entries: dict[str, tuple[int, ...]]
    #: By key: `claim << 1 | bounced`.
    claims: dict[int, int]


class Piece(Struct, frozen=True, array_like=True):
    """Some records, and what the origins of the operations that they name had seen."""

    version: int
    contexts: dict[int, Vector]
    boxes: tuple[BoxPart, ...] = ()
    placements: tuple[PlacementPart, ...] = ()
    subscriptions: tuple[Subscription, ...] = ()
    metas: tuple[Meta, ...] = ()
    members: tuple[Member, ...] = ()
    #: Operations in canonical form, with the chain's hash after each.
    log: tuple[tuple[bytes, bytes], ...] = ()


class Cursor(Struct, frozen=True, array_like=True):
    """How far a sender has come; it survives a broken connection."""

    stage: int = 0
    bid: int = -1
    row: int = 0
    text: str = ""


_BOXES, _PLACEMENTS, _SUBSCRIPTIONS, _METAS, _MEMBERS, _LOG, _END = range(7)

_encode = msgspec.msgpack.Encoder().encode
_header = msgspec.msgpack.Decoder(Header)
_trailer = msgspec.msgpack.Decoder(Trailer)
_piece = msgspec.msgpack.Decoder(Piece)


# The sender.


def header(account: AccountRecord) -> Header:
    """The beginning of a snapshot; from now on the sender pins `Header.stable`."""
    return Header(VERSION, account.vv, account.heads, account.stable)


def trailer(account: AccountRecord) -> Trailer:
    """The end of a snapshot, after its last piece was read."""
    return Trailer(VERSION, account.vv, account.m, account.sequencer, account.maxv)


def read_piece(
    records: Records,
    first: Header,
    cursor: Cursor,
    *,
    octets_most: int = PIECE_OCTETS,
    read_most: int = READ_MAX,
) -> tuple[Piece, Cursor | None]:
    """
    The next piece from *cursor* on, of about *octets_most*, and where to go on; None at the end.

    *read_most* records are read at once.
    """
    octets = 0
    contexts: dict[int, Vector] = {}
    boxes: list[BoxPart] = []
    placements: list[PlacementPart] = []
    subscriptions: list[Subscription] = []
    metas: list[Meta] = []
    members: tuple[Member, ...] = ()
    log: list[tuple[bytes, bytes]] = []
    while octets < octets_most and cursor.stage != _END:
        match cursor.stage:
            case 0:
                some = records.boxes_after(cursor.bid, read_most)
                parts = [_box_part(records, box, contexts) for box in some]
                boxes += parts
                octets += len(_encode(parts))
                cursor = Cursor(_BOXES, some[-1].bid) if some else Cursor(_PLACEMENTS, -1, -1)
            case 1:
                found = (
                    records.placements_in(cursor.bid, cursor.row, read_most)
                    if cursor.row >= 0
                    else ()
                )
                read = [_placement_part(records, placement, contexts) for placement in found]
                placements += read
                octets += len(_encode(read))
                if found:
                    cursor = Cursor(_PLACEMENTS, cursor.bid, found[-1].row)
                else:
                    after = records.boxes_after(cursor.bid, 1)
                    cursor = (
                        Cursor(_PLACEMENTS, after[0].bid, 0) if after else Cursor(_SUBSCRIPTIONS)
                    )
            case 2:
                subscribed = records.subscriptions_after(cursor.text, read_most)
                for subscription in subscribed:
                    _collect(records, contexts, (e >> 1 for e in subscription.entries))
                subscriptions += subscribed
                octets += len(_encode(subscribed))
                cursor = (
                    Cursor(_SUBSCRIPTIONS, text=subscribed[-1].name)
                    if subscribed
                    else Cursor(_METAS, -2)
                )
            case 3:
                # Values may be large: one at a time.
                annotations = records.metas_after(cursor.bid, cursor.text, 1)
                metas += annotations
                octets += len(_encode(annotations))
                cursor = (
                    Cursor(_METAS, annotations[0].bid, text=annotations[0].entry)
                    if annotations
                    else Cursor(_MEMBERS)
                )
            case 4:
                members = tuple(records.members())
                cursor = Cursor(_LOG, 0, 0)
            case _:
                slot, seq = cursor.bid, cursor.row
                logged = records.log_after(slot, seq, 1)
                if logged and logged[0].dot >> SLOT_BITS <= seq_of(first.vector, slot):
                    log.append((logged[0].data, logged[0].head))
                    octets += len(logged[0].data) + HEAD_OCTETS
                    cursor = Cursor(_LOG, slot, logged[0].dot >> SLOT_BITS)
                else:
                    more = slot + 1 < len(first.vector)
                    cursor = Cursor(_LOG, slot + 1, 0) if more else Cursor(_END)
    piece = Piece(
        VERSION,
        contexts,
        tuple(boxes),
        tuple(placements),
        tuple(subscriptions),
        tuple(metas),
        members,
        tuple(log),
    )
    return piece, None if cursor.stage == _END else cursor


def _box_part(records: Records, box: Box, contexts: dict[int, Vector]) -> BoxPart:
    _collect(records, contexts, (*box.rens, *box.dels))
    view = records.get(VIEW, key_of(box.bid, box.gen))
    return BoxPart(
        box.bid,
        box.name,
        box.named,
        box.v,
        box.gen,
        box.use,
        box.tags,
        box.rens,
        box.dels,
        0 if view is None else max(view.maxuid, view.unext - 1),
    )


def _placement_part(
    records: Records, placement: Placement, contexts: dict[int, Vector]
) -> PlacementPart:
    _collect(records, contexts, placement.rms)
    for moves in placement.moved.values():
        _collect(records, contexts, moves)
    for entries in placement.entries.values():
        _collect(records, contexts, (entry >> 1 for entry in entries))
    claims = dict(placement.other)
    if placement.claim:
        claims[placement.key] = placement.claim << 1 | placement.bounced
    return PlacementPart(
        placement.pid,
        placement.box,
        placement.email,
        placement.blob,
        placement.size,
        placement.date,
        placement.zone,
        placement.order,
        placement.tags,
        placement.rms,
        placement.moved,
        placement.entries,
        claims,
    )


def _collect(records: Records, contexts: dict[int, Vector], dots: Iterable[int]) -> None:
    for dot in dots:
        if dot not in contexts:
            found = records.get(CONTEXT, dot)
            if found is not None:
                contexts[dot] = found.vector


# Octets.


def encode(part: Header | Trailer | Piece) -> bytes:
    """A part of a snapshot in octets."""
    return _encode(part)


def decode_header(data: bytes) -> Header:
    """Raises `ValueError`."""
    found = _header.decode(_bounded(data))
    _check_version(found.version)
    check_vector(found.vector)
    check_vector(found.stable)
    if not is_below(found.stable, found.vector):
        raise ValueError("more is stable than there is")
    if len(found.heads) != len(found.vector) or any(
        len(head) not in (0, HEAD_OCTETS) for head in found.heads
    ):
        raise ValueError("a vector without its hashes")
    return found


def decode_trailer(data: bytes) -> Trailer:
    """Raises `ValueError`."""
    found = _trailer.decode(_bounded(data))
    _check_version(found.version)
    check_vector(found.vector)
    if not 0 <= found.m < 2**63:
        raise ValueError("a stamp out of range")
    return found


def decode_piece(data: bytes) -> Piece:
    """Raises `ValueError`."""
    found = _piece.decode(_bounded(data))
    _check_version(found.version)
    for vector in found.contexts.values():
        check_vector(vector)
    for placement in found.placements:
        check_vector(placement.tags)
        if not is_pid(placement.pid) or not all(map(is_pid, placement.moved)):
            raise ValueError("a message of no such name")
        if not is_birth(placement.email):
            raise ValueError("a message with no such EMAILID")
    for box in found.boxes:
        check_vector(box.tags)
    for data_of_op, _ in found.log:
        decode_op(data_of_op)
    if any(not 0 <= member.slot < SLOTS_MAX for member in found.members):
        raise ValueError("a member of no such slot")
    return found


def _bounded(data: bytes) -> bytes:
    if len(data) > PIECE_OCTETS_MAX:
        raise ValueError("a piece of too many octets")
    return data


def _check_version(version: int) -> None:
    if version != VERSION:
        raise ValueError(f"snapshots of version {version} are not known")
