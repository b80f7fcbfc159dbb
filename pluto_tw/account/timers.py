# SPDX-License-Identifier: GPL-3.0-or-later
"""
What an account does by itself, later: one timer for each name.

A timer that is set again while it waits keeps its time, so what asks often is not put off for ever.
"""

from collections.abc import Callable, Coroutine, Set
from typing import Any

from pluto_tw.mail.errors import No
from pluto_tw.mail.waiting import Waiting


class Timers:
    """The timers of one account."""

    def __init__(self, waiting: Waiting) -> None:
        self._waiting = waiting
        self._cancels: dict[str, Callable[[], None]] = {}
        self._closed = False

    @property
    def names(self) -> Set[str]:
        """Of those that wait."""
        return self._cancels.keys()

    def start(
        self, name: str, seconds: float, event: Callable[[], Coroutine[Any, Any, None]]
    ) -> None:
        """Starts *event* after so many *seconds*, or when the timer of that name fires anyway."""
        if self._closed or (name in self._cancels and seconds > 0):
            return
        self._cancel(name)

        def begin() -> None:
            del self._cancels[name]
            self._waiting.start(quietly(event()))

        self._cancels[name] = self._waiting.later(seconds, begin)

    def cancel_all(self) -> None:
        """None of them fires."""
        for name in list(self._cancels):
            self._cancel(name)

    def close(self) -> None:
        """As `cancel_all`, for ever."""
        self._closed = True
        self.cancel_all()

    def _cancel(self, name: str) -> None:
        cancel = self._cancels.pop(name, None)
        if cancel is not None:
            cancel()


async def quietly(event: Coroutine[Any, Any, None]) -> None:
    """Does *event*, which nobody waits for."""
    try:
        await event
    except No:
        # The shard does not take it now. It is taken up when the account is read again.
        return
