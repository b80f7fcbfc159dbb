# SPDX-License-Identifier: GPL-3.0-or-later
"""
Whether a database that SQLite has opened may be served, and what SQLite is to promise for it.

This file refuses what must not be served, with a message that names the database, what was found
in it and what to do, and it sets what each connection does (pragmas).

A database is marked while it is open. Found marked, it was not closed: killed, cut from power, or
copied while in use. Then SQLite's own structure is checked before anything is served. All but the
rows of bodies, which are nearly all of the file, and each of which a hash stands behind: a start
after a power cut must not take an hour.
"""

import sqlite3
from collections.abc import Callable
from typing import Final

from pluto_tw.account.schema import (
    APPLICATION_ID,
    CHECKED_BY_HASH,
    SCHEMA_VERSION,
    migrate,
    tables,
)

#: Octets of pages that the writer keeps. The inner pages of the indexes of a million messages are
#: 2 MiB; the rest is leaves, which the operating system keeps as well.
WRITER_CACHE_OCTETS: Final = 16 * 1024 * 1024

#: The same for each reader: bodies pass through, and are read once.
READER_CACHE_OCTETS: Final = 4 * 1024 * 1024

#: The log is copied into the database when it has this many pages, 16 MiB: four times SQLite's
#: own number gains a fifth, since rows written twice are copied once; twice that gains nothing.
CHECKPOINT_PAGES: Final = 4000

#: The log's file is cut back to this after a burst.
LOG_OCTETS_KEPT: Final = 64 * 1024 * 1024

#: STRICT tables came with 3.37 (2021); JSON functions are in every build from 3.38 on (2022).
SQLITE_OLDEST: Final = (3, 38, 0)

_COMMON: Final = (
    # Mapped memory turns a disk's I/O error into a signal that kills the process, all accounts.
    "PRAGMA mmap_size = 0",
    "PRAGMA temp_store = MEMORY",
    # A database that somebody else prepared runs no code of his, and cells are checked.
    "PRAGMA trusted_schema = OFF",
    "PRAGMA cell_size_check = ON",
    "PRAGMA recursive_triggers = ON",
)

WRITER_PRAGMAS: Final = (
    *_COMMON,
    f"PRAGMA cache_size = -{WRITER_CACHE_OCTETS // 1024}",
    "PRAGMA foreign_keys = ON",
    # What was answered OK is on the disk.
    "PRAGMA synchronous = FULL",
    f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}",
    f"PRAGMA journal_size_limit = {LOG_OCTETS_KEPT}",
    # Deleted mail is overwritten where that costs no further page; Debian's SQLite would
    # otherwise write every freed page of a deleted body once more.
    "PRAGMA secure_delete = FAST",
)

READER_PRAGMAS: Final = (
    *_COMMON,
    f"PRAGMA cache_size = -{READER_CACHE_OCTETS // 1024}",
    "PRAGMA query_only = ON",
)


class StoreRefused(Exception):
    """
    A database that is not served: which one, what was found, what to do about it.

    The text is one line for the operator.
    """

    def __init__(self, name: str, found: str, remedy: str) -> None:
        super().__init__(f"{name}: {found}; {remedy}")
        self.name = name
        self.found = found
        self.remedy = remedy


class StoreDamaged(StoreRefused):
    """One that will not mend by itself: trying again only wears its disk."""


def prepare(connection: sqlite3.Connection, name: str, identity: Callable[[], bytes]) -> None:
    """Makes the tables of an empty database, or brings those of an older one to today's schema."""
    for pragma in WRITER_PRAGMAS:
        connection.execute(pragma)
    version = _number(connection, "user_version")
    is_empty = not connection.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchall()
    if not is_empty or version:
        check_application(name, _number(connection, "application_id"))
    if version > SCHEMA_VERSION:
        raise StoreRefused(
            name,
            f"its schema is {version}, this release knows {SCHEMA_VERSION} and older",
            "run the release that wrote it, or a newer one",
        )
    if version < SCHEMA_VERSION:
        migrate(connection, version, b"" if version else identity())


def begin(connection: sqlite3.Connection, name: str) -> None:
    """Checks a database that was not closed, and marks it until `end`."""
    ((was_clean,),) = connection.execute("SELECT clean FROM shard")
    if was_clean:
        connection.execute("UPDATE shard SET clean = 0")
        return
    for table in tables(connection):
        if table != CHECKED_BY_HASH:
            check(connection, name, table)


def end(connection: sqlite3.Connection) -> None:
    """Takes the mark away: all that was begun is committed."""
    connection.execute("UPDATE shard SET clean = 1")


def check(connection: sqlite3.Connection, name: str, table: str | None = None) -> None:
    """
    Checks the structure of *table* and its indexes, or of the whole database, reading all of it.

    Raises `StoreRefused` if it is damaged.
    """
    argument = "1" if table is None else f"'{table}'"
    try:
        rows = connection.execute(f"PRAGMA quick_check({argument})").fetchall()
    except sqlite3.DatabaseError as error:
        raise refusal(name, error) from error
    if rows != [("ok",)]:
        # SQLite's first line may only name the database; the last one names the damage.
        raise _damaged(name, str(rows[0][0]).splitlines()[-1])


def refusal(name: str, error: sqlite3.Error) -> StoreRefused:
    """*error*, met on opening, as the operator is told."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return _damaged(name, str(error))
    if code == sqlite3.SQLITE_FULL:
        return StoreRefused(name, str(error), "make room on its disk")
    if code == sqlite3.SQLITE_BUSY:
        return StoreRefused(name, str(error), "end the program that has it open")
    return StoreRefused(
        name, str(error), "see that its directory can be written to and that its disk works"
    )


def _damaged(name: str, found: str) -> StoreRefused:
    return StoreDamaged(
        name,
        f"it is damaged: {found}",
        "move it aside, look at its disk, and restore it or let this node join again under a new "
        "identity",
    )


def check_application(name: str, application_id: int) -> None:
    """Raises `StoreRefused` unless *application_id* is ours."""
    if application_id != APPLICATION_ID:
        raise StoreRefused(
            name,
            f"it belongs to another program: its application id is {application_id:#010x}, "
            f"ours {APPLICATION_ID:#010x}",
            "correct the path",
        )


def check_sqlite(name: str) -> None:
    """Raises `StoreRefused` if the SQLite library of this process is too old."""
    if sqlite3.sqlite_version_info < SQLITE_OLDEST:
        oldest = ".".join(map(str, SQLITE_OLDEST))
        raise StoreRefused(
            name, f"this is SQLite {sqlite3.sqlite_version}", f"{oldest} or newer is needed"
        )


def _number(connection: sqlite3.Connection, pragma: str) -> int:
    ((number,),) = connection.execute(f"PRAGMA {pragma}")
    return int(number)
