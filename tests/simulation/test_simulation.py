# SPDX-License-Identifier: GPL-3.0-or-later
"""
As many seeds as fit into the suite, of each mix; `python -m tests.simulation` runs more.

The numbers are of seeds, so that the same is run everywhere: together some 90 CPU seconds, on two
cores, in processes of their own, where coverage is not measured.
"""

import os
from collections import Counter

from twisted.trial.unittest import SynchronousTestCase

from tests.cluster.mutants import MUTANTS
from tests.simulation.campaign import hunt, report, run_seed, run_seeds, shrink
from tests.simulation.plan import Plan, make_plan
from tests.simulation.world import Run

#: As many processes as run seeds at a time.
JOBS = min(2, os.cpu_count() or 1)


class SimulationTests(SynchronousTestCase):
    """A failure says its seed, and what happened."""

    def run_mix(self, mix: str, seeds: int) -> Counter[str]:
        """The figures of the first *seeds* of *mix*."""
        total: Counter[str] = Counter()
        for outcome in run_seeds(range(1, seeds + 1), mix, jobs=JOBS):
            if outcome.violation is not None:
                self.fail(report(shrink(outcome)))
            total.update(outcome.figures)
        return total

    def test_default(self) -> None:
        total = self.run_mix("default", 32)
        # All that the checks are about does occur.
        for word in (
            "answers own",
            "answers covered",
            "answers uncovered",
            "renumbered",
            "UIDVALIDITY reissued",
            "crash",
            "cut",
            "handovers",
        ):
            self.assertGreater(total[word], 0, word)

    def test_snapshots_sliced_folding_and_crashes(self) -> None:
        total = self.run_mix("snapshots", 22)
        self.assertGreater(total["states merged"], 0)
        self.assertGreater(total["pieces loaded"], 0)

    def test_five_replicas(self) -> None:
        self.run_mix("five", 10)

    def test_small_batches(self) -> None:
        self.run_mix("small", 18)

    def test_forced_removal(self) -> None:
        self.assertGreater(self.run_mix("removal", 18)["lose"], 0)

    def test_rollback_of_a_database(self) -> None:
        self.assertGreater(self.run_mix("rollback", 20)["rollbacks noticed"], 0)

    def test_stripes(self) -> None:
        self.run_mix("stripes", 18)

    def test_names(self) -> None:
        self.run_mix("names", 30)

    def test_uids_that_begin_again(self) -> None:
        self.run_mix("restart", 15)

    def test_real_account_on_sqlite(self) -> None:
        total = self.run_mix("account", 30)
        self.assertGreater(total["crash"], 0)
        self.assertGreater(total["resyncs foreign"], 0)
        self.assertGreater(total["commits in doubt"], 0)
        self.assertGreater(total["commits on a full disk"], 0)

    def test_real_account_copied_by_snapshots(self) -> None:
        total = self.run_mix("account-snapshots", 14)
        for word in ("snapshots loaded", "pieces loaded", "joined", "bodies asked for"):
            self.assertGreater(total[word], 0, word)

    def test_real_members_come_and_go(self) -> None:
        total = self.run_mix("account-members", 16)
        for word in ("left", "lose", "exile", "rollbacks noticed", "joined", "bodies lost"):
            self.assertGreater(total[word], 0, word)

    def test_full_disk_where_nobody_waits_for_uids(self) -> None:
        """What is left to be claimed was tried again without a pause, in no time."""
        self.assertIsNone(run_seed(10, "account").violation)

    def test_commit_in_doubt_that_was_done(self) -> None:
        """Peers were not woken when it turned out."""
        self.assertIsNone(run_seed(61, "account").violation)

    def test_churn_after_a_cut(self) -> None:
        self.run_mix("tail", 12)


class MutantTests(SynchronousTestCase):
    """A checker that has not caught a bug is not trusted."""

    def assert_found(self, name: str, seeds: int, mix: str = "default") -> None:
        self.assertIsNotNone(hunt(MUTANTS[name], [mix], seeds), name)

    def test_contiguous_uids_are_found(self) -> None:
        self.assert_found("K1", 3)

    def test_late_messages_left_hidden_are_found(self) -> None:
        self.assert_found("K3", 3)

    def test_missing_coverage_is_found(self) -> None:
        self.assert_found("K5", 3)

    def test_falling_uidvalidity_is_found(self) -> None:
        self.assert_found("K9", 5)

    def test_early_stability_is_found(self) -> None:
        self.assert_found("K13", 5)

    def test_trusted_sessions_are_found(self) -> None:
        self.assert_found("S4", 5)

    def test_contiguous_uids_of_the_real_account_are_found(self) -> None:
        self.assert_found("K1", 3, "account-snapshots")

    def test_trusted_sessions_of_the_real_account_are_found(self) -> None:
        self.assert_found("S4", 5, "account-snapshots")

    def test_time_as_uidvalidity_of_the_real_account_is_found(self) -> None:
        self.assert_found("K8", 3, "account-members")


class CampaignTests(SynchronousTestCase):
    def test_same_seed_gives_same_history(self) -> None:
        """Each run replays from its seed."""
        first, second = run_seed(7, "default"), run_seed(7, "default")
        self.assertEqual(first.history, second.history)
        self.assertNotEqual(first.digest, run_seed(8, "default").digest)

    def test_failing_run_shrinks(self) -> None:
        """The shortest plan breaks the same invariant, and each of its steps is needed."""
        found = hunt(MUTANTS["K9"], ["default"], 5)
        assert found is not None
        small = shrink(found[1], MUTANTS["K9"])
        assert small.violation is not None
        self.assertEqual(small.violation.invariant, "I6")
        self.assertLess(len(small.plan.steps), 12)
        steps = small.plan.steps
        for place in range(len(steps)):
            plan = Plan(small.plan.settings, steps[:place] + steps[place + 1 :])
            outcome = Run(plan, MUTANTS["K9"]).result()
            if outcome.violation is not None:
                self.assertNotEqual(outcome.violation.invariant, "I6")
        self.assertIn("VIOLATION I6", report(small))

    def test_processes_give_the_same_runs(self) -> None:
        alone = [outcome.digest for outcome in run_seeds(range(1, 4), "names")]
        shared = [outcome.digest for outcome in run_seeds(range(1, 4), "names", jobs=2)]
        self.assertEqual(alone, shared)

    def test_plans_are_made_from_the_seed_alone(self) -> None:
        self.assertEqual(make_plan(3, "rollback"), make_plan(3, "rollback"))
        self.assertNotEqual(make_plan(3), make_plan(4))
