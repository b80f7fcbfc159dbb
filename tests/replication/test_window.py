# SPDX-License-Identifier: GPL-3.0-or-later
"""Places and turns go to who asked first."""

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.net.waiting import ReactorWaiting
from pluto_tw.replication.window import Turns, Window


class WindowTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.waiting = ReactorWaiting(Clock())

    def test_places_go_in_order(self) -> None:
        window = Window(self.waiting, 2)
        entering = [Deferred.fromCoroutine(window.enter()) for _ in range(4)]
        self.assertEqual([entered.called for entered in entering], [True, True, False, False])
        window.leave()
        self.assertEqual([entered.called for entered in entering], [True, True, True, False])
        self.assertEqual(window.waits, 1)

    def test_closing_ends_all_waits(self) -> None:
        window = Window(self.waiting, 1)
        self.successResultOf(Deferred.fromCoroutine(window.enter()))
        waiting = Deferred.fromCoroutine(window.enter())
        window.close(RuntimeError())
        self.failureResultOf(waiting, RuntimeError)
        self.failureResultOf(Deferred.fromCoroutine(window.enter()), RuntimeError)

    def test_many_that_leave_at_once_are_no_recursion(self) -> None:
        window = Window(self.waiting, 1)
        self.successResultOf(Deferred.fromCoroutine(window.enter()))
        left = []

        async def visit() -> None:
            await window.enter()
            left.append(1)
            window.leave()

        for _ in range(5000):
            self.waiting.start(visit())
        window.leave()
        self.assertEqual(len(left), 5000)

    def test_turns_are_by_key(self) -> None:
        turns = Turns(self.waiting)
        first, second, other = (Deferred.fromCoroutine(turns.enter(key)) for key in ("a", "a", "b"))
        self.assertEqual([first.called, second.called, other.called], [True, False, True])
        turns.leave("a")
        self.assertTrue(second.called)
