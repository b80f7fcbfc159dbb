# SPDX-License-Identifier: GPL-3.0-or-later
"""
Forgetting: what every member has, nobody needs the history of.

An operation is **stable** when all members have acknowledged it. Every operation that is still to
come has seen it then. Folding takes its effect for granted and drops what was kept to compare with
concurrent ones; nobody can observe it, so it is done in slices, at any time, in any order. One
record is folded at once, and a DELETE leaves its box only after all placements were folded.
"""

from collections.abc import Callable, Iterable

from pluto_tw.crdt.chain import KEPT_EVERY
from pluto_tw.crdt.dots import (
    EMPTY,
    SLOT_BITS,
    Vector,
    covers,
    joined,
    meet,
    raised,
    seq_of,
    without,
)
from pluto_tw.crdt.predicates import context_of
from pluto_tw.crdt.records import (
    BOX,
    CONTEXT,
    FOLD,
    INBOX_BID,
    LOG,
    PARKED,
    PEER,
    PENDING,
    PLACEMENT,
    Box,
    Fold,
    Placement,
)
from pluto_tw.crdt.transaction import Transaction

#: Placements folded in one transaction: some ten milliseconds.
FOLD_MAX = 1000
#: Log entries dropped in one transaction.
PRUNE_MAX = 1000


def note_stable(tx: Transaction, members: Iterable[int]) -> None:
    """Raises `stable` to what this replica and all other *members* have."""
    account = tx.account()
    stable = joined(account.stable, meet([account.vv, *acks(tx, members)]))
    if stable != account.stable:
        tx.edit_account().stable = stable


def acks(tx: Transaction, members: Iterable[int]) -> list[Vector]:
    """What each of *members* has acknowledged."""
    peers = (tx.get(PEER, slot) for slot in members)
    return [EMPTY if peer is None else peer.ack for peer in peers]


def fold(
    tx: Transaction,
    pins: Iterable[Vector],
    pinned: Callable[[bytes], bool],
    limit: int = FOLD_MAX,
) -> None:
    """
    Folds up to *limit* placements of operations that are stable; `tx.more` if there are more.

    *pins*: what was stable when each snapshot that is being read began. Nothing that became
    stable since is folded: the recipient may lack an operation that is concurrent with it, and
    that names what would not be in the snapshot any more. *pinned* placements are left too: a
    session still shows them.
    """
    stable = meet([tx.account().stable, *pins])
    # One more than can be done: each costs at least one.
    for found in tx.folds(stable, limit + 1):
        if limit <= 0:
            tx.more = True
            return
        limit -= _fold(tx, stable, found, pinned, limit)


def _fold(
    tx: Transaction, stable: Vector, found: Fold, pinned: Callable[[bytes], bool], limit: int
) -> int:
    """Goes on with one row of the queue; how many records were looked at."""
    at = (found.dot, found.bid)
    work = 1
    left: list[bytes] = []
    for pid in found.pids:
        if work > limit:
            tx.more = True
            left.append(pid)
        elif pinned(pid):
            left.append(pid)
        else:
            work += 1
            _fold_placement(tx, stable, pid)
    box = tx.get(BOX, found.bid) if found.bid >= 0 else None
    whole = box is not None and found.dot in box.effective
    walked = _walk_box(tx, stable, found, pinned, left, limit - work) if whole else 0
    work += walked
    if left or walked:
        staged = tx.edit(FOLD, at)
        staged.pids = tuple(left)
        tx.more = tx.more or walked > 0
    elif box is not None and not _fold_box(tx, box, found.dot):
        # A RENAME stays while a DELETE does that it may void.
        tx.edit(FOLD, at).row = PARKED
    else:
        tx.delete(FOLD, at)
        if not tx.folds_of(found.dot):
            tx.delete(CONTEXT, found.dot)
    return work


def _walk_box(
    tx: Transaction,
    stable: Vector,
    found: Fold,
    pinned: Callable[[bytes], bool],
    left: list[bytes],
    limit: int,
) -> int:
    """Folds a slice of a box that was deleted; how many placements it had, 0 at the end."""
    placements = tx.placements_in(found.bid, max(found.row, 0), max(limit, 1))
    for placement in placements:
        if pinned(placement.pid):
            left.append(placement.pid)
        else:
            _fold_placement(tx, stable, placement.pid)
    if placements:
        tx.edit(FOLD, (found.dot, found.bid)).row = placements[-1].row
    return len(placements)


