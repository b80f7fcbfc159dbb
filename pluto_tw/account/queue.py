# SPDX-License-Identifier: GPL-3.0-or-later
"""
What waits for a shard's writer: works, lane by lane, bounded by the octets that they hold.

This file decides in which order works go into transactions, and who must wait for room. Whether
works are taken at all, and who is told what, is left to `shard.py`.

Two bounds. Above the first, `room` waits: who asks for it before computing a work is slowed down
with the disk, and so is the client behind. Above the second, works are refused; it is met only by
who does not ask. A computed work does not wait, as all that is computed on it would wait too.
"""

from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final, Protocol

from pluto_tw.account.work import Work
from pluto_tw.mail.waiting import Promise, Waiting

#: Octets of one transaction. Its pages go through the log twice; at 300 MB/s this is 60 ms that
#: the smallest change behind it waits.
TRANSACTION_OCTETS_MAX: Final = 8 * 1024 * 1024

#: With more than this in the queue `room` waits: two transactions, so that the disk is never idle.
QUEUED_OCTETS_ROOM: Final = 2 * TRANSACTION_OCTETS_MAX

#: With more than this in the queue works are refused. Who asks for `room` first never gets here:
#: each session has one command at a time, whose work is bounded. It bounds what a mistake costs.
QUEUED_OCTETS_MAX: Final = 4 * QUEUED_OCTETS_ROOM

#: Called once, with why the work failed, or with None when it is durable.
Done = Callable[[Exception | None], None]


class Taker(Protocol):
    """`Shard`, as its lanes see it."""

    waiting: Waiting

    def queue(self, lane: "Lane", work: Work, done: Done) -> None: ...


class Lane:
    """Works that build on each other. It ends by being forgotten."""

    __slots__ = ("_taker", "error")

    def __init__(self, taker: Taker) -> None:
        self._taker = taker
        #: Why it takes no more works; None while it does.
        self.error: Exception | None = None

    def commit(self, work: Work) -> Awaitable[None]:
        """
        Queues *work*, before this returns; what is returned fires when it is durable.

        Raises there `ShardFailed`, or `WorkRefused` if a statement is wrong.
        """
        promise: Promise[None] = self._taker.waiting.promise()

        def settle(error: Exception | None) -> None:
            if error is None:
                promise.fire(None)
            else:
                promise.fail(error)

        self.submit(work, settle)
        return promise

    def submit(self, work: Work, done: Done) -> None:
        """`commit` for who does not wait."""
        self._taker.queue(self, work, done)


@dataclass(slots=True)
class Queued:
    """A work that waits, and who is told of it."""

    lane: Lane
    work: Work
    done: Done


@dataclass(slots=True)
class Batch:
    """The works of one transaction, in the order in which they came, and lane by lane."""

    queued: list[Queued] = field(default_factory=list)
    lanes: dict[Lane, list[Work]] = field(default_factory=dict)


class Queue:
    """The works of one shard, and the crowd that waits for room among them."""

    def __init__(self, waiting: Waiting) -> None:
        self._waiting = waiting
        self._queued: deque[Queued] = deque()
        self._octets = 0
        self._crowd: deque[Promise[None]] = deque()

    def __bool__(self) -> bool:
        """Whether anything waits."""
        return bool(self._queued)

    @property
    def octets(self) -> int:
        """Of all that waits."""
        return self._octets

    def has_place(self, work: Work) -> bool:
        """Whether *work* may be put in."""
        return self._octets + work.octets <= QUEUED_OCTETS_MAX

    def put(self, queued: Queued) -> None:
        """At the end."""
        self._queued.append(queued)
        self._octets += queued.work.octets

    def take(self) -> Batch:
        """What goes into the next transaction, at least one work if there is any."""
        batch = Batch()
        octets = 0
        while self._queued and octets < TRANSACTION_OCTETS_MAX:
            queued = self._queued.popleft()
            batch.queued.append(queued)
            batch.lanes.setdefault(queued.lane, []).append(queued.work)
            octets += queued.work.octets
        self._octets -= octets
        return batch

    def drop(self, condition: Callable[[Queued], bool]) -> list[Queued]:
        """Takes out what meets *condition*, in order."""
        dropped = [queued for queued in self._queued if condition(queued)]
        self._queued = deque(queued for queued in self._queued if not condition(queued))
        self._octets -= sum(queued.work.octets for queued in dropped)
        return dropped

    async def room(self) -> None:
        """Returns when there is room, or `admit_all` is called; in the order of asking."""
        while self._octets > QUEUED_OCTETS_ROOM:
            promise: Promise[None] = self._waiting.promise()
            self._crowd.append(promise)
            await promise

    def admit(self) -> None:
        """Lets those on who wait for room, as long as there is some."""
        for _ in range(len(self._crowd)):
            if self._octets > QUEUED_OCTETS_ROOM:
                return
            self._crowd.popleft().fire(None)
