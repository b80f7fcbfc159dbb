# SPDX-License-Identifier: GPL-3.0-or-later
"""
Two replicas of one subnet in one process, over the real channel on loopback.

Catch-up: one has `OPERATIONS` small operations, STOREs of one message each in `ACCOUNTS` accounts,
that the other lacks; the figure is operations a second until the other has committed all of them,
with the work of both on the same core. Latency: from the answer to an APPEND at one to the wake of
a session at the other, both connected and at rest.

`python -m benchmarks.replication run` is the process that is measured; it prints the figures.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP4ServerEndpoint
from twisted.internet.task import deferLater, react

from benchmarks.measure import Figure
from pluto_tw.account.database import FileDatabase
from pluto_tw.account.members import Member, Members
from pluto_tw.account.shard import Shard
from pluto_tw.account.site import Ground, Site
from pluto_tw.account.store import Store
from pluto_tw.crdt.rules import Rules
from pluto_tw.mail.flags import flag_set
from pluto_tw.mail.messages import NewMessage, StoreMode
from pluto_tw.mail.names import INBOX
from pluto_tw.mail.sets import NumberSet
from pluto_tw.net.threads import PoolHop
from pluto_tw.net.waiting import ReactorWaiting
from pluto_tw.node.collector import tune_collector
from pluto_tw.replication.client import Dialler
from pluto_tw.replication.replication import Replication
from pluto_tw.replication.server import SyncFactory
from tests.support.nodes import authority

#: "catch-up after an outage at least 3,000 small ops/s".
OPERATION_US_MAX: Final = 1e6 / 3000
#: "from OK at one region to EXISTS in an idling session at the other, on loopback: p50 at most
#: 20 ms", of which this is the part without sessions.
LATENCY_MS_MAX: Final = 20.0

ACCOUNTS: Final = 100
OPERATIONS: Final = 10_000
APPENDS: Final = 200

NAMES: Final = ("eu-worker-1", "us-worker-1")
IDS: Final = tuple(bytes([slot]) * 16 for slot in (1, 2))


def run() -> list[Figure]:
    """Catch-up and latency."""
    command = [sys.executable, "-m", "benchmarks.replication", "run"]
    output = subprocess.run(command, check=True, capture_output=True, timeout=300).stdout
    operation, median, slow = map(float, output.split())
    return [
        Figure(
            "catch-up, a small operation, both ends",
            operation * 1e6,
            "µs",
            OPERATION_US_MAX,
            f"{1 / operation:,.0f} operations/s",
        ),
        Figure("from OK here to a wake there, median", median * 1e3, "ms", LATENCY_MS_MAX, ""),
        Figure("from OK here to a wake there, p99", slow * 1e3, "ms", None, ""),
    ]


class _Node:
    """One replica."""

    def __init__(self, reactor: Any, path: Path, slot: int) -> None:
        self._reactor = reactor
        self.waiting = ReactorWaiting(reactor)
        self.slot = slot
        self._hops = [PoolHop(reactor, f"{slot}-{what}") for what in ("writer", "reader")]
        for hop in self._hops:
            hop.start()
        database = FileDatabase(path / f"{slot}.db", lambda: os.urandom(16), may_create=True)
        self.shard = Shard(database, self.waiting, self._hops[0], self._hops[1:])

    async def start(self) -> None:
        await self.shard.start()
        ids = [IDS[slot] if slot == self.slot else b"" for slot in range(2)]
        members = Members(self.slot, [Member(n, NAMES[n], ids[n]) for n in range(2)])
        site = Site(
            members,
            self.waiting,
            lambda: self.replication.heard(),
            rules=Rules(members.replica_ids),
        )
        self.store = Store("bench", site, [Ground(self.shard)], ".")
        self.replication = Replication(
            self.store,
            "bench",
            NAMES[self.slot],
            IDS[self.slot],
            self.waiting,
            [NAMES[1 - self.slot]],
        )
        self.replication.start()
        name, other = NAMES[self.slot], NAMES[1 - self.slot]
        self._trust = authority().contexts("worker", name)
        self.factory = SyncFactory(
            self._reactor, self.replication, self._trust, {other}.__contains__, other
        )
        endpoint = TCP4ServerEndpoint(self._reactor, 0, interface="127.0.0.1")
        self.port: Any = await endpoint.listen(self.factory.listener())

    def dial(self, other: "_Node") -> None:
        number = other.port.getHost().port
        self._dialler = Dialler(
            self._reactor,
            TCP4ClientEndpoint(self._reactor, "127.0.0.1", number),
            NAMES[other.slot],
            f"127.0.0.1:{number}",
            self._trust,
            random=lambda: 0.5,
            connected=self.replication.connected,
            lost=self.replication.disconnected,
        )
        self._dialler.start()

    async def stop(self) -> None:
        await self.replication.stop()
        await self._dialler.stop()
        await self.port.stopListening()
        await self.factory.stop()
        await self.store.close()
        await self.shard.close()
        for hop in self._hops:
            hop.stop()


async def _append(node: _Node, key: str, octets: bytes) -> None:
    session = node.store.session(key, key)
    upload = session.upload(len(octets))
    await upload.write(octets)
    await session.append(INBOX, [NewMessage(upload, flag_set(()), None)])
    session.close()


async def _fill(node: _Node) -> int:
    """Operations in all accounts."""
    flags = flag_set(["\\Flagged"])
    count = 0
    for number in range(ACCOUNTS):
        key = f"user{number}"
        await _append(node, key, b"Subject: %d\r\n\r\n" % number)
        session = node.store.session(key, key)
        opened = await session.open(INBOX, False, lambda: None)
        uids = NumberSet.of(opened.uids())
        for turn in range(OPERATIONS // ACCOUNTS):
            mode = StoreMode.REMOVE if turn % 2 else StoreMode.ADD
            await opened.store(uids, mode, flags, None)
        opened.close()
        session.close()
        count += sum(node.store.checkpoint(key).vector)
    return count


async def _measured(reactor: Any, path: Path) -> None:
    tune_collector()
    a, b = (_Node(reactor, path, slot) for slot in range(2))
    await a.start()
    await b.start()
    count = await _fill(a)
    start = time.perf_counter()
    a.dial(b)
    b.dial(a)
    keys = [f"user{number}" for number in range(ACCOUNTS)]
    while any(a.store.checkpoint(k).vector != b.store.checkpoint(k).vector for k in keys):
        await deferLater(reactor, 0.01)
    operation = (time.perf_counter() - start) / count
    times = []
    await deferLater(reactor, 4)
    session = b.store.session("user0", "user0")
    for number in range(APPENDS):
        woken: Deferred[float] = Deferred()

        def wake(woken: Deferred[float] = woken) -> None:
            if not woken.called:
                woken.callback(time.perf_counter())

        opened = await session.open(INBOX, False, wake)
        await _append(a, "user0", b"Subject: n%d\r\n\r\n" % number + b"x" * 2000)
        answered = time.perf_counter()
        times.append(max(0.0, await woken - answered))
        opened.close()
        await deferLater(reactor, 0.005)
    session.close()
    for node in (a, b):
        await node.stop()
    times.sort()
    print(operation, statistics.median(times), times[len(times) * 99 // 100])


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as directory:
        react(lambda reactor: Deferred.fromCoroutine(_measured(reactor, Path(directory))))
