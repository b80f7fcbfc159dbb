# SPDX-License-Identifier: GPL-3.0-or-later
"""
Memory of connections that wait: 10,000 clients in IDLE, over real sockets, without TLS.

A process of its own serves them, once with sessions and once with protocols that do nothing but
say that they are there; what a connection adds to the memory of the second is Twisted's own, and
the difference is ours. The account is in memory and its INBOX empty, so that sessions are measured
and not mailboxes. `python -m benchmarks.imap_idle bare` is that process.
"""

import gc
import resource
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.protocol import Factory, Protocol
from twisted.internet.stdio import StandardIO

from benchmarks.measure import Figure
from pluto_tw.imap.session import Service
from pluto_tw.imap.table import COMMANDS
from pluto_tw.net.imap import ImapFactory
from pluto_tw.net.journal import Journal
from pluto_tw.net.limits import Limits, Presence
from pluto_tw.net.waiting import ReactorWaiting
from tests.support.account import MemoryAccount
from tests.support.connection import CountingObserver
from tests.support.realm import MemoryRealm

CONNECTIONS = 10_000

#: What a session may take beside Twisted's own.
SESSION_KIB_MAX = 6.0

#: Descriptors that either process needs besides its connections.
OTHER_DESCRIPTORS = 100

#: A connection is ready when the server has said this: the continuation of IDLE, or as much.
READY = b"+ "

#: What a client sends, by the kind of server.
DIALOGUES = {
    "bare": b"",
    "session": b"a LOGIN fred secret\r\nb SELECT INBOX\r\nc IDLE\r\n",
}


def run() -> list[Figure]:
    """Measures `CONNECTIONS`, or as many as the process may have descriptors."""
    connections = min(CONNECTIONS, descriptors() - OTHER_DESCRIPTORS)
    bare, session = (kib_a_connection(kind, connections) for kind in ("bare", "session"))
    return [
        Figure(
            f"session in IDLE, one of {connections:,}",
            session - bare,
            "KiB",
            SESSION_KIB_MAX,
            f"Twisted's own connection: {bare:.1f} KiB",
        )
    ]


def descriptors() -> int:
    """How many descriptors a process may have, after asking for all that it may ask for."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def kib_a_connection(kind: str, connections: int) -> float:
    """What a connection adds to the memory of a server of this *kind*."""
    command = [sys.executable, "-m", "benchmarks.imap_idle", kind]
    clients: list[socket.socket] = []
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
    ) as server:
        try:
            port = _answer(server)
            # The first connection brings what is made once: caches, modules, tables.
            clients.append(_client(port, DIALOGUES[kind]))
            before = _ask_kib(server)
            clients += (_client(port, DIALOGUES[kind]) for _ in range(connections))
            return (_ask_kib(server) - before) / connections
        finally:
            for client in clients:
                client.close()
            server.kill()


def _client(port: int, dialogue: bytes) -> socket.socket:
    client = socket.create_connection(("127.0.0.1", port), timeout=30)
    client.sendall(dialogue)
    received = b""
    while READY not in received:
        more = client.recv(4096)
        assert more, received
        received += more
    return client


def _ask_kib(server: "subprocess.Popen[bytes]") -> int:
    assert server.stdin is not None
    server.stdin.write(b"?")
    return _answer(server)


def _answer(server: "subprocess.Popen[bytes]") -> int:
    assert server.stdout is not None
    return int(server.stdout.readline())


# The process that serves.


class Bare(Protocol):
    """A connection that does nothing."""

    def connectionMade(self) -> None:
        """Says that it is there."""
        assert self.transport is not None
        self.transport.write(READY)


class Control(Protocol):
    """Tells by standard output the port, and for each octet of standard input the memory."""

    def __init__(self, port: int) -> None:
        self._port = port

    def connectionMade(self) -> None:
        """Tells the port."""
        self._tell(self._port)

    def dataReceived(self, data: bytes) -> None:
        """Tells the resident memory in KiB."""
        gc.collect()
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        self._tell(pages * resource.getpagesize() // 1024)

    def _tell(self, number: int) -> None:
        assert self.transport is not None
        self.transport.write(b"%d\n" % number)


def bare_factory(reactor: Any) -> Factory:
    """Connections that are Twisted's own."""
    return Factory.forProtocol(Bare)


def session_factory(reactor: Any) -> Factory:
    """Connections with sessions of one user."""
    waiting = ReactorWaiting(reactor)
    account = MemoryAccount("fred", waiting=waiting)
    presence = Presence(Limits(10**6, 10**6, 10**6))
    service = Service(
        realm=MemoryRealm({b"fred": (b"secret", account)}, waiting),
        waiting=waiting,
        observer=CountingObserver(),
        commands=COMMANDS,
        greeting="ready",
        identity=(),
    )
    return ImapFactory(reactor, service, presence, Journal(), secure_without_tls=True)


FACTORIES: dict[str, Callable[[Any], Factory]] = {"bare": bare_factory, "session": session_factory}


def serve(kind: str) -> None:
    """Serves until it is killed."""
    from twisted.internet import reactor

    the_reactor: Any = reactor
    descriptors()
    factory = FACTORIES[kind](the_reactor)
    factory.noisy = False
    port = the_reactor.listenTCP(0, factory, interface="127.0.0.1", backlog=512)
    StandardIO(Control(port.getHost().port))
    the_reactor.run()


if __name__ == "__main__":
    serve(sys.argv[1])
