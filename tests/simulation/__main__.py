# SPDX-License-Identifier: GPL-3.0-or-later
"""`python -m tests.simulation`: runs seeds, prints figures, shrinks what fails."""

import sys
from argparse import ArgumentParser
from collections import Counter
from pathlib import Path
from time import perf_counter

from tests.cluster.mutants import MUTANTS
from tests.simulation.campaign import hunt, report, run_seed, run_seeds, shrink
from tests.simulation.plan import MIXES, SUITED

#: Random runs find these only by luck, so that there are scripts of them: nobody is alarmed.
BY_SCRIPT = frozenset({"S1", "S2"})


def main(arguments: list[str]) -> int:
    """0 if no run failed."""
    parser = ArgumentParser(prog="python -m tests.simulation")
    parser.add_argument("--seeds", type=int, default=100, help="how many runs")
    parser.add_argument("--from", type=int, default=1, dest="first", help="the first seed")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--mix", choices=[*MIXES, "all"])
    parser.add_argument("--reports", type=Path, help="where histories of failing runs go")
    parser.add_argument("--no-shrink", action="store_true")
    parser.add_argument(
        "--mutants",
        nargs="*",
        metavar="NAME",
        help="breaks the rules on purpose, and looks how soon that is found; "
        "without --mix in the mix that suits it",
    )
    parser.add_argument("--failures", type=int, default=3, help="stop after this many")
    options = parser.parse_args(arguments)
    if options.mutants is not None:
        return _hunt(options.mutants or list(MUTANTS), options.mix, options.seeds, options.jobs)
    failures = 0
    for mix in MIXES if options.mix == "all" else (options.mix or "default",):
        total: Counter[str] = Counter()
        cpu = []
        started = perf_counter()
        seeds = range(options.first, options.first + options.seeds)
        for outcome in run_seeds(seeds, mix, jobs=options.jobs):
            total.update(outcome.figures)
            cpu.append(outcome.cpu_seconds)
            if outcome.violation is not None:
                failures += 1
                seed = outcome.plan.settings.seed
                print(f"seed {seed} of {mix}: {outcome.violation}", flush=True)
                if not options.no_shrink:
                    outcome = shrink(run_seed(seed, mix))
                text = report(outcome)
                if options.reports is None:
                    print(text)
                else:
                    options.reports.mkdir(parents=True, exist_ok=True)
                    (options.reports / f"{mix}-{seed}.txt").write_text(text + "\n")
                if failures >= options.failures:
                    break
        seconds = perf_counter() - started
        print(
            f"{mix}: {len(cpu)} seeds, {failures} violations, {seconds:.0f} s, CPU a seed "
            f"{sum(cpu) / len(cpu):.3f} s, at most {max(cpu):.3f} s"
        )
        print("  " + ", ".join(f"{count} {word}" for word, count in sorted(total.items())))
        if failures:
            break
    return 1 if failures else 0


def _hunt(names: list[str], mix: str | None, seeds: int, jobs: int) -> int:
    """1 if a mutant survives that should not."""
    survivors = 0
    for name in names:
        mixes = list(MIXES) if mix == "all" else [mix or SUITED.get(name, "default")]
        started = perf_counter()
        found = hunt(MUTANTS[name], mixes, seeds, jobs)
        words = MUTANTS[name].__name__
        if found is None:
            survivors += name not in BY_SCRIPT
            where = " and ".join(mixes)
            print(f"{name} {words}: not found in {seeds} seeds of {where}", flush=True)
        else:
            number, outcome = found
            print(
                f"{name} {words}: found by seed {number} of {outcome.plan.settings.mix}, "
                f"{perf_counter() - started:.0f} s: {str(outcome.violation)[:100]}",
                flush=True,
            )
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
