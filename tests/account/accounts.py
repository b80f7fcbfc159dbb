# SPDX-License-Identifier: GPL-3.0-or-later
"""Accounts on SQLite in memory, for tests: one node or several, on the test's clock."""

from collections.abc import Callable, Iterable
from dataclasses import replace

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from pluto_tw.account.database import Database, MemoryDatabase
from pluto_tw.account.members import Members
from pluto_tw.account.shard import Shard
from pluto_tw.account.site import Ground, Limits, Site
from pluto_tw.account.store import Store
from pluto_tw.mail.waiting import ThreadHop
from pluto_tw.net.waiting import ReactorWaiting
from tests.support.hop import HeldHop, SynchronousHop

#: When the clock of a test is at 0: 2026-01-01 00:00:00 UTC.
START_SECONDS = 1_767_225_600.0

ANY_LIMITS = Limits()


class MortalWaiting(ReactorWaiting):
    """Waits by the test's clock until its process dies."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock, lambda: START_SECONDS + clock.seconds())
        self._clock = clock
        self._is_alive = True

    def die(self) -> None:
        """No timer fires any more."""
        self._is_alive = False

    def later(self, seconds: float, call: Callable[[], None]) -> Callable[[], None]:
        return super().later(seconds, lambda: call() if self._is_alive else None)

    def reborn(self) -> "MortalWaiting":
        """What the process after this one waits by."""
        self.die()
        return MortalWaiting(self._clock)


class Node:
    """A node with one shard on *database*: it can be stopped, killed and started again."""

    def __init__(self, database: Database, site: Site, subnet: str = "subnet") -> None:
        self.database = database
        self.site = site
        self._subnet = subnet
        self.restart()

    def restart(self, hop: HeldHop | None = None) -> None:
        """
        Starts it, on what is in the database: after `stop`, or as after a crash.

        With *hop* commits and loads wait until it is told to go on.
        """
        waiting = self.site.waiting
        assert isinstance(waiting, MortalWaiting)
        self.site = replace(self.site, waiting=waiting.reborn())
        with_hop: ThreadHop = SynchronousHop() if hop is None else hop
        self.shard = Shard(self.database, self.site.waiting, with_hop, [with_hop])
        starting = Deferred.fromCoroutine(self.shard.start())
        if hop is not None:
            hop.finish()
        assert starting.called and starting.result is None, starting
        self.ground = Ground(self.shard)
        self.store = Store(self._subnet, self.site, [self.ground], ".")

    def stop(self) -> None:
        """Stops it in an orderly way."""
        for work in (self.store.close(), self.shard.close()):
            stopping = Deferred.fromCoroutine(work)
            assert stopping.called and stopping.result is None, stopping


def site_of(
    clock: Clock,
    slot: int = 0,
    others: Iterable[int] = (),
    limits: Limits = ANY_LIMITS,
    heard: Callable[[], frozenset[int]] = frozenset,
) -> Site:
    """A site on the test's *clock*."""
    return Site(Members.fixed(slot, others), MortalWaiting(clock), heard, limits=limits)


def in_memory(clock: Clock, limits: Limits = ANY_LIMITS) -> Node:
    """A node that is alone, on a new database in memory."""
    return Node(MemoryDatabase("memory", bytes(16)), site_of(clock, limits=limits))
