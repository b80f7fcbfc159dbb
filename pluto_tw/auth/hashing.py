# SPDX-License-Identifier: GPL-3.0-or-later
"""
The threads that check passwords: few, and whoever comes first is first.

A check of Argon2 takes 64 MiB and a quarter of a second of a core. So their number bounds both,
and the number of guesses that are let through before the first of them has failed.
"""

from collections import deque
from collections.abc import Sequence

from pluto_tw.mail.waiting import Promise, ThreadHop, Waiting


class HashingThreads:
    """*hops* are the threads, at least one; who `take`s one gives it back by `release`."""

    def __init__(self, hops: Sequence[ThreadHop], waiting: Waiting) -> None:
        assert hops, "passwords are checked somewhere"
        self._free = deque(hops)
        self._waiting = waiting
        self._queue: deque[Promise[ThreadHop]] = deque()
        self._giving = False

    async def take(self) -> ThreadHop:
        """A thread of one's own, as soon as there is one."""
        if self._free and not self._queue:
            return self._free.popleft()
        promise: Promise[ThreadHop] = self._waiting.promise()
        self._queue.append(promise)
        return await promise

    def release(self, hop: ThreadHop) -> None:
        """Gives *hop* to who has waited longest."""
        self._free.append(hop)
        if self._giving:
            # Who was given one gave it back at once. A loop gives it on: calls would go as deep as
            # the queue is long, and thousands may wait.
            return
        self._giving = True
        while self._free and self._queue:
            self._queue.popleft().fire(self._free.popleft())
        self._giving = False
