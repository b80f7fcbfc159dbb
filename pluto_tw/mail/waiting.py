# SPDX-License-Identifier: GPL-3.0-or-later
"""
What plain code needs of an event loop, so that it can wait without knowing which one it is.

The lower layers are plain functions and coroutines. They wait on what is passed in here;
the shells and the tests implement it. A coroutine that never waits costs no promise.
"""

from collections.abc import Awaitable, Callable, Coroutine, Generator
from typing import Any, Protocol, TypeVar

T = TypeVar("T")


class Promise(Protocol[T]):
    """A value that comes later: awaited by one coroutine at most, settled once."""

    def fire(self, value: T) -> None:
        """Whoever awaits goes on with *value*, before this returns."""

    def fail(self, error: Exception) -> None:
        """Whoever awaits has *error* raised there, before this returns."""

    def __await__(self) -> Generator[Any, Any, T]: ...


class Waiting(Protocol):
    """The ways to wait; all calls come back on the thread that they were made on."""

    def promise(self) -> Promise[Any]:
        """A new promise, not settled."""

    def later(self, seconds: float, call: Callable[[], None]) -> Callable[[], None]:
        """Calls *call* once, *seconds* from now; what is returned cancels it, at any time."""

    def pause(self) -> Awaitable[None]:
        """Lets everybody else run first: long loops await it at least every `SLICE_SECONDS`."""

    def start(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """
        Runs *coroutine* up to the first point where it must wait, before this returns; the
        rest follows by itself. It must not raise: what it raises is logged as a bug.
        """

    def seconds(self) -> float:
        """A clock that never goes back, in seconds from an arbitrary start."""

    def now(self) -> float:
        """The time of day: seconds since 1970 in UTC."""


class ThreadHop(Protocol):
    """One other thread, which does what it is given in the order in which it is given."""

    def call(self, work: Callable[[], T]) -> Awaitable[T]:
        """
        Has *work* done over there; what it returns or raises comes back to the calling thread.

        It is queued before this returns, whether or not anybody awaits. A hop costs some 50 µs,
        and *work* that is Python rather than waiting, SQL or hashing stops the event loop too.
        """


#: Work on the event loop's thread pauses after this long. Twenty of them are still no delay that
#: a person notices, and a pause (10-50 µs) is lost in it.
SLICE_SECONDS = 0.005
