# SPDX-License-Identifier: GPL-3.0-or-later
"""
Messages apart from the mailboxes that they are in: their octets on the way in, kept, and read.

A `Content` is what all copies of a message share, RFC 8474 §5.1: octets, facts, EMAILID.
"""

from collections.abc import AsyncIterator

from pluto_tw.mail.codes import UNAVAILABLE
from pluto_tw.mail.errors import No
from pluto_tw.mime.facts import Facts
from pluto_tw.mime.scanner import Scanner
from tests.support.turns import Turns

#: The most that `pluto_tw.imap.ports.Body.read` may give at once.
CHUNK_OCTETS_MAX = 64 * 1024


class Content:
    """A message's octets and what was found in them."""

    __slots__ = ("breaks_at", "email_id", "error", "facts", "octets", "thread_id")

    def __init__(
        self, octets: bytes, facts: Facts, email_id: str, thread_id: str | None = None
    ) -> None:
        self.octets = octets
        self.facts = facts
        self.email_id = email_id
        self.thread_id = thread_id
        #: Reading from here on raises `error`; None: all octets can be read.
        self.breaks_at: int | None = None
        self.error: Exception = No(UNAVAILABLE, "the message cannot be read here")


class MemoryBody:
    """A `pluto_tw.imap.ports.Body`, given in chunks of at most *chunk_octets*."""

    def __init__(self, content: Content, turns: Turns, chunk_octets: int) -> None:
        assert 0 < chunk_octets <= CHUNK_OCTETS_MAX
        self.size = len(content.octets)
        self._content = content
        self._turns = turns
        self._chunk_octets = chunk_octets

    async def read(self, start: int, length: int) -> AsyncIterator[bytes]:
        assert start >= 0 and length >= 0 and start + length <= self.size
        await self._turns.take("read")
        content = self._content
        end = start + length
        readable = end if content.breaks_at is None else min(end, content.breaks_at)
        for low in range(start, readable, self._chunk_octets):
            yield content.octets[low : min(low + self._chunk_octets, readable)]
        if readable < end:
            raise content.error


class MemoryUpload:
    """A `pluto_tw.imap.ports.Upload` of *size* octets."""

    def __init__(self, size: int, turns: Turns) -> None:
        assert size >= 0
        self.size = size
        self.abandoned = False
        self._turns = turns
        self._chunks: list[bytes] = []
        self._written = 0
        self._scanner = Scanner()

    async def write(self, chunk: bytes) -> None:
        assert not self.abandoned, "nothing is written to what was abandoned"
        await self._turns.take("write")
        self._written += len(chunk)
        assert self._written <= self.size, f"{self._written} octets of {self.size}"
        self._chunks.append(chunk)
        self._scanner.feed(chunk)

    def abandon(self) -> None:
        self.abandoned = True
        self._chunks.clear()

    def content(self, email_id: str, thread_id: str | None = None) -> Content:
        """The message that was written, all of it; no other can be taken from this upload."""
        assert not self.abandoned, "a message is appended once, before its upload is abandoned"
        assert self._written == self.size, f"{self._written} octets of {self.size}"
        octets = b"".join(self._chunks)
        self.abandon()
        return Content(octets, self._scanner.finish(), email_id, thread_id)
