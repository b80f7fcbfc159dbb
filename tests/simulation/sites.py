# SPDX-License-Identifier: GPL-3.0-or-later
"""
Histories by hand: sites that make operations and learn each other's, without any rules.

A site says what it has seen by its vector and nothing else; whether an operation makes sense is
the test's to know.
"""

from pluto_tw.crdt.ops import Add, Body, Message, Mk, Op
from pluto_tw.crdt.pids import birth_pid
from tests.simulation.oracle import Observable, Oracle


class Sites:
    """Some replicas, as far as the happens-before of their operations goes."""

    def __init__(self, count: int) -> None:
        self.ops: list[Op] = []
        self._known = [[0] * count for _ in range(count)]
        self._hlc = 0

    def do(self, slot: int, body: Body) -> Op:
        """The next operation of *slot*; stamps ascend in the order of the calls."""
        self._hlc += 1
        known = self._known[slot]
        vector = tuple(known)
        known[slot] += 1
        op = Op(known[slot] << 5 | slot, self._hlc, vector, body)
        self.ops.append(op)
        return op

    def all(self) -> None:
        """Every site learns everything."""
        newest = [max(entries) for entries in zip(*self._known, strict=True)]
        self._known = [list(newest) for _ in self._known]

    def deliver(self, source: int, target: int) -> None:
        """*target* learns all that *source* knows."""
        self._known[target] = list(map(max, self._known[target], self._known[source]))

    def mailbox(self, slot: int, name: str, v: int = 0) -> int:
        """The bid of a new box."""
        return self.do(slot, Mk(v or 100 + self._hlc, name)).dot

    def mail(self, slot: int, bid: int, *flags: str, count: int = 1) -> bytes:
        """The pid of the first of *count* new messages."""
        message = Message(b"blob%d" % self._hlc, 100, 0, 0, flags)
        return birth_pid(self.do(slot, Add(bid, (message,) * count)).dot, 0)

    def observable(self) -> Observable:
        """What everybody shows in the end."""
        return Oracle(self.ops).observable()

    def shown(self) -> dict[str, dict[bytes, frozenset[str]]]:
        """Each mailbox's messages and their flags, in the end."""
        return {
            name: {pid: letter.flags for pid, letter in mailbox.letters.items()}
            for name, mailbox in self.observable().mailboxes.items()
        }
