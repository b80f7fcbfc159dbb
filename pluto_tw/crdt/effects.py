# SPDX-License-Identifier: GPL-3.0-or-later
"""
What an operation does to the replicated fields.

All effects are joins: they take into account what is there already, so that an operation may be
applied to a state that holds a part of it (a snapshot that was read while it went on changing).
What clients see of it is decided afterwards, in `mailboxes.py` and `exposure.py`, from what the
effects leave in the transaction: placements touched, boxes and names concerned.
"""

from collections.abc import Callable
from typing import Any

from pluto_tw.crdt.dots import (
    EMPTY,
    SLOT_BITS,
    SLOT_MASK,
    Vector,
    covers,
    dots_of,
    make_dot,
    raised,
    without,
)
from pluto_tw.crdt.members import add_member, remove_member
from pluto_tw.crdt.ops import (
    Add,
    Annotate,
    Bn,
    Cl,
    Del,
    Ep,
    Exp,
    MemberAdd,
    MemberRemove,
    Mk,
    Mv,
    Op,
    Ren,
    Rv,
    St,
    Sub,
)
from pluto_tw.crdt.pids import birth_pid, moved_pid
from pluto_tw.crdt.predicates import context_of
from pluto_tw.crdt.records import (
    BOX,
    META,
    NOWHERE,
    PLACEMENT,
    SUBSCRIPTION,
    Box,
    Entries,
    Meta,
    Placement,
    Subscription,
    key_of,
)
from pluto_tw.crdt.rules import Rules
from pluto_tw.crdt.transaction import Transaction
from pluto_tw.mail.flags import DELETED


def take_effect(rules: Rules, tx: Transaction, op: Op) -> None:
    """Applies *op*; it is the next one of its origin. Raises `Missing` if it names what is not."""
    _EFFECTS[type(op.body)](rules, tx, op, op.body)


# Boxes.


def _mk(rules: Rules, tx: Transaction, op: Op, body: Mk) -> None:
    if tx.get(BOX, op.dot) is None:
        tx.put(BOX, op.dot, Box(op.dot, body.name, (op.hlc, op.dot), body.v, use=body.use))
    box = _tag(tx, op.dot, op.dot)
    box.v = max(box.v, body.v)
    _saw_validity(tx, body.v)
    tx.boxes[op.dot] = None
    tx.names[box.name] = None


def _rv(rules: Rules, tx: Transaction, op: Op, body: Rv) -> None:
    box = tx.box(body.bid)
    _saw_validity(tx, body.v)
    # A UIDVALIDITY given while UIDs began again elsewhere is for the old UIDs: it does not count.
    found = (body.v if body.restart else body.gen, body.v)
    if found > (box.gen, box.v):
        box = tx.edit(BOX, body.bid)
        box.gen, box.v = found
        tx.boxes[body.bid] = None
        tx.names[box.name] = None


def _ren(rules: Rules, tx: Transaction, op: Op, body: Ren) -> None:
    tx.keep_context(op.dot, op.vector)
    for bid, name in body.names:
        box = _tag(tx, bid, op.dot)
        tx.names[box.name] = None
        if (op.hlc, op.dot) > box.named:
            box.name = name
            box.named = (op.hlc, op.dot)
        if op.dot not in box.rens:
            box.rens = (*box.rens, op.dot)
        tx.names[box.name] = None
        tx.fold_later(op.dot, bid, None)
        touch_box(rules, tx, bid)
        # A client that keeps its cache by MAILBOXID over a RENAME may meet the others under it.
        for other in tx.boxes_named(name):
            if other != bid:
                touch_box(rules, tx, other)


def _del(rules: Rules, tx: Transaction, op: Op, body: Del) -> None:
    tx.keep_context(op.dot, op.vector)
    for bid in body.bids:
        box = tx.edit(BOX, bid)
        if op.dot not in box.dels:
            box.dels = (*box.dels, op.dot)
        tx.names[box.name] = None
        tx.fold_later(op.dot, bid, None)
        touch_box(rules, tx, bid)


