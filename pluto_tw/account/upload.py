# SPDX-License-Identifier: GPL-3.0-or-later
"""
A body on its way in: cut into chunks, hashed and scanned as it comes.

All chunks but the last are committed on the way, as the content of an upload; the last one stays
in memory until `Bodies.link`. So a message of one chunk, as most are, costs one commit and leaves
nothing behind when it fails, and a large one never needs more memory than some chunks.

The hash is BLAKE2b with 32 octets and nothing else, as `b2sum -l 256` computes it.
"""

from collections.abc import Callable
from hashlib import blake2b
from typing import Final

from msgspec import Struct

from pluto_tw.account.schema import CHUNK_BITS, CHUNK_OCTETS
from pluto_tw.account.shard import Shard
from pluto_tw.account.work import Work
from pluto_tw.mail.waiting import Promise
from pluto_tw.mime import facts as mime_facts
from pluto_tw.mime.scanner import Scanner

HASH_OCTETS: Final = 32

#: Chunks of one upload that may wait for the disk: 256 KiB, enough that a commit of 1 ms does not
#: hold up a client below 250 MB/s. Three uploads wait in each MiB of the queue's room.
CHUNKS_IN_FLIGHT_MAX: Final = 4

_BEGIN: Final = "INSERT INTO upload (content) VALUES (?)"
_CHUNK: Final = "INSERT INTO chunk (id, data) VALUES (?, ?)"


def new_digest() -> blake2b:
    """What computes the hash of a body."""
    return blake2b(digest_size=HASH_OCTETS)


class Received(Struct, frozen=True, gc=False):
    """
    A body all of whose octets have come, and that nobody refers to.

    The first *chunks_written* chunks are durable as *content*, *last_chunk* is not (empty if the
    body is).
    """

    hash: bytes
    size: int
    #: `pluto_tw.mime.facts.encode`, of today's version.
    facts: bytes
    content: int
    chunks_written: int
    last_chunk: bytes


class StoredUpload:
    """
    `pluto_tw.mail.messages.Upload` into the chunks of *content*.

    *begin* is called before the first chunk is written, and *forget* once none of them is in
    flight any more and none will come.
    """

    def __init__(
        self,
        shard: Shard,
        content: int,
        size: int | None,
        begin: Callable[[int], None],
        forget: Callable[[int], None],
    ) -> None:
        self._shard = shard
        self._content = content
        self._size = size
        self._begin = begin
        self._forget = forget
        self._lane = shard.lane()
        self._digest = new_digest()
        self._scanner = Scanner()
        self._octets = 0
        #: What is not a chunk yet: as it came, if it came in one piece as most messages do.
        self._tail: bytes | bytearray = b""
        self._chunks = 0
        self._in_flight = 0
        self._error: Exception | None = None
        self._settled: Promise[None] | None = None
        self._abandoned = False

    async def write(self, chunk: bytes) -> None:
        """
        Takes the next octets; returns when there is room for more.

        Raises `ShardFailed`, also for what was written before; then nothing more may be written.
        """
        assert not self._abandoned, "nothing is written to what was abandoned"
        self._octets += len(chunk)
        assert self._size is None or self._octets <= self._size, "more octets than were announced"
        self._digest.update(chunk)
        self._scanner.feed(chunk)
        self._keep(chunk)
        # Of a body of whole chunks the last stays here too: `Bodies.link` writes it.
        while len(self._tail) > CHUNK_OCTETS:
            await self._shard.room()
            await self._wait_below(CHUNKS_IN_FLIGHT_MAX)
            if not self._tail:
                # It was abandoned meanwhile.
                return
            self._send(self._cut())

    def _keep(self, chunk: bytes) -> None:
        """Adds *chunk* to the tail."""
        if not self._tail:
            self._tail = chunk
            return
        if isinstance(self._tail, bytes):
            self._tail = bytearray(self._tail)
        self._tail += chunk

    def _cut(self) -> bytes:
        """Takes a chunk off the tail, which is longer."""
        tail = self._tail if isinstance(self._tail, bytearray) else bytearray(self._tail)
        octets = bytes(tail[:CHUNK_OCTETS])
        del tail[:CHUNK_OCTETS]
        self._tail = tail
        return octets

    def abandon(self) -> None:
        """Forgets it; harmless after the message was appended, and more than once."""
        if self._abandoned:
            return
        self._abandoned = True
        self._tail = b""
        if self._chunks and not self._in_flight:
            self._forget(self._content)

    async def finish(self) -> Received:
        """
        The body, once all that was sent ahead is durable; all octets have been written.

        Once only. Raises `ShardFailed`.
        """
        assert self._size in (None, self._octets), f"{self._octets} octets of {self._size}"
        await self._wait_below(1)
        return Received(
            self._digest.digest(),
            self._octets,
            mime_facts.encode(self._scanner.finish()),
            self._content,
            self._chunks,
            bytes(self._tail),
        )

    def _send(self, octets: bytes) -> None:
        """Queues the next chunk."""
        work = Work()
        if not self._chunks:
            self._begin(self._content)
            work.add(_BEGIN, (self._content,))
        number = (self._content << CHUNK_BITS) + self._chunks
        work.add(_CHUNK, (number, octets), len(octets))
        self._chunks += 1
        self._in_flight += 1
        self._lane.submit(work, self._sent)

    def _sent(self, error: Exception | None) -> None:
        self._in_flight -= 1
        if error is not None:
            self._error = error
        if self._abandoned and not self._in_flight:
            # Only now: who deletes the chunks must find all of them.
            self._forget(self._content)
        settled, self._settled = self._settled, None
        if settled is not None:
            settled.fire(None)

    async def _wait_below(self, chunks: int) -> None:
        """Returns when fewer than *chunks* are in flight; raises what one of them met."""
        while self._in_flight >= chunks and self._error is None:
            self._settled = self._shard.waiting.promise()
            await self._settled
        if self._error is not None:
            raise self._error
