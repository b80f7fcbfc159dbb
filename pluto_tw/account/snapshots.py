# SPDX-License-Identifier: GPL-3.0-or-later
"""
Snapshots of an account, sent and taken piece by piece, so that a broken link costs one piece.

What is in a snapshot and how it is joined is `pluto_tw.crdt.snapshot`'s and `joining`'s; when one
is sent is decided by `pluto_tw.replication`. Header, pieces, cursors and trailer are octets here.

- The sender keeps the header, so that nothing it needs is folded, until the receiver has reached
  the trailer or `SNAPSHOT_SECONDS_MAX` have passed (`AccountReplica.follow_pins`).
- The receiver is an account that has nothing. Header and pieces are durable with the cursor of the
  piece to ask for next; until the gate opens it serves nobody, and takes no other operations than
  those after the header. Bodies that a piece names come before it, as with operations.
- An account that has operations takes no snapshot. It needs none: what is pruned was acknowledged
  by all members; who lacks it all the same was put back.
- A member that joins is sent none before all others know it: nothing becomes stable from then on,
  so what it has from one sender fits what it gets from another.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from pluto_tw.account.incoming import BodyLink
from pluto_tw.account.receiving import MISSING_MAX, lacking
from pluto_tw.account.replica import SNAPSHOT_SECONDS_MAX, AccountReplica
from pluto_tw.account.transfers import Transfer, Way
from pluto_tw.crdt import clock, snapshot
from pluto_tw.crdt.dots import EMPTY
from pluto_tw.crdt.joining import LOADING
from pluto_tw.crdt.snapshot import Cursor, Header, Piece, Trailer

#: Octets of a piece that is sent: some 250 messages, which take 5 ms to read and 15 to join. A
#: channel's window of them keeps a link busy all the same.
PIECE_OCTETS: Final = 32 * 1024

#: How often a moment is waited for in which nothing is on its way to the disk; each is a commit.
MOMENTS_MAX: Final = 50

_encode = msgspec.msgpack.Encoder().encode
_cursor = msgspec.msgpack.Decoder(Cursor)


@dataclass(frozen=True, slots=True)
class Started:
    """A snapshot that can be sent: its *header*, and the first *cursor*."""

    header: bytes
    cursor: bytes


@dataclass(frozen=True, slots=True)
class Sent:
    """A *piece*, and the *cursor* after it; empty at the end, and there is a *trailer* then."""

    piece: bytes
    cursor: bytes
    trailer: bytes


@dataclass(frozen=True, slots=True)
class Loading:
    """The snapshot that is loaded here: from the member *slot*, to go on at *cursor*."""

    slot: int
    header: bytes
    cursor: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """
    What became of a part: durable, and to be gone on with at *cursor*.

    *missing*, *coming*: bodies without which it was not taken, as in `Taken`. *ahead*: the
    sender's clock is too far ahead; hold it, raise an alarm, try again. *done*: that was all.
    *refused*: it was not taken, and why, for people; empty otherwise.
    """

    cursor: bytes = b""
    missing: tuple[tuple[bytes, int], ...] = ()
    coming: tuple[tuple[bytes, int], ...] = ()
    ahead: bool = False
    done: bool = False
    refused: str = ""


# The sender.


async def begin(account: AccountReplica, slot: int, header: bytes = b"") -> Started | None:
    """
    A snapshot for the member *slot*: the one with *header* if it can be gone on with, else a new
    one. None if there is none to be had now.

    Durable on return. Raises No(UNAVAILABLE).
    """
    account.require()
    first = _encode(Cursor())
    found = _sending(account, slot)
    if found is not None and header in (b"", found.header):
        return Started(found.header, first)
    for _ in range(MOMENTS_MAX):
        await account.commits.settled()
        if account.commits.is_idle:
            break
        await account.site.waiting.pause()
    account.require()
    stored = account.commits.stored
    if not account.commits.is_idle or not stored.exists or stored.scalars.gate is not None:
        return None
    # What is committed is read, and pinned, before anything else is computed.
    begun = snapshot.header(stored.scalars)
    account.rules.pins = {**account.rules.pins, slot: begun.stable}
    octets = snapshot.encode(begun)
    transfer = Transfer(octets, b"", b"", int(account.site.waiting.now()))
    await account.commits.keep(Way(slot, incoming=False), transfer)
    return Started(octets, first)


def _sending(account: AccountReplica, slot: int) -> Transfer | None:
    """The snapshot that is sent to *slot*; None if there is none, or it is too old."""
    found = account.commits.stored.transfers.get(Way(slot, incoming=False))
    if found is None or account.site.waiting.now() - found.began > SNAPSHOT_SECONDS_MAX:
        return None
    return found


async def piece(
    account: AccountReplica, slot: int, cursor: bytes, octets_most: int | None = None
) -> Sent | None:
    """
    The piece at *cursor* of the snapshot that is sent to *slot*, of about *octets_most* octets,
    None: `PIECE_OCTETS`; None: there is no such snapshot (any more), begin again.

    Raises No(UNAVAILABLE).
    """
    account.require()
    found = _sending(account, slot)
    if found is None:
        return None
    try:
        at = _cursor.decode(cursor)
    except ValueError:
        return None
    stored = account.commits.stored
    read, after = snapshot.read_piece(
        stored,
        snapshot.decode_header(found.header),
        at,
        octets_most=PIECE_OCTETS if octets_most is None else octets_most,
    )
    octets = snapshot.encode(read)
    if after is not None:
        return Sent(octets, _encode(after), b"")
    trailer = snapshot.encode(snapshot.trailer(stored.scalars))
    ended = Transfer(found.header, trailer, b"", found.began)
    await account.commits.keep(Way(slot, incoming=False), ended)
    return Sent(octets, b"", trailer)


async def end(account: AccountReplica, slot: int) -> None:
    """Nothing is kept for *slot* any more. Raises No(UNAVAILABLE)."""
    await account.end_transfer(slot)


# The receiver.


def loading(account: AccountReplica) -> Loading | None:
    """The snapshot that is being loaded; None if none is, or all of it is here."""
    for way, transfer in account.commits.stored.transfers.items():
        if way.incoming:
            return Loading(way.slot, transfer.header, transfer.cursor)
    return None


def is_open(account: AccountReplica) -> bool:
    """Whether the account serves: no snapshot is being loaded, nor waited to be complete."""
    return account.commits.stored.scalars.gate is None


async def start(account: AccountReplica, slot: int, header: bytes) -> Answer:
    """
    Begins to load the snapshot of the member *slot*; durable on return.

    What was loaded of another one stays, and does no harm. Raises No(UNAVAILABLE).
    """
    account.require()
    try:
        first = snapshot.decode_header(header)
    except ValueError as error:
        return Answer(refused=f"its header cannot be read: {error}")
    scalars = account.commits.staged.records.account()
    if scalars.vv != EMPTY or scalars.gate not in (None, LOADING):
        return Answer(refused="the account has operations already")
    cursor = _encode(Cursor())
    account.stage_load([first])
    # Also one that was begun just now, and is on its way to the disk.
    staged = [way for one in account.commits.uncommitted() for way in one.transfers]
    for way in (*account.commits.stored.transfers, *staged):
        if way.incoming:
            account.commits.staged.transfers[way] = None
    transfer = Transfer(header, b"", cursor, int(account.site.waiting.now()))
    await account.commits.keep(Way(slot, incoming=True), transfer)
    return Answer(cursor)


async def take(
    account: AccountReplica,
    slot: int,
    asked: bytes,
    part: bytes,
    after: bytes,
    trailer: bytes,
    lost: frozenset[bytes] = frozenset(),
    link: BodyLink | None = None,
) -> Answer:
    """
    Takes the piece *part* at the cursor *asked* of the snapshot of *slot*; *after*: the cursor
    after it, or at the end the *trailer*.

    Durable on return, with the cursor; of another piece than the next one nothing is taken. *lost*
    and *link* as for `receiving.receive`. Raises No(UNAVAILABLE).
    """
    account.require()
    now = loading(account)
    if now is None or now.slot != slot:
        return Answer(refused="no snapshot of this member is being loaded")
    if now.cursor != asked:
        return Answer(now.cursor)
    parts: list[Header | Piece | Trailer] = [snapshot.decode_header(now.header)]
    try:
        read = snapshot.decode_piece(part)
        parts.append(read)
        if trailer:
            last = snapshot.decode_trailer(trailer)
            if clock.is_ahead(last.m, int(account.site.waiting.now() * 1000)):
                return Answer(asked, ahead=True)
            parts.append(last)
    except ValueError as error:
        return Answer(refused=f"a part cannot be read: {error}")
    wanted = {p.blob: p.size for p in read.placements if p.blob not in lost}
    missing = lacking(account, wanted)
    if missing:
        asked_for, coming = (
            (list(missing.items()), []) if link is None else link.shared(account, missing)
        )
        return Answer(asked, tuple(asked_for[:MISSING_MAX]), tuple(coming[:MISSING_MAX]))
    await _join(account, slot, now, parts, after, list(wanted))
    if link is not None:
        link.release(account, wanted)
    return Answer(done=True) if trailer else Answer(after)


async def _join(
    account: AccountReplica,
    slot: int,
    now: Loading,
    parts: Sequence[Header | Piece | Trailer],
    after: bytes,
    hashes: Sequence[bytes],
) -> None:
    """Joins *parts*; durable on return, with the bodies *hashes*, which are here."""
    bodies = account.ground.bodies
    pinned = [hash for hash in hashes if bodies.pin(hash)]
    try:
        account.stage_load(parts)
        is_end = isinstance(parts[-1], Trailer)
        began = account.commits.stored.transfers[Way(slot, incoming=True)].began
        transfer = None if is_end else Transfer(now.header, b"", after, began)
        await account.commits.keep(Way(slot, incoming=True), transfer)
    finally:
        bodies.unpin(pinned)
