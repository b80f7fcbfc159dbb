# SPDX-License-Identifier: GPL-3.0-or-later
"""
Who belongs to the subnet: slots, replica ids, names.

The table lives in one account of the subnet, which replicates as any other; the accounts of users
are told which slots count. A slot is used once: neither removal nor a new identity gives it back.
"""

from collections.abc import Iterable, Mapping, Sequence
from enum import IntEnum
from typing import Final, Protocol

from pluto_tw.crdt.dots import SLOTS_MAX, Vector, seq_of
from pluto_tw.crdt.ops import MemberAdd, MemberRemove
from pluto_tw.crdt.records import MEMBER, Member, Records, Table

#: With this many slots left an operator is warned: a new cluster takes longer to plan than to run.
SLOTS_LEFT_WARN: Final = 8


class State(IntEnum):
    """How a member stands."""

    LIVE = 0
    REMOVED = 1
    #: Removed without its consent: what it had not shipped is lost to the account.
    FORCED = 2


class _Staging(Records, Protocol):
    """Where changed members go."""

    def put(self, table: Table[int, Member], key: int, record: Member) -> Member: ...


def add_member(tx: _Staging, dot: int, body: MemberAdd) -> None:
    """
    Gives the slot, if it never was given.

    Of two operations that give one slot at once the one with the lower dot keeps it; who made the
    other sees that and makes a new one. No harm is done meanwhile: nobody serves before all
    members have acknowledged the operation that added it.
    """
    found = tx.get(MEMBER, body.slot)
    if found is None or (found.state == State.LIVE and dot < found.added):
        tx.put(MEMBER, body.slot, Member(body.slot, body.replica, body.name, State.LIVE, dot))


def remove_member(tx: _Staging, dot: int, body: MemberRemove) -> None:
    """Burns the slot; of several removals a forced one counts, then the lowest dot."""
    found = tx.get(MEMBER, body.slot)
    if found is None:
        return
    state = max(found.state, State.FORCED if body.forced else State.REMOVED)
    removed = min(found.removed or dot, dot)
    tx.put(
        MEMBER,
        body.slot,
        Member(found.slot, found.replica, found.name, state, found.added, removed),
    )


def live(members: Iterable[Member]) -> frozenset[int]:
    """The slots that are in use."""
    return frozenset(member.slot for member in members if member.state == State.LIVE)


def free_slot(members: Sequence[Member]) -> int | None:
    """The slot for the next member; None if all are used or burned."""
    used = {member.slot for member in members}
    return next((slot for slot in range(SLOTS_MAX) if slot not in used), None)


def slots_left(members: Sequence[Member]) -> int:
    """How many members can still be added, ever."""
    return SLOTS_MAX - len(members)


def may_leave_out(
    slot: int,
    remaining: Iterable[int],
    acknowledged: Iterable[int],
    own: Vector,
    stated: Mapping[int, Vector],
) -> bool:
    """
    Whether stability may go on without the removed *slot*.

    Only when every one of the *remaining* other members has acknowledged the removal, so that
    none takes more from it, and all have the same of its operations. Until then an operation of
    it may be on its way between two others, and may name what would be folded.
    """
    others = frozenset(remaining)
    return others <= frozenset(acknowledged) and all(
        other in stated and seq_of(stated[other], slot) == seq_of(own, slot) for other in others
    )
