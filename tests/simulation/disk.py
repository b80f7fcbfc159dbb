# SPDX-License-Identifier: GPL-3.0-or-later
"""A disk in memory that fails for a while: it is full, or a sync comes to nothing."""

import sqlite3
from collections import Counter
from random import Random
from typing import Any

from pluto_tw.account.database import STATEMENTS_KEPT, MemoryDatabase
from pluto_tw.account.schema import CHUNK_BITS, WHOLE
from pluto_tw.account.soundness import StoreRefused

#: Whole bodies, by the number of their first chunk.
_BODIES = f"""
    SELECT chunk.id, hash FROM body JOIN chunk ON chunk.id = body.content << {CHUNK_BITS}
    WHERE state = {WHOLE} AND size > 0 ORDER BY chunk.id
"""

_DAMAGE = "UPDATE chunk SET data = CAST('?' || substr(data, 2) AS BLOB) WHERE id = ?"


class Disk(MemoryDatabase):
    """
    A database of which the share *failing* of all COMMITs fails, and of all attempts to open it.

    Some of these COMMITs were met by a full disk; of the others nobody is told whether they were
    done. What happened is in *figures*.
    """

    def __init__(self, name: str, identity: bytes, chance: Random, figures: Counter[str]) -> None:
        super().__init__(name, identity)
        self.failing = 0.0
        self._chance = chance
        self._figures = figures
        self._connect()

    def _connect(self) -> None:
        self.connection.close()
        self.connection = sqlite3.connect(
            ":memory:",
            isolation_level=None,
            check_same_thread=False,
            cached_statements=STATEMENTS_KEPT,
            factory=_Connection,
        )
        assert isinstance(self.connection, _Connection)
        self.connection.disk = self

    def copy(self) -> bytes:
        """All that is committed."""
        return self.connection.serialize()

    def put_back(self, octets: bytes) -> None:
        """It is again what a `copy` was; nobody has it open."""
        self._connect()
        self.connection.deserialize(octets)

    def damage(self) -> list[bytes]:
        """Changes some octets of one body that is referred to; the hashes of those changed."""
        rows = self.connection.execute(_BODIES).fetchall()
        if not rows:
            return []
        number, hash = self._chance.choice(rows)
        self.connection.execute(_DAMAGE, (number,))
        return [hash]

    def open(self) -> sqlite3.Connection:
        """As `Database.open`."""
        if self.fails():
            self._figures["disks not opened"] += 1
            raise StoreRefused(self.name, "it cannot be read", "wait")
        return super().open()

    def fails(self) -> bool:
        """Whether what is asked for now fails."""
        return self._chance.random() < self.failing

    def trouble(self) -> tuple[int, bool]:
        """Which error of SQLite comes now, and whether the COMMIT is done all the same."""
        if self._chance.random() < 0.3:
            self._figures["commits on a full disk"] += 1
            return sqlite3.SQLITE_FULL, False
        self._figures["commits in doubt"] += 1
        return sqlite3.SQLITE_IOERR, self._chance.random() < 0.5


class _Connection(sqlite3.Connection):
    """A connection to a `Disk`."""

    disk: Disk

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        if sql == "COMMIT" and self.disk.fails():
            code, is_done = self.disk.trouble()
            if is_done:
                super().execute(sql)
            error = sqlite3.OperationalError("the disk fails")
            error.sqlite_errorcode = code
            raise error
        return super().execute(sql, parameters)
