# SPDX-License-Identifier: GPL-3.0-or-later
"""
Reads every body of a shard and compares it with its hash, a little at a time.

It finds what nobody has read since a disk lost it, while another replica can still give it. What
it finds is noted in the database (`Bodies.unfit` lists it) and told; a body that was noted as
damaged and can be read again is noted as whole.
"""

import sqlite3
from collections.abc import AsyncIterator
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

from pluto_tw.account.bodies import Bodies
from pluto_tw.account.reading import Damage, chunk_at
from pluto_tw.account.schema import CHUNK_OCTETS, DAMAGED, MISSING, WHOLE
from pluto_tw.account.upload import new_digest

#: What one visit to the reader's thread reads: some 4 ms, which is what a client's read waits.
SLICE_OCTETS: Final = 1024 * 1024

#: What a small body weighs in a slice beside its octets: two searches in an index.
BODY_OCTETS: Final = 4096

_NEXT: Final = """
    SELECT id, hash, size, state, content FROM body WHERE id > ? ORDER BY id LIMIT 1
"""


@dataclass(frozen=True, slots=True)
class Finding:
    """A body that is missing or damaged (*state*), or that was noted so and is whole again."""

    number: int
    hash: bytes
    size: int
    state: int


@dataclass(frozen=True, slots=True)
class Progress:
    """
    How far a scrub is: up to the body *number*, so many *bodies* and *octets* since it began.

    *findings* are those of the last slice.
    """

    number: int
    bodies: int
    octets: int
    findings: tuple[Finding, ...]


async def scrub(bodies: Bodies, after: int = 0) -> AsyncIterator[Progress]:
    """
    Goes through all bodies with a number above *after*, in order, and tells of each slice.

    Nothing runs while the caller does something else, so the caller sets the pace, and can go on
    later behind the last number that it was told. Raises `ShardFailed`.
    """
    state = _Scrub(after)
    while not state.ended:
        results = await bodies.shard.load(state.slice)
        findings = []
        for finding, before, content in results:
            if finding.state == before == WHOLE:
                continue
            if content is not None and finding.state != before:
                await bodies.mark(finding.number, content, fits=finding.state == WHOLE)
            findings.append(finding)
        yield Progress(state.number, state.bodies, state.octets, tuple(findings))


@dataclass(slots=True)
class _Current:
    """The body that is being read."""

    number: int
    hash: bytes
    size: int
    state: int
    content: int | None
    digest: blake2b
    index: int = 0


class _Scrub:
    """The state of a scrub; used on the reader's thread, looked at between two slices."""

    def __init__(self, after: int) -> None:
        self.number = after
        self.bodies = 0
        self.octets = 0
        self.ended = False
        self._current: _Current | None = None

    def slice(self, connection: sqlite3.Connection) -> list[tuple[Finding, int, int | None]]:
        """What was found of each body that was finished, with the state and content it had."""
        found = []
        budget = SLICE_OCTETS
        while budget > 0:
            current = self._current or self._next(connection)
            if current is None:
                self.ended = True
                break
            state, read = self._read(connection, current)
            budget -= read
            self.octets += read
            if state is None:
                self._current = current
                continue
            self._current = None
            self.number = current.number
            self.bodies += 1
            budget -= BODY_OCTETS
            finding = Finding(current.number, current.hash, current.size, state)
            found.append((finding, current.state, current.content))
        return found

    def _next(self, connection: sqlite3.Connection) -> _Current | None:
        rows = connection.execute(_NEXT, (self.number,)).fetchall()
        if not rows:
            return None
        ((number, hash, size, state, content),) = rows
        return _Current(number, hash, size, state, content, new_digest())

    def _read(self, connection: sqlite3.Connection, current: _Current) -> tuple[int | None, int]:
        """Reads a chunk: the body's state if it is known then, and the octets read."""
        if current.content is None:
            return MISSING, 0
        read = 0
        if current.index * CHUNK_OCTETS < current.size:
            try:
                octets = chunk_at(connection, current.content, current.size, current.index)
            except Damage:
                return DAMAGED, 0
            current.digest.update(octets)
            current.index += 1
            read = len(octets)
        if current.index * CHUNK_OCTETS < current.size:
            return None, read
        return (WHOLE if current.digest.digest() == current.hash else DAMAGED), read
