# SPDX-License-Identifier: GPL-3.0-or-later
"""Other threads in virtual time: one that needs none, and one in whose work a crash can come."""

from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar

from tests.simulation.waiting import Settled, VirtualWaiting

T = TypeVar("T")


class AtOnce:
    """A thread that does each work within the call."""

    def call(self, work: Callable[[], T]) -> Settled[T]:
        promise: Settled[T] = Settled()
        settle(promise, work)
        return promise


class Later:
    """A thread that takes its time, before it does a work and before it tells of it."""

    def __init__(self, waiting: VirtualWaiting, milliseconds: Callable[[], int]) -> None:
        self._waiting = waiting
        self._milliseconds = milliseconds
        self._given: deque[tuple[Callable[[], Any], Settled[Any]]] = deque()

    def call(self, work: Callable[[], T]) -> Settled[T]:
        promise: Settled[T] = Settled()
        self._given.append((work, promise))
        if len(self._given) == 1:
            self._next()
        return promise

    def _next(self) -> None:
        self._waiting.later(self._milliseconds() / 1000, self._do)

    def _do(self) -> None:
        work, promise = self._given[0]
        done: Settled[Any] = Settled()
        settle(done, work)
        self._waiting.later(self._milliseconds() / 2000, lambda: self._tell(done, promise))

    def _tell(self, done: Settled[Any], promise: Settled[Any]) -> None:
        self._given.popleft()
        if self._given:
            self._next()
        done.pass_on(promise)


def settle(promise: Settled[T], work: Callable[[], T]) -> None:
    """Settles *promise* with what *work* returns or raises."""
    try:
        result = work()
    except Exception as error:  # noqa: BLE001  # as a thread does: it comes up where it is awaited
        promise.fail(error)
    else:
        promise.fire(result)