def _fold_box(tx: Transaction, box: Box, dot: int) -> bool:
    """Folds a RENAME or DELETE of *box* away; false if that is for later."""
    if dot in box.rens:
        if box.dels:
            return False
        tx.edit(BOX, box.bid).rens = tuple(ren for ren in box.rens if ren != dot)
    elif dot in box.dels:
        staged = tx.edit(BOX, box.bid)
        if dot in box.effective:
            staged.tags = without(staged.tags, context_of(tx, dot))
            staged.effective = tuple(dele for dele in staged.effective if dele != dot)
        staged.dels = tuple(dele for dele in staged.dels if dele != dot)
        if not staged.dels:
            _unpark(tx, staged)
    _drop_dead_box(tx, box.bid)
    return True


def _unpark(tx: Transaction, box: Box) -> None:
    """The RENAMEs of *box* can be folded now."""
    for ren in box.rens:
        fold = tx.get(FOLD, (ren, box.bid))
        if fold is not None and fold.row == PARKED:
            tx.edit(FOLD, (ren, box.bid)).row = -1
            tx.more = True


def _drop_dead_box(tx: Transaction, bid: int) -> None:
    """Forgets a box that nobody can name any more. Its views stay: UIDs never mean another."""
    box = tx.get(BOX, bid)
    if box is None or bid == INBOX_BID or box.tags or box.dels or box.rens:
        return
    if not tx.placements_in(bid, 0, 1):
        tx.delete(BOX, bid)


def _fold_placement(tx: Transaction, stable: Vector, pid: bytes) -> None:
    """Drops what stable EXPUNGEs, MOVEs, DELETEs removed, and the placement if nothing is left."""
    placement = tx.get(PLACEMENT, pid)
    if placement is None:
        return
    box = tx.box(placement.box)
    rms = tuple(dot for dot in placement.rms if covers(stable, dot))
    dels = tuple(dot for dot in box.effective if covers(stable, dot))
    tags = placement.tags
    for dot in (*rms, *dels):
        tags = without(tags, context_of(tx, dot))
    moves = [dot for dots in placement.moved.values() for dot in dots]
    gone = bool(moves) and all(covers(stable, dot) for dot in moves)
    kept = tuple(dot for dot in placement.rms if dot not in rms)
    if gone or (not moves and not tags and not kept):
        _forget(tx, placement)
    elif tags != placement.tags or kept != placement.rms:
        staged = tx.edit(PLACEMENT, pid)
        staged.tags = tags
        staged.rms = kept


def _forget(tx: Transaction, placement: Placement) -> None:
    tx.delete(PLACEMENT, placement.pid)
    if tx.get(PENDING, placement.pid) is not None:
        tx.delete(PENDING, placement.pid)
    _drop_dead_box(tx, placement.box)


def prune(
    tx: Transaction,
    pins: Iterable[Vector],
    members: Iterable[int],
    before: int,
    limit: int = PRUNE_MAX,
) -> None:
    """
    Drops up to *limit* operations from the log: stable ones, *pins* as for `fold`, applied at a
    mod-sequence below *before* (a margin).

    What one of *members* lacks stays, also what was stable before it was added: it may have begun
    with the log, and who has operations takes no snapshot.
    """
    account = tx.account()
    stable = meet([account.stable, *pins, *acks(tx, members)])
    for slot in range(len(account.vv)):
        base = seq_of(account.base, slot)
        most = seq_of(stable, slot)
        at = base
        for logged in tx.log_after(slot, 0, limit):
            seq = logged.dot >> SLOT_BITS
            if seq > most or logged.msq >= before:
                break
            at = max(at, seq)
            limit -= 1
            tx.delete(LOG, logged.dot)
            if seq % KEPT_EVERY == 0:
                tx.keep_head(logged.dot, logged.head)
        if at > base:
            staged = tx.edit_account()
            staged.base = raised(staged.base, slot, at)
        if limit <= 0:
            tx.more = True
            return