def touch_box(rules: Rules, tx: Transaction, bid: int) -> None:
    """A RENAME or DELETE touched the box, and so all its placements at once."""
    tx.boxes[bid] = None
    if rules.touches_box(tx.box(bid)):
        tx.edit(BOX, bid).bmsq = tx.m


def _tag(tx: Transaction, bid: int, dot: int) -> Box:
    """Interest in the box, which may come to life by it; the box to change."""
    box = tx.edit(BOX, bid)
    box.tags = raised(box.tags, dot & SLOT_MASK, dot >> SLOT_BITS)
    if box.home == NOWHERE:
        tx.boxes[bid] = None
        tx.names[box.name] = None
    return box


def tag_box(tx: Transaction, bid: int, tags: Vector) -> None:
    """The interest *tags* in the box, if that is more than it has."""
    for slot, seq in enumerate(tags):
        if seq and not covers(tx.box(bid).tags, make_dot(slot, seq)):
            _tag(tx, bid, make_dot(slot, seq))


def _saw_validity(tx: Transaction, v: int) -> None:
    if v > tx.account().maxv:
        tx.edit_account().maxv = v


# Messages.


def _add(rules: Rules, tx: Transaction, op: Op, body: Add) -> None:
    dot = op.dot
    key = max(_tag(tx, body.bid, dot).home, 0)
    tags = raised(EMPTY, dot & SLOT_MASK, dot >> SLOT_BITS)
    for index, message in enumerate(body.messages):
        pid = birth_pid(dot, index)
        if tx.get(PLACEMENT, pid) is None:
            entries: Entries = dict.fromkeys(message.flags, (dot << 1 | 1,))
            tx.create(
                Placement(
                    pid,
                    body.bid,
                    message.email or pid,
                    message.blob,
                    message.size,
                    message.date,
                    message.zone,
                    (op.hlc, dot, index),
                    tags,
                    entries=entries,
                    key=key,
                )
            )
            tx.touched[pid] = None
        else:
            placement = tx.touch(pid)
            join_tags(placement, tags)
            for flag in message.flags:
                placement.entries = written(tx, placement.entries, flag, dot, True, op.vector)


def _exp(rules: Rules, tx: Transaction, op: Op, body: Exp) -> None:
    tx.keep_context(op.dot, op.vector)

    def remove(placement: Placement) -> None:
        _remove(tx, placement, op.dot)
        # What outlives it, because somebody wants it, is not marked for the next EXPUNGE.
        entries = placement.entries
        placement.entries = written(tx, entries, DELETED, op.dot, False, op.vector)

    for pid in body.pids:
        _tag(tx, tx.placement(pid).box, op.dot)
        _reach(tx, op, pid, remove)


def _remove(tx: Transaction, placement: Placement, dot: int) -> None:
    if dot not in placement.rms:
        placement.rms = (*placement.rms, dot)
    tx.fold_later(dot, placement.box, placement.pid)


def _st(rules: Rules, tx: Transaction, op: Op, body: St) -> None:
    tx.keep_context(op.dot, op.vector)
    tx.fold_later(op.dot, -1, None)
    dot = op.dot
    tags = raised(EMPTY, dot & SLOT_MASK, dot >> SLOT_BITS)
    for change in body.changes:
        flag, value = change.flag, change.value

        def store(
            placement: Placement, flag: str = flag, value: bool = value, keep: bool = body.keep
        ) -> None:
            placement.entries = written(tx, placement.entries, flag, dot, value, op.vector)
            if keep:
                join_tags(placement, tags)
                if rules.tags_target_box():
                    tag_box(tx, placement.box, tags)

        for pid in change.pids:
            _tag(tx, tx.placement(pid).box, dot)
            _reach(tx, op, pid, store)


