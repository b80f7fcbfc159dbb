# SPDX-License-Identifier: GPL-3.0-or-later
"""Many runs: which fail, what happened in all of them, and the shortest plan that fails."""

from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from time import process_time

from pluto_tw.crdt.rules import Rules
from tests.simulation.plan import Plan, Step, make_plan
from tests.simulation.world import MakesRules, Outcome, Run

#: CPU seconds that shrinking a plan may take.
SHRINK_SECONDS_MAX = 60

#: Seeds of one mix in a row when a mutant is hunted.
HUNT_STEP = 20


def run_seed(seed: int, mix: str, rules: MakesRules = Rules) -> Outcome:
    """One run."""
    return Run(make_plan(seed, mix), rules).result()


def run_seeds(
    seeds: Iterable[int], mix: str, rules: MakesRules = Rules, jobs: int = 1
) -> Iterator[Outcome]:
    """Runs in the order of *seeds*, in as many processes as *jobs*; *rules* must be importable."""
    if jobs == 1:
        for seed in seeds:
            yield run_seed(seed, mix, rules)
        return
    # Not forks of this process, which may have threads, and whose coverage is being measured.
    with ProcessPoolExecutor(jobs, get_context("forkserver")) as pool:
        # A few are in flight: who needs no more of them does not wait for long.
        flying: deque[Future[Outcome]] = deque()
        for seed in seeds:
            flying.append(pool.submit(_run, seed, mix, rules))
            if len(flying) > 2 * jobs:
                yield flying.popleft().result()
        while flying:
            yield flying.popleft().result()


def _run(seed: int, mix: str, rules: MakesRules) -> Outcome:
    outcome = run_seed(seed, mix, rules)
    if outcome.violation is None:
        outcome.history.clear()
    else:
        # A traceback does not travel between processes; the run can be repeated.
        outcome.violation.__cause__ = None
        outcome.violation.__traceback__ = None
    return outcome


def hunt(
    rules: MakesRules, mixes: Sequence[str], most: int, jobs: int = 1
) -> tuple[int, Outcome] | None:
    """
    The first run that shows that *rules* are broken, and how many runs it took; None if *most*
    of each of *mixes* do not. All mixes take turns.
    """
    count = 0
    for first in range(1, most + 1, HUNT_STEP):
        for mix in mixes:
            seeds = range(first, min(first + HUNT_STEP, most + 1))
            for outcome in run_seeds(seeds, mix, rules, jobs):
                count += 1
                if outcome.violation is not None:
                    return count, outcome
    return None


def shrink(outcome: Outcome, rules: MakesRules = Rules) -> Outcome:
    """
    A run with as few steps as possible that breaks the same invariant.

    Leaves out halves of the steps, then quarters, and so on down to single ones, as long as
    anything can be left out.
    """
    assert outcome.violation is not None
    wanted = outcome.violation.invariant
    best = outcome
    until = process_time() + SHRINK_SECONDS_MAX

    def attempt(steps: tuple[Step, ...]) -> bool:
        nonlocal best
        found = Run(replace(best.plan, steps=steps), rules).result()
        if found.violation is None or found.violation.invariant != wanted:
            return False
        best = found
        return True

    size = max(len(best.plan.steps) // 2, 1)
    while process_time() < until:
        at = 0
        smaller = False
        while at < len(best.plan.steps) and process_time() < until:
            steps = best.plan.steps
            if attempt(steps[:at] + steps[at + size :]):
                smaller = True
            else:
                at += size
        if size == 1 and not smaller:
            break
        size = max(size // 2, 1)
    return best


def report(outcome: Outcome) -> str:
    """A failing run, to be read."""
    plan: Plan = outcome.plan
    lines = [f"seed {plan.settings.seed} of {plan.settings.mix}: {outcome.violation}"]
    lines.append(str(plan.settings))
    lines.extend(map(str, plan.steps))
    lines.extend(outcome.history)
    return "\n".join(lines)


def figures(outcomes: Iterable[Outcome]) -> Counter[str]:
    """What happened, added up."""
    total: Counter[str] = Counter()
    for outcome in outcomes:
        total.update(outcome.figures)
    return total
