# SPDX-License-Identifier: GPL-3.0-or-later
"""
Carries TCP connections over a link that can be cut, delayed and throttled.

A cut is that of a cable: nothing passes, nobody is told, and what is connected hangs; a new
connection is accepted, since the kernel does that, and hangs as well. When the link is whole again
all goes on, as TCP would have sent it again. Half-closed connections, which TLS does not have, are
closed.
"""

from typing import Any, Final

from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import ClientFactory, Protocol, ServerFactory, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure

from pluto_tw.admin.demo.links import Link
from pluto_tw.admin.demo.stream import Stream

log = Logger()

#: Connections at a time on one port of the relay: a few of nodes, and one for each session that a
#: distributor has brought to another region.
CONNECTIONS_MAX: Final = 2_000

#: A node on the same machine that listens is connected at once.
CONNECT_SECONDS_MAX: Final = 5.0


class Relay(ServerFactory):
    """What the node *source* sends to the node *target*, which listens on *port* of 127.0.0.1."""

    noisy = False

    def __init__(self, reactor: Any, link: Link, source: str, target: str, port: int) -> None:
        self.reactor = reactor
        self.link = link
        self.source = source
        self.target = target
        self.port = port
        self._passages: set[Passage] = set()

    def buildProtocol(self, addr: object) -> "Side | None":
        """A new connection; None closes it."""
        if len(self._passages) >= CONNECTIONS_MAX:
            log.error(
                "{source} has {connections} connections to {target}: one more is refused",
                event="relay-full",
                source=self.source,
                target=self.target,
                connections=CONNECTIONS_MAX,
            )
            return None
        passage = Passage(self)
        self._passages.add(passage)
        return passage.near

    def ended(self, passage: "Passage") -> None:
        """*passage* is no more."""
        self._passages.discard(passage)

    def stop(self) -> None:
        """Breaks all connections off."""
        for passage in list(self._passages):
            passage.abort()


class Passage:
    """One connection: the side of who called, *near*, and that of who is called, *far*."""

    def __init__(self, relay: Relay) -> None:
        self._relay = relay
        self.near = Side(self)
        self.far = Side(self)
        self._connector: Any = None
        self._streams: list[Stream] = []

    def made(self, side: "Side") -> None:
        """*side* is connected."""
        if side is self.near:
            # Nobody is there yet who would take what it sends.
            side.pause()
            self._relay.link.watch(self._changed)
            self._changed()
        else:
            self._join()

    def failed(self) -> None:
        """Who is called does not listen: who called is told as the kernel would tell."""
        self._connector = None
        self._abort(self.near)
        self._end()

    def lost(self, side: "Side", *, clean: bool) -> None:
        """*side* is disconnected."""
        other = self.far if side is self.near else self.near
        if side.incoming is not None:
            side.incoming.end()
        if side.outgoing is not None and other.transport is not None:
            side.outgoing.source_lost(clean=clean)
        elif self._connector is not None:
            self._connector.disconnect()
        if other.transport is None:
            self._end()

    def abort(self) -> None:
        """Breaks it off."""
        if self._connector is not None:
            self._connector.disconnect()
        for stream in self._streams:
            stream.end()
        for side in (self.near, self.far):
            self._abort(side)
        self._end()

    def _changed(self) -> None:
        if self._streams:
            for stream in self._streams:
                stream.changed()
        elif self._connector is None and not self._relay.link.cut:
            relay = self._relay
            self._connector = relay.reactor.connectTCP(
                "127.0.0.1", relay.port, _Far(self), CONNECT_SECONDS_MAX
            )

    def _join(self) -> None:
        relay, near, far = self._relay, self.near, self.far
        near.resume()
        there = relay.link.lane(relay.source, relay.target)
        back = relay.link.lane(relay.target, relay.source)
        self._streams = [
            Stream(relay.reactor, there, near.transport, far.transport),
            Stream(relay.reactor, back, far.transport, near.transport),
        ]
        near.outgoing = far.incoming = self._streams[0]
        far.outgoing = near.incoming = self._streams[1]

    def _abort(self, side: "Side") -> None:
        if side.transport is not None:
            side.transport.abortConnection()  # type: ignore[attr-defined]

    def _end(self) -> None:
        self._relay.link.unwatch(self._changed)
        self._relay.ended(self)


class Side(Protocol):
    """One side of a *passage*. Its streams are there when the other side is."""

    def __init__(self, passage: Passage) -> None:
        self._passage = passage
        self.outgoing: Stream | None = None
        self.incoming: Stream | None = None

    def connectionMade(self) -> None:
        assert self.transport is not None, "Twisted has set it"
        self.transport.setTcpNoDelay(True)  # type: ignore[attr-defined]
        self._passage.made(self)

    def dataReceived(self, data: bytes) -> None:
        assert self.outgoing is not None, "a side is read when both are there"
        self.outgoing.received(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.transport = None
        self._passage.lost(self, clean=reason.check(ConnectionDone) is not None)

    def pause(self) -> None:
        """Reads nothing more."""
        assert self.transport is not None, "it is connected"
        self.transport.pauseProducing()  # type: ignore[attr-defined]

    def resume(self) -> None:
        """Reads again."""
        if self.transport is not None:
            self.transport.resumeProducing()  # type: ignore[attr-defined]


class _Far(ClientFactory):
    noisy = False

    def __init__(self, passage: Passage) -> None:
        self._passage = passage

    def buildProtocol(self, addr: object) -> Side:
        return self._passage.far

    def clientConnectionFailed(self, connector: object, reason: Failure) -> None:
        self._passage.failed()
