# SPDX-License-Identifier: GPL-3.0-or-later
"""
`pluto_tw.mail.waiting` on Twisted: promises are Deferreds, timers and pauses the reactor's.

A coroutine is driven here by hand rather than by `Deferred.fromCoroutine`: most commands never
wait, and then cost no Deferred at all.
"""

import time
from collections.abc import Awaitable, Callable, Coroutine, Generator
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

T = TypeVar("T")

log = Logger()


class DeferredPromise:
    """A promise whose value comes through a Deferred."""

    __slots__ = ("_deferred",)

    def __init__(self) -> None:
        self._deferred: Deferred[Any] = Deferred()

    def fire(self, value: Any) -> None:
        """Whoever awaits goes on with *value*, before this returns."""
        self._deferred.callback(value)

    def fail(self, error: Exception) -> None:
        """Whoever awaits has *error* raised there, before this returns."""
        self._deferred.errback(Failure(error))

    def __await__(self) -> Generator[Any, Any, Any]:
        return self._deferred.__await__()


class ReactorWaiting:
    """Waits by *reactor*; *now* tells the time of day."""

    def __init__(self, reactor: IReactorTime, now: Callable[[], float] = time.time) -> None:
        self._reactor = reactor
        self.now = now

    def promise(self) -> DeferredPromise:
        """A new promise, not settled."""
        return DeferredPromise()

    def later(self, seconds: float, call: Callable[[], None]) -> Callable[[], None]:
        """Calls *call* once, *seconds* from now; what is returned cancels it, at any time."""
        timer = self._reactor.callLater(seconds, call)

        def cancel() -> None:
            if timer.active():
                timer.cancel()

        return cancel

    def pause(self) -> Awaitable[None]:
        """Lets everybody else run first."""
        promise = DeferredPromise()
        self._reactor.callLater(0, promise.fire, None)
        return promise

    def start(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Runs *coroutine* up to its first wait; the rest follows as what it waits for comes."""
        self._resume(None, coroutine)

    def seconds(self) -> float:
        """The reactor's clock, in seconds."""
        return self._reactor.seconds()

    def _resume(self, result: object, coroutine: Coroutine[Any, Any, None]) -> None:
        # An awaited Deferred yields itself, and then gives its result itself to who goes on; a
        # failure must be thrown in, as `inlineCallbacks` does.
        try:
            if isinstance(result, Failure):
                waited_for = result.throwExceptionIntoGenerator(coroutine)
            else:
                waited_for = coroutine.send(None)
        except StopIteration:
            return
        except Exception:
            log.failure("a coroutine ended by an exception: this is a bug")
            return
        waited_for.addBoth(self._resume, coroutine)
