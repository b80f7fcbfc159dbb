# SPDX-License-Identifier: GPL-3.0-or-later
"""
What follows from the replicated fields alone: which DELETEs count, what is alive and visible, which
flags a message has.

Each function looks at one box or placement and at the contexts of the operations that are not
folded yet. A context that is not there belongs to an operation that is folded, and covers nothing
that is still to be decided.
"""

from typing import Protocol

from pluto_tw.crdt.dots import EMPTY, Vector, without
from pluto_tw.crdt.records import (
    BOX,
    CONTEXT,
    INBOX_BID,
    PLACEMENT,
    Box,
    Entries,
    Placement,
    Records,
)
from pluto_tw.mail.flags import DELETED


class Voiding(Protocol):
    """The rule that says which RENAME voids which DELETE."""

    def voids(self, ren: int, ren_context: Vector, dele: int, del_context: Vector) -> bool:
        """Whether the RENAME *ren* voids the DELETE *dele* of the same box."""


def context_of(records: Records, dot: int) -> Vector:
    """What the origin of *dot* had seen; empty if that no longer matters."""
    found = records.get(CONTEXT, dot)
    return EMPTY if found is None else found.vector


def effective_dels(rules: Voiding, records: Records, box: Box) -> tuple[int, ...]:
    """
    The DELETEs of *box* that no RENAME of it voids.

    A RENAME that is concurrent with a DELETE says that somebody wants the mailbox with all it
    holds. Ascending.
    """
    if not box.dels:
        return ()
    rens = [(ren, context_of(records, ren)) for ren in box.rens]
    found = []
    for dele in box.dels:
        seen = context_of(records, dele)
        if not any(rules.voids(ren, context, dele, seen) for ren, context in rens):
            found.append(dele)
    return tuple(sorted(found))


def is_alive(records: Records, box: Box, effective: tuple[int, ...]) -> bool:
    """Whether the mailbox exists for clients: someone's interest is not covered by a DELETE."""
    if box.bid == INBOX_BID:
        return True
    return bool(uncovered(records, box.tags, effective))


def uncovered(records: Records, tags: Vector, removals: tuple[int, ...]) -> Vector:
    """The part of *tags* that none of *removals* (EXPUNGEs or DELETEs) had seen."""
    for dot in removals:
        if not tags:
            break
        tags = without(tags, context_of(records, dot))
    return tags


def is_visible(records: Records, placement: Placement, box: Box) -> bool:
    """Whether the message is there at all, exposed or not; *box* is the placement's."""
    if placement.moved:
        return False
    if not placement.rms and not box.effective:
        return bool(placement.tags)
    rest = uncovered(records, placement.tags, placement.rms)
    return bool(rest and uncovered(records, rest, box.effective))


def visible_box(records: Records, pid: bytes) -> Box | None:
    """The box of placement *pid* if that is visible there, else None."""
    placement = records.get(PLACEMENT, pid)
    if placement is None:
        return None
    box = records.get(BOX, placement.box)
    assert box is not None
    return box if is_visible(records, placement, box) else None


def flags_of(entries: Entries) -> frozenset[str]:
    r"""
    The flags that *entries* amount to.

    A flag is there if any of the writes that nobody superseded set it; `\Deleted` only if all of
    them did, so that a concurrent change of mind saves the message. Of several spellings of a
    keyword that are set the least is shown.
    """
    # Asked of every message that a STORE names: nearly all flags have one write.
    shown = [
        flag
        for flag, values in entries.items()
        if (values[0] & 1 if len(values) == 1 else is_set(flag, values))
    ]
    if len(shown) > 1:
        by_key = {flag.lower(): flag for flag in sorted(shown, reverse=True)}
        if len(by_key) < len(shown):
            return frozenset(by_key.values())
    return frozenset(shown)


def is_set(flag: str, values: tuple[int, ...]) -> bool:
    """Whether the entries *values* of *flag*, `dot << 1 | value` each, amount to true."""
    if flag == DELETED:
        return bool(values) and all(value & 1 for value in values)
    return any(value & 1 for value in values)


def any_set(values: tuple[int, ...]) -> bool:
    """Whether any of *values* is true: the rule of subscriptions."""
    return any(value & 1 for value in values)


def is_exposed(placement: Placement, box: Box) -> bool:
    """Whether clients see *placement*, under `placement.uid` of the mailbox `box.home`."""
    return placement.uid != 0 and placement.era == box.era and placement.key == box.home


def is_settled(placement: Placement) -> bool:
    """Whether a visible placement is where all replicas will show it: not outstanding."""
    claim = placement.claim
    return claim >> 32 != 0 and not placement.bounced and placement.uid == claim & 0xFFFFFFFF
