# SPDX-License-Identifier: GPL-3.0-or-later
"""The queue of a shard: order, lanes, and who waits for room."""

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.account import queue as queue_module
from pluto_tw.account.queue import Done, Lane, Queue, Queued
from pluto_tw.account.work import ROW_OCTETS, Work
from pluto_tw.mail.waiting import Waiting
from pluto_tw.net.waiting import ReactorWaiting


class NoTaker:
    """Takes nothing."""

    waiting: Waiting = ReactorWaiting(Clock())

    def queue(self, lane: Lane, work: Work, done: Done) -> None:
        raise AssertionError("nothing is queued here")


def nothing(error: Exception | None) -> None: ...


class QueueTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.queue = Queue(NoTaker.waiting)
        self.patch(queue_module, "TRANSACTION_OCTETS_MAX", 1000)
        self.patch(queue_module, "QUEUED_OCTETS_ROOM", 2000)
        self.patch(queue_module, "QUEUED_OCTETS_MAX", 8000)
        self.lanes = [Lane(NoTaker()) for _ in range(3)]

    def put(self, lane: int, octets: int = 0) -> Work:
        work = Work()
        work.add("SELECT 1", (), octets)
        self.queue.put(Queued(self.lanes[lane], work, nothing))
        return work


class BatchTests(QueueTestCase):
    def test_nothing_is_taken_from_an_empty_queue(self) -> None:
        self.assertFalse(self.queue)
        self.assertEqual(self.queue.take().queued, [])

    def test_works_of_a_lane_stay_together_and_in_order(self) -> None:
        a1, b1, a2 = self.put(0), self.put(1), self.put(0)
        batch = self.queue.take()
        self.assertEqual(list(batch.lanes.values()), [[a1, a2], [b1]])
        self.assertEqual([queued.work for queued in batch.queued], [a1, b1, a2])
        self.assertFalse(self.queue)

    def test_a_transaction_ends_with_the_work_that_fills_it(self) -> None:
        first, second = self.put(0, 5000), self.put(1)
        self.assertEqual([queued.work for queued in self.queue.take().queued], [first])
        self.assertEqual([queued.work for queued in self.queue.take().queued], [second])

    def test_what_is_dropped_leaves_its_place_to_others(self) -> None:
        kept = self.put(0, 3000)
        gone = self.put(1, 4000)
        work = Work()
        work.add("SELECT 1", (), 4000)
        self.assertFalse(self.queue.has_place(work))
        dropped = self.queue.drop(lambda queued: queued.lane is self.lanes[1])
        self.assertEqual([queued.work for queued in dropped], [gone])
        self.assertTrue(self.queue.has_place(work))
        self.assertEqual([queued.work for queued in self.queue.take().queued], [kept])


class RoomTests(QueueTestCase):
    def asked(self) -> "Deferred[None]":
        return Deferred.fromCoroutine(self.queue.room())

    def test_there_is_room_up_to_the_bound(self) -> None:
        self.put(0, 2000 - ROW_OCTETS)
        self.successResultOf(self.asked())
        self.put(0)
        self.assertNoResult(self.asked())

    def test_who_waits_goes_on_in_the_order_of_asking(self) -> None:
        self.put(0, 3000)
        order: list[str] = []

        def came(result: None, name: str) -> None:
            order.append(name)

        for name in "abc":
            self.asked().addCallback(came, name)
        self.queue.take()
        self.queue.admit()
        self.assertEqual(order, ["a", "b", "c"])

    def test_who_finds_it_full_again_keeps_the_place(self) -> None:
        """The first one in takes all the room; the others wait on, in their order."""
        self.put(0, 3000)
        order: list[str] = []

        def came(result: None, name: str) -> None:
            order.append(name)
            self.put(0, 3000)

        for name in "abc":
            self.asked().addCallback(came, name)
        for expected in ("a", "ab", "abc"):
            self.queue.take()
            self.queue.admit()
            self.assertEqual("".join(order), expected)


class WorkTests(SynchronousTestCase):
    def test_its_octets_count_rows_and_large_values(self) -> None:
        work = Work()
        work.add("SELECT 1", (), 100)
        work.add_rows("SELECT 1", [(1,), (2,)], 50)
        work.add_rows("SELECT 1", [])
        other = Work()
        other.extend(work)
        self.assertEqual(other.octets, 3 * ROW_OCTETS + 150)
        self.assertEqual(len(other.statements), 2)
