# SPDX-License-Identifier: GPL-3.0-or-later
"""Connections in memory with real TLS on them, and replicas that answer what tests tell them to."""

from collections.abc import Awaitable, Callable
from typing import Any

from OpenSSL import SSL
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ConnectionRefusedError
from twisted.internet.interfaces import (
    IOpenSSLClientConnectionCreator,
    IProtocolFactory,
    IStreamClientEndpoint,
)
from twisted.internet.protocol import Protocol
from twisted.internet.ssl import CertificateOptions
from twisted.internet.task import Clock
from twisted.logger import ILogObserver, LogEvent, LogLevel, formatEvent, globalLogPublisher
from twisted.protocols.tls import TLSMemoryBIOProtocol
from twisted.test.iosim import FakeTransport, IOPump
from zope.interface import implementer

from pluto_tw.node.internal_tls import Shown
from pluto_tw.replication.channel import Channel
from pluto_tw.replication.client import Dialler
from pluto_tw.replication.server import SyncFactory
from pluto_tw.replication.trust import Trust
from tests.support.nodes import authority

OURS = IPv4Address("TCP", "192.0.2.1", 40000)
THEIRS = IPv4Address("TCP", "192.0.2.2", 3993)


@implementer(IStreamClientEndpoint)
class Wire:
    """An endpoint whose connections lead to *listener*, in the time of *clock*."""

    def __init__(self, clock: Clock, listener: IProtocolFactory) -> None:
        self.clock = clock
        self.listener = listener
        #: Whether nobody listens; whether packets vanish.
        self.refuses = self.swallows = False
        self.attempts = 0
        self.pumps: list[IOPump] = []

    def connect(self, factory: IProtocolFactory) -> Deferred[Any]:
        """Both protocols, connected."""
        self.attempts += 1
        if self.refuses:
            return fail(ConnectionRefusedError())
        if self.swallows:
            return Deferred()
        here, there = factory.buildProtocol(THEIRS), self.listener.buildProtocol(OURS)
        assert here is not None and there is not None
        ours = FakeTransport(here, False, OURS, THEIRS)
        theirs = FakeTransport(there, True, THEIRS, OURS)
        self.pumps.append(IOPump(here, there, ours, theirs, False, self.clock))
        there.makeConnection(theirs)
        here.makeConnection(ours)
        return succeed(here)

    def connect_plainly(self) -> FakeTransport:
        """The listener's end of a connection whose other end does nothing."""
        there = self.listener.buildProtocol(OURS)
        assert there is not None
        silent = Protocol()
        ours = FakeTransport(silent, False, OURS, THEIRS)
        theirs = FakeTransport(there, True, THEIRS, OURS)
        self.pumps.append(IOPump(silent, there, ours, theirs, False, self.clock))
        there.makeConnection(theirs)
        silent.makeConnection(ours)
        return theirs

    def settle(self) -> None:
        """Carries what there is to carry, until there is nothing more."""
        while sum(pump.flush() for pump in self.pumps):
            self.pumps = [pump for pump in self.pumps if not _is_over(pump)]


def _is_over(pump: IOPump) -> bool:
    return bool(pump.clientIO.disconnected and pump.serverIO.disconnected)


class Replica:
    """
    Answers that a test gives; by default the question, turned round.

    *events* is what happened: ("ask", peer, kind, question) and ("lost", peer).
    """

    def __init__(self) -> None:
        self.events: list[tuple[object, ...]] = []
        self.reply: Callable[[str, bytes], Awaitable[bytes] | bytes] = lambda _, question: question[
            ::-1
        ]

    async def answer(self, peer: str, kind: str, question: bytes) -> bytes:
        self.events.append(("ask", peer, kind, question))
        reply = self.reply(kind, question)
        return reply if isinstance(reply, bytes) else await reply

    def lost(self, peer: str) -> None:
        self.events.append(("lost", peer))


@implementer(ILogObserver)
class Capture(list[LogEvent]):
    """The events of ours that are logged in a `with` block, without those of debug level."""

    def __enter__(self) -> "Capture":
        globalLogPublisher.addObserver(self)
        return self

    def __exit__(self, *_: object) -> None:
        globalLogPublisher.removeObserver(self)

    @property
    def names(self) -> list[str]:
        """What has happened."""
        return [event["event"] for event in self]

    def fields(self, name: str) -> list[Any]:
        """The field *name* of each."""
        return [event[name] for event in self]

    def __call__(self, event: LogEvent) -> None:
        if "event" in event and event["log_level"] is not LogLevel.debug:
            formatEvent(event)
            self.append(event)


@implementer(IOpenSSLClientConnectionCreator)
class Certificateless:
    """A dialler's TLS that trusts anybody and shows nothing."""

    def clientConnectionForTLS(self, protocol: TLSMemoryBIOProtocol) -> SSL.Connection:
        """Without a certificate."""
        return SSL.Connection(CertificateOptions().getContext())

    def serverConnectionForTLS(self, protocol: TLSMemoryBIOProtocol) -> SSL.Connection:
        """Never called."""
        raise NotImplementedError

    def shown(self, connection: SSL.Connection) -> Shown:
        """Whoever it is is the one."""
        return Shown("worker", "us-worker-1", "anything", "")


class Pair:
    """
    A listener of us-worker-1, which expects eu-worker-1, and a dialler there; not started.

    *random* is 1 less a little, so that waits are as long as they may be.
    """

    def __init__(self, *, dialling: Trust | None = None, listening: Trust | None = None) -> None:
        self.clock = Clock()
        self.replica = Replica()
        self.expected = {"eu-worker-1", "storage"}
        self.listening = listening or authority().contexts("worker", "us-worker-1")
        self.factory = SyncFactory(
            self.clock,
            self.replica,
            self.listening,
            lambda name: name in self.expected,
            "eu-worker-1, storage",
        )
        self.wire = Wire(self.clock, self.factory.listener())
        self.events: list[tuple[str, str]] = []
        self.channels: list[Channel] = []
        self.dialler = self.make_dialler(dialling or authority().contexts())

    def make_dialler(self, trust: Trust) -> Dialler:
        """A dialler to the listener."""
        return Dialler(
            self.clock,
            self.wire,
            "us-worker-1",
            "192.0.2.2:3993",
            trust,
            random=lambda: 0.999999,
            connected=self._connected,
            lost=lambda channel, reason: self.events.append(("lost", reason)),
        )

    def connect(self) -> Channel:
        """Dials, and gives the channel that there must be then."""
        self.dialler.start()
        self.wire.settle()
        return self.channels[-1]

    def ask(self, kind: str = "kind", question: bytes = b"question") -> Deferred[bytes]:
        """Asks over the newest channel; the answer may be there when this returns."""
        answer = Deferred.fromCoroutine(self.channels[-1].ask(kind, question))
        self.wire.settle()
        return answer

    def advance(self, seconds: float) -> None:
        """Time goes by in steps of 0.1 s, in which what is sent arrives."""
        for _ in range(round(seconds * 10)):
            self.clock.advance(0.1)
            self.wire.settle()

    def _connected(self, channel: Channel) -> None:
        self.channels.append(channel)
        self.events.append(("connected", channel.name))
