# SPDX-License-Identifier: GPL-3.0-or-later
"""
Who may do what when: a window of questions to one peer, and turns at one account.

Both hand out what they have in the order in which it was asked for. Each account asks for one place
in the window at a time, so accounts take turns, and a large one starves none.
"""

from collections import deque
from typing import Final

from pluto_tw.mail.waiting import Promise, Waiting

#: Questions with mail that one peer has not answered yet. Eight of 128 KiB fill a line of 100
#: Mbit/s at 80 ms; what is behind them waits in the database, not in memory.
WINDOW: Final = 8


class Window:
    """*places* of them; waits by *waiting*."""

    def __init__(self, waiting: Waiting, places: int = WINDOW) -> None:
        self._waiting = waiting
        self._free = places
        self._queue: deque[Promise[None]] = deque()
        self._error: Exception | None = None
        self._is_handing_on = False

    @property
    def waits(self) -> int:
        """How many wait for a place."""
        return len(self._queue)

    async def enter(self) -> None:
        """Returns with a place, which `leave` gives back. Raises what `close` was given."""
        if self._error is not None:
            raise self._error
        if self._free and not self._queue:
            self._free -= 1
            return
        promise: Promise[None] = self._waiting.promise()
        self._queue.append(promise)
        await promise

    def close(self, error: Exception) -> None:
        """Whoever waits has *error* raised, and so has who comes later."""
        self._error = error
        queue, self._queue = self._queue, deque()
        for promise in queue:
            promise.fail(error)

    def leave(self) -> None:
        """Gives a place back: who waited longest goes on before this returns, or soon after."""
        self._free += 1
        if self._is_handing_on:
            # Called by somebody who was just let in, and has left at once: no recursion.
            return
        self._is_handing_on = True
        try:
            while self._queue and self._free:
                self._free -= 1
                self._queue.popleft().fire(None)
        finally:
            self._is_handing_on = False


class Turns:
    """Turns at each of many things, by their keys; nothing is kept of a thing nobody is at."""

    def __init__(self, waiting: Waiting) -> None:
        self._waiting = waiting
        self._queues: dict[str, deque[Promise[None]]] = {}

    async def enter(self, key: str) -> None:
        """Returns when all who asked for *key* before have left."""
        queue = self._queues.get(key)
        if queue is None:
            self._queues[key] = deque()
            return
        promise: Promise[None] = self._waiting.promise()
        queue.append(promise)
        await promise

    def leave(self, key: str) -> None:
        """The next one's turn."""
        queue = self._queues[key]
        if queue:
            queue.popleft().fire(None)
        else:
            del self._queues[key]
