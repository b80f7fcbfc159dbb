# SPDX-License-Identifier: GPL-3.0-or-later
"""Each cluster script holds for the rules, and fails for each mutant that it names."""

from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.crdt.transaction import Missing
from tests.cluster.mutants import MUTANTS
from tests.cluster.script import catches, run, scripts


class ScriptTests(SynchronousTestCase):
    def test_every_script_holds(self) -> None:
        """All sites show the same, and what the script says."""
        for path in scripts():
            run(path)

    def test_every_mutant_is_caught(self) -> None:
        """A checker that has not caught a bug is not trusted."""
        caught = set()
        for path in scripts():
            for name in catches(path):
                with self.assertRaises((AssertionError, Missing), msg=f"{path.name}: {name}"):
                    run(path, MUTANTS[name])
                caught.add(name)
        self.assertEqual(caught, set(MUTANTS))
