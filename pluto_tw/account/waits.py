# SPDX-License-Identifier: GPL-3.0-or-later
"""
Who waits for UIDs of new messages: commands, until all theirs are exposed.

How long is not decided here. The wait for the sequencer's claim belongs to the message and goes on
without the command; see `pluto_tw.crdt.replica`.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from pluto_tw.mail.waiting import Promise, Waiting


@dataclass(eq=False, slots=True)
class Wait:
    """Until *pids* are exposed; *promise* is fired with True when they are, else with False."""

    pids: set[bytes]
    promise: Promise[bool]


class Waits:
    """The waits of one account."""

    def __init__(self, waiting: Waiting) -> None:
        self._waiting = waiting
        self._waits: dict[bytes, list[Wait]] = {}

    def __bool__(self) -> bool:
        return bool(self._waits)

    def add(self, pids: Iterable[bytes]) -> Wait:
        """Somebody waits for all of *pids*."""
        wait = Wait(set(pids), self._waiting.promise())
        for pid in wait.pids:
            self._waits.setdefault(pid, []).append(wait)
        return wait

    def exposed(self, pid: bytes) -> None:
        """The message has a UID now."""
        for wait in self._waits.pop(pid, ()):
            wait.pids.discard(pid)
            if not wait.pids:
                wait.promise.fire(True)

    def give_up(self, pids: Iterable[bytes]) -> None:
        """Whoever waits for any of *pids* waits no longer."""
        for pid in pids:
            for wait in self._waits.get(pid, [])[:]:
                if wait.pids:
                    self.withdraw(wait)
                    wait.promise.fire(False)

    def give_up_all(self) -> None:
        """Nobody waits any longer."""
        self.give_up(list(self._waits))

    def withdraw(self, wait: Wait) -> None:
        """Whoever waited has left, or is told otherwise. Harmless when repeated."""
        pids, wait.pids = wait.pids, set()
        for pid in pids:
            waits = self._waits[pid]
            waits.remove(wait)
            if not waits:
                del self._waits[pid]
