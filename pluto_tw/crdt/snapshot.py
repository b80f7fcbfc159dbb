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

Into a replica that serves, pieces are joined in one transaction (`Replica.merge`), never slice by
slice: it would make operations on messages that others do not have yet.
"""

from collections.abc import Iterable
from typing import Final

import msgspec
from msgspec import Struct

from pluto_tw.crdt.chain import HEAD_OCTETS, raised_heads
from pluto_tw.crdt.codec import decode_op
from pluto_tw.crdt.dots import (
    EMPTY,
    SEQ_MAX,
    SLOT_BITS,
    SLOT_MASK,
    SLOTS_MAX,
    Vector,
    covers,
    dots_of,
    is_below,
    joined,
    seq_of,
)
from pluto_tw.crdt.effects import (
    forward_all,
    join_claim,
    join_tags,
    tag_box,
    touch_box,
    written,
)
from pluto_tw.crdt.pids import is_pid
from pluto_tw.crdt.predicates import context_of
from pluto_tw.crdt.records import (
    BOX,
    CONTEXT,
    INBOX_BID,
    LOG,
    MEMBER,
    META,
    NOWHERE,
    PLACEMENT,
    SUBSCRIPTION,
    VIEW,
    WALKED,
    AccountRecord,
    Box,
    Logged,
    Member,
    Meta,
    Placement,
    Records,
    Subscription,
    key_of,
)
from pluto_tw.crdt.rules import Rules
from pluto_tw.crdt.transaction import Transaction
from pluto_tw.crdt.validate import check_vector

VERSION: Final = 1

#: Octets of a piece that a sender aims at, as for batches; one record may be above it.
PIECE_OCTETS: Final = 128 * 1024
PIECE_OCTETS_MAX: Final = 1024 * 1024

#: The gate of a replica that does not know yet how far it has to come: no vector reaches it.
LOADING: Final[Vector] = (SEQ_MAX,)

#: Records that are read at once.
READ_MAX: Final = 128


class Header(Struct, frozen=True, array_like=True):
    """The sender at the beginning: vector, the hash of each origin at it, what was stable."""

    version: int
    vector: Vector
    heads: tuple[bytes, ...]
    stable: Vector


class Trailer(Struct, frozen=True, array_like=True):
    """The sender at the end."""

    version: int
    vector: Vector
    sequencer: int
    maxv: int


class _Box(Struct, frozen=True, array_like=True):
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


class _Placement(Struct, frozen=True, array_like=True):
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
    boxes: tuple[_Box, ...] = ()
    placements: tuple[_Placement, ...] = ()
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
    return Trailer(VERSION, account.vv, account.sequencer, account.maxv)


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
    boxes: list[_Box] = []
    placements: list[_Placement] = []
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


def _box_part(records: Records, box: Box, contexts: dict[int, Vector]) -> _Box:
    _collect(records, contexts, (*box.rens, *box.dels))
    view = records.get(VIEW, key_of(box.bid, box.gen))
    return _Box(
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
) -> _Placement:
    _collect(records, contexts, placement.rms)
    for moves in placement.moved.values():
        _collect(records, contexts, moves)
    for entries in placement.entries.values():
        _collect(records, contexts, (entry >> 1 for entry in entries))
    claims = dict(placement.other)
    if placement.claim:
        claims[placement.key] = placement.claim << 1 | placement.bounced
    return _Placement(
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


# The receiver.


def begin_load(tx: Transaction, first: Header) -> None:
    """Shuts the gate of an account that was just provisioned and has served nobody."""
    account = tx.edit_account()
    account.stable = first.stable
    assert account.vv == EMPTY, "pieces are joined into empty state, or by Replica.merge"
    account.gate = LOADING
    box = tx.edit(BOX, INBOX_BID)
    box.home = NOWHERE
    box.walk = WALKED


def take_piece(rules: Rules, tx: Transaction, piece: Piece) -> None:
    """Joins the records of *piece*. What changes by it is touched."""
    for dot, vector in piece.contexts.items():
        if tx.get(CONTEXT, dot) is None:
            tx.keep_context(dot, vector)
            tx.fold_later(dot, -1, None)
    for box in piece.boxes:
        _join_box(rules, tx, box)
    for placement in piece.placements:
        # A box that was made meanwhile comes by its operation, and so does what is in it.
        if tx.get(BOX, placement.box) is not None:
            _join_placement(tx, placement)
    for subscription in piece.subscriptions:
        _join_subscription(tx, subscription)
    for meta in piece.metas:
        found = tx.get(META, (meta.bid, meta.entry))
        if found is None or meta.written > found.written:
            tx.put(META, (meta.bid, meta.entry), meta)
    for member in piece.members:
        _join_member(tx, member)
    for data, head in piece.log:
        op = decode_op(data)
        if tx.get(LOG, op.dot) is None and op.dot >> SLOT_BITS > seq_of(
            tx.account().base, op.dot & SLOT_MASK
        ):
            tx.put(LOG, op.dot, Logged(op.dot, data, tx.m, head))


def end_load(rules: Rules, tx: Transaction, first: Header, last: Trailer) -> None:
    """All pieces were joined: takes over the vector, and sets how far the gate stays shut."""
    account = tx.edit_account()
    account.gate = last.vector
    _take_over(rules, tx, first, last)


def end_merge(rules: Rules, tx: Transaction, first: Header, last: Trailer) -> None:
    """
    All pieces, read from one state, were joined in this transaction, into state that serves.

    Older operations are served no longer: a peer that needs them gets a snapshot.
    """
    assert first.vector == last.vector, "a merge is of one state"
    _take_over(rules, tx, first, last)


def _take_over(rules: Rules, tx: Transaction, first: Header, last: Trailer) -> None:
    account = tx.edit_account()
    for slot, seq in enumerate(first.vector):
        if seq > seq_of(account.vv, slot):
            account.heads = raised_heads(account.heads, slot, first.heads[slot])
    account.vv = joined(account.vv, first.vector)
    account.stable = joined(account.stable, first.stable)
    account.base = joined(account.base, first.stable)
    account.sequencer = max(account.sequencer, last.sequencer)
    account.maxv = max(account.maxv, last.maxv)
    tx.taken += 1
    tx.stage_folds()
    # Every placement that was moved away is in the queue of what is to be folded.
    pids: dict[bytes, None] = {}
    for fold in tx.folds(account.vv, 2**31):
        pids.update(dict.fromkeys(fold.pids))
    for pid in pids:
        placement = tx.get(PLACEMENT, pid)
        if placement is not None and placement.moved:
            forward_all(rules, tx, placement)


def _join_box(rules: Rules, tx: Transaction, part: _Box) -> None:
    if tx.get(BOX, part.bid) is None:
        tx.put(BOX, part.bid, Box(part.bid, part.name, part.named, part.v, part.gen, part.use))
        tx.boxes[part.bid] = None
    before = tx.box(part.bid)
    tag_box(tx, part.bid, part.tags)
    rens = [dot for dot in part.rens if dot not in before.rens]
    dels = [dot for dot in part.dels if dot not in before.dels]
    renamed = part.named > before.named
    if rens or dels or renamed:
        box = tx.edit(BOX, part.bid)
        tx.names[box.name] = None
        box.rens = (*box.rens, *rens)
        box.dels = (*box.dels, *dels)
        if renamed:
            box.name, box.named = part.name, part.named
        tx.names[box.name] = None
        for dot in (*rens, *dels):
            tx.fold_later(dot, part.bid, None)
        touch_box(rules, tx, part.bid)
        for other in tx.boxes_named(box.name):
            if other != part.bid:
                touch_box(rules, tx, other)
    if part.v > before.v or part.gen > before.gen:
        box = tx.edit(BOX, part.bid)
        box.v = max(box.v, part.v)
        box.gen = max(box.gen, part.gen)
        tx.boxes[part.bid] = None
        tx.names[box.name] = None
    view = tx.edit_view(key_of(part.bid, part.gen))
    view.maxuid = max(view.maxuid, part.maxuid)


def _join_placement(tx: Transaction, part: _Placement) -> None:
    found = tx.get(PLACEMENT, part.pid)
    if found is not None and _holds(tx, found, part):
        return
    if found is None:
        tx.create(
            Placement(
                part.pid,
                part.box,
                part.email,
                part.blob,
                part.size,
                part.date,
                part.zone,
                part.order,
                key=max(tx.box(part.box).home, 0),
            )
        )
    placement = tx.touch(part.pid)
    placement.order = min(placement.order, part.order)
    join_tags(placement, part.tags)
    for dot in part.rms:
        if dot not in placement.rms:
            placement.rms = (*placement.rms, dot)
            tx.fold_later(dot, placement.box, placement.pid)
    for target, moves in part.moved.items():
        known = placement.moved.get(target, ())
        new = tuple(dot for dot in moves if dot not in known)
        placement.moved = {**placement.moved, target: known + new}
        for dot in new:
            tx.fold_later(dot, placement.box, placement.pid)
    stable = tx.account().stable
    for dot in dots_of(part.tags):
        # What operations reached without naming it: see `effects.py`.
        if not covers(stable, dot):
            tx.fold_later(dot, placement.box, placement.pid)
    for flag, dot, value in _new_writes(placement, part):
        placement.entries = written(tx, placement.entries, flag, dot, value, context_of(tx, dot))
    for key, claim in part.claims.items():
        join_claim(placement, key, claim >> 1, bool(claim & 1))


def _holds(tx: Transaction, found: Placement, part: _Placement) -> bool:
    """Whether *part* says nothing that *found* does not."""
    return (
        is_below(part.tags, found.tags)
        and found.order <= part.order
        and set(part.rms) <= set(found.rms)
        and all(set(d) <= set(found.moved.get(t, ())) for t, d in part.moved.items())
        and not _new_writes(found, part)
        and all(
            claim
            <= ((found.claim << 1 | found.bounced) if key == found.key else found.other.get(key, 0))
            for key, claim in part.claims.items()
        )
    )


def _new_writes(found: Placement, part: _Placement) -> list[tuple[str, int, bool]]:
    return [
        (flag, entry >> 1, bool(entry & 1))
        for flag, entries in part.entries.items()
        for entry in entries
        if entry not in found.entries.get(flag, ())
    ]


def _join_subscription(tx: Transaction, part: Subscription) -> None:
    found = tx.get(SUBSCRIPTION, part.name)
    values = () if found is None else found.entries
    for entry in part.entries:
        if entry not in values:
            dot = entry >> 1
            before = {"": values} if values else {}
            values = written(tx, before, "", dot, bool(entry & 1), context_of(tx, dot))[""]
    if found is None or values != found.entries:
        tx.put(SUBSCRIPTION, part.name, Subscription(part.name, values))


def _join_member(tx: Transaction, part: Member) -> None:
    found = tx.get(MEMBER, part.slot)
    if found is None or part.added < found.added:
        tx.put(MEMBER, part.slot, part)
    elif part.added == found.added and (part.state, part.removed) != (found.state, found.removed):
        removed = [dot for dot in (part.removed, found.removed) if dot]
        member = tx.edit(MEMBER, part.slot)
        member.state = max(part.state, found.state)
        member.removed = min(removed, default=0)


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
