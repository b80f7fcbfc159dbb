# SPDX-License-Identifier: GPL-3.0-or-later
"""
A transaction: what one event changes, staged over records that it does not touch.

It is itself a `Records`, so that the next event can be computed on it before it is committed; if it
fails, those above it fail with it. When the rules are done it names just what is to be stored
(`staged`), the operations made here (`ops`), what sessions are to be told (`changes`), and who now
waits for a UID (`waits`). Nothing of it may be told to anyone before it is durable.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import copy
from typing import Any, cast

from pluto_tw.crdt.dots import SLOT_BITS, SLOT_MASK, Vector, covers
from pluto_tw.crdt.ops import Op
from pluto_tw.crdt.predicates import is_exposed
from pluto_tw.crdt.records import (
    ACCOUNT,
    BOX,
    CONTEXT,
    FOLD,
    HEAD,
    LOG,
    MEMBER,
    META,
    PARKED,
    PENDING,
    PLACEMENT,
    SUBSCRIPTION,
    TABLES,
    VIEW,
    WALKED,
    AccountRecord,
    Box,
    Context,
    Fold,
    Head,
    K,
    Logged,
    Member,
    Meta,
    Pending,
    Placement,
    R,
    Records,
    Subscription,
    Table,
    View,
)
from pluto_tw.mail.changes import Change
from pluto_tw.mail.sets import EMPTY as NO_NUMBERS
from pluto_tw.mail.sets import NumberSet

#: Stands where nothing is staged; None stands where a record is to be deleted.
_BELOW: Any = object()


class Transaction:
    """
    Changes staged over *below*, at the mod-sequence *m* of the replica *slot*.

    *unix_seconds* is the time of the event, for a new UIDVALIDITY.
    """

    def __init__(self, below: Records, slot: int, m: int, unix_seconds: int) -> None:
        self.below = below
        self.slot = slot
        self.m = m
        self.unix_seconds = unix_seconds
        self._staged: list[dict[Any, Any]] = [{} for _ in TABLES]
        self._placements: dict[bytes, Placement | None] = self._staged[PLACEMENT.number]
        #: Operations made here, in order.
        self.ops: list[Op] = []
        #: How many operations of others were applied.
        self.taken = 0
        #: What sessions are to be told, for each key of a mailbox, in the order of its log.
        self.changes: dict[int, list[Change]] = {}
        #: Placements made here that now wait for a claim: see `Replica.wait_ended`.
        self.waits: list[bytes] = []
        #: Whether work is left for `Replica.resume`, which should come soon.
        self.more = False
        #: Whether a peer's operations were left since its clock is too far ahead: to be held,
        #: with an alarm, and tried again.
        self.ahead = False
        # What the rules leave for each other within the event.
        self.touched: dict[bytes, None] = {}
        self.created: dict[bytes, None] = {}
        self.names: dict[str, None] = {}
        self.boxes: dict[int, None] = {}
        self.mine: dict[bytes, None] = {}
        self.recheck: dict[bytes, None] = {}
        self.keys: dict[int, None] = {}
        self._folding: dict[tuple[int, int], dict[bytes, None]] = {}

    # Reading.

    def get(self, table: Table[K, R], key: K) -> R | None:
        """As `Records.get`, staged changes included."""
        found: R | None = self._staged[table.number].get(key, _BELOW)
        return self.below.get(table, key) if found is _BELOW else found

    def account(self) -> AccountRecord:
        """The account's scalars, to read."""
        found = self._staged[ACCOUNT.number].get(0) or self.below.get(ACCOUNT, 0)
        assert found is not None, "an account has been provisioned"
        return found

    def box(self, bid: int) -> Box:
        """The box, to read; it must exist."""
        found = self.get(BOX, bid)
        if found is None:
            raise Missing(f"box {bid}")
        return found

    def placement(self, pid: bytes) -> Placement:
        """The placement, to read; it must exist."""
        # Most that is asked for is staged.
        found = self._placements.get(pid) or self.get(PLACEMENT, pid)
        if found is None:
            raise Missing(f"placement {pid.hex()}")
        return found

    # Writing.

    def put(self, table: Table[K, R], key: K, record: R) -> R:
        """Stages *record*, which is the transaction's from now on."""
        self._staged[table.number][key] = record
        return record

    def delete(self, table: Table[K, R], key: K) -> None:
        """Stages that there is no such record."""
        staged = self._staged[table.number]
        if self.below.get(table, key) is None:
            staged.pop(key, None)
        else:
            staged[key] = None

    def edit(self, table: Table[K, R], key: K) -> R:
        """The record, to change; it must exist."""
        staged = self._staged[table.number]
        record = staged.get(key)
        if record is None:
            found = None if key in staged else self.below.get(table, key)
            if found is None:
                raise Missing(f"{table.name} {key!r}")
            record = copy(found)
            staged[key] = record
        edited: R = record
        return edited

    def edit_account(self) -> AccountRecord:
        """The account's scalars, to change."""
        return self.edit(ACCOUNT, 0)

    def edit_view(self, key: int) -> View:
        """The view of *key*, to change; made if there is none."""
        if self.get(VIEW, key) is None:
            return self.put(VIEW, key, View(key))
        return self.edit(VIEW, key)

    def create(self, placement: Placement) -> Placement:
        """Stages a new placement and gives it its row."""
        placement.row = self.below.new_row()
        self.created[placement.pid] = None
        self._placements[placement.pid] = placement
        return placement

    def touch(self, pid: bytes) -> Placement:
        """The placement, to change; an operation touched it."""
        self.touched[pid] = None
        return self.edit(PLACEMENT, pid)

    def keep_context(self, dot: int, vector: Vector) -> None:
        """Keeps what the origin of *dot* had seen, until all of its effects are folded."""
        self.put(CONTEXT, dot, Context(dot, vector))

    def fold_later(self, dot: int, bid: int, pid: bytes | None) -> None:
        """
        Remembers that *pid* is to be folded once *dot* is stable.

        *pid* None: the box itself; *bid* -1: nothing but the context of *dot*.
        """
        pids = self._folding.setdefault((dot, bid), {})
        if pid is not None:
            pids[pid] = None

    def stage_folds(self) -> None:
        """Stages what `fold_later` remembered, so that range reads see it."""
        for (dot, bid), pids in self._folding.items():
            if self.get(FOLD, (dot, bid)) is None:
                self.put(FOLD, (dot, bid), Fold(dot, bid, tuple(pids)))
            else:
                fold = self.edit(FOLD, (dot, bid))
                fold.pids = tuple({**dict.fromkeys(fold.pids), **pids})
        self._folding.clear()

    def keep_head(self, dot: int, head: bytes) -> None:
        """Keeps the chain's hash at *dot* beyond the log."""
        self.put(HEAD, dot, Head(dot, head))

    def newest(self) -> int:
        """The mod-sequence that the account has after this transaction."""
        account = self.account()
        return self.m if self.taken or self.ops else account.m

    def tell(self, key: int, change: Change) -> None:
        """Appends to the log of the mailbox *key*."""
        self.changes.setdefault(key, []).append(change)

    # The result.

    def staged(self, table: Table[K, R]) -> Mapping[K, R | None]:
        """What is to be stored; None: to be deleted."""
        return self._staged[table.number]

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to commit."""
        return not any(self._staged)

    # Ranges.

    def new_row(self) -> int:
        """As `Records.new_row`."""
        return self.below.new_row()

    def boxes_named(self, name: str) -> Sequence[int]:
        """As `Records.boxes_named`."""
        return self._boxes_where(self.below.boxes_named(name), lambda box: box.name == name)

    def boxes_below(self, prefix: str) -> Sequence[int]:
        """As `Records.boxes_below`."""
        return self._boxes_where(
            self.below.boxes_below(prefix), lambda box: box.name.startswith(prefix)
        )

    def _boxes_where(self, below: Sequence[int], accept: Callable[[Box], bool]) -> Sequence[int]:
        staged = self.staged(BOX)
        if not staged:
            return below
        found = [bid for bid in below if bid not in staged]
        found.extend(bid for bid, box in staged.items() if box is not None and accept(box))
        return sorted(found)

    def boxes_after(self, bid: int, limit: int) -> Sequence[Box]:
        """As `Records.boxes_after`."""
        return self._range(
            BOX,
            lambda after, count: self.below.boxes_after(after, count),
            lambda box: box.bid,
            lambda box: True,
            bid,
            limit,
        )

    def walking(self, limit: int) -> Sequence[int]:
        """As `Records.walking`."""
        staged = self.staged(BOX)
        below = self.below.walking(limit + len(staged))
        found = [bid for bid in below if bid not in staged]
        found.extend(bid for bid, box in staged.items() if box is not None and box.walk != WALKED)
        return sorted(found)[:limit]

    def placements_in(self, bid: int, after_row: int, limit: int) -> Sequence[Placement]:
        """As `Records.placements_in`."""
        return self._range(
            PLACEMENT,
            lambda after, count: self.below.placements_in(bid, after, count),
            lambda placement: placement.row,
            lambda placement: placement.box == bid,
            after_row,
            limit,
        )

    def exposed(self, key: int, bid: int) -> NumberSet:
        """As `Records.exposed`."""
        box = self.get(BOX, bid)
        if box is None or box.home != key:
            return NO_NUMBERS
        below = self.below.get(BOX, bid)
        before = NO_NUMBERS
        gone = []
        come = []
        if below is not None and below.home == key and below.era == box.era:
            before = self.below.exposed(key, bid)
        for pid, placement in self._placements.items():
            old = self.below.get(PLACEMENT, pid)
            if old is not None and old.box == bid and old.uid:
                gone.append(old.uid)
            if placement is not None and placement.box == bid and is_exposed(placement, box):
                come.append(placement.uid)
        return before - NumberSet.of(gone) | NumberSet.of(come)

    def pending(self, after_row: int, limit: int) -> Sequence[Pending]:
        """As `Records.pending`."""
        return self._range(
            PENDING,
            lambda after, count: self.below.pending(after, count),
            lambda pending: pending.row,
            lambda pending: True,
            after_row,
            limit,
        )

    def pending_in(self, bid: int, after_row: int, limit: int) -> Sequence[Pending]:
        """As `Records.pending_in`."""
        return self._range(
            PENDING,
            lambda after, count: self.below.pending_in(bid, after, count),
            lambda pending: pending.row,
            lambda pending: pending.bid == bid,
            after_row,
            limit,
        )

    def log_after(self, slot: int, seq: int, limit: int) -> Sequence[Logged]:
        """As `Records.log_after`."""
        return self._range(
            LOG,
            lambda after, count: self.below.log_after(slot, after, count),
            lambda logged: logged.dot >> SLOT_BITS,
            lambda logged: logged.dot & SLOT_MASK == slot,
            seq,
            limit,
        )

    def folds(self, stable: Vector, limit: int) -> Sequence[Fold]:
        """As `Records.folds`."""
        staged = self.staged(FOLD)
        found = [
            fold
            for fold in self.below.folds(stable, limit + len(staged))
            if (fold.dot, fold.bid) not in staged
        ]
        found.extend(
            fold
            for fold in staged.values()
            if fold is not None and fold.row != PARKED and covers(stable, fold.dot)
        )
        return found[:limit]

    def folds_of(self, dot: int) -> Sequence[Fold]:
        """As `Records.folds_of`."""
        staged = self.staged(FOLD)
        found = [fold for fold in self.below.folds_of(dot) if (fold.dot, fold.bid) not in staged]
        found.extend(fold for fold in staged.values() if fold is not None and fold.dot == dot)
        return found

    def subscriptions_after(self, name: str, limit: int) -> Sequence[Subscription]:
        """As `Records.subscriptions_after`."""
        return self._range(
            SUBSCRIPTION,
            lambda after, count: self.below.subscriptions_after(after, count),
            lambda subscription: subscription.name,
            lambda subscription: True,
            name,
            limit,
        )

    def metas_after(self, bid: int, entry: str, limit: int) -> Sequence[Meta]:
        """As `Records.metas_after`."""
        return self._range(
            META,
            lambda after, count: self.below.metas_after(after[0], after[1], count),
            lambda meta: (meta.bid, meta.entry),
            lambda meta: True,
            (bid, entry),
            limit,
        )

    def members(self) -> Sequence[Member]:
        """As `Records.members`."""
        staged = self.staged(MEMBER)
        found = {member.slot: member for member in self.below.members()}
        found.update({slot: member for slot, member in staged.items() if member is not None})
        return [found[slot] for slot in sorted(found)]

    def _range(
        self,
        table: Table[Any, R],
        read: Callable[[Any, int], Sequence[R]],
        place: Callable[[R], Any],
        accept: Callable[[R], bool],
        after: Any,
        limit: int,
    ) -> Sequence[R]:
        """The first *limit* of what is below and what is staged, the latter winning."""
        staged = self._staged[table.number]
        if not staged:
            return read(after, limit)
        # Of what is below, at most as many as are staged can turn out to be gone or moved.
        count = limit + len(staged)
        below = read(after, count)
        found: dict[Any, R] = {place(record): record for record in below}
        cut = place(below[-1]) if len(below) == count else None
        for record in cast("Iterable[R | None]", staged.values()):
            if record is not None and accept(record) and after < place(record):
                found[place(record)] = record
        for key, record in staged.items():
            if record is None:
                old = self.below.get(table, key)
                if old is not None:
                    found.pop(place(old), None)
        places = sorted(at for at in found if cut is None or at <= cut)
        return [found[at] for at in places[:limit]]


class Missing(Exception):
    """
    An operation names what is not here: a fault of a replica, never ignored.

    Whoever catches it stops serving the account, since going on would lose or duplicate mail.
    """
