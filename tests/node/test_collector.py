# SPDX-License-Identifier: GPL-3.0-or-later
"""The collector of a process that serves."""

import gc

from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.node.collector import YOUNG_OBJECTS, tune_collector


class TuneCollectorTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.addCleanup(gc.set_threshold, *gc.get_threshold())
        self.addCleanup(gc.unfreeze)

    def test_it_looks_seldom_and_not_at_what_was_there(self) -> None:
        tune_collector()
        self.assertTrue(gc.isenabled())
        self.assertEqual(gc.get_threshold()[0], YOUNG_OBJECTS)
        self.assertGreater(gc.get_freeze_count(), 0)
