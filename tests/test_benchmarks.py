# SPDX-License-Identifier: GPL-3.0-or-later
"""The measuring code of the benchmarks: what it promises to them, not how fast anything is."""

from contextlib import redirect_stdout
from io import StringIO

from twisted.trial.unittest import SynchronousTestCase

from benchmarks import __main__ as runner
from benchmarks import measure
from benchmarks.measure import Figure


class FigureTests(SynchronousTestCase):
    def test_a_value_above_its_bound_is_missed(self) -> None:
        self.assertTrue(Figure("parse", 3.1, "x", 3.0, "").missed)

    def test_a_value_at_its_bound_is_kept(self) -> None:
        self.assertFalse(Figure("parse", 3.0, "x", 3.0, "").missed)

    def test_without_a_bound_nothing_is_missed(self) -> None:
        self.assertFalse(Figure("parse", 3.0, "x", None, "").missed)


class MeasureTests(SynchronousTestCase):
    def test_calls_are_as_many_as_asked_for(self) -> None:
        calls: list[None] = []
        measure.seconds_a_call(lambda: calls.append(None), rounds=3, number=5)
        self.assertEqual(len(calls), 15)

    def test_more_work_is_a_higher_ratio(self) -> None:
        """A hundred times the work, so that no load of the machine turns it round."""
        self.assertGreater(
            measure.ratio(lambda: sum(range(10_000)), lambda: sum(range(100)), rounds=1), 1.0
        )


class TableTests(SynchronousTestCase):
    def test_missed_bounds_are_marked(self) -> None:
        heading, kept, missed = runner.table(
            [
                Figure("fetch flags", 1.25, "µs", 2.0, "Twisted's imap4"),
                Figure("parse", 12.0, "x", 3.0, ""),
            ]
        )
        self.assertEqual(heading.split(), ["figure", "value", "unit", "bound", "yardstick"])
        self.assertEqual(kept, "fetch flags   1.25  µs        2          Twisted's imap4")
        self.assertEqual(missed, "parse           12  x         3  MISSED")


class MainTests(SynchronousTestCase):
    def test_unknown_benchmark_is_named(self) -> None:
        with redirect_stdout(StringIO()) as printed:
            self.assertEqual(runner.main(["nothing_of_that_name"]), 2)
        self.assertIn("nothing_of_that_name", printed.getvalue())

    def test_every_benchmark_has_a_run(self) -> None:
        """A module that is no benchmark belongs into `OTHERS`."""
        for name in runner.names():
            module = __import__(f"benchmarks.{name}", fromlist=["run"])
            self.assertTrue(callable(module.run), name)
