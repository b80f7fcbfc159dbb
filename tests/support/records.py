# SPDX-License-Identifier: GPL-3.0-or-later
"""
The records of one account in memory: what a database has to do for `pluto_tw.crdt`.

`commit` stores what a transaction staged. Nothing here knows a rule of replication, except which
placements are exposed.
"""

from bisect import bisect_right, insort
from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from typing import Any, cast

from pluto_tw.crdt.dots import SLOT_BITS, SLOT_MASK, Vector, covers
from pluto_tw.crdt.predicates import is_exposed
from pluto_tw.crdt.provision import first_account, first_box, first_floor
from pluto_tw.crdt.records import (
    ACCOUNT,
    BOX,
    FLOOR,
    FOLD,
    INBOX_BID,
    LOG,
    MEMBER,
    META,
    PARKED,
    PENDING,
    PLACEMENT,
    SUBSCRIPTION,
    TABLES,
    WALKED,
    Box,
    Fold,
    K,
    Logged,
    Member,
    Meta,
    Pending,
    Placement,
    R,
    Subscription,
    Table,
)
from pluto_tw.crdt.transaction import Transaction
from pluto_tw.mail.changes import Vanished
from pluto_tw.mail.names import INBOX
from pluto_tw.mail.sets import NumberSet


class MemoryRecords:
    """An account that was just provisioned."""

    def __init__(self, lowest_slot: int = 0) -> None:
        self.tables: list[dict[Any, Any]] = [{} for _ in TABLES]
        #: What vanished: for each key (mod-sequence, UIDs).
        self.vanished: dict[int, list[tuple[int, NumberSet]]] = {}
        self._row = 0
        self._rows: dict[int, list[tuple[int, bytes]]] = {}
        self._log: dict[int, list[int]] = {}
        self.tables[ACCOUNT.number][0] = first_account(lowest_slot)
        box = first_box()
        self.tables[BOX.number][INBOX_BID] = box
        self.tables[FLOOR.number][INBOX] = first_floor()

    def commit(self, tx: Transaction) -> None:
        """Stores what *tx*, computed on these records, staged."""
        for table in TABLES:
            stored = self.tables[table.number]
            staged = cast("Mapping[Any, Any]", tx.staged(cast("Table[Any, Any]", table)))
            for key, record in staged.items():
                if table is PLACEMENT and (record is None) != (key not in stored):
                    self._index(record or stored[key], record is not None)
                elif table is PLACEMENT and record is not None and key not in stored:
                    self._index(record, True)
                if table is LOG:
                    self._index_log(key, record is not None and key not in stored, record is None)
                if record is None:
                    stored.pop(key, None)
                else:
                    stored[key] = record
        for mailbox, changes in tx.changes.items():
            for change in changes:
                if isinstance(change, Vanished):
                    self.vanished.setdefault(mailbox, []).append((tx.m, change.uids))

    def copy(self) -> "MemoryRecords":
        """A copy that can go its own way; records themselves are never changed in place."""
        other = MemoryRecords()
        other.tables = [dict(table) for table in self.tables]
        other.vanished = {key: list(found) for key, found in self.vanished.items()}
        other._row = self._row
        other._rows = {bid: list(rows) for bid, rows in self._rows.items()}
        other._log = {slot: list(seqs) for slot, seqs in self._log.items()}
        return other

    def _index(self, placement: Placement, present: bool) -> None:
        rows = self._rows.setdefault(placement.box, [])
        entry = placement.row, placement.pid
        if present:
            if entry not in rows:
                insort(rows, entry)
        elif entry in rows:
            rows.remove(entry)

    def _index_log(self, dot: int, added: bool, removed: bool) -> None:
        seqs = self._log.setdefault(dot & SLOT_MASK, [])
        if added:
            insort(seqs, dot >> SLOT_BITS)
        elif removed and dot >> SLOT_BITS in seqs:
            seqs.remove(dot >> SLOT_BITS)

    # `Records`.

    def get(self, table: Table[K, R], key: K) -> R | None:
        return cast("R | None", self.tables[table.number].get(key))

    def new_row(self) -> int:
        self._row += 1
        return self._row

    def _all(self, table: Table[K, R]) -> Iterable[R]:
        return cast("Iterable[R]", self.tables[table.number].values())

    def boxes_named(self, name: str) -> Sequence[int]:
        return sorted(box.bid for box in self._all(BOX) if box.name == name)

    def boxes_below(self, prefix: str) -> Sequence[int]:
        return sorted(box.bid for box in self._all(BOX) if box.name.startswith(prefix))

    def boxes_after(self, bid: int, limit: int) -> Sequence[Box]:
        found = sorted((box for box in self._all(BOX) if box.bid > bid), key=lambda box: box.bid)
        return found[:limit]

    def walking(self, limit: int) -> Sequence[int]:
        return sorted(box.bid for box in self._all(BOX) if box.walk != WALKED)[:limit]

    def placements_in(self, bid: int, after_row: int, limit: int) -> Sequence[Placement]:
        rows = self._rows.get(bid, [])
        start = bisect_right(rows, (after_row, b"\xff" * 17))
        stored = self.tables[PLACEMENT.number]
        return [stored[pid] for _, pid in rows[start : start + limit]]

    def exposed(self, key: int, bid: int) -> NumberSet:
        box = self.get(BOX, bid)
        if box is None or box.home != key:
            return NumberSet.of(())
        return NumberSet.of(
            placement.uid
            for placement in self.placements_in(bid, 0, len(self._rows.get(bid, ())))
            if is_exposed(placement, box)
        )

    def pending(self, after_row: int, limit: int) -> Sequence[Pending]:
        found = [pending for pending in self._all(PENDING) if pending.row > after_row]
        return sorted(found, key=lambda pending: pending.row)[:limit]

    def pending_in(self, bid: int, after_row: int, limit: int) -> Sequence[Pending]:
        found = self.pending(after_row, len(self.tables[PENDING.number]))
        return [pending for pending in found if pending.bid == bid][:limit]

    def log_after(self, slot: int, seq: int, limit: int) -> Sequence[Logged]:
        seqs = self._log.get(slot, [])
        start = bisect_right(seqs, seq)
        stored = self.tables[LOG.number]
        return [stored[at << SLOT_BITS | slot] for at in seqs[start : start + limit]]

    def folds(self, stable: Vector, limit: int) -> Sequence[Fold]:
        found = (fold for fold in self._all(FOLD) if fold.row != PARKED)
        return [fold for fold in found if covers(stable, fold.dot)][:limit]

    def folds_of(self, dot: int) -> Sequence[Fold]:
        return [fold for fold in self._all(FOLD) if fold.dot == dot]

    def subscriptions_after(self, name: str, limit: int) -> Sequence[Subscription]:
        found = [copy(record) for record in self._all(SUBSCRIPTION) if record.name > name]
        return sorted(found, key=lambda record: record.name)[:limit]

    def metas_after(self, bid: int, entry: str, limit: int) -> Sequence[Meta]:
        found = [record for record in self._all(META) if (record.bid, record.entry) > (bid, entry)]
        return sorted(found, key=lambda record: (record.bid, record.entry))[:limit]

    def members(self) -> Sequence[Member]:
        return sorted(self._all(MEMBER), key=lambda member: member.slot)
