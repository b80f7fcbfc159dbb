# SPDX-License-Identifier: GPL-3.0-or-later
"""
`python -m benchmarks [name ...]`: runs the benchmarks and prints one table.

The exit status is 1 if a figure is above its bound, 2 if a benchmark of that name does not exist.
"""

import importlib
import pkgutil
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import cast

import benchmarks
from benchmarks.measure import Figure

#: The modules of this package that are no benchmarks, or need more than a minute or a cluster.
OTHERS = frozenset({"__main__", "across_regions", "large_shard", "measure", "through_distributor"})


def names() -> list[str]:
    """The benchmarks there are, in alphabetical order."""
    return sorted(
        module.name
        for module in pkgutil.iter_modules(benchmarks.__path__)
        if module.name not in OTHERS
    )


def figures(name: str) -> list[Figure]:
    """Runs the benchmark *name*."""
    run = cast(
        Callable[[], list[Figure]], importlib.import_module(f"{benchmarks.__name__}.{name}").run
    )
    return run()


def table(measured: Iterable[Figure]) -> list[str]:
    """One line a figure under a heading, in columns; a missed bound is marked."""
    rows = [("figure", "value", "unit", "bound", "", "yardstick")]
    for figure in measured:
        bound = "" if figure.bound is None else f"{figure.bound:.4g}"
        mark = "MISSED" if figure.missed else ""
        rows.append(
            (figure.name, f"{figure.value:.4g}", figure.unit, bound, mark, figure.yardstick)
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(
            # Numbers end, words begin in the same column.
            cell.rjust(width) if column in (1, 3) else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def main(arguments: Sequence[str]) -> int:
    """Runs the benchmarks named, or all; the exit status."""
    if unknown := sorted(set(arguments) - set(names())):
        print(f"no benchmark {', '.join(unknown)}; there are: {', '.join(names())}")
        return 2
    measured = [figure for name in arguments or names() for figure in figures(name)]
    print("\n".join(table(measured)))
    return 1 if any(figure.missed for figure in measured) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
