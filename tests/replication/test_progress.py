# SPDX-License-Identifier: GPL-3.0-or-later
"""How a peer comes to have an account: whatever answers come, in the end it has everything."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.crdt.dots import Vector, is_below, joined, raised
from pluto_tw.replication.progress import (
    BATCHES_IN_FLIGHT_MAX,
    Pause,
    Probe,
    Progress,
    Rest,
    SendBatch,
    SendBodies,
    SendSnapshot,
    Stop,
    Wait,
)

HASH = bytes(32)


class ProgressTests(SynchronousTestCase):
    """Of slot 0."""

    def test_unknown_peer_is_asked_first(self) -> None:
        progress = Progress(0, (3,))
        self.assertEqual(progress.next(), Probe())
        progress.probe()
        self.assertEqual(progress.next(), Wait(Pause.ANSWERS))
        progress.probed((3,))
        self.assertEqual(progress.next(), Rest())

    def test_own_operations_go_at_once_and_ahead_of_answers(self) -> None:
        progress = Progress(0, (1,), ())
        for seq in range(1, BATCHES_IN_FLIGHT_MAX + 1):
            progress.committed((seq,))
            self.assertEqual(progress.next(), SendBatch((seq - 1,) if seq > 1 else (), 0))
            progress.sent((seq,))
        progress.committed((9,))
        self.assertEqual(progress.next(), Wait(Pause.ANSWERS))

    def test_operations_of_others_wait_until_they_are_overdue(self) -> None:
        progress = Progress(0, (1, 4), (1,))
        self.assertEqual(progress.next(), Wait(Pause.OTHERS))
        progress.overdue()
        self.assertEqual(progress.next(), SendBatch((1,), None))

    def test_batch_behind_one_that_lacked_bodies_is_no_reason_to_wait(self) -> None:
        """It could not be taken since the one before was not: others need not send anything."""
        progress = Progress(0, (2,), ())
        progress.sent((1,))
        progress.sent((2,))
        progress.answered((1,), (), [(HASH, 5)])
        progress.answered((2,), ())
        self.assertEqual(progress.take_wanted(9), [(HASH, 5)])
        progress.bodies_sent()
        self.assertEqual(progress.next(), SendBatch((), 0))

    def test_missing_bodies_go_before_the_batch_again(self) -> None:
        progress = Progress(0, (1,), ())
        progress.sent((1,))
        progress.answered((1,), (), [(HASH, 5)])
        self.assertEqual(progress.next(), SendBodies())
        self.assertEqual(progress.take_wanted(9), [(HASH, 5)])
        self.assertEqual(progress.next(), Wait(Pause.ANSWERS))
        progress.bodies_sent()
        self.assertEqual(progress.next(), SendBatch((), 0))

    def test_what_brought_nothing_on_waits(self) -> None:
        progress = Progress(0, (1, 1), ())
        progress.sent((1,))
        progress.answered((1,), ())
        self.assertEqual(progress.next(), Wait(Pause.OTHERS))
        progress.states((0, 1))
        self.assertEqual(progress.next(), SendBatch((0, 1), 0))

    def test_going_back_waits_for_all_answers(self) -> None:
        progress = Progress(0, (2,), ())
        progress.sent((1,))
        progress.sent((2,))
        progress.answered((1,), (), [(HASH, 5)])
        progress.take_wanted(1)
        progress.bodies_sent()
        self.assertEqual(progress.next(), Wait(Pause.ANSWERS))
        progress.answered((2,), ())
        self.assertIsInstance(progress.next(), Wait | SendBatch)

    def test_pruned_log_leads_to_a_snapshot_and_on(self) -> None:
        progress = Progress(0, (5,), ())
        progress.pruned()
        self.assertEqual(progress.next(), SendSnapshot())
        progress.wants([(HASH, 5)])
        self.assertEqual(progress.next(), SendBodies())
        progress.take_wanted(1)
        progress.bodies_sent()
        self.assertEqual(progress.next(), SendSnapshot())
        progress.snapshot_ended((4,))
        self.assertEqual(progress.next(), SendBatch((4,), 0))

    def test_loading_peer_is_not_at_rest(self) -> None:
        progress = Progress(0, ())
        progress.probe()
        progress.probed((), loading=True)
        self.assertEqual(progress.next(), SendSnapshot())

    def test_stopped_is_stopped(self) -> None:
        progress = Progress(0, (5,), ())
        progress.stop("forked")
        progress.overdue()
        self.assertEqual(progress.next(), Stop("forked"))

    def test_trouble_is_waited_out(self) -> None:
        progress = Progress(0, (5,))
        progress.probe()
        progress.interrupted()
        self.assertEqual(progress.next(), Wait(Pause.UNABLE))
        progress.overdue()
        self.assertEqual(progress.next(), Probe())


VECTORS = st.tuples(st.integers(0, 5), st.integers(0, 5)).map(
    lambda v: raised(raised((), 0, v[0]), 1, v[1])
)


class ConvergenceTests(SynchronousTestCase):
    @given(VECTORS, VECTORS, st.lists(st.integers(0, 9), max_size=60))
    def test_peer_gets_everything_whatever_it_answers(
        self, own: Vector, has: Vector, chances: list[int]
    ) -> None:
        """A peer that takes what it can, sometimes nothing, and misses bodies now and then."""
        own = joined(own, has)
        progress = Progress(0, own)
        flying: list[Vector] = []
        turns = 0
        while not isinstance(action := progress.next(), Rest):
            turns += 1
            self.assertLess(turns, 500)
            chance = chances.pop() if chances else 9
            match action:
                case Probe():
                    progress.probe()
                    progress.probed(has)
                case SendBatch(known, slot):
                    self.assertLess(len(flying), BATCHES_IN_FLIGHT_MAX)
                    reached = own if slot is None else raised(known, slot, own[slot])
                    self.assertFalse(is_below(reached, known))
                    progress.sent(reached)
                    flying.append(reached)
                case SendBodies():
                    for _ in progress.take_wanted(chance + 1):
                        progress.bodies_sent(pause=Pause.COMING if chance == 3 else None)
                case Wait(Pause.ANSWERS):
                    self.assertTrue(flying, "nothing to wait for")
                    reached = flying.pop(0)
                    if chance == 0:
                        progress.failed()
                    elif chance == 1:
                        progress.answered(reached, has, [(bytes([chance]) * 32, 1)])
                    elif chance == 2:
                        progress.answered(reached, has, pause=Pause.AHEAD)
                    elif chance == 3:
                        progress.answered(reached, has)
                    else:
                        has = joined(has, reached)
                        progress.answered(reached, has)
                case Wait():
                    if flying:
                        progress.answered(flying.pop(0), has)
                    else:
                        progress.overdue()
                case _:
                    self.fail(f"{action} is not expected")
        self.assertTrue(is_below(own, has))
        self.assertEqual(flying, [])
