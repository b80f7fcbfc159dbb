# SPDX-License-Identifier: GPL-3.0-or-later
"""
What changed in a shard, in the order in which it became durable, and how far peers have followed.

Each commit that changes what an account states to peers gives the account the shard's next
**position**. A peer that has all up to some position needs to hear of the accounts above it, and of
no others; so an idle account costs nothing, however often links break. Positions are given out as
commits are queued, and commits are done in the order of the queue: what is durable has no gaps
that are filled later.

This file also keeps what peers have acknowledged. It is written late, as losing the newest of it
only makes them hear of some accounts once more.
"""

from dataclasses import dataclass
from typing import Final

from pluto_tw.account.failures import ShardFailed
from pluto_tw.account.rows import packed, vector_of
from pluto_tw.account.shard import Shard
from pluto_tw.account.work import Work
from pluto_tw.crdt.dots import Vector
from pluto_tw.crdt.resync import Checkpoint

#: What peers acknowledge is written after this long: one small commit for all of them, however
#: fast they go on.
WRITE_SECONDS: Final = 5.0

_NEWEST: Final = "SELECT coalesce(max(position), 0) FROM account"
_CHANGED: Final = """
    SELECT position, name, m, vv, sequencer FROM account
    WHERE position > ? ORDER BY position LIMIT ?
"""
_STATED: Final = "SELECT m, vv, sequencer FROM account WHERE identity = ?"
_PROGRESS: Final = "SELECT slot, position, stated FROM progress"
_WRITE: Final = """
    INSERT OR REPLACE INTO progress (slot, position, stated) VALUES (?, ?, ?)
"""


@dataclass(frozen=True, slots=True)
class Changed:
    """The account *key* as it was committed last: at *position*, with what it states to peers."""

    position: int
    key: str
    x: int
    vector: Vector
    sequencer: int


@dataclass(slots=True)
class _Progress:
    position: int = 0
    stated: tuple[int, ...] = ()


class Positions:
    """Those of *shard*, which is open. Raises `ShardFailed`."""

    def __init__(self, shard: Shard) -> None:
        self._shard = shard
        self._progress: dict[int, _Progress] = {}
        for slot, position, stated in shard.read(_PROGRESS):
            self._progress[slot] = _Progress(position, vector_of(stated))
        self._late: set[int] = set()

    def newest(self) -> int:
        """The position of the shard's last commit; 0 if it has none. Never falls."""
        ((position,),) = self._shard.read(_NEWEST)
        return int(position)

    def changed_after(self, position: int, limit: int) -> list[Changed]:
        """At most *limit* accounts that changed after *position*, ascending, each once."""
        return [
            Changed(at, name, m, vector_of(vv), sequencer)
            for at, name, m, vv, sequencer in self._shard.read(_CHANGED, (position, limit))
        ]

    def checkpoint(self, identity: bytes, slot: int) -> Checkpoint | None:
        """What the account *identity* states; None if it is not here."""
        for m, vv, sequencer in self._shard.read(_STATED, (identity,)):
            return Checkpoint(slot, m, vector_of(vv), sequencer)
        return None

    # What peers have.

    def acknowledged(self, slot: int) -> int:
        """Up to which position the member *slot* has all; 0 if that is not known."""
        return self._of(slot).position

    def acknowledge(self, slot: int, position: int) -> None:
        """The member *slot* has all up to *position*; 0: let it hear of all accounts again."""
        self._of(slot).position = position
        self._write_later(slot)

    def stated(self, slot: int) -> tuple[int, ...]:
        """The newest positions of its own shards that the member *slot* has stated."""
        return self._of(slot).stated

    def note_stated(self, slot: int, positions: tuple[int, ...]) -> None:
        """
        The member *slot* states these positions.

        They never fall, unless its databases were put back to an older state.
        """
        self._of(slot).stated = positions
        self._write_later(slot)

    def _of(self, slot: int) -> _Progress:
        return self._progress.setdefault(slot, _Progress())

    def _write_later(self, slot: int) -> None:
        if not self._late:
            start = self._shard.waiting.start
            self._shard.waiting.later(WRITE_SECONDS, lambda: start(self.write()))
        self._late.add(slot)

    async def write(self) -> None:
        """Writes what is late; what cannot be written is as if it had not been told."""
        late, self._late = sorted(self._late), set()
        if not late:
            return
        work = Work()
        rows = [(slot, self._of(slot)) for slot in late]
        work.add_rows(_WRITE, [(slot, p.position, packed(p.stated)) for slot, p in rows])
        try:
            await self._shard.lane().commit(work)
        except ShardFailed:
            return
