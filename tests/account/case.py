# SPDX-License-Identifier: GPL-3.0-or-later
"""A shard on a database in memory, whose threads the test has in its hand."""

import sqlite3
import tempfile
from collections.abc import AsyncIterator, Awaitable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.account.bodies import Bodies
from pluto_tw.account.database import Database, FileDatabase, MemoryDatabase
from pluto_tw.account.shard import Shard
from pluto_tw.account.upload import Received, StoredUpload
from pluto_tw.account.work import Work
from pluto_tw.mail.waiting import ThreadHop
from pluto_tw.net.waiting import ReactorWaiting
from tests.support.hop import HeldHop, SynchronousHop

T = TypeVar("T")

IDENTITY = bytes(range(16))


class StoreTestCase(SynchronousTestCase):
    """Has `database`, in memory; `started` gives a shard on it, and another after a crash."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.waiting = ReactorWaiting(self.clock)
        self.database = MemoryDatabase("memory", IDENTITY)
        self.addCleanup(self.database.destroy)

    def started(self, database: Database | None = None, writer: ThreadHop | None = None) -> Shard:
        """A shard that is open."""
        hop = SynchronousHop()
        shard = Shard(database or self.database, self.waiting, writer or hop, [hop])
        starting = Deferred.fromCoroutine(shard.start())
        if isinstance(writer, HeldHop):
            writer.finish()
        self.successResultOf(starting)
        return shard

    def on_disk(self, name: str = "shard.sqlite", *, may_create: bool = True) -> FileDatabase:
        """The database of that name in this test's directory."""
        database = FileDatabase(self.directory / name, lambda: IDENTITY, may_create=may_create)
        self.addCleanup(database.finish)
        return database

    @property
    def directory(self) -> Path:
        if not hasattr(self, "_directory"):
            temporary = tempfile.TemporaryDirectory()
            self.addCleanup(temporary.cleanup)
            self._directory = Path(temporary.name)
        return self._directory

    def ran(self, work: Coroutine[Any, Any, T]) -> T:
        """What *work* returns, which waits for nobody."""
        return self.successResultOf(Deferred.fromCoroutine(work))

    def failed(self, work: Coroutine[Any, Any, Any], *errors: type[Exception]) -> Exception:
        """What *work* raises, which waits for nobody."""
        failure = self.failureResultOf(Deferred.fromCoroutine(work), *errors)
        assert isinstance(failure.value, Exception)
        return failure.value

    def commit(self, shard: Shard, work: Work) -> None:
        """Commits *work* in a lane of its own."""
        self.ran(awaited(shard.lane().commit(work)))

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """What the database in memory has, seen from outside."""
        return self.database.connection.execute(sql).fetchall()


class BodiesTestCase(StoreTestCase):
    """Has `shard` and its `bodies` as well."""

    def setUp(self) -> None:
        super().setUp()
        self.shard = self.started()
        self.bodies = Bodies(self.shard)

    def uploaded(self, octets: bytes, bodies: Bodies | None = None) -> StoredUpload:
        """An upload to which *octets* were written."""
        upload = (bodies or self.bodies).upload(len(octets))
        self.addCleanup(upload.abandon)
        for low in range(0, len(octets), 50_000):
            self.ran(upload.write(octets[low : low + 50_000]))
        return upload

    def received(self, octets: bytes, bodies: Bodies | None = None) -> Received:
        """*octets* as an upload that is complete."""
        return self.ran(self.uploaded(octets, bodies).finish())

    def stored(self, octets: bytes, refs: int = 1) -> int:
        """The number of a body with these octets, committed."""
        upload = self.uploaded(octets)
        received = self.ran(upload.finish())
        work = Work()
        self.bodies.link(work, received, refs)
        self.commit(self.shard, work)
        upload.abandon()
        ((number,),) = self.shard.read("SELECT id FROM body WHERE hash = ?", (received.hash,))
        assert isinstance(number, int)
        return number

    def octets_of(self, number: int, size: int) -> bytes:
        """All octets of a body."""
        return b"".join(self.ran(listed(self.bodies.body(number, size).read(0, size))))


async def listed(items: AsyncIterator[T]) -> list[T]:
    """All that *items* gives."""
    return [item async for item in items]


async def awaited(something: Awaitable[T]) -> T:
    """*something* as a coroutine."""
    return await something


def copy(path: Path, target: Path) -> None:
    """What a crash at this moment would leave of the database *path*, at *target*."""
    for suffix in ("", "-wal"):
        source = Path(f"{path}{suffix}")
        if source.exists():
            Path(f"{target}{suffix}").write_bytes(source.read_bytes())


def pages_max(connection: sqlite3.Connection, more: int) -> None:
    """Lets the database grow by *more* pages and then be full."""
    ((count,),) = connection.execute("PRAGMA page_count").fetchall()
    connection.execute(f"PRAGMA max_page_count = {count + more}")
