# SPDX-License-Identifier: GPL-3.0-or-later
"""
Connections that begin with a header of the PROXY protocol, and those that must not.

Decides whom a header is believed from and how long it may take. What follows the header goes to the
protocol of another factory, which is told of the client's address instead of the sender's. Uses:

- In front of a distributor, below TLS: load balancers in configured networks send a header; anybody
  else who sends one is refused.
- In front of a replica, inside mutual TLS or on a UNIX socket: distributors send one, after they
  have shown who they are (`nodes.py`).

Invariants: the factory behind hears of a connection when its header is complete, not before; what
came behind the header reaches it unchanged. A connection before that has a timer, and there are at
most `WAITING_MAX` of them.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from enum import Enum
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Any, Final

from OpenSSL import SSL
from twisted.internet.address import IPv4Address as TcpAddress4
from twisted.internet.address import IPv6Address as TcpAddress6
from twisted.internet.interfaces import (
    IAddress,
    IDelayedCall,
    IHalfCloseableProtocol,
    IHandshakeListener,
    IProtocol,
    IProtocolFactory,
    IReactorTime,
)
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from pluto_tw.imap.ports import Connection
from pluto_tw.mail.refusals import Refusals
from pluto_tw.net.proxy import SIGNATURE, Client, HeaderRefused, read_header
from pluto_tw.net.tls import error_text

log = Logger()

#: From the connection to the end of the header, TLS included where that comes first. Senders know
#: what they have to say when they connect; a handshake over a bad line takes some seconds.
HEADER_SECONDS_MAX: Final = 10.0

#: Connections whose header is not complete: what all clients of a region open at once when a
#: distributor comes back. They are counted by no other limit yet.
WAITING_MAX: Final = 2000


#: The address of who has none: a client on this machine.
LOCAL: Final = "local"


@dataclass(frozen=True, slots=True)
class RelayedConnection(Connection):
    """A client's connection that a distributor passes on, and what it says of the user."""

    subnet: str | None = None
    user_id: int | None = None


@implementer(IAddress)
@dataclass(frozen=True, slots=True)
class ClientAddress:
    """The address of a connection that somebody passes on, as `buildProtocol` gets it."""

    client: Client
    subnet: str | None
    user_id: int | None

    def connection(self, *, secure: bool) -> RelayedConnection:
        """The connection as it is known at its beginning."""
        client = self.client
        host = client.host or LOCAL
        return RelayedConnection(
            host, client.port, secure, client.tls, subnet=self.subnet, user_id=self.user_id
        )


#: Whether the other end of a transport may send a header; if not, why it is refused, for the log.
Judge = Callable[[Any], str | None]


class Senders:
    """The networks whose connections begin with a header; may be replaced at any time."""

    def __init__(self, networks: Collection[IPv4Network | IPv6Network]) -> None:
        self.networks = networks

    def include(self, address: Any) -> bool:
        """Whether *address* is in one of the networks."""
        if not isinstance(address, TcpAddress4 | TcpAddress6):
            return False
        ip = ip_address(address.host.partition("%")[0])
        if isinstance(ip, IPv6Address) and ip.ipv4_mapped is not None:
            ip = ip.ipv4_mapped
        return any(ip in network for network in self.networks)


class Cause(Enum):
    """Why a connection was refused: the kinds that are told apart in how often they are logged."""

    STRANGER = "the other end is not one that is expected"
    HEADER = "what came is no header"
    LATE = "no header in time"
    UNINVITED = "a header from who must not send one"
    TLS = "no handshake"


class ProxiedFactory(Factory):
    """
    Connections that pass *judge* and send a header go to *behind*.

    *after_handshake*: this factory's transports speak TLS, and are judged by what it has shown.
    *senders*, if given, says which connections begin with a header; the others must not.
    """

    noisy = False

    def __init__(
        self,
        reactor: IReactorTime,
        behind: IProtocolFactory,
        *,
        judge: Judge | None = None,
        senders: Senders | None = None,
        after_handshake: bool = False,
    ) -> None:
        self.reactor = reactor
        self.behind = behind
        self.judge = judge
        self.senders = senders
        self.after_handshake = after_handshake
        self.waiting: set[ProxiedProtocol] = set()
        self.refusals = Refusals(reactor.seconds)
        self._full = False

    def buildProtocol(self, addr: IAddress | None) -> "ProxiedProtocol | None":
        """A protocol that waits for the header; none while too many do."""
        if len(self.waiting) >= WAITING_MAX:
            if not self._full:
                self._full = True
                log.warn(
                    "{maximum} connections wait for their PROXY header: more are closed",
                    event="proxy-flood",
                    maximum=WAITING_MAX,
                )
            return None
        self._full = False
        expected = self.senders is None or self.senders.include(addr)
        return ProxiedProtocol(self, addr, expected=expected)

    def stop(self) -> None:
        """Ends the connections that wait; those behind are their factory's."""
        for protocol in list(self.waiting):
            protocol.abort()


