# SPDX-License-Identifier: GPL-3.0-or-later
"""
The connections of a shard that read: one on the event loop's thread, one on each reader's thread.

They see what is committed, from the moment of the COMMIT on, which is shortly before its makers
are told. An account that reads beneath its own staged state sees the same either way.
"""

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from pluto_tw.account.database import Database
from pluto_tw.account.failures import ShardFailed, trouble_of
from pluto_tw.account.work import Row
from pluto_tw.mail.waiting import ThreadHop

T = TypeVar("T")


@dataclass(slots=True)
class _Reader:
    hop: ThreadHop
    connection: sqlite3.Connection | None = None
    in_flight: int = 0


class Readers:
    """*hops* are the threads of long reads, at least one."""

    def __init__(self, database: Database, hops: Sequence[ThreadHop]) -> None:
        assert hops, "long reads need a thread"
        self._database = database
        self._here: sqlite3.Connection | None = None
        self._there = [_Reader(hop) for hop in hops]

    async def open(self) -> None:
        """Raises `sqlite3.Error`; then what was opened is still to be released."""
        self._here = self._database.reader()
        for reader in self._there:
            reader.connection = await reader.hop.call(self._database.reader)

    async def release(self) -> None:
        """Ends all connections, each after what it does now."""
        connection, self._here = self._here, None
        if connection is not None:
            self._database.release(connection)
        for reader in self._there:
            connection, reader.connection = reader.connection, None
            if connection is not None:
                await reader.hop.call(partial(self._database.release, connection))

    def read(self, sql: str, row: Row) -> list[tuple[Any, ...]]:
        """The rows of a query, on this thread. Raises `ShardFailed`."""
        if self._here is None:
            raise ShardFailed("it is not open")
        try:
            return self._here.execute(sql, row).fetchall()
        except sqlite3.DatabaseError as error:
            raise _failure(error) from error

    async def load(self, read: Callable[[sqlite3.Connection], T]) -> T:
        """What *read* makes of a connection, on the least busy thread. Raises `ShardFailed`."""
        reader = min(self._there, key=lambda reader: reader.in_flight)
        connection = reader.connection
        if connection is None:
            raise ShardFailed("it is not open")
        reader.in_flight += 1
        try:
            return await reader.hop.call(partial(read, connection))
        except sqlite3.DatabaseError as error:
            raise _failure(error) from error
        finally:
            reader.in_flight -= 1


def _failure(error: sqlite3.DatabaseError) -> Exception:
    """What a failed read is to its caller; a statement that is wrong stays what it is."""
    trouble = trouble_of(error)
    return error if trouble is None else ShardFailed(f"{trouble.value} ({error})")
