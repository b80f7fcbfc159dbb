# SPDX-License-Identifier: GPL-3.0-or-later
"""
The account on SQLite, from a client's octets to its answer, on real threads and a real file.

Appends go through ports, rules and shard, and are answered when they are durable; the yardstick is
that of `store_commit`. Remote batches come without bodies. The large mailbox is loaded by a node
that was just started. But for appends, where the disk counts, it is CPU that is measured, on all
threads: another process does not make it longer.
"""

import os
import tempfile
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Final

from twisted.internet.defer import Deferred, DeferredList
from twisted.python.failure import Failure

from benchmarks.measure import Figure
from benchmarks.store_commit import _grouped, _reactor, message
from pluto_tw.account.database import FileDatabase
from pluto_tw.account.members import Members
from pluto_tw.account.shard import Shard
from pluto_tw.account.site import Ground, Site
from pluto_tw.account.store import Store
from pluto_tw.crdt.ops import Add, Cl, Message, Op
from pluto_tw.mail.flags import flag_set
from pluto_tw.mail.messages import NewMessage, StoreMode
from pluto_tw.mail.names import INBOX
from pluto_tw.mail.sets import NumberSet
from pluto_tw.mail.uids import UID_MAX
from pluto_tw.net.waiting import ReactorWaiting
from pluto_tw.node.collector import tune_collector

#: "durable 10 KB appends with 32 in flight at least 0.25 of it".
RATIO_MAX: Final = 4.0
#: "CPU an append at most 400 µs, MIME scan included".
CPU_MICROSECONDS_MAX: Final = 400
#: "applying remote batches at least 5,000 adds/s without bodies".
REMOTE_MICROSECONDS_MAX: Final = 200
#: "loading a mailbox of 100,000 messages at most 200 ms cold, at most 200 bytes a message".
LOAD_MILLISECONDS_MAX: Final = 200
LOAD_OCTETS_MAX: Final = 200
#: "a STORE over 10,000 messages in one command at most 300 ms".
STORE_MILLISECONDS_MAX: Final = 300

APPENDS: Final = 4000
IN_FLIGHT: Final = 32
ACCOUNTS: Final = 50
REMOTE: Final = 5000
MESSAGES: Final = 100_000
STORED: Final = 10_000

ALL: Final = NumberSet.from_ranges([(1, UID_MAX)])


class Bench:
    """A node on *path*, on a reactor of its own, for as long as `run` takes."""

    def __init__(self, path: Path, reactor: Any, writer: Any, reader: Any) -> None:
        database = FileDatabase(path, lambda: os.urandom(16), may_create=True)
        self.waiting = ReactorWaiting(reactor)
        self.shard = Shard(database, self.waiting, writer, [reader])

    async def start(self, slot: int = 0) -> None:
        await self.shard.start()
        self.ground = Ground(self.shard)
        site = Site(Members.fixed(slot, {0}), self.waiting)
        self.store = Store("bench", site, [self.ground], ".")

    async def stop(self) -> None:
        await self.store.close()
        await self.shard.close()


