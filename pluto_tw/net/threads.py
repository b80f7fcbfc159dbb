# SPDX-License-Identifier: GPL-3.0-or-later
"""
`pluto_tw.mail.waiting.ThreadHop` on Twisted: a thread pool of one thread.

One thread a hop keeps the order of what it is given, and a connection of SQLite on one thread.
"""

from collections.abc import Callable
from typing import TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorFromThreads
from twisted.internet.threads import deferToThreadPool
from twisted.python.threadpool import ThreadPool

T = TypeVar("T")


class PoolHop:
    """
    A thread called *name*, from `start` to `stop`; results come back on that of *reactor*.

    Its owner is a service, which starts it before what uses it and stops it after. What was
    queued is done before `stop` returns, so nothing should be: `stop` blocks.
    """

    def __init__(self, reactor: IReactorFromThreads, name: str) -> None:
        self._reactor = reactor
        self._pool = ThreadPool(minthreads=1, maxthreads=1, name=name)

    def start(self) -> None:
        """The thread runs from now on."""
        self._pool.start()

    def stop(self) -> None:
        """Ends the thread, after all that was queued."""
        self._pool.stop()

    def call(self, work: Callable[[], T]) -> Deferred[T]:
        """Has *work* done over there, after all that was queued before."""
        return deferToThreadPool(self._reactor, self._pool, work)
