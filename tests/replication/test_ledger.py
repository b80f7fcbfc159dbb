# SPDX-License-Identifier: GPL-3.0-or-later
"""What may be called acknowledged: never more than the peer has."""

from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.replication.ledger import Ledger, Mark


class LedgerTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.ledger = Ledger((10, 0))

    def test_begins_where_the_peer_was(self) -> None:
        self.assertEqual(self.ledger.acknowledged(), [10, 0])
        self.assertEqual(self.ledger.walking, {0, 1})

    def test_what_was_walked_is_acknowledged_but_for_what_is_lacking(self) -> None:
        self.ledger.mark("a", Mark(0, 15, (1,)))
        self.ledger.walked(0, 20)
        self.assertEqual(self.ledger.acknowledged(), [14, 0])
        self.ledger.clean("a")
        self.assertEqual(self.ledger.acknowledged(), [20, 0])

    def test_commits_move_the_frontier_once_the_walk_has_arrived(self) -> None:
        self.ledger.mark("a", Mark(0, 30, (1,)))
        self.ledger.clean("a")
        self.assertEqual(self.ledger.acknowledged(), [10, 0])
        self.ledger.arrived(0)
        self.ledger.mark("b", Mark(0, 31, (1,)))
        self.assertEqual(self.ledger.acknowledged(), [30, 0])
        self.ledger.clean("b")
        self.assertEqual(self.ledger.acknowledged(), [31, 0])

    def test_commit_that_cannot_be_noted_is_walked_to(self) -> None:
        self.ledger.arrived(0)
        self.ledger.missed(0)
        self.ledger.mark("b", Mark(0, 40, (1,)))
        self.assertEqual(self.ledger.frontier(0), 10)
        self.assertIn(0, self.ledger.walking)

    def test_account_that_never_rests_does_not_hold_the_rest_up(self) -> None:
        self.ledger.arrived(0)
        self.ledger.mark("a", Mark(0, 11, (1,)))
        newest = Mark(0, 50, (9,))
        self.ledger.mark("a", newest)
        self.assertEqual(self.ledger.acknowledged(), [10, 0])
        self.assertFalse(self.ledger.reached("a", (), newest))
        self.assertTrue(self.ledger.reached("a", (1,), newest))
        self.assertEqual(self.ledger.acknowledged(), [49, 0])
