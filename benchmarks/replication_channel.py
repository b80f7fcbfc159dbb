# SPDX-License-Identifier: GPL-3.0-or-later
"""
The channel between replicas over loopback: CPU time of both ends, beside TLS that carries as much.

A process of its own has both ends and a window of eight questions; the yardstick sends the same
octets over the same TLS and gets one octet back for each question. `python -m
benchmarks.replication_channel channel 1024 4000` is that process: it prints the CPU seconds and
the seconds on the wall that 4,000 questions of 1,024 octets take.
"""

import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Generator
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP4ServerEndpoint
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import cooperate, react
from twisted.protocols.tls import TLSMemoryBIOFactory

from benchmarks.measure import Figure
from pluto_tw.node.internal_tls import InternalContexts
from pluto_tw.replication.channel import Channel
from pluto_tw.replication.client import Dialler
from pluto_tw.replication.server import SyncFactory
from tests.support.nodes import authority

#: Questions under way, as replication has them.
WINDOW = 8

KIB = 1024
MIB = 1024 * KIB

#: A question of 1 KiB, both ends: 3,000 a second and more have to fit into a core.
SMALL_US_MAX = 330.0
#: A MiB in questions of 128 KiB, both ends: a line of 100 MB/s takes no more than the core.
LARGE_MS_MAX = 10.0

Ask = Callable[[bytes], Awaitable[object]]


def run() -> list[Figure]:
    """Small questions, and as many octets as possible."""
    small, small_wall = _measure("channel", KIB, 4000)
    bare_small, _ = _measure("tls", KIB, 4000)
    figures = [
        Figure(
            "question of 1 KiB, both ends",
            small * 1e6,
            "µs",
            SMALL_US_MAX,
            f"TLS alone: {bare_small * 1e6:.0f} µs; {1 / small_wall:,.0f} questions/s",
        )
    ]
    for size in (64 * KIB, 128 * KIB):
        large, wall = _measure("channel", size, 64 * MIB // size)
        bare, _ = _measure("tls", size, 64 * MIB // size)
        scale = MIB / size * 1e3
        figures.append(
            Figure(
                f"MiB in questions of {size // KIB} KiB, both ends",
                large * scale,
                "ms",
                LARGE_MS_MAX,
                f"TLS alone: {bare * scale:.2f} ms; {size / wall / 1e6:.0f} MB/s",
            )
        )
    return figures


def _measure(way: str, size: int, count: int) -> tuple[float, float]:
    """CPU seconds, and seconds on the wall, of one question."""
    command = [sys.executable, "-m", "benchmarks.replication_channel", way, str(size), str(count)]
    output = subprocess.run(command, check=True, capture_output=True, timeout=120).stdout
    cpu, wall = map(float, output.split())
    return cpu / count, wall / count


# The process that is measured.


class _Turned:
    """Answers with one octet."""

    async def answer(self, peer: str, kind: str, question: bytes) -> bytes:
        """As little as an acknowledgement."""
        return b"."

    def lost(self, peer: str) -> None:
        """Nobody minds."""


class _Counting(Protocol):
    """Sends back an octet for each *size* octets."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._octets = 0

    def dataReceived(self, data: bytes) -> None:
        """Counts."""
        assert self.transport is not None
        whole = (self._octets + len(data)) // self._size
        self._octets = (self._octets + len(data)) % self._size
        self.transport.write(b"." * whole)


class _Waiting(Protocol):
    """Sends questions, and waits for an octet for each."""

    def __init__(self) -> None:
        self._asked: list[Deferred[None]] = []

    def ask(self, question: bytes) -> Deferred[None]:
        """Fires when the octet for *question* has come."""
        assert self.transport is not None
        self.transport.write(question)
        self._asked.append(Deferred())
        return self._asked[-1]

    def dataReceived(self, data: bytes) -> None:
        """One for each."""
        done, self._asked = self._asked[: len(data)], self._asked[len(data) :]
        for asked in done:
            asked.callback(None)


async def channel(reactor: Any, server: InternalContexts, client: InternalContexts) -> Ask:
    """The channel."""
    expects = {"eu-worker-1"}.__contains__
    factory = SyncFactory(reactor, _Turned(), server, expects, "eu-worker-1")
    port = await _listen(reactor, factory.listener())
    connected: Deferred[Channel] = Deferred()
    dialler = Dialler(
        reactor,
        TCP4ClientEndpoint(reactor, "127.0.0.1", port),
        "us-worker-1",
        "loopback",
        client,
        random=lambda: 0.5,
        connected=connected.callback,
        lost=lambda channel, reason: None,
    )
    dialler.start()
    made = await connected
    return lambda question: made.ask("k", question)


async def tls(reactor: Any, server: Any, client: Any, size: int) -> Ask:
    """TLS that carries as much."""
    listening, dialling = (
        Factory.forProtocol(lambda: _Counting(size)),
        Factory.forProtocol(_Waiting),
    )
    port = await _listen(reactor, TLSMemoryBIOFactory(server, False, listening))
    endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", port)
    made: Any = await endpoint.connect(TLSMemoryBIOFactory(client, True, dialling))
    made.setTcpNoDelay(True)
    waiting: _Waiting = made.wrappedProtocol
    return waiting.ask


async def _listen(reactor: Any, factory: Any) -> int:
    port: Any = await TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1").listen(factory)
    number: int = port.getHost().port
    return number


async def _main(reactor: Any, way: str, size: int, count: int) -> None:
    server, client = authority().contexts(name="us-worker-1"), authority().contexts()
    ask = await (
        channel(reactor, server, client) if way == "channel" else tls(reactor, server, client, size)
    )
    question = bytes(size)
    await _ask_all(ask, question, WINDOW)
    cpu, wall = time.process_time(), time.perf_counter()
    await _ask_all(ask, question, count)
    print(time.process_time() - cpu, time.perf_counter() - wall)


async def _ask_all(ask: Ask, question: bytes, count: int) -> None:
    """*count* questions, `WINDOW` at a time."""
    left = iter(range(count))

    def lane() -> Generator[Deferred[object], None, None]:
        for _ in left:
            yield Deferred.fromCoroutine(_await(ask(question)))

    for task in [cooperate(lane()) for _ in range(WINDOW)]:
        await task.whenDone()


async def _await(awaited: Awaitable[object]) -> object:
    return await awaited


if __name__ == "__main__":
    react(
        lambda reactor: Deferred.fromCoroutine(
            _main(reactor, sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
        )
    )
