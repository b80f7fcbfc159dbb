# SPDX-License-Identifier: GPL-3.0-or-later
"""
Durable messages of 10 KB, 32 in flight, on real threads and a real file.

Ours: octets in, hashed and scanned; body, chunk, facts, and four rows as an account writes them
beside a message, through the shard. The rules of an account are left out: see the benchmark of
the account for the whole way.

The yardstick is SQLite's group commit of the same octets without us: 32 clients, each of which goes
on only when its message is durable, and a writer's thread that takes all that waits into one
transaction, with the pragmas that we use. A message is one row of one table: its octets and as many
more as we write beside it (facts, rows, log), 1,900. No hash, no scan, no index. Beside it stands
how fast one loop is that inserts the same rows, 32 in a transaction, while nobody waits.
All of them sync each commit to the disk.

Time on the wall is measured here, since it is the disk that is shared; the CPU is a figure too.
"""

import os
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.epollreactor import EPollReactor
from twisted.python.failure import Failure

from benchmarks.measure import Figure
from pluto_tw.account.bodies import BODY_OF_HASH, Bodies
from pluto_tw.account.database import FileDatabase
from pluto_tw.account.shard import Shard
from pluto_tw.account.soundness import WRITER_PRAGMAS
from pluto_tw.account.work import Work
from pluto_tw.net.threads import PoolHop
from pluto_tw.net.waiting import ReactorWaiting

#: "durable 10 KB appends with 32 in flight at least 0.25 of it".
RATIO_MAX = 4.0

#: What an account writes beside a message of `message`: 1,354 octets of facts, some 300 of the log,
#: the others of rows and indexes.
BESIDE_OCTETS = 1900

MESSAGES = 4000
IN_FLIGHT = 32
ACCOUNTS = 50

#: What a header of a list's message is long, and lines of plain text behind it.
HEADER = b"".join(
    b"%s: %s\r\n" % (name, value)
    for name, value in (
        (b"Received", b"from a.example.org (a.example.org [192.0.2.1]) by mx.example.net; x" * 3),
        (b"From", b"Fred Foobar <fred@example.org>"),
        (b"To", b"Developers of many things <developers@lists.example.net>"),
        (b"Date", b"Mon, 23 Nov 2026 08:00:00 +0000"),
        (b"MIME-Version", b"1.0"),
        (b"Content-Type", b"text/plain; charset=utf-8"),
        (b"DKIM-Signature", b"v=1; a=rsa-sha256; c=relaxed/relaxed; b=" + b"k" * 300),
    )
)
TEXT = b"The quick brown fox jumps over the lazy dog, and does so again.\r\n" * 145


def message(number: int) -> bytes:
    """10 KB that no other message has."""
    return HEADER + b"Message-ID: <%d@example.org>\r\nSubject: %d\r\n\r\n" % (number, number) + TEXT


def run() -> list[Figure]:
    """Measures both in turn, three times, and takes the best of each."""
    ours, cpu, plain, alone = [], [], [], []
    for _ in range(3):
        with tempfile.TemporaryDirectory() as directory:
            plain.append(_grouped(Path(directory) / "grouped.sqlite"))
            alone.append(_plain(Path(directory) / "plain.sqlite"))
        with tempfile.TemporaryDirectory() as directory:
            wall, process = _ours(Path(directory) / "ours.sqlite")
            ours.append(wall)
            cpu.append(process)
    yardstick = f"SQLite's group commit: {1 / min(plain):.0f}/s"
    nobody = f"nobody waiting: {1 / min(alone):.0f}/s"
    return [
        Figure(
            "append 10 KB durably, to SQLite", min(ours) / min(plain), "x", RATIO_MAX, yardstick
        ),
        Figure("append 10 KB durably, time", min(ours) * 1e6, "µs", None, yardstick),
        Figure("append 10 KB durably, CPU", min(cpu) * 1e6, "µs", None, nobody),
    ]


def _plain(path: Path) -> float:
    """Seconds a message when nobody waits for it."""
    connection = _table(path)
    messages = [message(number) for number in range(MESSAGES)]
    beside = os.urandom(BESIDE_OCTETS)
    start = time.perf_counter()
    for low in range(0, MESSAGES, IN_FLIGHT):
        connection.execute("BEGIN IMMEDIATE")
        for octets in messages[low : low + IN_FLIGHT]:
            connection.execute("INSERT INTO message (data) VALUES (?)", (octets + beside,))
        connection.execute("COMMIT")
    seconds = time.perf_counter() - start
    connection.close()
    return seconds / MESSAGES