def _reach(tx: Transaction, op: Op, pid: bytes, change: Callable[[Placement], None]) -> None:
    """
    Applies *change* to the placement *pid* and, along each MOVE that is concurrent with *op*, to
    where it went. A target that is missing was folded, and its MOVE is stable: it is skipped.

    What is reached without being named is noted in the queue of what is to be folded: a DELETE
    that had not seen *op* looks there for what outlives it, when the source may be folded.
    """
    # A list and no recursion: a message may have been moved on a thousand times.
    left = [pid]
    while left:
        placement = tx.touch(left.pop())
        change(placement)
        for target, moves in placement.moved.items():
            if tx.get(PLACEMENT, target) is not None and any(
                not covers(op.vector, move) and not covers(context_of(tx, move), op.dot)
                for move in moves
            ):
                tx.fold_later(op.dot, tx.placement(target).box, target)
                left.append(target)


def _mv(rules: Rules, tx: Transaction, op: Op, body: Mv) -> None:
    dot = op.dot
    tx.keep_context(dot, op.vector)
    tags = raised(EMPTY, dot & SLOT_MASK, dot >> SLOT_BITS)
    key = max(_tag(tx, body.bid, dot).home, 0)
    for index, (pid, flags) in enumerate(zip(body.pids, body.flags, strict=True)):
        source = tx.touch(pid)
        _tag(tx, source.box, dot)
        target = moved_pid(pid, body.bid)
        moves = source.moved.get(target, ())
        if dot not in moves:
            source.moved = {**source.moved, target: (*moves, dot)}
        tx.fold_later(dot, source.box, pid)
        order = (op.hlc, dot, index)
        if tx.get(PLACEMENT, target) is None:
            tx.create(
                Placement(
                    target,
                    body.bid,
                    source.email,
                    source.blob,
                    source.size,
                    source.date,
                    source.zone,
                    order,
                    key=key,
                )
            )
        placement = tx.touch(target)
        placement.order = min(placement.order, order)
        join_tags(placement, tags)
        for flag in flags:
            placement.entries = written(tx, placement.entries, flag, dot, True, op.vector)
        _forward(rules, tx, source, target, op.vector)
        # The target may have been moved on by one that had not seen this MOVE.
        forward_all(rules, tx, placement)


def _forward(
    rules: Rules, tx: Transaction, source: Placement, target: bytes, context: Vector
) -> bool:
    """
    Joins into *target* all of *source* that a MOVE with *context* had not seen; whether there was
    anything, so that it has to go on from there.

    What is stable is where it belongs already; taken again, it could come back from where it was
    superseded and the proof of that is folded.
    """
    if tx.get(PLACEMENT, target) is None:
        return False
    stable = tx.account().stable
    tags = without(without(source.tags, context), stable)
    rms = [dot for dot in source.rms if not covers(context, dot) and not covers(stable, dot)]
    writes = [
        (flag, value >> 1, bool(value & 1))
        for flag, values in source.entries.items()
        for value in values
        if not covers(context, value >> 1) and not covers(stable, value >> 1)
    ]
    if not tags and not rms and not writes:
        return False
    placement = tx.touch(target)
    join_tags(placement, tags)
    for dot in dots_of(tags):
        # As in `_reach`.
        tx.fold_later(dot, placement.box, target)
    if rules.tags_target_box():
        tag_box(tx, placement.box, tags)
    for dot in rms:
        _remove(tx, placement, dot)
    for flag, dot, value in writes:
        placement.entries = written(tx, placement.entries, flag, dot, value, context_of(tx, dot))
    return True


def forward_all(rules: Rules, tx: Transaction, source: Placement) -> None:
    """Forwards what *source* has along each of its MOVEs, and from there on."""
    left = [source.pid]
    while left:
        placement = tx.placement(left.pop())
        for target, moves in placement.moved.items():
            # Each MOVE is asked, also when one before had something to forward.
            news = [_forward(rules, tx, placement, target, context_of(tx, m)) for m in moves]
            if any(news):
                left.append(target)


def join_tags(placement: Placement, tags: Vector) -> None:
    """Adds interest."""
    for slot, seq in enumerate(tags):
        if seq:
            placement.tags = raised(placement.tags, slot, seq)


