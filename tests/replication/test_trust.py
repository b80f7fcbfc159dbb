# SPDX-License-Identifier: GPL-3.0-or-later
"""Whom a certificate must name."""

from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.node.internal_tls import Shown
from pluto_tw.replication.trust import objection


class ObjectionTests(SynchronousTestCase):
    def objection(self, role: str, name: str) -> str:
        shown = Shown(role, name, f"a certificate of pluto:{role}:{name}", "")
        return objection(shown, {"a", "b"}.__contains__, "a, b")

    def test_replicas_that_are_expected(self) -> None:
        self.assertEqual(self.objection("worker", "a"), "")
        self.assertEqual(self.objection("storage", "b"), "")

    def test_everybody_else(self) -> None:
        self.assertEqual(
            self.objection("worker", "c"),
            "it showed a certificate of pluto:worker:c, and expected is worker or storage a, b",
        )
        self.assertTrue(self.objection("distributor", "a"))
        self.assertTrue(self.objection("", ""))
