# SPDX-License-Identifier: GPL-3.0-or-later
"""How many files the operating system lets a process open."""

import resource

from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.node.descriptors import FILES_BESIDES_CONNECTIONS, allow


class AllowTests(SynchronousTestCase):
    def limits(self, soft: int, hard: int) -> None:
        """What the system says from now on; `self.now` is what it was asked for."""
        self.now = (soft, hard)

        def set_limit(which: int, limits: tuple[int, int]) -> None:
            self.now = limits

        self.patch(resource, "getrlimit", lambda which: self.now)
        self.patch(resource, "setrlimit", set_limit)

    def test_enough(self) -> None:
        self.limits(100_000, 100_000)
        self.assertIsNone(allow(10_000))
        self.limits(resource.RLIM_INFINITY, resource.RLIM_INFINITY)
        self.assertIsNone(allow(10_000))

    def test_the_soft_limit_is_raised(self) -> None:
        for hard in (100_000, resource.RLIM_INFINITY):
            self.limits(1024, hard)
            self.assertIsNone(allow(10_000))
            self.assertEqual(self.now, (10_000 + FILES_BESIDES_CONNECTIONS, hard))

    def test_the_hard_limit_is_told(self) -> None:
        self.limits(1024, 4096)
        self.assertEqual(allow(10_000), 4096 - FILES_BESIDES_CONNECTIONS)
        self.assertEqual(self.now, (4096, 4096))
