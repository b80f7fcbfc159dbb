# SPDX-License-Identifier: GPL-3.0-or-later
"""Whom stability waits for after a removal."""

from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.account.departed import Departed
from pluto_tw.account.members import Members
from pluto_tw.crdt.resync import Checkpoint

OWN = (5, 5, 5, 7)


def stated(slot: int, of_removed: int) -> Checkpoint:
    return Checkpoint(slot, 1, (5, 5, 5, of_removed), 0)


class DepartedTests(SynchronousTestCase):
    """Slot 3 was removed; 0 (this one), 1 and 2 stay."""

    def setUp(self) -> None:
        self.members = Members.fixed(0, {1, 2})
        self.members.removed = frozenset({3})
        self.knowing = frozenset({1, 2})
        self.members.acknowledged = lambda slot: self.knowing
        self.departed = Departed(self.members)

    def test_it_is_left_out_when_all_have_the_same_of_it(self) -> None:
        for slot, of_removed, is_left in ((1, 7, False), (2, 6, False), (2, 7, True)):
            self.departed.note(stated(slot, of_removed))
            self.assertEqual(self.departed.leave_out(OWN), is_left)
            self.assertEqual(self.departed.waited_for, frozenset() if is_left else {3})

    def test_what_was_stated_before_the_removal_was_known_does_not_count(self) -> None:
        """Who does not know that it is gone may still take more from it."""
        self.knowing = frozenset({2})
        self.departed.note(stated(1, 7))
        self.departed.note(stated(2, 7))
        self.knowing = frozenset({1, 2})
        self.assertFalse(self.departed.leave_out(OWN))
        self.departed.note(stated(1, 7))
        self.assertTrue(self.departed.leave_out(OWN))

    def test_who_is_no_longer_removed_is_waited_for_when_it_is_again(self) -> None:
        self.departed.note(stated(1, 7))
        self.departed.note(stated(2, 7))
        self.assertTrue(self.departed.leave_out(OWN))
        self.members.removed = frozenset()
        self.departed.follow()
        self.members.removed = frozenset({3})
        self.assertEqual(self.departed.waited_for, {3})
