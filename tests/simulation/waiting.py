# SPDX-License-Identifier: GPL-3.0-or-later
"""`pluto_tw.mail.waiting` in virtual time: promises without a reactor, timers on a `Timeline`."""

from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextlib import suppress
from typing import Any, Generic, TypeVar

from tests.simulation.network import START_MS, Timeline

T = TypeVar("T")


class Settled(Generic[T]):
    """A promise; whoever awaits it goes on within `fire` or `fail`."""

    def __init__(self) -> None:
        self._value: T | None = None
        self._error: Exception | None = None
        self._done = False
        self._resume: Callable[[], None] | None = None

    @property
    def is_settled(self) -> bool:
        """Whether `fire` or `fail` was called."""
        return self._done

    def fire(self, value: T) -> None:
        """As `Promise.fire`."""
        assert not self._done
        self._value = value
        self._settle()

    def fail(self, error: Exception) -> None:
        """As `Promise.fail`."""
        assert not self._done
        self._error = error
        self._settle()

    def _settle(self) -> None:
        self._done = True
        if self._resume is not None:
            self._resume()

    def pass_on(self, other: "Settled[T]") -> None:
        """Settles *other* as this one, which is settled."""
        if self._error is not None:
            other.fail(self._error)
        else:
            other.fire(self._value)  # type: ignore[arg-type]  # fired with a T

    def wake(self, resume: Callable[[], None]) -> None:
        """Has *resume* called when the promise is settled, which it is not yet."""
        assert self._resume is None and not self._done
        self._resume = resume

    def __await__(self) -> Generator["Settled[T]", None, T]:
        if not self._done:
            yield self
        if self._error is not None:
            raise self._error
        return self._value  # type: ignore[return-value]  # fired with a T


class VirtualWaiting:
    """
    Time and promises of one node; its clock may be *skew_ms* wrong.

    After `stop` no timer calls and no coroutine goes on: the process is dead.
    """

    def __init__(self, timeline: Timeline, skew_ms: int = 0) -> None:
        self._timeline = timeline
        self._skew_ms = skew_ms
        self._stopped = False
        # All that have not ended stay referred to: a coroutine that is dropped runs its `finally`,
        # and a dead process does not.
        self._coroutines: dict[Coroutine[Any, Any, None], None] = {}

    def stop(self) -> None:
        """Nothing that was started here goes on."""
        self._stopped = True

    def finish(self) -> None:
        """The run is over: drops what was under way."""
        self._stopped = True
        # What one does at its end may start others.
        while self._coroutines:
            coroutine, _ = self._coroutines.popitem()
            with suppress(Exception):
                coroutine.close()

    def promise(self) -> Settled[Any]:
        """As `Waiting.promise`."""
        return Settled()

    def later(self, seconds: float, call: Callable[[], None]) -> Callable[[], None]:
        """As `Waiting.later`."""
        live = [True]

        def run() -> None:
            if live[0] and not self._stopped:
                live[0] = False
                call()

        def cancel() -> None:
            live[0] = False

        self._timeline.after(round(seconds * 1000), run)
        return cancel

    def pause(self) -> Awaitable[None]:
        """As `Waiting.pause`."""
        promise: Settled[None] = Settled()
        self.later(0, lambda: promise.fire(None))
        return promise

    def start(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """As `Waiting.start`; what the coroutine raises comes out of the timeline."""
        self._coroutines[coroutine] = None
        if self._stopped:
            return
        try:
            promise = coroutine.send(None)
        except StopIteration:
            del self._coroutines[coroutine]
            return
        except Exception as error:  # noqa: BLE001  # it must not come up where a promise was fired
            del self._coroutines[coroutine]
            self._timeline.fail(error)
            return
        promise.wake(lambda: self.start(coroutine))

    def seconds(self) -> float:
        """As `Waiting.seconds`."""
        return self._timeline.now / 1000

    def now(self) -> float:
        """As `Waiting.now`."""
        return (START_MS + self._timeline.now + self._skew_ms) / 1000
