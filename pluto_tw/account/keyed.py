# SPDX-License-Identifier: GPL-3.0-or-later
"""
What is staged of the records that stand each for itself: one row, found by its key alone.

The log and what is kept until it is folded, names and annotations, members and peers, and which
messages are outstanding. `saving.py` has the others.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from pluto_tw.account.rows import packed
from pluto_tw.account.staging import Overlay
from pluto_tw.account.work import Row, Work
from pluto_tw.crdt.dots import SLOT_BITS, SLOT_MASK
from pluto_tw.crdt.records import (
    CONTEXT,
    FLOOR,
    FOLD,
    HEAD,
    LOG,
    MEMBER,
    META,
    PEER,
    PENDING,
    SUBSCRIPTION,
)

_PENDING: Final = "INSERT OR REPLACE INTO pending (account, message, box) VALUES (?, ?, ?)"
_DROP_PENDING: Final = "DELETE FROM pending WHERE account = ? AND message = ?"
_LOG: Final = """
    INSERT OR REPLACE INTO log (account, slot, seq, last, msq, head, data)
    VALUES (?, ?, ?, ?, ?, ?, ?)
"""
_DROP_LOG: Final = "DELETE FROM log WHERE account = ? AND slot = ? AND seq = ?"
_HEAD: Final = "INSERT OR REPLACE INTO head (account, slot, seq, head) VALUES (?, ?, ?, ?)"
_DROP_HEAD: Final = "DELETE FROM head WHERE account = ? AND slot = ? AND seq = ?"
_CONTEXT: Final = "INSERT OR REPLACE INTO context (account, slot, seq, vector) VALUES (?, ?, ?, ?)"
_DROP_CONTEXT: Final = "DELETE FROM context WHERE account = ? AND slot = ? AND seq = ?"
_FOLD: Final = """
    INSERT OR REPLACE INTO fold (account, slot, seq, bid, above, pids) VALUES (?, ?, ?, ?, ?, ?)
"""
_DROP_FOLD: Final = "DELETE FROM fold WHERE account = ? AND slot = ? AND seq = ? AND bid = ?"
_FLOOR: Final = "INSERT OR REPLACE INTO floor (account, name, v) VALUES (?, ?, ?)"
_DROP_FLOOR: Final = "DELETE FROM floor WHERE account = ? AND name = ?"
_SUBSCRIPTION: Final = """
    INSERT OR REPLACE INTO subscription (account, name, entries) VALUES (?, ?, ?)
"""
_DROP_SUBSCRIPTION: Final = "DELETE FROM subscription WHERE account = ? AND name = ?"
_META: Final = """
    INSERT OR REPLACE INTO meta (account, bid, entry, value, stamp, dot) VALUES (?, ?, ?, ?, ?, ?)
"""
_DROP_META: Final = "DELETE FROM meta WHERE account = ? AND bid = ? AND entry = ?"
_MEMBER: Final = """
    INSERT OR REPLACE INTO member (account, slot, replica, name, state, added, removed)
    VALUES (?, ?, ?, ?, ?, ?, ?)
"""
_DROP_MEMBER: Final = "DELETE FROM member WHERE account = ? AND slot = ?"
_PEER: Final = """
    INSERT OR REPLACE INTO peer (account, slot, ack, cov, marks) VALUES (?, ?, ?, ?, ?)
"""
_DROP_PEER: Final = "DELETE FROM peer WHERE account = ? AND slot = ?"


def _one(key: Any) -> tuple[Any, ...]:
    return (key,)


def _dot(dot: int) -> tuple[int, int]:
    return dot & SLOT_MASK, dot >> SLOT_BITS


class _Kind(NamedTuple):
    """How the records of one table are stored: their SQL, the columns of key and record."""

    number: int
    sql: str
    drop: str
    key: Callable[[Any], tuple[Any, ...]]
    columns: Callable[[Any], tuple[Any, ...]]


_KINDS: Final = {
    kind.number: kind
    for kind in (
        _Kind(
            LOG.number, _LOG, _DROP_LOG, _dot, lambda r: (r.dot >> SLOT_BITS, r.msq, r.head, r.data)
        ),
        _Kind(HEAD.number, _HEAD, _DROP_HEAD, _dot, lambda r: (r.head,)),
        _Kind(CONTEXT.number, _CONTEXT, _DROP_CONTEXT, _dot, lambda r: (packed(r.vector),)),
        _Kind(
            FOLD.number,
            _FOLD,
            _DROP_FOLD,
            lambda key: (*_dot(key[0]), key[1]),
            lambda r: (r.row, packed(r.pids)),
        ),
        _Kind(FLOOR.number, _FLOOR, _DROP_FLOOR, _one, lambda r: (r.v,)),
        _Kind(
            SUBSCRIPTION.number,
            _SUBSCRIPTION,
            _DROP_SUBSCRIPTION,
            _one,
            lambda r: (packed(r.entries),),
        ),
        _Kind(META.number, _META, _DROP_META, tuple, lambda r: (r.value, *r.written)),
        _Kind(
            MEMBER.number,
            _MEMBER,
            _DROP_MEMBER,
            _one,
            lambda r: (r.replica, r.name, r.state, r.added, r.removed),
        ),
        _Kind(
            PEER.number, _PEER, _DROP_PEER, _one, lambda r: (packed(r.ack), r.cov, packed(r.marks))
        ),
    )
}


def save_keyed(work: Work, staged: Overlay, account: int, number_box: Callable[[int], int]) -> int:
    """
    Adds to *work* what *staged* changes; *number_box* gives a box's number for its bid.

    How many placements are pending more than before.
    """
    outstanding = 0
    for number, records in staged.changed():
        kind = _KINDS.get(number)
        if kind is not None:
            _save(work, kind, account, records)
        elif number == PENDING.number:
            outstanding = _save_pending(work, staged, account, number_box)
    return outstanding


def _save(work: Work, kind: _Kind, account: int, records: Mapping[Any, Any]) -> None:
    rows: list[Row] = []
    gone: list[Row] = []
    for key, record in records.items():
        if record is None:
            gone.append((account, *kind.key(key)))
        else:
            rows.append((account, *kind.key(key), *kind.columns(record)))
    work.add_rows(kind.sql, rows)
    work.add_rows(kind.drop, gone)


def _save_pending(
    work: Work, staged: Overlay, account: int, number_box: Callable[[int], int]
) -> int:
    kept: list[Row] = []
    gone: list[Row] = []
    fresh = 0
    for pid, pending in staged.staged(PENDING).items():
        before = staged.below.get(PENDING, pid)
        if pending is not None:
            kept.append((account, pending.row, number_box(pending.bid)))
            fresh += before is None
        elif before is not None:
            gone.append((account, before.row))
    work.add_rows(_PENDING, kept)
    work.add_rows(_DROP_PENDING, gone)
    return fresh - len(gone)