def _table(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA journal_mode = WAL")
    for pragma in WRITER_PRAGMAS:
        connection.execute(pragma)
    connection.execute("CREATE TABLE message (id INTEGER PRIMARY KEY, data BLOB)")
    return connection


def _grouped(path: Path) -> float:
    """Seconds a message of the yardstick."""
    connection = _table(path)
    beside = os.urandom(BESIDE_OCTETS)
    taken: list[float] = []
    failures: list[Failure] = []
    waiting: list[tuple[Deferred[None], bytes]] = []

    def transact(rows: list[tuple[bytes]]) -> None:
        connection.execute("BEGIN IMMEDIATE")
        for row in rows:
            connection.execute("INSERT INTO message (data) VALUES (?)", row)
        connection.execute("COMMIT")

    with _reactor() as (reactor, writer, _):

        async def drain() -> None:
            while waiting:
                batch = waiting[:]
                rows = [(octets,) for _, octets in batch]
                await writer.call(partial(transact, rows))
                # All that came until now is in the batch: each client waits for its own.
                waiting.clear()
                for done, _ in batch:
                    done.callback(None)

        async def client(numbers: Iterator[int]) -> None:
            for number in numbers:
                done: Deferred[None] = Deferred()
                waiting.append((done, message(number) + beside))
                await done

        async def measured() -> None:
            numbers = iter(range(MESSAGES))
            start = time.perf_counter()
            clients = [Deferred.fromCoroutine(client(numbers)) for _ in range(IN_FLIGHT)]
            await drain()
            await DeferredList(clients, fireOnOneErrback=True)
            taken.append(time.perf_counter() - start)

        def begin() -> None:
            ended = Deferred.fromCoroutine(measured()).addErrback(failures.append)
            ended.addBoth(lambda _: reactor.stop())

        reactor.callWhenRunning(begin)
        reactor.run(installSignalHandlers=False)
    connection.close()
    for failure in failures:
        failure.raiseException()
    return taken[0] / MESSAGES


def _ours(path: Path) -> tuple[float, float]:
    """Seconds a message on the wall, and of CPU on all threads."""
    taken: list[float] = []
    with _reactor() as (reactor, writer, reader):
        shard = Shard(
            FileDatabase(path, lambda: os.urandom(16), may_create=True),
            ReactorWaiting(reactor),
            writer,
            [reader],
        )

        async def measured() -> None:
            await shard.start()
            bodies = Bodies(shard)
            await shard.lane().commit(_tables())
            lanes = [shard.lane() for _ in range(ACCOUNTS)]
            numbers = iter(range(1, MESSAGES + 1))

            async def client() -> None:
                for number in numbers:
                    octets = message(number)
                    upload = bodies.upload(len(octets))
                    await upload.write(octets)
                    received = await upload.finish()
                    work = Work()
                    bodies.link(work, received, 1)
                    _rows(work, number, len(octets), received.hash)
                    await lanes[number % ACCOUNTS].commit(work)
                    upload.abandon()

            start, cpu = time.perf_counter(), time.process_time()
            await DeferredList(
                [Deferred.fromCoroutine(client()) for _ in range(IN_FLIGHT)],
                fireOnOneErrback=True,
            )
            taken.append(time.perf_counter() - start)
            taken.append(time.process_time() - cpu)
            await shard.close()

        failures: list[Failure] = []

        def begin() -> None:
            ended = Deferred.fromCoroutine(measured()).addErrback(failures.append)
            ended.addBoth(lambda _: reactor.stop())

        reactor.callWhenRunning(begin)
        reactor.run(installSignalHandlers=False)
        for failure in failures:
            failure.raiseException()
    wall, process = taken
    return wall / MESSAGES, process / MESSAGES


@contextmanager
def _reactor() -> Iterator[tuple[EPollReactor, PoolHop, PoolHop]]:
    """A reactor of its own, so that this runs beside other benchmarks, and two threads."""
    reactor = EPollReactor()
    hops = PoolHop(reactor, "writer"), PoolHop(reactor, "reader")
    for hop in hops:
        hop.start()
    try:
        yield reactor, *hops
    finally:
        for hop in hops:
            hop.stop()


def _tables() -> Work:
    """Tables of the shapes in which an account keeps a message, and rows for its scalars."""
    work = Work()
    work.add(
        "CREATE TABLE bench_message (id INTEGER PRIMARY KEY, account INTEGER, pid BLOB,"
        " body INTEGER REFERENCES body, size INTEGER, UNIQUE (account, pid)) STRICT"
    )
    work.add("CREATE INDEX bench_message_body ON bench_message (body)")
    work.add(
        "CREATE TABLE bench_placement (box INTEGER, id INTEGER, uid INTEGER, claim INTEGER,"
        " msq INTEGER, flags INTEGER, PRIMARY KEY (box, id)) STRICT, WITHOUT ROWID"
    )
    work.add(
        "CREATE TABLE bench_log (account INTEGER, slot INTEGER, seq INTEGER, msq INTEGER,"
        " data BLOB, PRIMARY KEY (account, slot, seq)) STRICT, WITHOUT ROWID"
    )
    work.add(
        "CREATE TABLE bench_account (id INTEGER PRIMARY KEY, vv BLOB, m INTEGER, octets INTEGER)"
        " STRICT"
    )
    work.add_rows(
        "INSERT INTO bench_account VALUES (?, x'', 0, 0)", [(n,) for n in range(ACCOUNTS)]
    )
    return work


def _rows(work: Work, number: int, size: int, hash: bytes) -> None:
    """What an account writes beside the body."""
    account, seq = number % ACCOUNTS, number // ACCOUNTS
    work.add(
        f"INSERT INTO bench_message VALUES (?, ?, ?, {BODY_OF_HASH}, ?)",
        (number, account, b"A\0" + seq.to_bytes(10, "big"), hash, size),
    )
    work.add(
        "INSERT INTO bench_placement VALUES (?, ?, ?, ?, ?, 0)",
        (account, number, seq, 1 << 37 | seq, number << 20),
    )
    work.add(
        "INSERT INTO bench_log VALUES (?, 0, ?, ?, ?)",
        (account, seq, number << 20, bytes(180)),
    )
    work.add(
        "UPDATE bench_account SET vv = ?, m = ?, octets = octets + ? WHERE id = ?",
        (bytes(12), number << 20, size, account),
    )
