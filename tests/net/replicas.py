# SPDX-License-Identifier: GPL-3.0-or-later
"""Replicas without sockets, as a distributor dials them."""

import os
import struct
from collections import Counter

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone, ConnectionRefusedError
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from pluto_tw.net.upstream import Setback

GREETING = b"* OK [CAPABILITY IMAP4rev1 AUTH=EXTERNAL] Pluto ready.\r\n"
WELCOME = b"t OK [CAPABILITY IMAP4rev1 IDLE] logged in\r\n"


class Far(StringTransport):
    """The distributor's end of a connection to a replica, which runs as *user*."""

    aborted = False
    half_closed = False

    def __init__(self, user: int) -> None:
        StringTransport.__init__(self)
        self._user = user

    def abortConnection(self) -> None:
        self.aborted = True

    def loseWriteConnection(self) -> None:
        self.half_closed = True

    def getHandle(self) -> "Far":
        return self

    def getsockopt(self, level: int, option: int, octets: int) -> bytes:
        return struct.pack("3i", 4711, self._user, 0)

    def resumeProducing(self) -> None:
        self.producerState = "producing"


class Door:
    """A replica, from its listening socket's point of view."""

    def __init__(self) -> None:
        self.tries = 0
        self._dialled: list[tuple[object, Deferred[object]]] = []

    def connect(self, factory: object) -> "Deferred[object]":
        self.tries += 1
        connecting: Deferred[object] = Deferred()
        self._dialled.append((factory, connecting))
        return connecting

    def refuse(self) -> None:
        self._dialled.pop()[1].errback(Failure(ConnectionRefusedError()))

    def accept(self, user: int | None = None) -> "Replica":
        factory, connecting = self._dialled.pop()
        return Replica(factory, connecting, os.geteuid() if user is None else user)


class Replica:
    """A replica that was connected to; `said` is what it was told."""

    def __init__(self, factory: object, connecting: "Deferred[object]", user: int) -> None:
        self.transport = Far(user)
        self.protocol = factory.buildProtocol(None)  # type: ignore[attr-defined]
        self.protocol.makeConnection(self.transport)
        connecting.callback(self.protocol)

    @property
    def said(self) -> bytes:
        said: bytes = self.transport.value()
        return said

    def say(self, *lines: bytes) -> None:
        self.protocol.dataReceived(b"".join(lines))

    def lose(self) -> None:
        self.protocol.connectionLost(Failure(ConnectionDone()))


class Counting:
    """The observer of links."""

    def __init__(self) -> None:
        self.taken_by: list[tuple[str, int]] = []
        self.setbacks: Counter[tuple[str, Setback]] = Counter()
        self.exhaustions = 0

    def taken(self, replica: str, seconds: float, place: int) -> None:
        self.taken_by.append((replica, place))

    def failed(self, replica: str, setback: Setback) -> None:
        self.setbacks[replica, setback] += 1

    def exhausted(self) -> None:
        self.exhaustions += 1
