# SPDX-License-Identifier: GPL-3.0-or-later
"""
Which UIDs clients see: claims, bounces, exposure.

Decides for a work set: the placements that the transaction touched, those outstanding, and a slice
of each box that joined a mailbox. For all others nothing can have changed, since what a mailbox has
exposed only grows. Between events holds:

- UIDs are exposed in ascending order, and a UID that vanished is never exposed again.
- A visible placement in a mailbox is either settled or has a `Pending` record, or lies in the part
  of its box that is still to be walked.
- What cannot be shown under its claim has been bounced, by an operation that all will get.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from pluto_tw.crdt.log import emit
from pluto_tw.crdt.mailboxes import drop_pending
from pluto_tw.crdt.ops import MESSAGES_MAX, Bn, Cl, Rv
from pluto_tw.crdt.predicates import flags_of, is_exposed, is_settled, is_visible
from pluto_tw.crdt.records import (
    BOX,
    NOWHERE,
    PENDING,
    PLACEMENT,
    VIEW,
    WALKED,
    Pending,
    Placement,
    View,
)
from pluto_tw.crdt.rules import Rules
from pluto_tw.crdt.transaction import Transaction
from pluto_tw.mail.changes import Exposed, Touched, Vanished
from pluto_tw.mail.sets import NumberSet
from pluto_tw.mail.uids import UID_MAX, ModSeq

#: Placements walked, and outstanding ones looked at, in one transaction at most: some 50 ms of
#: work. The rest stays outstanding for the next one. What the transaction touches is not counted.
WORK_MAX = 1000


@dataclass(slots=True)
class Situation:
    """What the rules of UIDs need to know beside the records."""

    #: This replica is the sequencer.
    holder: bool = False
    #: It knows of operations that it lacks, and leaves claims alone until they are here.
    deferring: bool = False
    #: Its own messages get provisional claims at once, instead of waiting for the sequencer's.
    impatient: bool = False
    #: Placements whose wait has ended.
    expired: frozenset[bytes] = frozenset()
    #: A snapshot is complete, and no client has seen anything yet: no order needs to be kept, and
    #: no operation may be made.
    opening: bool = False
    #: Whether to go on with boxes that are being walked.
    walk: bool = False


@dataclass(slots=True)
class _Mailbox:
    """The work set in one mailbox, and what comes of it."""

    placements: dict[bytes, None] = field(default_factory=dict)
    vanished: list[int] = field(default_factory=list)
    exposed: list[int] = field(default_factory=list)
    touched: list[int] = field(default_factory=list)
    reflagged: list[int] = field(default_factory=list)


def restart_uids(rules: Rules, tx: Transaction) -> None:
    """
    Lets a mailbox's UIDs begin again at 1, under a new UIDVALIDITY, when they run out.

    Done by the sequencer, for mailboxes that the transaction touches, before boxes are grouped.
    """
    keys = {tx.box(tx.placement(pid).box).home for pid in tx.touched}
    for key in sorted(keys):
        if key != NOWHERE and _view(tx, key).maxuid >= rules.uid_restart:
            v = rules.fresh_validity(tx.account(), tx.unix_seconds, tx.slot)
            emit(rules, tx, Rv(key >> 32, v, restart=True))


def show(rules: Rules, tx: Transaction, situation: Situation) -> None:
    """Gives claims and bounces as this replica has to, and exposes what can be."""
    mailboxes: dict[int, _Mailbox] = {}
    for pid in _work(tx, situation):
        _sort_in(tx, mailboxes, pid)
    for key, mailbox in mailboxes.items():
        if mailbox.placements:
            if not situation.opening:
                _claim(rules, tx, situation, key, mailbox)
            _expose(rules, tx, situation, key, mailbox)
            for pid in mailbox.placements:
                _note_pending(tx, pid)
    _stamp(rules, tx, mailboxes)
    for key, mailbox in mailboxes.items():
        _tell(tx, key, mailbox)


def _work(tx: Transaction, situation: Situation) -> Iterable[bytes]:
    work = {**tx.touched, **tx.recheck, **dict.fromkeys(situation.expired)}
    tx.recheck.clear()
    left = WORK_MAX
    for bid in tx.walking(WORK_MAX):
        box = tx.box(bid)
        if not situation.walk and tx.get(BOX, bid) is tx.below.get(BOX, bid):
            continue
        if left <= 0:
            tx.more = True
            break
        walked = tx.placements_in(bid, box.walk, left)
        work.update(dict.fromkeys(placement.pid for placement in walked))
        tx.edit(BOX, bid).walk = walked[-1].row if len(walked) == left else WALKED
        tx.more = tx.more or len(walked) == left
        left -= len(walked)
    if situation.holder and not situation.deferring:
        found = tx.pending(0, WORK_MAX)
        work.update(dict.fromkeys(pending.pid for pending in found))
        tx.more = tx.more or len(found) == WORK_MAX
    return work


def _sort_in(tx: Transaction, mailboxes: dict[int, _Mailbox], pid: bytes) -> None:
    """Puts a visible placement into its mailbox's work set; lets another vanish."""
    placement = tx.get(PLACEMENT, pid)
    if placement is None:
        return
    box = tx.box(placement.box)
    if box.home != NOWHERE:
        mailbox = mailboxes.get(box.home)
        if mailbox is None:
            mailbox = mailboxes[box.home] = _Mailbox()
        if is_visible(tx, placement, box):
            mailbox.placements[pid] = None
            if placement.key != box.home:
                _rekey(tx.edit(PLACEMENT, pid), box.home)
            elif placement.uid and placement.era != box.era:
                tx.edit(PLACEMENT, pid).uid = 0
            return
        if is_exposed(placement, box):
            mailbox.vanished.append(placement.uid)
    if placement.uid:
        tx.edit(PLACEMENT, pid).uid = 0
    drop_pending(tx, pid)


