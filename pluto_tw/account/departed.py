# SPDX-License-Identifier: GPL-3.0-or-later
"""
Removed members, as far as an account's stability goes on without them.

It waits for a removed member until all others know that it is gone and have the same of it:
`pluto_tw.crdt.members.may_leave_out`. Here is kept, in memory alone, what they stated since; what a
restart forgets they state again.
"""

from pluto_tw.account.members import Members
from pluto_tw.crdt.dots import Vector
from pluto_tw.crdt.members import may_leave_out
from pluto_tw.crdt.resync import Checkpoint


class Departed:
    """Those among *members*, for one account."""

    def __init__(self, members: Members) -> None:
        self._members = members
        self._left_out: set[int] = set()
        #: Of those that it waits for, (removed, other): what the other has stated since.
        self._stated: dict[tuple[int, int], Vector] = {}

    @property
    def waited_for(self) -> frozenset[int]:
        """The slots of removed members that stability still waits for."""
        return frozenset(self._members.removed - self._left_out)

    def follow(self) -> None:
        """The table of members is another one."""
        self._left_out &= self._members.removed

    def note(self, checkpoint: Checkpoint) -> None:
        """What a member has of those that were removed, once it knows that they are."""
        for slot in self.waited_for:
            if checkpoint.slot in self._members.acknowledged(slot):
                self._stated[slot, checkpoint.slot] = checkpoint.vector

    def leave_out(self, own: Vector) -> bool:
        """
        Leaves out whom stability need not wait for, as *own* is the account's vector; whether there
        is one more.
        """
        members = self._members
        before = len(self._left_out)
        for slot in self.waited_for:
            acknowledged = members.acknowledged(slot)
            stated = {other: v for (gone, other), v in self._stated.items() if gone == slot}
            if may_leave_out(slot, members.others, acknowledged, own, stated):
                self._left_out.add(slot)
                self._stated = {at: v for at, v in self._stated.items() if at[0] != slot}
        return len(self._left_out) > before
