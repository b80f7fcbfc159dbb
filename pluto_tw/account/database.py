# SPDX-License-Identifier: GPL-3.0-or-later
"""
The database of one shard: where it is, and how it is opened and ended.

Whether it may be served is `soundness.py`'s to say, as soon as SQLite has opened it. Who writes
when is left to `shard.py`, what the tables are to `schema.py`.

- A file is looked at before SQLite is: SQLite would take a missing or empty file for a new
  database, and in the wrong directory, or with a disk not mounted, all mail would seem gone.
- A second process is kept out by a lock beside the file; the lock falls with the process.

A `MemoryDatabase` runs through the same code, and outlives the shard that used it: what a crash
leaves is what was committed.
"""

import fcntl
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol

from pluto_tw.account.soundness import (
    READER_PRAGMAS,
    StoreRefused,
    begin,
    check_application,
    check_sqlite,
    prepare,
    refusal,
)

#: 4 KiB pages take 10 KB messages twice as fast as 8 or 16 KiB ones: a commit writes each page
#: that it changed whole, and most changed pages hold small rows.
PAGE_OCTETS: Final = 4096

#: How long the writer waits for another program that holds the database, e.g. one that copies it.
WRITER_BUSY_SECONDS: Final = 5.0

#: The same for readers, one of which is the event loop's. Only recovery makes readers wait at all.
READER_BUSY_SECONDS: Final = 0.5

#: Statements that each connection keeps prepared: all of ours.
STATEMENTS_KEPT: Final = 512

_HEADER_OCTETS: Final = 100
_MAGIC: Final = b"SQLite format 3\0"


class Database(Protocol):
    """
    Where a shard's tables are. Raises `StoreRefused` if they must not be served.

    One at a time has it open. Connections may be used by one thread after another.
    """

    #: For messages and the log.
    name: str

    def open(self) -> sqlite3.Connection:
        """The connection that writes: migrated, checked, marked as open. Takes its time."""

    def reader(self) -> sqlite3.Connection:
        """A connection that sees what is committed, and nothing else; after `open`."""

    def release(self, connection: sqlite3.Connection) -> None:
        """Ends a connection; what it had not committed is gone."""

    def finish(self) -> None:
        """Lets others have it, after the last `release`. Harmless if it was not opened."""

    def free_octets(self) -> int:
        """How much more fits, as far as can be known."""


