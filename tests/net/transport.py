# SPDX-License-Identifier: GPL-3.0-or-later
"""A listener without sockets: its clients' transports remember what was done to them."""

from collections.abc import Iterable

from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import (
    IAddress,
    IHalfCloseableDescriptor,
    IOpenSSLServerConnectionCreator,
    ITLSTransport,
)
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from zope.interface import directlyProvides

from pluto_tw.net.imap import ImapFactory, ImapProtocol
from pluto_tw.net.journal import Journal
from pluto_tw.net.limits import Limits, Presence
from pluto_tw.net.tls import ServerContexts
from tests.support.connection import World


class FakeTcp(StringTransport):
    """A TCP connection as its server sees it."""

    def __init__(self, peer: IAddress) -> None:
        StringTransport.__init__(self, peerAddress=peer)
        directlyProvides(self, ITLSTransport, IHalfCloseableDescriptor)
        #: What was written, one value a call.
        self.writes: list[bytes] = []
        self.no_delay = False
        #: Our side was closed.
        self.half_closed = False
        self.aborted = False
        self.tls: IOpenSSLServerConnectionCreator | None = None

    def write(self, data: bytes) -> None:
        self.writes.append(data)

    def setTcpNoDelay(self, enabled: bool) -> None:
        self.no_delay = enabled

    def loseWriteConnection(self) -> None:
        self.half_closed = True

    def abortConnection(self) -> None:
        self.aborted = True

    def startTLS(self, creator: IOpenSSLServerConnectionCreator) -> None:
        assert self.producer is None, "TLS gets the producer after it has begun"
        self.tls = creator

    def getHandle(self) -> "FakeTcp":
        """The connection of OpenSSL, as far as it is asked."""
        return self

    def get_protocol_version_name(self) -> str:
        return "TLSv1.3"

    def get_cipher_name(self) -> str:
        return "TLS_AES_256_GCM_SHA384"


class Peer:
    """A client of `Listener`, from its transport's point of view."""

    def __init__(self, listener: "Listener", protocol: ImapProtocol, address: IAddress) -> None:
        self.listener = listener
        self.protocol = protocol
        self.transport = FakeTcp(address)
        protocol.makeConnection(self.transport)

    def send(self, data: bytes) -> None:
        """*data* arrives, in one piece."""
        assert self.reading, "nothing arrives from a client that is not read"
        self.protocol.dataReceived(data)

    def received(self) -> bytes:
        """What was written since this was last asked, with all that is due done."""
        self.listener.world.settle()
        data = b"".join(self.transport.writes)
        self.transport.writes.clear()
        return data

    @property
    def reading(self) -> bool:
        """Whether the server reads from the client."""
        return bool(self.transport.producerState == "producing")

    def stall(self) -> None:
        """The client does not take what was written."""
        assert self.transport.producer is not None
        self.transport.producer.pauseProducing()

    def take(self) -> None:
        """The client has taken all that was written."""
        assert self.transport.producer is not None
        self.transport.producer.resumeProducing()

    def close_side(self) -> None:
        """The client closes its side."""
        self.protocol.readConnectionLost()

    def lose(self, error: Exception | None = None) -> None:
        """The connection is lost."""
        self.protocol.connectionLost(Failure(error or ConnectionDone()))

    def start_tls(self) -> None:
        """STARTTLS and the handshake."""
        self.send(b"t STARTTLS\r\n")
        assert b"t OK" in self.received(), "TLS is available"
        self.protocol.handshakeCompleted()

    def log_in(self) -> None:
        """Gets past LOGIN, in TLS where that must be."""
        if not self.listener.factory.secure_without_tls:
            self.start_tls()
        self.log_in_again()

    def log_in_again(self) -> None:
        """LOGIN, where it is allowed already."""
        self.send(b"l LOGIN user secret\r\n")
        assert b"l OK" in self.received(), "the world's user can log in"


class Listener:
    """A factory on a world's clock."""

    def __init__(
        self,
        contexts: ServerContexts | None = None,
        *,
        limits: Limits | None = None,
        implicit_tls: bool = False,
        secure_without_tls: bool = True,
        commands_logged: bool = False,
    ) -> None:
        self.world = World()
        self.presence = Presence(limits or Limits())
        self.journal = Journal(commands_logged=commands_logged)
        self.factory = ImapFactory(
            self.world.clock,
            self.world.service,
            self.presence,
            self.journal,
            contexts,
            implicit_tls=implicit_tls,
            secure_without_tls=secure_without_tls,
        )

    def connect(self, host: str = "192.0.2.1", address: IAddress | None = None) -> Peer:
        """A client at *host*, or at any kind of *address*; the greeting may be received."""
        address = address or IPv4Address("TCP", host, 40000)
        protocol = self.factory.buildProtocol(address)
        assert protocol is not None, "the listener does not stop"
        return Peer(self, protocol, address)

    def logged_in(self) -> Peer:
        """A client past LOGIN with nothing left to receive."""
        peer = self.connect()
        peer.log_in()
        return peer

    def pass_time(self, seconds: float) -> None:
        """Lets time go by, in steps, since timers set timers."""
        for _ in range(4):
            self.world.clock.advance(seconds / 4)

    def lose_all(self, peers: Iterable[Peer]) -> None:
        """All *peers* are gone."""
        for peer in peers:
            peer.lose()
