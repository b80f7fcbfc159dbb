# SPDX-License-Identifier: GPL-3.0-or-later
"""
What happens to an awaited call before it does its work: nothing, a wait that the test ends, or a
failure that the test asked for.

Each awaited method of the accounts and realms in this package takes a turn first, and reads no
state before. So whatever happens meanwhile is seen, as behind a real store.
"""

from pluto_tw.mail.waiting import Promise, Waiting


class Turns:
    """The turns of one account or realm; *waiting* is needed by `hold` only."""

    def __init__(self, waiting: Waiting | None) -> None:
        self._waiting = waiting
        self._held: list[Promise[None]] | None = None
        self._failures: list[tuple[str | None, Exception]] = []

    def hold(self) -> None:
        """From now on calls wait, before they change or read anything, until `release`."""
        assert self._waiting is not None, "who holds calls gives a Waiting"
        if self._held is None:
            self._held = []

    def release(self) -> None:
        """The calls that wait go on, in the order in which they came, before this returns."""
        held, self._held = self._held, None
        for promise in held or ():
            promise.fire(None)

    @property
    def in_flight(self) -> int:
        """How many calls wait."""
        return len(self._held or ())

    def fail_next(self, error: Exception, method: str | None = None) -> None:
        """The next awaited call, of *method* if one is named, raises *error* and does nothing."""
        self._failures.append((method, error))

    async def take(self, method: str) -> None:
        """Awaited by *method* before all else."""
        if self._held is not None:
            assert self._waiting is not None, "`hold` has seen to it"
            promise: Promise[None] = self._waiting.promise()
            self._held.append(promise)
            await promise
        for place, (wanted, error) in enumerate(self._failures):
            if wanted is None or wanted == method:
                del self._failures[place]
                raise error
