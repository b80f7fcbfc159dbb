# SPDX-License-Identifier: GPL-3.0-or-later
"""
Which boxes make up which mailbox.

All living boxes of one name are one mailbox to clients; the one with the highest UIDVALIDITY is its
primary, and gives it MAILBOXID, UIDVALIDITY and the key of its UIDs. Every box records, in `home`,
the key of the mailbox that it is shown in; so what changed is seen by looking at the boxes of the
names concerned, and nothing else. A box that leaves a mailbox vanishes there at once, by a new
`era`; one that joins is walked in slices.
"""

from collections.abc import Iterator

from pluto_tw.crdt.codec import decode_op
from pluto_tw.crdt.dots import SLOT_BITS, seq_of
from pluto_tw.crdt.log import emit
from pluto_tw.crdt.ops import Add, Mv, Rv, pids_of
from pluto_tw.crdt.pids import birth_pid, moved_pid
from pluto_tw.crdt.predicates import (
    context_of,
    effective_dels,
    is_alive,
    is_exposed,
    is_visible,
)
from pluto_tw.crdt.records import (
    BOX,
    FLOOR,
    INBOX_BID,
    NOWHERE,
    PENDING,
    PLACEMENT,
    WALKED,
    Box,
    Floor,
    Placement,
    Records,
    key_of,
)
from pluto_tw.crdt.rules import Rules
from pluto_tw.crdt.transaction import Transaction
from pluto_tw.mail.changes import Ended, Vanished
from pluto_tw.mail.sets import NumberSet
from pluto_tw.mail.uids import ModSeq

#: Records that one range read asks for.
SLICE = 256


def group(records: Records, name: str) -> list[Box]:
    """The living boxes of *name*, the primary first; empty if there is no such mailbox."""
    boxes = []
    for bid in records.boxes_named(name):
        box = records.get(BOX, bid)
        assert box is not None
        if is_alive(records, box, box.effective):
            boxes.append(box)
    if len(boxes) > 1:
        boxes.sort(key=lambda box: (box.bid == INBOX_BID, box.v, box.bid), reverse=True)
    return boxes


def regroup(rules: Rules, tx: Transaction) -> None:
    """Brings `effective`, `home` and the floors of names up to date with what effects changed."""
    # `_concurrent` looks for them.
    tx.stage_folds()
    while tx.boxes or tx.names:
        boxes, names = list(tx.boxes), list(tx.names)
        tx.boxes.clear()
        tx.names.clear()
        for bid in boxes:
            if tx.get(BOX, bid) is not None:
                _weigh(rules, tx, bid)
                names.append(tx.box(bid).name)
        for name in dict.fromkeys(names):
            found = group(tx, name)
            if found:
                _hold_floor(rules, tx, name, found[0])
            home = key_of(found[0].bid, tx.box(found[0].bid).gen) if found else NOWHERE
            alive = {box.bid for box in found}
            for bid in tx.boxes_named(name):
                _settle_in(tx, bid, home if bid in alive else NOWHERE)
            if found:
                tx.keys[home] = None
    _end_sessions(tx)


def _weigh(rules: Rules, tx: Transaction, bid: int) -> None:
    """Finds out anew which DELETEs of a box are effective."""
    box = tx.box(bid)
    effective = effective_dels(rules, tx, box)
    if effective == box.effective:
        return
    gained = [dot for dot in effective if dot not in box.effective]
    lost = [dot for dot in box.effective if dot not in effective]
    uids = tx.exposed(box.home, bid)
    before = box
    box = tx.edit(BOX, bid)
    old_era, home = before.era, before.home
    box.effective = effective
    if gained:
        box.era = old_era + 1
        kept = []
        for placement in _concurrent(tx, bid, gained[0]):
            if (
                placement.uid
                and placement.era == old_era
                and placement.key == home
                and is_visible(tx, placement, box)
            ):
                tx.edit(PLACEMENT, placement.pid).era = box.era
                kept.append(placement.uid)
        _vanish(tx, home, uids - NumberSet.of(kept))
        _recheck(tx, bid)
    if lost:
        # All that the DELETE covered is there again.
        box.walk = 0


