# SPDX-License-Identifier: GPL-3.0-or-later
"""The sequencer follows who writes, and nobody who writes by turns."""

from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.replication.following import OPERATIONS, Following


class FollowingTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.following = Following()

    def wrote(self, slot: int = 1, operations: int = 1, commands: int = 0) -> bool:
        return self.following.wrote(b"account", slot, operations, commands)

    def test_goes_to_who_writes_alone(self) -> None:
        told = [self.wrote() for _ in range(OPERATIONS)]
        self.assertEqual(told, [False] * (OPERATIONS - 1) + [True])

    def test_command_here_begins_the_count_anew(self) -> None:
        self.assertFalse(self.wrote(operations=OPERATIONS - 1))
        self.assertFalse(self.wrote(operations=OPERATIONS - 1, commands=1))

    def test_two_that_write_by_turns_leave_it(self) -> None:
        for _ in range(3 * OPERATIONS):
            self.assertFalse(self.wrote(slot=1) or self.wrote(slot=2))

    def test_accounts_are_counted_each_for_itself(self) -> None:
        self.assertFalse(self.wrote(operations=OPERATIONS - 1))
        self.assertFalse(self.following.wrote(b"other", 1, 1, 0))
        self.assertTrue(self.wrote())
