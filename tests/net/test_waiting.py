# SPDX-License-Identifier: GPL-3.0-or-later
"""`pluto_tw.mail.waiting` as the reactor keeps it."""

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.mail.waiting import Promise, Waiting
from pluto_tw.net.waiting import ReactorWaiting


class WaitingTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.waiting: Waiting = ReactorWaiting(self.clock, lambda: 1000.0)
        self.seen: list[object] = []


class PromiseTests(WaitingTestCase):
    async def _await(self, promise: Promise[object]) -> None:
        try:
            self.seen.append(await promise)
        except ValueError as error:
            self.seen.append(error)

    def test_who_awaits_goes_on_before_fire_returns(self) -> None:
        """`Promise.fire`: "Whoever awaits goes on with *value*, before this returns"."""
        promise = self.waiting.promise()
        self.waiting.start(self._await(promise))
        self.assertEqual(self.seen, [])
        promise.fire("value")
        self.assertEqual(self.seen, ["value"])

    def test_failure_is_raised_where_it_is_awaited(self) -> None:
        """`Promise.fail`: "Whoever awaits has *error* raised there, before this returns"."""
        promise = self.waiting.promise()
        self.waiting.start(self._await(promise))
        error = ValueError("why")
        promise.fail(error)
        self.assertEqual(self.seen, [error])

    def test_settled_promise_is_not_waited_for(self) -> None:
        promise = self.waiting.promise()
        promise.fire(1)
        self.waiting.start(self._await(promise))
        self.assertEqual(self.seen, [1])

    def test_promise_that_failed_before_raises(self) -> None:
        promise = self.waiting.promise()
        error = ValueError("why")
        promise.fail(error)
        self.waiting.start(self._await(promise))
        self.assertEqual(self.seen, [error])


class StartTests(WaitingTestCase):
    def test_runs_up_to_the_first_wait_at_once(self) -> None:
        """`Waiting.start`: "up to the first point where it must wait, before this returns"."""

        async def work() -> None:
            self.seen.append("begun")
            await self.waiting.pause()
            self.seen.append("done")

        self.waiting.start(work())
        self.assertEqual(self.seen, ["begun"])
        self.clock.advance(0)
        self.assertEqual(self.seen, ["begun", "done"])

    def test_waits_many_times(self) -> None:
        async def work() -> None:
            for number in range(3):
                await self.waiting.pause()
                self.seen.append(number)

        self.waiting.start(work())
        for _ in range(3):
            self.clock.advance(0)
        self.assertEqual(self.seen, [0, 1, 2])

    def test_exception_is_logged_as_a_bug(self) -> None:
        """`Waiting.start`: "what it raises is logged as a bug"."""

        async def work() -> None:
            await self.waiting.pause()
            raise ZeroDivisionError

        self.waiting.start(work())
        self.clock.advance(0)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_ten_thousand_promises_in_a_row_do_not_nest(self) -> None:
        """Each wait that ends goes on from the event loop, not from the wait before it."""

        async def work() -> None:
            for _ in range(10_000):
                promise: Promise[None] = self.waiting.promise()
                promise.fire(None)
                await promise
            self.seen.append("done")

        self.waiting.start(work())
        self.assertEqual(self.seen, ["done"])


class TimeTests(WaitingTestCase):
    def test_later_calls_once_in_time(self) -> None:
        self.waiting.later(2.0, lambda: self.seen.append("called"))
        self.clock.advance(1.9)
        self.assertEqual(self.seen, [])
        self.clock.advance(0.2)
        self.clock.advance(5)
        self.assertEqual(self.seen, ["called"])

    def test_what_later_returns_cancels_at_any_time(self) -> None:
        """`Waiting.later`: "what is returned cancels it, at any time"."""
        cancel = self.waiting.later(1.0, lambda: self.seen.append("called"))
        cancel()
        cancel()
        self.clock.advance(2)
        self.assertEqual(self.seen, [])

    def test_cancelling_afterwards_is_harmless(self) -> None:
        cancel = self.waiting.later(1.0, lambda: self.seen.append("called"))
        self.clock.advance(2)
        cancel()
        self.assertEqual(self.seen, ["called"])

    def test_clocks(self) -> None:
        """`seconds` is the reactor's, which never goes back; `now` is the time of day."""
        self.clock.advance(3)
        self.assertEqual(self.waiting.seconds(), 3)
        self.assertEqual(self.waiting.now(), 1000.0)
