# SPDX-License-Identifier: GPL-3.0-or-later
"""Virtual time and links: in order where that is promised, and only then."""

from twisted.trial.unittest import SynchronousTestCase

from tests.simulation.network import CALM, Network, Timeline, Weather
from tests.simulation.waiting import Settled, VirtualWaiting


class TimelineTests(SynchronousTestCase):
    def test_events_come_in_order_of_time_then_of_calls(self) -> None:
        timeline = Timeline()
        seen: list[str] = []
        timeline.at(20, lambda: seen.append("c"))
        timeline.at(10, lambda: seen.append("a"))
        timeline.at(10, lambda: seen.append("b"))
        timeline.run(15)
        self.assertEqual((seen, timeline.now), (["a", "b"], 15))
        timeline.at(3, lambda: seen.append("late"))
        timeline.run(20)
        self.assertEqual(seen, ["a", "b", "late", "c"])


class NetworkTests(SynchronousTestCase):
    def network(self, weather: Weather, seed: int = 1) -> None:
        self.timeline = Timeline()
        self.arrived: list[tuple[int, int, int]] = []
        self.net = Network[int](
            self.timeline, seed, weather, lambda a, b, message: self.arrived.append((a, b, message))
        )

    def test_calm_links_deliver_all_once(self) -> None:
        self.network(CALM)
        for number in range(50):
            self.net.send(0, 1, number)
        self.timeline.run(CALM.latency_max)
        self.assertEqual(sorted(self.arrived), [(0, 1, number) for number in range(50)])

    def test_bad_links_lose_repeat_and_reorder(self) -> None:
        self.network(Weather(loss=0.2, repeats=0.2))
        for number in range(200):
            self.net.send(0, 1, number)
        self.timeline.run(10_000)
        numbers = [message for _, _, message in self.arrived]
        self.assertLess(len(set(numbers)), 200)
        self.assertGreater(len(numbers), len(set(numbers)))
        self.assertNotEqual(numbers, sorted(numbers))
        self.assertGreater(self.net.figures["lost"], 0)

    def test_cut_is_one_way_and_counted(self) -> None:
        self.network(CALM)
        self.net.cut([(0, 1)])
        self.net.cut([(0, 1)])
        self.net.send(0, 1, 1)
        self.net.send(1, 0, 2)
        self.timeline.run(200)
        self.net.mend([(0, 1)])
        self.net.send(0, 1, 3)
        self.timeline.run(400)
        self.net.mend([(0, 1)])
        self.net.send(0, 1, 4)
        self.timeline.run(600)
        self.assertEqual(self.arrived, [(1, 0, 2), (0, 1, 4)])

    def test_seed_decides_all(self) -> None:
        runs = []
        for seed in (1, 1, 2):
            self.network(Weather(), seed)
            for number in range(30):
                self.net.send(0, 1, number)
            self.timeline.run(10_000)
            runs.append(self.arrived)
        self.assertEqual(runs[0], runs[1])
        self.assertNotEqual(runs[0], runs[2])


class VirtualWaitingTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.timeline = Timeline()
        self.waiting = VirtualWaiting(self.timeline)
        self.seen: list[str] = []

    def test_coroutine_goes_on_within_fire(self) -> None:
        promise: Settled[str] = self.waiting.promise()

        async def work() -> None:
            self.seen.append(await promise)

        self.waiting.start(work())
        self.assertEqual(self.seen, [])
        promise.fire("x")
        self.assertEqual(self.seen, ["x"])

    def test_failure_is_raised_in_the_coroutine(self) -> None:
        promise: Settled[str] = self.waiting.promise()

        async def work() -> None:
            try:
                await promise
            except ValueError as error:
                self.seen.append(str(error))

        self.waiting.start(work())
        promise.fail(ValueError("no"))
        self.assertEqual(self.seen, ["no"])

    def test_stopped_process_does_nothing_more(self) -> None:
        self.waiting.later(0.1, lambda: self.seen.append("timer"))
        promise: Settled[str] = self.waiting.promise()

        async def work() -> None:
            self.seen.append(await promise)

        self.waiting.start(work())
        self.waiting.stop()
        promise.fire("x")
        self.timeline.run(1000)
        self.assertEqual(self.seen, [])

    def test_cancelled_timer_does_not_call(self) -> None:
        cancel = self.waiting.later(0.1, lambda: self.seen.append("timer"))
        cancel()
        cancel()
        self.timeline.run(1000)
        self.assertEqual(self.seen, [])

    def test_pause_lets_time_go_on(self) -> None:
        async def work() -> None:
            await self.waiting.pause()
            self.seen.append("after")

        self.waiting.start(work())
        self.assertEqual(self.seen, [])
        self.timeline.run(0)
        self.assertEqual(self.seen, ["after"])
