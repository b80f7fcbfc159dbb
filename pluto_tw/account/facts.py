# SPDX-License-Identifier: GPL-3.0-or-later
"""
The facts of messages as they are kept beside the bodies: read in numbers, made again if need be.

What the facts are is `pluto_tw.mime.facts`'. They were derived by the release that took the
message in. When a later one derives others (`FACTS_VERSION`), old ones are made again from the
body as somebody asks for them, and kept; so an upgrade needs no downtime, and mail that nobody
looks at costs nothing.
"""

import sqlite3
from collections.abc import Sequence
from typing import Final

from pluto_tw.account.bodies import Bodies
from pluto_tw.account.failures import ShardFailed
from pluto_tw.account.reading import StoredBody
from pluto_tw.account.work import Value, Work
from pluto_tw.mail.errors import No
from pluto_tw.mime.facts import FACTS_VERSION, Facts, decode, encode
from pluto_tw.mime.scanner import Scanner

#: Facts that one call may ask for, 0.5 MB at the usual size: decoding them takes 2 ms.
FACTS_MAX: Final = 100

_FACTS: Final = "SELECT data FROM facts WHERE body = ? AND version = ?"
_KEEP: Final = """
    INSERT INTO facts (body, version, data)
    SELECT id, ?, ? FROM body WHERE id = ?
    ON CONFLICT (body) DO UPDATE SET version = excluded.version, data = excluded.data
"""


class KeptFacts:
    """The facts of *bodies*."""

    def __init__(self, bodies: Bodies) -> None:
        self._bodies = bodies
        #: How many were made again, for metrics.
        self.derived = 0

    async def read(self, wanted: Sequence[tuple[int, int]]) -> list[Facts | None]:
        """
        The facts of each body, given by (number, size), in their order; at most `FACTS_MAX`.

        None where there are none, and the body cannot be read here. Raises `ShardFailed`.
        """
        assert len(wanted) <= FACTS_MAX, "who wants more asks again"
        kept = await self._bodies.shard.load(lambda connection: _load(connection, wanted))
        found: list[Facts | None] = []
        rows: list[tuple[Value, ...]] = []
        octets = 0
        for (number, size), data in zip(wanted, kept, strict=True):
            facts = _decoded(data)
            if facts is None and (facts := await self._derive(number, size)) is not None:
                encoded = encode(facts)
                rows.append((FACTS_VERSION, encoded, number))
                octets += len(encoded)
            found.append(facts)
        if rows:
            await self._keep(rows, octets)
        return found

    async def _derive(self, number: int, size: int) -> Facts | None:
        """The facts from the octets; None if they cannot be had."""
        scanner = Scanner()
        body: StoredBody = self._bodies.body(number, size)
        try:
            async for chunk in body.read(0, size):
                scanner.feed(chunk)
        except ShardFailed:
            raise
        except No:
            return None
        self.derived += 1
        return scanner.finish()

    async def _keep(self, rows: Sequence[tuple[Value, ...]], octets: int) -> None:
        work = Work()
        work.add_rows(_KEEP, rows, octets)
        try:
            await self._bodies.shard.lane().commit(work)
        except ShardFailed:
            # They are right all the same, and made again the next time.
            return


def _load(connection: sqlite3.Connection, wanted: Sequence[tuple[int, int]]) -> list[bytes | None]:
    """On a reader's thread: what is kept of today's version."""
    found: list[bytes | None] = []
    for number, _ in wanted:
        rows = connection.execute(_FACTS, (number, FACTS_VERSION)).fetchall()
        found.append(rows[0][0] if rows else None)
    return found


def _decoded(data: bytes | None) -> Facts | None:
    """The facts in *data*; None if there are none to be read."""
    if data is None:
        return None
    try:
        return decode(data)
    except ValueError:
        return None