def _rekey(placement: Placement, key: int) -> None:
    """The placement's box joined another mailbox: other claims count."""
    other = dict(placement.other)
    if placement.claim:
        other[placement.key] = placement.claim << 1 | placement.bounced
    value = other.pop(key, 0)
    placement.other = other
    placement.key = key
    placement.claim = value >> 1
    placement.bounced = bool(value & 1)
    placement.uid = 0


def _claim(
    rules: Rules, tx: Transaction, situation: Situation, key: int, mailbox: _Mailbox
) -> None:
    if situation.holder:
        _sequence(rules, tx, situation, key, mailbox)
        return
    mine = tx.mine
    unclaimed = []
    for pid in mailbox.placements:
        placement = tx.placement(pid)
        if placement.claim == 0:
            if pid in situation.expired or (pid in mine and situation.impatient):
                unclaimed.append(placement)
            elif pid in mine:
                tx.waits.append(pid)
    if unclaimed:
        unclaimed.sort(key=lambda placement: placement.order)
        _emit_claims(tx, rules, key, 0, [], unclaimed)


def _sequence(
    rules: Rules, tx: Transaction, situation: Situation, key: int, mailbox: _Mailbox
) -> None:
    """
    What the sequencer does: adopts provisional claims that it can show, and gives fresh UIDs to
    what has no claim, is bounced, or is late here.
    """
    unext = _view(tx, key).unext
    adopted: list[Placement] = []
    fresh: list[Placement] = []
    for pid in mailbox.placements:
        placement = tx.placement(pid)
        claim = placement.claim
        uid = claim & UID_MAX
        late = uid < unext and placement.uid != uid
        if claim == 0:
            fresh.append(placement)
        elif placement.bounced or late:
            if not situation.deferring and (placement.bounced or rules.reclaims_late()):
                fresh.append(placement)
        elif claim >> 32 == 0:
            adopted.append(placement)
    if not adopted and not fresh:
        return
    adopted.sort(key=lambda placement: placement.claim)
    fresh.sort(key=lambda placement: placement.order)
    _emit_claims(tx, rules, key, tx.account().sequencer, adopted, fresh)


def _emit_claims(
    tx: Transaction,
    rules: Rules,
    key: int,
    epoch: int,
    adopted: list[Placement],
    fresh: list[Placement],
) -> None:
    """Claims for *adopted* as they are, ascending, then new UIDs above all for *fresh*."""
    view = _view(tx, key)
    pids = [placement.pid for placement in adopted]
    uids = [placement.claim & UID_MAX for placement in adopted]
    above = uids[-1] if uids else 0
    for placement in fresh:
        above = rules.allocate(view, above, tx.slot)
        pids.append(placement.pid)
        uids.append(above)
    bid, gen = key >> 32, key & UID_MAX
    for at in range(0, len(pids), MESSAGES_MAX):
        end = at + MESSAGES_MAX
        emit(rules, tx, Cl(bid, gen, epoch, tuple(pids[at:end]), tuple(uids[at:end])))


