# SPDX-License-Identifier: GPL-3.0-or-later
"""
Takes a snapshot in: joins the state of another replica, record by record, into one's own.

Into an account that was just provisioned the pieces are joined in transactions of their own, behind
a shut gate. Into a replica that serves all are joined in one transaction, never slice by slice: it
would make operations on messages that others do not have yet.
"""

import msgspec

from pluto_tw.crdt.chain import raised_heads
from pluto_tw.crdt.codec import decode_op
from pluto_tw.crdt.dots import (
    EMPTY,
    SEQ_MAX,
    SLOT_BITS,
    SLOT_MASK,
    Vector,
    covers,
    dots_of,
    is_below,
    joined,
    seq_of,
    without,
)
from pluto_tw.crdt.effects import (
    forward_all,
    join_claim,
    join_tags,
    tag_box,
    touch_box,
    written,
)
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
    WALKED,
    Box,
    Logged,
    Member,
    Placement,
    Subscription,
    key_of,
)
from pluto_tw.crdt.rules import Rules
from pluto_tw.crdt.snapshot import BoxPart, Header, Piece, PlacementPart, Trailer
from pluto_tw.crdt.transaction import Transaction

#: The gate of a replica that does not know yet how far it has to come: no vector reaches it.
LOADING: Vector = (SEQ_MAX,)


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


def _folded(tx: Transaction) -> Vector:
    """
    What is absent here, and whose dot this vector covers, was folded here and is not joined again.

    That is what is stable here; while a snapshot is loaded into empty state, nothing.
    """
    account = tx.account()
    return EMPTY if account.gate is not None else account.stable


def _join_box(rules: Rules, tx: Transaction, part: BoxPart) -> None:
    folded = _folded(tx)
    if tx.get(BOX, part.bid) is None:
        if part.bid != INBOX_BID and covers(folded, part.bid):
            return
        tx.put(
            BOX,
            part.bid,
            Box(part.bid, part.name, part.named, part.v, part.gen, part.use),
        )
        tx.boxes[part.bid] = None
    before = tx.box(part.bid)
    tag_box(tx, part.bid, without(part.tags, folded))
    rens = [dot for dot in part.rens if dot not in before.rens and not covers(folded, dot)]
    dels = [dot for dot in part.dels if dot not in before.dels and not covers(folded, dot)]
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
    if (part.gen, part.v) > (before.gen, before.v):
        box = tx.edit(BOX, part.bid)
        box.gen, box.v = part.gen, part.v
        tx.boxes[part.bid] = None
        tx.names[box.name] = None
    view = tx.edit_view(key_of(part.bid, part.gen))
    view.maxuid = max(view.maxuid, part.maxuid)


def _join_placement(tx: Transaction, part: PlacementPart) -> None:
    found = tx.get(PLACEMENT, part.pid)
    folded = _folded(tx)
    if found is None and (
        covers(folded, part.order[1])
        or any(covers(folded, dot) for moves in part.moved.values() for dot in moves)
    ):
        # It was here, and was folded as a whole. What is not folded of it is where it was moved to.
        return
    part = _unfolded(part, folded)
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


def _unfolded(part: PlacementPart, folded: Vector) -> PlacementPart:
    """*part* without what was folded here, if it ever was here."""
    if not folded:
        return part
    moved = {
        target: left
        for target, moves in part.moved.items()
        if (left := tuple(dot for dot in moves if not covers(folded, dot)))
    }
    entries = {
        flag: left
        for flag, writes in part.entries.items()
        if (left := tuple(entry for entry in writes if not covers(folded, entry >> 1)))
    }
    return msgspec.structs.replace(
        part,
        tags=without(part.tags, folded),
        rms=tuple(dot for dot in part.rms if not covers(folded, dot)),
        moved=moved,
        entries=entries,
    )


def _holds(tx: Transaction, found: Placement, part: PlacementPart) -> bool:
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


def _new_writes(found: Placement, part: PlacementPart) -> list[tuple[str, int, bool]]:
    return [
        (flag, entry >> 1, bool(entry & 1))
        for flag, entries in part.entries.items()
        for entry in entries
        if entry not in found.entries.get(flag, ())
    ]


def _join_subscription(tx: Transaction, part: Subscription) -> None:
    found = tx.get(SUBSCRIPTION, part.name)
    values = () if found is None else found.entries
    folded = _folded(tx)
    for entry in part.entries:
        if entry not in values and not covers(folded, entry >> 1):
            dot = entry >> 1
            before = {"": values} if values else {}
            values = written(tx, before, "", dot, bool(entry & 1), context_of(tx, dot))[""]
    if found is None or values != found.entries:
        tx.put(SUBSCRIPTION, part.name, Subscription(part.name, values))


def _join_member(tx: Transaction, part: Member) -> None:
    found = tx.get(MEMBER, part.slot)
    if found is None or part.added < found.added:
        tx.put(MEMBER, part.slot, part)
    elif part.added == found.added and (part.state, part.removed) != (
        found.state,
        found.removed,
    ):
        removed = [dot for dot in (part.removed, found.removed) if dot]
        member = tx.edit(MEMBER, part.slot)
        member.state = max(part.state, found.state)
        member.removed = min(removed, default=0)