class FileDatabase:
    """
    The database in the file *path*, in a directory that exists.

    *identity* gives 16 octets for a new database. With *may_create* False a missing one is
    refused: so it is wherever this shard is known to have been before.
    """

    def __init__(self, path: Path, identity: Callable[[], bytes], *, may_create: bool) -> None:
        self.name = str(path)
        self._path = path
        self._directory = os.fspath(path.parent)
        self._identity = identity
        self._may_create = may_create
        self._lock: int | None = None

    def open(self) -> sqlite3.Connection:
        check_sqlite(self.name)
        try:
            self._take_lock()
            self._check_file()
        except OSError as error:
            raise StoreRefused(
                self.name, str(error), "see that its directory is there and can be written to"
            ) from error
        try:
            return self._opened()
        except sqlite3.Error as error:
            raise refusal(self.name, error) from error

    def _opened(self) -> sqlite3.Connection:
        connection = self._connect(self.name, WRITER_BUSY_SECONDS)
        try:
            connection.execute(f"PRAGMA page_size = {PAGE_OCTETS}")
            prepare(connection, self.name, self._identity)
            # Only now: in the log alone, `application_id` would not be in the file's header.
            connection.execute("PRAGMA journal_mode = WAL")
            begin(connection, self.name)
        except BaseException:
            connection.close()
            raise
        # From now on a missing file is a lost one.
        self._may_create = False
        return connection

    def reader(self) -> sqlite3.Connection:
        # Never makes a file, should it have gone meanwhile.
        connection = self._connect(f"{self._path.absolute().as_uri()}?mode=rw", READER_BUSY_SECONDS)
        for pragma in READER_PRAGMAS:
            connection.execute(pragma)
        return connection

    def release(self, connection: sqlite3.Connection) -> None:
        connection.close()

    def finish(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def free_octets(self) -> int:
        found = os.statvfs(self._directory)
        return found.f_bavail * found.f_frsize

    def _connect(self, name: str, busy_seconds: float) -> sqlite3.Connection:
        return sqlite3.connect(
            name,
            timeout=busy_seconds,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=STATEMENTS_KEPT,
            uri=name.startswith("file:"),
        )

    def _take_lock(self) -> None:
        if self._lock is not None:
            return
        # A file of its own: closing any descriptor of the database drops SQLite's locks on it.
        lock = os.open(f"{self._path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            raise StoreRefused(
                self.name,
                "another process has it open",
                "stop that process, or give this one a store of its own",
            ) from None
        self._lock = lock

    def _check_file(self) -> None:
        """What the file's header tells, before SQLite sees it."""
        log, journal = Path(f"{self._path}-wal"), Path(f"{self._path}-journal")
        size = _size(self._path)
        if size == 0:
            if _size(log) > 0:
                raise StoreRefused(
                    self.name,
                    f"it is missing, but its log {log} is there",
                    "restore both from one backup, or move the log away to begin anew",
                )
            if not self._may_create:
                raise StoreRefused(
                    self.name,
                    "it is missing",
                    "mount its disk, restore it, or take this node's identity away so that it "
                    "joins again and gets its mail from the others",
                )
            # Mail is its owner's alone, and SQLite gives its other files the same mode.
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            return
        if _size(journal) > 0:
            # A creation was cut off: SQLite takes it back as it opens, and the header with it.
            return
        with self._path.open("rb") as file:
            header = file.read(_HEADER_OCTETS)
        if len(header) < _HEADER_OCTETS or not header.startswith(_MAGIC):
            raise StoreRefused(
                self.name,
                f"its {size} octets do not begin as a database",
                "restore it from a backup, or correct the path",
            )
        check_application(self.name, int.from_bytes(header[68:72], "big"))
        # In pages, as of the last change that was copied into the file.
        pages = int.from_bytes(header[28:32], "big")
        page_octets = int.from_bytes(header[16:18], "big")
        is_valid = header[24:28] == header[92:96]
        if is_valid and _size(log) == 0 and pages * page_octets > size:
            raise StoreRefused(
                self.name,
                f"it is cut off: {size} octets of {pages * page_octets}",
                "restore it from a backup, or let this node join again under a new identity",
            )


class MemoryDatabase:
    """
    A database in memory, for tests and simulations; as durable as this object.

    All connections are one: its user runs what reads and what writes one after the other.
    """

    def __init__(self, name: str, identity: bytes) -> None:
        self.name = name
        self.connection = sqlite3.connect(
            ":memory:",
            isolation_level=None,
            check_same_thread=False,
            cached_statements=STATEMENTS_KEPT,
        )
        self._identity = identity

    def open(self) -> sqlite3.Connection:
        check_sqlite(self.name)
        self.release(self.connection)
        try:
            prepare(self.connection, self.name, lambda: self._identity)
            begin(self.connection, self.name)
        except sqlite3.Error as error:
            raise refusal(self.name, error) from error
        return self.connection

    def reader(self) -> sqlite3.Connection:
        return self.connection

    def release(self, connection: sqlite3.Connection) -> None:
        if connection.in_transaction:
            connection.execute("ROLLBACK")

    def finish(self) -> None: ...

    def free_octets(self) -> int:
        ((pages_max, pages),) = self.connection.execute(
            "SELECT max_page_count, page_count FROM pragma_max_page_count, pragma_page_count"
        )
        return int(pages_max - pages) * PAGE_OCTETS

    def destroy(self) -> None:
        """Nothing of it is left."""
        self.connection.close()


def _size(path: Path) -> int:
    """The octets in *path*; 0 if there is no such file."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
