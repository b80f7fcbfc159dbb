# SPDX-License-Identifier: GPL-3.0-or-later
"""A hop to a thread of one's own: another thread, in order, errors included."""

import threading
from functools import partial
from typing import cast

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.interfaces import IReactorFromThreads
from twisted.trial.unittest import TestCase

from pluto_tw.net.threads import PoolHop


class PoolHopTests(TestCase):
    timeout = 30

    def setUp(self) -> None:
        from twisted.internet import reactor

        self.hop = PoolHop(cast(IReactorFromThreads, reactor), "hop")
        self.hop.start()
        self.addCleanup(self.hop.stop)

    async def test_work_is_done_on_the_other_thread(self) -> None:
        self.assertNotEqual(await self.hop.call(threading.get_ident), threading.get_ident())

    async def test_it_is_always_the_same_thread(self) -> None:
        """A connection of SQLite stays on its thread."""
        idents = {await self.hop.call(threading.get_ident) for _ in range(5)}
        self.assertEqual(len(idents), 1)

    def test_order_is_kept(self) -> Deferred[None]:
        done: list[int] = []
        calls = [self.hop.call(partial(done.append, number)) for number in range(50)]
        return gatherResults(calls).addCallback(lambda _: self.assertEqual(done, [*range(50)]))

    async def test_an_error_comes_back(self) -> None:
        def work() -> None:
            raise KeyError("there")

        with self.assertRaises(KeyError):
            await self.hop.call(work)
