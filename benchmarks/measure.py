# SPDX-License-Identifier: GPL-3.0-or-later
"""
How a cost is measured: CPU seconds of this process, several rounds, the median.

Decides how to measure and what a figure is; what to measure, and against what, is left to the
benchmarks. The garbage collector rests while a round runs, so that no round pays for another's.
"""

import gc
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

#: CPU seconds that one round takes at least: a thousand times what the clock call costs, and
#: short enough that seven rounds of two programs stay below a second.
ROUND_SECONDS_MIN = 0.02

#: Calls in one round at most: calls cheaper than this allows measure the loop, not the call.
ROUND_CALLS_MAX = 10_000_000


@dataclass(frozen=True, slots=True)
class Figure:
    """
    One measured cost; less is better.

    *value* is in *unit* ("µs", "MiB", "x" for a ratio). *bound* is in the same unit the most that
    the design allows, None where the figure only informs. *yardstick* says in a few words what
    the value was measured against, or "" if it stands for itself.
    """

    name: str
    value: float
    unit: str
    bound: float | None
    yardstick: str

    @property
    def missed(self) -> bool:
        """Whether the value is above its bound."""
        return self.bound is not None and self.value > self.bound


def seconds_a_call(f: Callable[[], object], rounds: int = 7, number: int | None = None) -> float:
    """
    The median over *rounds* of the CPU seconds that one call of *f* takes.

    *number* is the count of calls in a round; by default as many as fill `ROUND_SECONDS_MIN`.
    """
    number = number or _calls_of_a_round(f)
    return statistics.median(_cpu_seconds(f, number) / number for _ in range(rounds))


def ratio(ours: Callable[[], object], yardstick: Callable[[], object], rounds: int = 7) -> float:
    """
    How often *yardstick* could run while *ours* runs once: below 1, ours is the cheaper one.

    Both run in each round, one after the other, and the median of the rounds' ratios is taken: a
    machine that gets slower or busier meanwhile slows both.
    """
    our_number = _calls_of_a_round(ours)
    yardstick_number = _calls_of_a_round(yardstick)
    return statistics.median(
        (_cpu_seconds(ours, our_number) / our_number)
        / (_cpu_seconds(yardstick, yardstick_number) / yardstick_number)
        for _ in range(rounds)
    )


def _calls_of_a_round(f: Callable[[], object]) -> int:
    """How many calls of *f* take `ROUND_SECONDS_MIN`; also warms its caches."""
    number = 1
    while (seconds := _cpu_seconds(f, number)) < ROUND_SECONDS_MIN and number < ROUND_CALLS_MAX:
        # Ten times as many at most: the first calls fill caches and say little of the others.
        wanted = number * ROUND_SECONDS_MIN / seconds if seconds else number * 10
        number = min(max(int(wanted) + 1, number + 1), number * 10, ROUND_CALLS_MAX)
    return number


def _cpu_seconds(f: Callable[[], object], number: int) -> float:
    """CPU seconds that *number* calls of *f* take together, the loop's own included."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        start = time.process_time()
        for _ in range(number):
            f()
        return time.process_time() - start
    finally:
        if collecting:
            gc.enable()