def _expose(
    rules: Rules, tx: Transaction, situation: Situation, key: int, mailbox: _Mailbox
) -> None:
    ready = []
    for pid in mailbox.placements:
        placement = tx.placement(pid)
        claim = placement.claim
        if claim and placement.uid != claim & UID_MAX and _may_show(rules, tx, placement):
            ready.append(placement)
    if not ready:
        return
    view = tx.edit_view(key)
    late: list[Placement] = []
    for found in sorted(ready, key=lambda placement: placement.claim & UID_MAX):
        uid = found.claim & UID_MAX
        if situation.opening:
            if found.bounced:
                continue
        elif uid < view.unext:
            if not found.bounced and rules.bounces_late(situation.holder):
                late.append(found)
            continue
        placement = tx.edit(PLACEMENT, found.pid)
        if placement.uid:
            mailbox.vanished.append(placement.uid)
        placement.uid = uid
        placement.era = tx.box(placement.box).era
        placement.msq = tx.m
        mailbox.exposed.append(uid)
        view.unext = max(view.unext, uid + 1)
    bid, gen = key >> 32, key & UID_MAX
    for at in range(0, len(late), MESSAGES_MAX):
        some = late[at : at + MESSAGES_MAX]
        emit(
            rules,
            tx,
            Bn(bid, gen, view.unext, tuple(p.pid for p in some), tuple(p.claim for p in some)),
        )


def _may_show(rules: Rules, tx: Transaction, placement: Placement) -> bool:
    """
    A sequenced claim may be shown; a provisional one by who made it, and where the message is
    shown already. Others hold it back until it is sequenced, as it may change then.
    """
    claim = placement.claim
    return (
        claim >> 32 != 0 or placement.uid != 0 or rules.shows_provisional(claim & UID_MAX, tx.slot)
    )


def _note_pending(tx: Transaction, pid: bytes) -> None:
    placement = tx.placement(pid)
    if is_settled(placement):
        drop_pending(tx, pid)
    elif tx.get(PENDING, pid) is None:
        tx.put(PENDING, pid, Pending(pid, placement.box, placement.row))


def _stamp(rules: Rules, tx: Transaction, mailboxes: dict[int, _Mailbox]) -> None:
    """Raises the mod-sequence of what operations touched, and finds out what to tell of it."""
    below = tx.below
    for pid in tx.touched:
        placement = tx.edit(PLACEMENT, pid)
        before = below.get(PLACEMENT, pid)
        if rules.bumps(before, placement):
            placement.msq = tx.m
        box = tx.box(placement.box)
        if box.home == NOWHERE:
            continue
        tx.keys[box.home] = None
        if before is None or not is_exposed(placement, box) or placement.uid != before.uid:
            continue
        old = below.get(BOX, placement.box)
        if old is None or not is_exposed(before, old) or old.home != box.home:
            continue
        mailbox = mailboxes.get(box.home)
        if mailbox is None:
            mailbox = mailboxes[box.home] = _Mailbox()
        if before.entries is not placement.entries and flags_of(before.entries) != flags_of(
            placement.entries
        ):
            mailbox.reflagged.append(placement.uid)
        else:
            mailbox.touched.append(placement.uid)


def _tell(tx: Transaction, key: int, mailbox: _Mailbox) -> None:
    m = ModSeq(tx.m)
    if mailbox.vanished:
        tx.tell(key, Vanished(m, NumberSet.of(mailbox.vanished)))
    if mailbox.exposed:
        tx.tell(key, Exposed(m, NumberSet.of(mailbox.exposed)))
    if mailbox.reflagged:
        tx.tell(key, Touched(m, NumberSet.of(mailbox.reflagged), True))
    if mailbox.touched:
        tx.tell(key, Touched(m, NumberSet.of(mailbox.touched), False))
    if mailbox.vanished or mailbox.exposed or mailbox.reflagged or mailbox.touched:
        tx.keys[key] = None


def _view(tx: Transaction, key: int) -> View:
    return tx.get(VIEW, key) or View(key)
