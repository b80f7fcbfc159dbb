# SPDX-License-Identifier: GPL-3.0-or-later
"""
A body as it is read: chunk by chunk, on a reader's thread, each in a read of its own.

Between two chunks nothing is held, neither a transaction nor a thread, so a client that does not
take its mail costs nothing but the chunk that it is given. Damage is an answer here, never octets
in place of others:

- Each chunk must be there and have its length.
- What is read from the first octet to the last is hashed on the way, and the last chunk is given
  only if the hash fits. A body of one chunk is always hashed, whichever part of it is read.
"""

import sqlite3
from collections.abc import AsyncIterator, Awaitable
from typing import Final, Protocol

from pluto_tw.account.failures import ShardFailed
from pluto_tw.account.schema import CHUNK_BITS, CHUNK_OCTETS, WHOLE
from pluto_tw.account.shard import Shard
from pluto_tw.account.upload import new_digest
from pluto_tw.mail.codes import UNAVAILABLE
from pluto_tw.mail.errors import No

_BODY: Final = "SELECT hash, size, state, content FROM body WHERE id = ?"
_CHUNK: Final = "SELECT data FROM chunk WHERE id = ?"


class Damage(Exception):
    """The octets of *content* are not those of the body."""

    def __init__(self, content: int) -> None:
        super().__init__(content)
        self.content = content


class Mark(Protocol):
    """`Bodies.mark`."""

    def __call__(self, number: int, content: int, *, fits: bool) -> Awaitable[None]: ...


def chunk_at(connection: sqlite3.Connection, content: int, size: int, index: int) -> bytes:
    """Chunk *index* of a body of *size* octets; raises `Damage` if it is not as it should be."""
    # All rows, since a statement that is not read to its end holds a transaction open.
    rows = connection.execute(_CHUNK, ((content << CHUNK_BITS) + index,)).fetchall()
    wanted = min(CHUNK_OCTETS, size - index * CHUNK_OCTETS)
    if not rows or len(rows[0][0]) != wanted:
        raise Damage(content)
    octets: bytes = rows[0][0]
    return octets


class StoredBody:
    """`pluto_tw.imap.ports.Body` *number* of a shard, of *size* octets."""

    __slots__ = ("_mark", "_shard", "number", "size")

    def __init__(self, shard: Shard, number: int, size: int, mark: Mark) -> None:
        self._shard = shard
        self._mark = mark
        self.number = number
        self.size = size

    async def read(self, start: int, length: int) -> AsyncIterator[bytes]:
        """As `ports.Body.read`; the chunks are those that are stored, cut at both ends."""
        assert start >= 0 and length >= 0 and start + length <= self.size
        reading = _Reading(self.number, self.size, start, length)
        while reading.index < reading.stop:
            try:
                octets = await self._shard.load(reading.next)
            except Damage as damage:
                await self._tell(damage)
                raise No(UNAVAILABLE, "this message is damaged here") from None
            yield octets

    async def _tell(self, damage: Damage) -> None:
        try:
            await self._mark(self.number, damage.content, fits=False)
        except ShardFailed:
            # The next reader, or the next scrub, finds the damage again.
            return


class _Reading:
    """The state of one read; used by one thread after the other."""

    def __init__(self, number: int, size: int, start: int, length: int) -> None:
        self._number = number
        self._size = size
        self._start = start
        self._end = start + length
        #: The next chunk, and the one after the last.
        self.index = start // CHUNK_OCTETS
        self.stop = -(-self._end // CHUNK_OCTETS) if length else self.index
        is_whole = length == size or size <= CHUNK_OCTETS
        self._digest = new_digest() if is_whole else None
        self._content = 0
        self._hash = b""

    def next(self, connection: sqlite3.Connection) -> bytes:
        """The next octets. Raises `Damage`, and No(UNAVAILABLE) before the first ones."""
        if not self._hash:
            self._find(connection)
        octets = chunk_at(connection, self._content, self._size, self.index)
        if self._digest is not None:
            self._digest.update(octets)
            is_last = (self.index + 1) * CHUNK_OCTETS >= self._size
            if is_last and self._digest.digest() != self._hash:
                raise Damage(self._content)
        offset = self.index * CHUNK_OCTETS
        self.index += 1
        low, high = self._start - offset, self._end - offset
        return octets if low <= 0 and high >= len(octets) else octets[max(low, 0) : high]

    def _find(self, connection: sqlite3.Connection) -> None:
        rows = connection.execute(_BODY, (self._number,)).fetchall()
        if not rows:
            raise No(UNAVAILABLE, "this message is no longer here")
        ((hash, size, state, content),) = rows
        assert size == self._size, "who asks for a body knows its size"
        if content is None:
            raise No(UNAVAILABLE, "this message has not arrived here yet")
        if state != WHOLE:
            raise No(UNAVAILABLE, "this message is damaged here")
        self._hash, self._content = hash, content
