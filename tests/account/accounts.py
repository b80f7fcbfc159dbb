# SPDX-License-Identifier: GPL-3.0-or-later
"""Accounts on SQLite in memory, for tests: one node or several, on the test's clock."""

from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from pluto_tw.account.database import Database, MemoryDatabase
from pluto_tw.account.shard import Shard
from pluto_tw.account.site import Ground, Limits, Site
from pluto_tw.account.store import Store
from pluto_tw.mail.waiting import ThreadHop
from pluto_tw.net.waiting import ReactorWaiting
from tests.support.hop import SynchronousHop

#: When the clock of a test is at 0: 2026-01-01 00:00:00 UTC.
START_SECONDS = 1_767_225_600.0


class Node:
    """A node with one shard on *database*: its store can be stopped, killed and started again."""

    def __init__(
        self,
        clock: Clock,
        database: Database,
        *,
        slot: int = 0,
        others: Sequence[int] = (),
        limits: Limits = Limits(),
        heard: Callable[[], frozenset[int]] = frozenset,
        writer: ThreadHop | None = None,
    ) -> None:
        self.waiting = ReactorWaiting(clock, lambda: START_SECONDS + clock.seconds())
        self.database = database
        self.site = Site(slot, self.waiting, frozenset(others), heard, limits=limits)
        self.writer = writer
        self.start()

    def start(self) -> None:
        hop = SynchronousHop()
        self.shard = Shard(self.database, self.waiting, self.writer or hop, [hop])
        _now(self.shard.start())
        self.ground = Ground(self.shard)
        self.store = Store("subnet", self.site, [self.ground], ".")

    def stop(self) -> None:
        """In an orderly way."""
        _now(self.store.close())
        _now(self.shard.close())

    def limit(self, limits: Limits) -> None:
        """Limits for accounts that are not in memory yet."""
        self.site = replace(self.site, limits=limits)
        self.store = Store("subnet", self.site, [self.ground], ".")


def in_memory(clock: Clock) -> Node:
    """A node alone, on a new database."""
    return Node(clock, MemoryDatabase("memory", bytes(16)))


def _now(work: Coroutine[Any, Any, object]) -> None:
    done = Deferred.fromCoroutine(work)
    failures: list[object] = []
    done.addErrback(failures.append)
    assert done.called and not failures, failures
