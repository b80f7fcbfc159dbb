# SPDX-License-Identifier: GPL-3.0-or-later
"""
From which positions on a peer is to be asked after its link was lost.

Each commit of an account has a position in its shard; an account stands at its newest one. A peer
has **acknowledged** a position if it has all that was committed up to there. So after a lost link
only the accounts above it are looked at: page by page until the **frontier** has come to the newest
position, and from then on commit by commit.

This file decides what may be called acknowledged; there is no I/O in it. A **mark** stands for an
account of which the peer may lack something since a position. An account that is never at rest does
not hold the rest up: when the peer has what was there at the mark, it is marked anew.
"""

from dataclasses import dataclass

from pluto_tw.crdt.dots import Vector, is_below


@dataclass(frozen=True, slots=True)
class Mark:
    """The peer may lack what was committed at *position* of *shard*, which made *vector*."""

    shard: int
    position: int
    vector: Vector


class Ledger:
    """Of one peer, which has acknowledged so much of each shard when the link begins."""

    def __init__(self, acknowledged: tuple[int, ...]) -> None:
        self._frontiers = list(acknowledged)
        self._marks: dict[str, Mark] = {}
        #: Shards that are walked page by page: all, in the beginning.
        self.walking = set(range(len(acknowledged)))

    def frontier(self, shard: int) -> int:
        """Up to which position every account of *shard* was looked at."""
        return self._frontiers[shard]

    def walked(self, shard: int, position: int) -> None:
        """All accounts up to *position* were looked at."""
        self._frontiers[shard] = max(self._frontiers[shard], position)

    def arrived(self, shard: int) -> None:
        """There is nothing above the frontier: from now on commits are told one by one."""
        self.walking.discard(shard)

    def mark(self, key: str, mark: Mark) -> None:
        """An account was found, or has committed; an older mark of it stays."""
        self._marks.setdefault(key, mark)
        if mark.shard not in self.walking:
            self.walked(mark.shard, mark.position)

    def missed(self, shard: int) -> None:
        """A commit cannot be noted: *shard* is walked again from where it was known."""
        self.walking.add(shard)

    def reached(self, key: str, stated: Vector, newest: Mark) -> bool:
        """
        The peer has *stated* of the account, whose newest commit *newest* is; whether it has all
        that was there at the mark.
        """
        mark = self._marks.get(key)
        if mark is None or not is_below(mark.vector, stated):
            return False
        self._marks[key] = newest
        return True

    def clean(self, key: str) -> None:
        """The peer has everything of the account."""
        self._marks.pop(key, None)

    def acknowledged(self) -> list[int]:
        """By shard, the position up to which the peer has everything."""
        found = list(self._frontiers)
        for mark in self._marks.values():
            found[mark.shard] = min(found[mark.shard], mark.position - 1)
        return found