@implementer(IHandshakeListener, IHalfCloseableProtocol)
class ProxiedProtocol(Protocol):
    """One connection: its header, then it stands between its transport and the protocol behind."""

    def __init__(
        self, factory: ProxiedFactory, address: IAddress | None, *, expected: bool
    ) -> None:
        self._factory = factory
        self._address = address
        self._expected = expected
        self._buffer = b""
        #: What came is looked at: the other end has been judged.
        self._judged = False
        #: Nothing has come yet.
        self._fresh = True
        self._behind: Any = None
        self._timer: IDelayedCall | None = None

    # What Twisted calls.

    def connectionMade(self) -> None:
        """Judges the other end, or waits for the handshake that will show who it is."""
        factory = self._factory
        if not self._expected:
            self._judged = True
            self._connect_behind(self._address)
            return
        factory.waiting.add(self)
        self._timer = factory.reactor.callLater(HEADER_SECONDS_MAX, self._too_slow)
        if not factory.after_handshake:
            self._judge()

    def handshakeCompleted(self) -> None:
        """TLS is set up, on this connection or, by STARTTLS, on that of the protocol behind."""
        if self._behind is not None:
            if IHandshakeListener.providedBy(self._behind):
                self._behind.handshakeCompleted()
        else:
            self._judge()

    def dataReceived(self, data: bytes) -> None:
        """Collects the header; what follows it is passed on."""
        if self._behind is not None:
            if self._fresh:
                self._fresh = False
                if data.startswith(SIGNATURE):
                    self._refuse(
                        Cause.UNINVITED, "it sent a PROXY header, and is not in ProxyNetworks"
                    )
                    return
            self._behind.dataReceived(data)
            return
        if not self._judged:
            return
        self._buffer += data
        try:
            read = read_header(self._buffer)
        except HeaderRefused as refused:
            self._refuse(Cause.HEADER, str(refused))
            return
        if read is None:
            return
        header, octets = read
        rest, self._buffer = self._buffer[octets:], b""
        self._fresh = False
        self._no_more_waiting()
        client = header.client
        address = (
            self._address
            if client is None
            else ClientAddress(client, header.subnet, header.user_id)
        )
        behind = self._connect_behind(address)
        if behind is not None and rest:
            behind.dataReceived(rest)

    def readConnectionLost(self) -> None:
        """The other end has closed its side."""
        if self._behind is not None and IHalfCloseableProtocol.providedBy(self._behind):
            self._behind.readConnectionLost()
        else:
            self._transport.loseConnection()

    def writeConnectionLost(self) -> None:
        """Our side is closed."""
        if self._behind is not None and IHalfCloseableProtocol.providedBy(self._behind):
            self._behind.writeConnectionLost()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Lets go of everything."""
        self._no_more_waiting()
        behind, self._behind = self._behind, None
        if behind is not None:
            behind.connectionLost(reason)
        elif isinstance(reason.value, SSL.Error):
            self._tell(Cause.TLS, f"TLS failed: {error_text(reason.value)}")

    # Below.

    @property
    def _transport(self) -> Any:
        return self.transport

    def abort(self) -> None:
        """Ends the connection at once."""
        self._judged = False
        self._no_more_waiting()
        self._transport.abortConnection()

    def _judge(self) -> None:
        judge = self._factory.judge
        wrong = None if judge is None else judge(self._transport)
        if wrong is not None:
            self._refuse(Cause.STRANGER, wrong)
        else:
            self._judged = True

    def _connect_behind(self, address: Any) -> IProtocol | None:
        """The protocol behind, if its factory gives one."""
        behind = self._behind = self._factory.behind.buildProtocol(address)
        if behind is None:
            self._transport.loseConnection()
        else:
            behind.makeConnection(self._transport)
        return behind

    def _refuse(self, cause: Cause, reason: str) -> None:
        self._tell(cause, reason)
        self.abort()

    def _tell(self, cause: Cause, reason: str) -> None:
        host = getattr(self._address, "host", LOCAL)
        repeated = self._factory.refusals.tell(host, cause.name)
        if repeated is not None:
            log.warn(
                "connection of {address} refused: {reason}",
                event="proxy-refused",
                address=_text(self._address),
                reason=reason,
                repeated=repeated,
            )

    def _too_slow(self) -> None:
        self._timer = None
        self._refuse(Cause.LATE, f"no PROXY header within {HEADER_SECONDS_MAX:.0f} s")

    def _no_more_waiting(self) -> None:
        self._factory.waiting.discard(self)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _text(address: Any) -> str:
    if isinstance(address, TcpAddress4 | TcpAddress6):
        return f"{address.host} port {address.port}"
    return "a UNIX socket"
