# SPDX-License-Identifier: GPL-3.0-or-later
"""
What a client that comes back has missed, by the mod-sequence that it brings from any replica.

What that mod-sequence means here is decided by `pluto_tw.crdt.resync`; this file finds the messages
and the UIDs. RFC 7162 §3.1.4, §3.2.5.
"""

from typing import Final

from pluto_tw.account.mailbox import Mailbox
from pluto_tw.account.replica import AccountReplica
from pluto_tw.crdt.records import PLACEMENT
from pluto_tw.crdt.resync import Kind, Since, outstanding, since
from pluto_tw.mail.sets import EMPTY, NumberSet
from pluto_tw.mail.uids import ModSeq

_FLOOR: Final = "SELECT vanished_floor FROM view WHERE id = ?"
_VANISHED: Final = "SELECT low, high FROM vanished WHERE view = ? AND msq > ? ORDER BY low"


def _since(account: AccountReplica, key: int, modseq: ModSeq) -> Since:
    return since(account.site.rules, account.commits.stored, account.site.slot, key, modseq)


def modseq_here(account: AccountReplica, key: int, modseq: ModSeq) -> int:
    """The mod-sequence of ours that *modseq* stands for, as UNCHANGEDSINCE compares it."""
    return _since(account, key, modseq).y


def changed_since(account: AccountReplica, mailbox: Mailbox, modseq: ModSeq) -> NumberSet:
    """The UIDs of at least all messages of *mailbox* that changed after *modseq*."""
    found = _since(account, mailbox.key, modseq)
    if found.kind is Kind.UNCOVERED or mailbox.log.is_ended:
        return NumberSet.from_sorted(mailbox.columns.uids())
    boxes = account.commits.stored.boxes_at(mailbox.key)
    bumped = frozenset(box.bid for box in boxes if box.bmsq > found.y)
    uids = mailbox.columns.above(found.y, bumped)
    if found.kind is Kind.OWN:
        return NumberSet.from_sorted(uids)
    everything = mailbox.columns.uids()
    for box in boxes:
        pending = outstanding(account.site.rules, account.commits.stored, box)
        if pending is None:
            return NumberSet.from_sorted(everything)
        for one in pending:
            placement = account.commits.stored.get(PLACEMENT, one.pid)
            if placement is not None and mailbox.columns.is_exposed(placement.uid):
                uids.append(placement.uid)
    return NumberSet.of(uids)


def vanished_since(
    account: AccountReplica, mailbox: Mailbox, modseq: ModSeq, known: NumberSet | None
) -> NumberSet:
    """At least all UIDs of *known* that vanished after *modseq*, none that is exposed."""
    found = _since(account, mailbox.key, modseq)
    exposed = NumberSet.from_sorted(mailbox.columns.uids())
    if found.kind is Kind.OWN:
        ranges = _vanished(account, mailbox.key, modseq)
        if ranges is not None:
            vanished = ranges - exposed
            return vanished if known is None else vanished & known
    if known is None:
        known = NumberSet.from_ranges([(1, found.last)]) if found.last else EMPTY
    return known - exposed


def _vanished(account: AccountReplica, key: int, modseq: int) -> NumberSet | None:
    """What is known to have vanished after *modseq*; None if that is not known any more."""
    view = account.commits.stored.view_numbers.get(key)
    if view is None:
        return EMPTY
    rows = account.ground.shard.read(_FLOOR, (view,))
    if rows and modseq < rows[0][0]:
        return None
    return NumberSet.from_ranges(account.ground.shard.read(_VANISHED, (view, modseq)))
