# SPDX-License-Identifier: GPL-3.0-or-later
"""
Records of `pluto_tw.crdt` as rows of the tables, and back.

This file decides how the parts of a record are packed; which rows are read and written when is
left to `records.py` and `saving.py`. A settled message has no packed part at all: its tags and
the writes of its flags are told by the operation that put it where it is. docs/spec/schema.md.

Vectors are lists of numbers in MessagePack, as is all that stands in `extra`.
"""

from typing import Any, Final

import msgspec
from msgspec import Struct

from pluto_tw.crdt.dots import SLOT_BITS, SLOT_MASK, SLOTS_MAX, Vector
from pluto_tw.crdt.predicates import is_set
from pluto_tw.crdt.records import (
    NOWHERE,
    AccountRecord,
    Box,
    Entries,
    Fold,
    Peer,
    Placement,
    key_of,
)
from pluto_tw.mail.flags import DELETED, SEEN, SYSTEM_FLAGS, Flag, Flags

_encode = msgspec.msgpack.Encoder().encode
_vector = msgspec.msgpack.Decoder(tuple[int, ...]).decode
_hashes = msgspec.msgpack.Decoder(tuple[bytes, ...]).decode
_marks = msgspec.msgpack.Decoder(tuple[tuple[int, int], ...]).decode

_BITS: Final[dict[str, int]] = {flag: 1 << place for place, flag in enumerate(SYSTEM_FLAGS)}

SEEN_BIT: Final = _BITS[SEEN]
DELETED_BIT: Final = _BITS[DELETED]

#: The system flags of each bitmap of them.
SYSTEM_FLAG_SETS: Final[tuple[Flags, ...]] = tuple(
    frozenset(flag for flag in SYSTEM_FLAGS if bits & _BITS[flag]) for bits in range(32)
)


class _PlacementExtra(Struct, array_like=True):
    """What a placement has beside what its birth says; None: just that."""

    tags: Vector | None
    entries: Entries | None
    rms: tuple[int, ...]
    moved: dict[bytes, tuple[int, ...]]
    #: (bid, gen, claim << 1 | bounced)
    other: tuple[tuple[int, int, int], ...]


class _BoxExtra(Struct, array_like=True):
    rens: tuple[int, ...]
    dels: tuple[int, ...]
    effective: tuple[int, ...]


_placement_extra = msgspec.msgpack.Decoder(_PlacementExtra).decode
_box_extra = msgspec.msgpack.Decoder(_BoxExtra).decode


def packed(value: object) -> bytes:
    """*value* (numbers, octets, tuples and dictionaries of them) in MessagePack."""
    return _encode(value)


def vector_of(data: bytes) -> Vector:
    """A vector, or any tuple of numbers."""
    return _vector(data)


def hashes_of(data: bytes) -> tuple[bytes, ...]:
    """A tuple of octet strings."""
    return _hashes(data)


#: The numbers that SQLite gives as one text (`json_group_array`), which is much faster than a row
#: for each.
numbers_of: Final = msgspec.json.Decoder(list[int]).decode


# Keys: -1 is no key at all, NULL in the tables.


def parts_of(key: int) -> tuple[int | None, int | None]:
    """The bid and gen of *key*; NULLs of NOWHERE."""
    return (None, None) if key == NOWHERE else (key >> 32, key & 0xFFFFFFFF)


def key_from(bid: int | None, gen: int | None) -> int:
    """The key of these parts."""
    return NOWHERE if bid is None or gen is None else key_of(bid, gen)


# Flags.


def flag_columns(entries: Entries) -> tuple[int, str | None]:
    """
    The system flags that *entries* amount to, as a bitmap, and the keywords, NULL for none.

    As `flags_of`, which takes several times as long.
    """
    bits = 0
    keywords: list[str] | None = None
    for flag, values in entries.items():
        if values[0] & 1 if len(values) == 1 else is_set(flag, values):
            bit = _BITS.get(flag)
            if bit is not None:
                bits |= bit
            elif keywords is None:
                keywords = [flag]
            else:
                keywords.append(flag)
    if keywords is None:
        return bits, None
    if len(keywords) == 1:
        return bits, keywords[0]
    # Of several spellings the least one.
    distinct: dict[str, str] = {}
    for keyword in sorted(keywords):
        distinct.setdefault(keyword.lower(), keyword)
    return bits, " ".join(distinct.values())


def keywords_of(column: str | None) -> list[Flag]:
    """The keywords in a column, in their order."""
    return [Flag(keyword) for keyword in column.split(" ")] if column else []


def _birth_entries(bits: int, keywords: str | None, dot: int) -> Entries:
    """What the operation *dot* wrote, if these flags are all from it."""
    entries: Entries = dict.fromkeys(SYSTEM_FLAG_SETS[bits], (dot << 1 | 1,))
    if keywords:
        entries.update(dict.fromkeys(keywords.split(" "), (dot << 1 | 1,)))
    return entries


def _is_of_birth(entries: Entries, bits: int, keywords: str | None, dot: int) -> bool:
    """Whether *entries*, which amount to these flags, are what `_birth_entries` gives."""
    written = (dot << 1 | 1,)
    for values in entries.values():
        if values != written:
            return False
    # Of two spellings of a keyword only one is in the column.
    return not keywords or len(entries) == bits.bit_count() + keywords.count(" ") + 1


# Placements.


