# SPDX-License-Identifier: GPL-3.0-or-later
"""
Thread hops without threads: work is done at once, or when the test says so.

With a `HeldHop` a test stops time at each point where a process can die: before work was done,
and after it was done but nobody was told.
"""

from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, execute

T = TypeVar("T")


class SynchronousHop:
    """Does each work within the call."""

    def call(self, work: Callable[[], T]) -> Deferred[T]:
        return execute(work)


class HeldHop:
    """Does each work when `run` is called, and tells of it when `tell` is."""

    def __init__(self) -> None:
        self._given: deque[tuple[Callable[[], Any], Deferred[Any]]] = deque()
        self._done: deque[tuple[Deferred[Any], Deferred[Any]]] = deque()
        self._dead: list[Deferred[Any]] = []

    @property
    def given(self) -> int:
        """How many works were given and not run."""
        return len(self._given)

    def call(self, work: Callable[[], T]) -> Deferred[T]:
        promise: Deferred[T] = Deferred()
        self._given.append((work, promise))
        return promise

    def run(self) -> None:
        """Does the oldest work; nobody is told yet."""
        work, promise = self._given.popleft()
        self._done.append((execute(work), promise))

    def tell(self) -> None:
        """Who gave the work that was done first goes on."""
        result, promise = self._done.popleft()
        result.chainDeferred(promise)

    def step(self) -> None:
        """`run` and `tell`."""
        self.run()
        self.tell()

    def finish(self) -> None:
        """Does and tells until nothing is left, also what comes meanwhile."""
        while self._given or self._done:
            if not self._done:
                self.run()
            self.tell()

    def crash(self) -> None:
        """Nothing more is done, and nobody is told."""
        # They stay referred to: a coroutine that is dropped runs its `finally`, a dead process
        # does not.
        self._dead += [promise for _, promise in (*self._given, *self._done)]
        self._given.clear()
        self._done.clear()