def written(
    tx: Transaction, entries: Entries, flag: str, dot: int, value: bool, context: Vector
) -> Entries:
    """
    *entries* after the operation *dot* wrote *value* to *flag*, having seen *context*.

    It supersedes what it had seen, in any spelling of the flag; it is dropped if an entry that is
    there had seen it.
    """
    entry = dot << 1 | value
    if not entries:
        return {flag: (entry,)}
    identity = flag.lower()
    changed = dict(entries)
    for spelling, values in entries.items():
        if spelling.lower() != identity:
            continue
        for present in values:
            if present >> 1 != dot and covers(context_of(tx, present >> 1), dot):
                return entries
        kept = tuple(
            present
            for present in values
            if present >> 1 != dot and not covers(context, present >> 1)
        )
        if kept:
            changed[spelling] = kept
        else:
            del changed[spelling]
    changed[flag] = tuple(sorted((*changed.get(flag, ()), entry)))
    return changed


# UIDs.


def _cl(rules: Rules, tx: Transaction, op: Op, body: Cl) -> None:
    key = key_of(body.bid, body.gen)
    epoch = body.epoch << 32
    for pid, uid in zip(body.pids, body.uids, strict=True):
        join_claim(tx.touch(pid), key, epoch | uid, False)
    view = tx.edit_view(key)
    view.maxuid = max(view.maxuid, *body.uids)


def _bn(rules: Rules, tx: Transaction, op: Op, body: Bn) -> None:
    key = key_of(body.bid, body.gen)
    for pid, claim in zip(body.pids, body.claims, strict=True):
        join_claim(tx.touch(pid), key, claim, True)
    view = tx.edit_view(key)
    view.maxuid = max(view.maxuid, body.unext - 1)


def join_claim(placement: Placement, key: int, claim: int, bounced: bool) -> None:
    """
    The highest claim under a key wins; a bounce counts for the claim that it names.

    As an integer, `claim << 1 | bounced`, the highest is both.
    """
    value = claim << 1 | bounced
    if placement.key == key:
        if value > (placement.claim << 1 | placement.bounced):
            placement.claim = claim
            placement.bounced = bounced
    elif value > placement.other.get(key, 0):
        placement.other = {**placement.other, key: value}


# The account.


def _sub(rules: Rules, tx: Transaction, op: Op, body: Sub) -> None:
    tx.keep_context(op.dot, op.vector)
    tx.fold_later(op.dot, -1, None)
    found = tx.get(SUBSCRIPTION, body.name)
    values = () if found is None else found.entries
    entries = written(tx, {"": values} if values else {}, "", op.dot, body.value, op.vector)
    tx.put(SUBSCRIPTION, body.name, Subscription(body.name, entries[""]))


def _annotate(rules: Rules, tx: Transaction, op: Op, body: Annotate) -> None:
    at = (body.bid, body.entry)
    found = tx.get(META, at)
    if found is None or (op.hlc, op.dot) > found.written:
        tx.put(META, at, Meta(body.bid, body.entry, body.value, (op.hlc, op.dot)))


def _ep(rules: Rules, tx: Transaction, op: Op, body: Ep) -> None:
    if body.sequencer > tx.account().sequencer:
        tx.edit_account().sequencer = body.sequencer


def _member_add(rules: Rules, tx: Transaction, op: Op, body: MemberAdd) -> None:
    add_member(tx, op.dot, body)


def _member_remove(rules: Rules, tx: Transaction, op: Op, body: MemberRemove) -> None:
    remove_member(tx, op.dot, body)


_EFFECTS: dict[type, Callable[[Rules, Transaction, Op, Any], None]] = {
    Mk: _mk,
    Rv: _rv,
    Ren: _ren,
    Del: _del,
    Add: _add,
    Exp: _exp,
    Mv: _mv,
    St: _st,
    Cl: _cl,
    Bn: _bn,
    Sub: _sub,
    Annotate: _annotate,
    Ep: _ep,
    MemberAdd: _member_add,
    MemberRemove: _member_remove,
}
