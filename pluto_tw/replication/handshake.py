# SPDX-License-Identifier: GPL-3.0-or-later
"""
Whether two replicas may talk at all: what each says first, and what the other makes of it.

Both sides judge by the same rules. A link is refused between versions that have none in common,
between subnets, with who was removed, with a name or slot that the tables of members give to
somebody else: then one of the two has a wrong configuration, or is an old copy, and mail must not
flow. That one table has rows which the other lacks is no difference: they are on their way in the
subnet's own account.

No I/O here, and no time; what follows of a judgement is for `introduction.py`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, assert_never

from pluto_tw.account.members import Member
from pluto_tw.account.subnet import Admission, Standing
from pluto_tw.crdt.members import State
from pluto_tw.replication.messages import FORMAT_MAX, FORMAT_MIN, Hello, MemberRow

#: What an operator does about a difference between two replicas' tables.
_WHAT_TO_DO: Final = "see docs/how-to/restore-a-node.md"


@dataclass(frozen=True, slots=True)
class Accepted:
    """The peer is the member *slot*; both speak *format*."""

    slot: int
    format: int


@dataclass(frozen=True, slots=True)
class Newcomer:
    """The peer is no member yet: it may be added, or waits for all members to have heard of it."""

    waiting: bool


@dataclass(frozen=True, slots=True)
class Admitted:
    """The peer is a member since all have heard of it, and may open its databases."""

    slot: int


@dataclass(frozen=True, slots=True)
class Rejected:
    """
    The link is refused; *why* names both sides and says what to do.

    *is_removed*: since the peer was removed from the subnet.
    """

    why: str
    is_removed: bool = False


Verdict = Accepted | Newcomer | Admitted | Rejected


def rows(table: Iterable[Member]) -> tuple[MemberRow, ...]:
    """The table of members as it is sent."""
    return tuple(MemberRow(m.slot, m.name, m.replica, int(m.state)) for m in table)


def judge(own: Hello, theirs: Hello, certified: str, admission: Admission) -> Verdict:
    """
    What to do with a peer that says *theirs*, shows a certificate for the name *certified*, and
    stands to the subnet as *admission* says.
    """
    why = _difference(own, theirs, certified)
    if why:
        return Rejected(why)
    sides = f"{theirs.name} ({theirs.replica.hex()})"
    match admission.standing:
        case Standing.MEMBER | Standing.FOUNDER:
            assert admission.slot is not None, "a member has a slot"
            if theirs.slot not in (-1, admission.slot):
                return Rejected(
                    f"{sides} says that its slot is {theirs.slot}, and has {admission.slot} in the "
                    f"table of {own.name}: {_WHAT_TO_DO}"
                )
            if theirs.slot == -1:
                return Admitted(admission.slot)
            return Accepted(admission.slot, min(own.format_max, theirs.format_max))
        case Standing.WAITING:
            if theirs.slot == -1:
                return Newcomer(waiting=True)
            if theirs.slot == admission.slot:
                # Who told it so has heard of the others before this replica has.
                return Accepted(theirs.slot, min(own.format_max, theirs.format_max))
            return Rejected(_no_such_member(own, theirs))
        case Standing.UNKNOWN:
            if theirs.slot == -1:
                return Newcomer(waiting=False)
            return Rejected(_no_such_member(own, theirs))
        case Standing.TAKEN:
            return Rejected(
                f"the name of {sides} is that of a member with another replica id in the table of "
                f"{own.name}: remove that member first, {_WHAT_TO_DO}"
            )
        case Standing.REMOVED:
            return Rejected(
                f"{sides} was removed from the subnet, says {own.name}: stop it, and move its "
                f"StoreRoot aside if it is to come back; {_WHAT_TO_DO}",
                is_removed=True,
            )
        case Standing.FULL:
            return Rejected(f"{sides} cannot be added by {own.name}: all slots are used up")
        case _:
            assert_never(admission.standing)


def _no_such_member(own: Hello, theirs: Hello) -> str:
    return (
        f"{theirs.name} ({theirs.replica.hex()}) says that it is a member with slot {theirs.slot}, "
        f"and {own.name} knows no such member: {_WHAT_TO_DO}"
    )


def _difference(own: Hello, theirs: Hello, certified: str) -> str:
    """What two replicas do not have in common, and must; empty if there is nothing."""
    if theirs.format_min > own.format_max or theirs.format_max < own.format_min:
        return (
            f"{theirs.name} speaks versions {theirs.format_min} to {theirs.format_max}, {own.name} "
            f"{own.format_min} to {own.format_max}: bring the older one up to date"
        )
    if theirs.name != certified:
        return f"the certificate is of {certified}, and it says that it is {theirs.name}"
    if theirs.subnet != own.subnet:
        return (
            f"{theirs.name} is of subnet {theirs.subnet}, {own.name} of {own.subnet}: compare the "
            "names in `Peers` of both configurations"
        )
    if theirs.name == own.name or theirs.replica == own.replica:
        return f"{theirs.name} has the name or replica id of {own.name}: a copy of its database?"
    return _tables_differ(own, theirs)


def _tables_differ(own: Hello, theirs: Hello) -> str:
    mine = {row.slot: row for row in own.members}
    for row in theirs.members:
        known = mine.get(row.slot)
        if known is None:
            continue
        ids = {known.replica, row.replica} - {b""}
        if known.name != row.name or len(ids) > 1:
            return (
                f"slot {row.slot} is {known.name} ({known.replica.hex() or 'not met yet'}) for "
                f"{own.name}, and {row.name} ({row.replica.hex() or 'not met yet'}) for "
                f"{theirs.name}: {_WHAT_TO_DO}"
            )
    names = {row.name: row.slot for row in own.members if row.state == State.LIVE}
    for row in theirs.members:
        slot = names.get(row.name, row.slot)
        if row.state == State.LIVE and slot != row.slot and row.slot in mine:
            return (
                f"{row.name} has slot {slot} for {own.name} and slot {row.slot} for "
                f"{theirs.name}: {_WHAT_TO_DO}"
            )
    return ""


def level_of(levels: Iterable[int], own: int) -> int:
    """The level of the subnet: the lowest of all members that were met, this one included."""
    return min((own, *levels))


def versions() -> tuple[int, int]:
    """The lowest and the highest version of messages that is spoken here."""
    return FORMAT_MIN, FORMAT_MAX
