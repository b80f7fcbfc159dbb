# SPDX-License-Identifier: GPL-3.0-or-later
"""
Virtual time, and links that delay, lose, repeat and reorder.

Nothing here waits: `Timeline.run` takes the next event and the clock jumps to it. All chance comes
from generators that are seeded by name, one a link, so that leaving out a step of a run disturbs
the rest as little as possible.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from heapq import heappop, heappush
from random import Random
from typing import Generic, TypeVar

#: Where virtual time begins: 2026-01-01 00:00:00 UTC, in milliseconds of POSIX.
START_MS = 1_767_225_600_000

M = TypeVar("M")


class Timeline:
    """The clock that all share, in milliseconds since the start, and what is to happen."""

    def __init__(self) -> None:
        self.now = 0
        self._order = 0
        self._events: list[tuple[int, int, Callable[[], None]]] = []

    def at(self, time: int, event: Callable[[], None]) -> None:
        """Calls *event* at *time*, or now if that is past; of equal times the first call first."""
        self._order += 1
        heappush(self._events, (max(time, self.now), self._order, event))

    def after(self, ms: int, event: Callable[[], None]) -> None:
        """Calls *event* in *ms* from now."""
        self.at(self.now + ms, event)

    def fail(self, error: Exception) -> None:
        """`run` raises *error* before anything else happens."""

        def fail() -> None:
            raise error

        self._order += 1
        heappush(self._events, (-1, self._order, fail))

    def run(self, until: int) -> None:
        """Lets happen what is to happen up to *until*."""
        while self._events and self._events[0][0] <= until:
            time, _, event = heappop(self._events)
            self.now = max(time, self.now)
            event()
        self.now = until


@dataclass(frozen=True, slots=True)
class Weather:
    """How links behave: shares of messages from 0 to 1, one-way latencies in milliseconds."""

    latency_min: int = 5
    latency_max: int = 120
    loss: float = 0.05
    repeats: float = 0.05
    #: Messages that are overtaken by those sent after them.
    stragglers: float = 0.05
    straggler_max: int = 3000


CALM = Weather(loss=0.0, repeats=0.0, stragglers=0.0)


class Network(Generic[M]):
    """All links between replicas; *deliver* is called with (source, target, message)."""

    def __init__(
        self,
        timeline: Timeline,
        seed: int,
        weather: Weather,
        deliver: Callable[[int, int, M], None],
    ) -> None:
        self.weather = weather
        #: What happened to messages, by word.
        self.figures: Counter[str] = Counter()
        self._timeline = timeline
        self._seed = seed
        self._deliver = deliver
        self._chance: dict[tuple[int, int], Random] = {}
        self._cuts: Counter[tuple[int, int]] = Counter()

    def cut(self, links: Iterable[tuple[int, int]]) -> None:
        """Nothing passes on *links*, each from a source to a target, until as many `mend`s."""
        self._cuts.update(links)

    def mend(self, links: Iterable[tuple[int, int]]) -> None:
        """Takes back one `cut` of *links*."""
        self._cuts.subtract(links)

    def mend_all(self) -> None:
        """Takes back all cuts."""
        self._cuts.clear()

    def send(self, source: int, target: int, message: M) -> None:
        """Sends *message* on its way, and sometimes a second time."""
        chance = self._chance.get((source, target))
        if chance is None:
            chance = Random(f"link {self._seed} {source} {target}")
            self._chance[source, target] = chance
        weather = self.weather
        copies = 2 if chance.random() < weather.repeats else 1
        self.figures["messages"] += 1
        self.figures["repeated"] += copies - 1
        for _ in range(copies):
            # Chance is taken in the same amounts whatever comes of it.
            lost = chance.random() < weather.loss
            latency = chance.randint(weather.latency_min, weather.latency_max)
            if chance.random() < weather.stragglers:
                latency += chance.randint(0, weather.straggler_max)
                self.figures["delayed"] += 1
            if lost:
                self.figures["lost"] += 1
            else:
                self._timeline.after(latency, lambda: self._arrive(source, target, message))

    def _arrive(self, source: int, target: int, message: M) -> None:
        if self._cuts[source, target] > 0:
            self.figures["cut off"] += 1
        else:
            self._deliver(source, target, message)