def run() -> list[Figure]:
    """Measures the whole way."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory)
        plain = min(_grouped(path / f"plain{n}.sqlite") for n in range(2))
        ours = [on_node(path / f"append{n}.sqlite", _appends) for n in range(2)]
        wall = min(found[0] for found in ours)
        cpu = min(found[1] for found in ours)
        remote = on_node(path / "remote.sqlite", _remote)[0]
        on_node(path / "large.sqlite", _fill)
        load, octets, store = on_node(path / "large.sqlite", _large)
    yardstick = f"SQLite's group commit: {1 / plain:.0f}/s"
    return [
        Figure("account: append 10 KB durably", wall / plain, "x", RATIO_MAX, yardstick),
        Figure("account: append, time", wall * 1e6, "µs", None, f"{1 / wall:.0f}/s"),
        Figure("account: append, CPU", cpu * 1e6, "µs", CPU_MICROSECONDS_MAX, ""),
        Figure("account: remote add", remote * 1e6, "µs", REMOTE_MICROSECONDS_MAX, ""),
        Figure("account: load 100,000", load * 1e3, "ms", LOAD_MILLISECONDS_MAX, "cold"),
        Figure("account: a loaded message", octets, "octets", LOAD_OCTETS_MAX, ""),
        Figure("account: STORE of 10,000", store * 1e3, "ms", STORE_MILLISECONDS_MAX, ""),
    ]


def on_node(
    path: Path, work: Callable[[Bench], Coroutine[Any, Any, tuple[float, ...]]]
) -> tuple[float, ...]:
    """What *work* measures on a node that is started for it."""
    tune_collector()
    found: list[tuple[float, ...]] = []
    failures: list[Failure] = []
    with _reactor() as (reactor, writer, reader):
        bench = Bench(path, reactor, writer, reader)

        async def measured() -> None:
            found.append(await work(bench))
            await bench.stop()

        def begin() -> None:
            ended = Deferred.fromCoroutine(measured()).addErrback(failures.append)
            ended.addBoth(lambda _: reactor.stop())

        reactor.callWhenRunning(begin)
        reactor.run(installSignalHandlers=False)
    for failure in failures:
        failure.raiseException()
    return found[0]


async def _appends(bench: Bench) -> tuple[float, ...]:
    """Seconds an append on the wall, and of CPU on all threads."""
    await bench.start()
    sessions = [bench.store.session(f"user{n}", f"user{n}") for n in range(ACCOUNTS)]
    numbers = iter(range(APPENDS))
    no_flags = flag_set(())

    async def client() -> None:
        for number in numbers:
            octets = message(number)
            session = sessions[number % ACCOUNTS]
            await session.admit(INBOX, [len(octets)])
            upload = session.upload(len(octets))
            await upload.write(octets)
            appended = await session.append(INBOX, [NewMessage(upload, no_flags, None)])
            assert appended.uids

    start, cpu = time.perf_counter(), time.process_time()
    await DeferredList(
        [Deferred.fromCoroutine(client()) for _ in range(IN_FLIGHT)], fireOnOneErrback=True
    )
    return (time.perf_counter() - start) / APPENDS, (time.process_time() - cpu) / APPENDS


def _remote_ops(count: int) -> list[Op]:
    """Messages that slot 0 added one by one, and claimed."""
    ops = []
    for number in range(count):
        seq = 2 * number + 1
        blob = number.to_bytes(32, "big")
        add = Op(seq << 5, seq << 20, (seq - 1,) if seq > 1 else (), _add(blob))
        pid = b"A\0" + seq.to_bytes(6, "big") + bytes(4)
        claim = Cl(0, 0, 1 << 5, (pid,), (number // 64 * 2048 + number % 64 + 1,))
        ops += [add, Op(seq + 1 << 5, seq << 20, (seq,), claim)]
    return ops


def _add(blob: bytes) -> Add:
    return Add(0, (Message(blob, 10_000, 1_790_000_000, 60, ("\\Seen",)),))


async def _remote(bench: Bench) -> tuple[float, ...]:
    """Seconds an add with its claim."""
    await bench.start(slot=1)
    ops = _remote_ops(REMOTE)
    account = bench.store.account("remote")
    size = 500
    start = time.process_time()
    for at in range(0, len(ops), size):
        tx = await account.receive(ops[at : at + size], None)
        assert tx.taken == len(ops[at : at + size])
    return ((time.process_time() - start) / REMOTE,)


async def _fill(bench: Bench) -> tuple[float, ...]:
    """100,000 messages, as a peer's batches bring them."""
    await bench.start(slot=1)
    account = bench.store.account("large")
    seq = 0
    for low in range(0, MESSAGES, 4000):
        count = min(4000, MESSAGES - low)
        seq += 1
        known = (seq - 1,) if seq > 1 else ()
        flags = [(), ("\\Seen",), ("\\Seen", "\\Answered"), ("\\Seen", "$Forwarded")]
        messages = tuple(
            Message(
                (low + n).to_bytes(32, "big"), 10_000 + n, 1_700_000_000 + low + n, 60, flags[n % 4]
            )
            for n in range(count)
        )
        add = Op(seq << 5, seq << 20, known, Add(0, messages))
        pids = tuple(b"A\0" + seq.to_bytes(6, "big") + n.to_bytes(4, "big") for n in range(count))
        uids = tuple((low + n) // 64 * 2048 + (low + n) % 64 + 1 for n in range(count))
        seq += 1
        claim = Op(seq << 5, seq << 20, (seq - 1,), Cl(0, 0, 1 << 5, pids, uids))
        await account.receive([add, claim], None)
    return ()


async def _large(bench: Bench) -> tuple[float, ...]:
    """CPU seconds to load it, octets a message in memory, CPU seconds of a large STORE."""
    await bench.start(slot=1)
    session = bench.store.session("large", "large")
    start = time.process_time()
    opened = await session.open(INBOX, False, lambda: None)
    load = time.process_time() - start
    uids = opened.uids()
    assert len(uids) == MESSAGES
    account = bench.store.account("large")
    mailbox = await account.mailboxes.open(INBOX)
    octets = mailbox.columns.octets / MESSAGES
    named = NumberSet.from_sorted(uids[:STORED])
    start = time.process_time()
    stored = await opened.store(named, StoreMode.ADD, flag_set(["\\Flagged"]), None)
    store = time.process_time() - start
    assert len(stored.changed) == STORED
    opened.close()
    return load, octets, store