def _concurrent(tx: Transaction, bid: int, dele: int) -> Iterator[Placement]:
    """
    The placements of box *bid* that an operation reached which the DELETE *dele* had not seen.

    No others can outlive it. All such operations are in the log, and what they reached without
    naming it is still to be folded: none of them is stable before the origin of *dele* has
    acknowledged it, and that counts only once *dele* is here.
    """
    seen = context_of(tx, dele)
    pids: dict[bytes, None] = {}
    for slot in range(len(tx.account().vv)):
        seq = seq_of(seen, slot)
        while found := tx.log_after(slot, seq, SLICE):
            seq = found[-1].dot >> SLOT_BITS
            for logged in found:
                if logged.dot == dele:
                    continue
                for fold in tx.folds_of(logged.dot):
                    pids.update(dict.fromkeys(fold.pids))
                op = decode_op(logged.data)
                pids.update(dict.fromkeys(pids_of(op.body)))
                if isinstance(op.body, Add) and op.body.bid == bid:
                    for index in range(len(op.body.messages)):
                        pids[birth_pid(op.dot, index)] = None
                elif isinstance(op.body, Mv) and op.body.bid == bid:
                    for pid in op.body.pids:
                        pids[moved_pid(pid, bid)] = None
    for pid in pids:
        placement = tx.get(PLACEMENT, pid)
        if placement is not None and placement.box == bid:
            yield placement


def _settle_in(tx: Transaction, bid: int, home: int) -> None:
    """Lets a box leave the mailbox that it is shown in, and join *home*."""
    box = tx.box(bid)
    if box.home == home:
        return
    old = box.home
    if old != NOWHERE:
        _vanish(tx, old, tx.exposed(old, bid))
    box = tx.edit(BOX, bid)
    box.era += 1
    box.home = home
    box.walk = WALKED if home == NOWHERE else 0
    if home == NOWHERE:
        _recheck(tx, bid)


def _vanish(tx: Transaction, key: int, uids: NumberSet) -> None:
    if key == NOWHERE:
        return
    tx.keys[key] = None
    if uids:
        tx.tell(key, Vanished(ModSeq(tx.m), uids))


def _recheck(tx: Transaction, bid: int) -> None:
    """Outstanding placements of the box may be outstanding no longer."""
    row = 0
    while found := tx.pending_in(bid, row, SLICE):
        row = found[-1].row
        for pending in found:
            tx.recheck[pending.pid] = None


def _hold_floor(rules: Rules, tx: Transaction, name: str, primary: Box) -> None:
    """Sees to it that a name never shows a lower UIDVALIDITY than it did here before."""
    floor = tx.get(FLOOR, name)
    if floor is not None and rules.is_below_floor(primary.v, floor.v):
        v = rules.fresh_validity(tx.account(), tx.unix_seconds, tx.slot)
        emit(rules, tx, Rv(primary.bid, v, gen=tx.box(primary.bid).gen))
    v = tx.box(primary.bid).v
    if floor is None or v > floor.v:
        tx.put(FLOOR, name, Floor(name, v))
    if v > tx.account().maxv:
        tx.edit_account().maxv = v


def _end_sessions(tx: Transaction) -> None:
    """Tells sessions whose mailbox is another one now, once and before anything else."""
    for bid, box in tx.staged(BOX).items():
        before = tx.below.get(BOX, bid)
        if before is None or before.home != key_of(bid, before.gen):
            continue
        changed = box is None or box.home != before.home or box.v != before.v
        told = tx.changes.setdefault(before.home, [])
        if changed and not any(isinstance(change, Ended) for change in told):
            told.insert(0, Ended("mailbox changed, log in again"))
        elif not told:
            del tx.changes[before.home]


def drop_pending(tx: Transaction, pid: bytes) -> None:
    """The placement is outstanding no longer."""
    if tx.get(PENDING, pid) is not None:
        tx.delete(PENDING, pid)


def exposed_in(records: Records, box: Box) -> Iterator[Placement]:
    """The placements of *box* that clients see, in the order of their rows."""
    row = 0
    while found := records.placements_in(box.bid, row, SLICE):
        row = found[-1].row
        for placement in found:
            if is_exposed(placement, box):
                yield placement