def placement_from(row: tuple[Any, ...], bid: int) -> Placement:
    """
    The placement in a row; *bid* is that of its box.

    The row: pid, email, hash of the body, size, date, zone, stamp, dot, place, number; then what
    `placement_state` gives.
    """
    (
        pid,
        email,
        blob,
        size,
        date,
        zone,
        stamp,
        dot,
        place,
        number,
        uid,
        era,
        claim,
        bounced,
        msq,
        bits,
        keywords,
        key_bid,
        key_gen,
        data,
    ) = row
    tags = entries = None
    rms: tuple[int, ...] = ()
    moved: dict[bytes, tuple[int, ...]] = {}
    other: dict[int, int] = {}
    if data is not None:
        extra = _placement_extra(data)
        tags, entries, rms, moved = extra.tags, extra.entries, extra.rms, extra.moved
        if extra.other:
            other = {key_of(b, gen): value for b, gen, value in extra.other}
    if entries is None:
        entries = _birth_entries(bits, keywords, dot) if bits or keywords else {}
    return Placement(
        pid,
        bid,
        pid if email is None else email,
        blob,
        size,
        date,
        zone,
        (stamp, dot, place),
        birth_tags(dot) if tags is None else tags,
        rms,
        moved,
        entries,
        claim,
        bool(bounced),
        other,
        key_of(bid, 0) if key_bid is None else key_of(key_bid, key_gen),
        uid,
        era,
        msq,
        number,
    )


def birth_tags(dot: int) -> Vector:
    """The interest that the operation *dot* alone has."""
    return (*_ZEROS[dot & SLOT_MASK], dot >> SLOT_BITS)


#: As many zeros as its place.
_ZEROS: Final = tuple((0,) * slot for slot in range(SLOTS_MAX))


def placement_state(placement: Placement) -> tuple[Any, ...]:
    """The columns of `placement` that change: uid to extra, in the order of the table."""
    dot = placement.order[1]
    entries = placement.entries
    bits, keywords = flag_columns(entries) if entries else (0, None)
    tags: Vector | None = placement.tags
    if tags == birth_tags(dot):
        tags = None
    written: Entries | None = None
    if entries and not _is_of_birth(entries, bits, keywords, dot):
        written = entries
    extra = None
    if (
        tags is not None
        or written is not None
        or placement.rms
        or placement.moved
        or placement.other
    ):
        other = tuple(
            (key >> 32, key & 0xFFFFFFFF, value) for key, value in placement.other.items()
        )
        extra = _encode(_PlacementExtra(tags, written, placement.rms, placement.moved, other))
    key_bid = key_gen = None
    if placement.key != placement.box << 32:
        key_bid, key_gen = placement.key >> 32, placement.key & 0xFFFFFFFF
    return (
        placement.uid,
        placement.era,
        placement.claim,
        int(placement.bounced),
        placement.msq,
        bits,
        keywords,
        key_bid,
        key_gen,
        extra,
    )


# Boxes.


def box_from(row: tuple[Any, ...]) -> Box:
    """The box in a row of what `box_state` gives."""
    bid, name, stamp, dot, v, gen, use, bmsq, home_bid, home_gen, era, walk, tags, data = row
    extra = _BoxExtra((), (), ()) if data is None else _box_extra(data)
    return Box(
        bid,
        name,
        (stamp, dot),
        v,
        gen,
        tuple(use.split(" ")) if use else (),
        _vector(tags),
        extra.rens,
        extra.dels,
        bmsq,
        key_from(home_bid, home_gen),
        era,
        walk,
        extra.effective,
    )


def box_state(box: Box) -> tuple[Any, ...]:
    """The columns of `box` that a record has: bid to extra, in the order of the table."""
    extra = None
    if box.rens or box.dels or box.effective:
        extra = _encode(_BoxExtra(box.rens, box.dels, box.effective))
    return (
        box.bid,
        box.name,
        *box.named,
        box.v,
        box.gen,
        " ".join(box.use) or None,
        box.bmsq,
        *parts_of(box.home),
        box.era,
        box.walk,
        _encode(box.tags),
        extra,
    )


# The account.


def account_from(row: tuple[Any, ...]) -> AccountRecord:
    """The scalars in a row of what `account_state` gives."""
    vv, heads, sequencer, m, maxv, stable, base, gate = row
    return AccountRecord(
        _vector(vv),
        _hashes(heads),
        sequencer,
        m,
        maxv,
        _vector(stable),
        _vector(base),
        None if gate is None else _vector(gate),
    )


def account_state(account: AccountRecord) -> tuple[Any, ...]:
    """The columns of `account` that a record has: vv to gate, in the order of the table."""
    return (
        _encode(account.vv),
        _encode(account.heads),
        account.sequencer,
        account.m,
        account.maxv,
        _encode(account.stable),
        _encode(account.base),
        None if account.gate is None else _encode(account.gate),
    )


def fold_from(row: tuple[Any, ...]) -> Fold:
    """The fold in a row (slot, seq, bid, above, pids)."""
    slot, seq, bid, above, pids = row
    return Fold(seq << SLOT_BITS | slot, bid, _hashes(pids), above)


def peer_from(row: tuple[Any, ...]) -> Peer:
    """The peer in a row (slot, ack, cov, marks)."""
    slot, ack, cov, marks = row
    return Peer(slot, _vector(ack), cov, _marks(marks))
