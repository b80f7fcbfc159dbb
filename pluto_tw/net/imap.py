# SPDX-License-Identifier: GPL-3.0-or-later
"""
IMAP on Twisted: a protocol for each connection, and the factory that a listening endpoint is given.

Decides how long a client may be silent, who is turned away, and how the listener stops. What is
said and when is the session's; how fast, the wire's. Between calls: a connection that is counted
is in the factory's set, has one timer, and leaves all three when it is lost.
"""

from dataclasses import replace
from typing import Any, cast

from OpenSSL import SSL
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import (
    IAddress,
    IDelayedCall,
    IHalfCloseableProtocol,
    IHandshakeListener,
    IReactorTime,
)
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from pluto_tw.imap.command import State
from pluto_tw.imap.ports import Connection
from pluto_tw.imap.responses import bye, response_code
from pluto_tw.imap.session import Service, Session
from pluto_tw.mail.codes import CLIENTBUG, LIMIT, SERVERBUG, UNAVAILABLE
from pluto_tw.net.journal import Ending, Entry, Journal
from pluto_tw.net.limits import Presence
from pluto_tw.net.proxied import LOCAL, ClientAddress
from pluto_tw.net.realm import LimitedRealm
from pluto_tw.net.splice import Loss, Splice
from pluto_tw.net.tls import ServerContexts, TlsFactory, error_text
from pluto_tw.net.wire import Transport, TransportWire

#: From the connection to the login, TLS included, whatever the client sends meanwhile. A program
#: needs a second; a person who types into `openssl s_client` needs most of this.
LOGIN_SECONDS_MAX = 60.0

#: What a client may send before it is logged in, TLS not counted: a dozen tries with tokens of 16
#: KiB. It cannot be less than what is read ahead of an answer, since a client may send what comes
#: behind the login with it.
LOGIN_OCTETS_MAX = 256 * 1024

#: RFC 9051 §5.4: "MUST be at least 30 minutes". Programs that send something every 30 minutes, by
#: a timer that is late, over a line that is slow, are given five more.
IDLE_SECONDS_MAX = 35 * 60.0

#: How long commands that run may take to their end when the listener stops. A supervisor that
#: stops a process waits for longer (systemd 90 s, Docker 10 s) before it kills.
SHUTDOWN_SECONDS_MAX = 8.0

#: How long a client may leave its side open after BYE when the listener stops. It has been told,
#: and has taken what was written before or is not going to.
SHUTDOWN_CLOSING_SECONDS_MAX = 1.5

SHUTDOWN_TEXT = "The server is shutting down"


@implementer(IHandshakeListener, IHalfCloseableProtocol)
class ImapProtocol(Protocol):
    """One client's connection."""

    _entry: Entry
    _wire: TransportWire
    #: None before the greeting, and in connections that were turned away.
    _session: Session | None = None
    _timer: IDelayedCall | None = None
    #: What joins the client to a replica; there is no session then.
    _splice: Splice | None = None
    _octets_in = 0

    def __init__(self, factory: "ImapFactory", client: IAddress | None) -> None:
        self._factory = factory
        self._client = client

    # What Twisted calls.

    def connectionMade(self) -> None:
        """Greets, or with implicit TLS waits for the handshake; turns away who is one too many."""
        factory = self._factory
        transport = cast(Transport, self.transport)
        if isinstance(transport.getPeer(), IPv4Address | IPv6Address):
            # The end of an answer must not wait for the acknowledgement of its beginning.
            transport.setTcpNoDelay(True)
        self._began = self._heard = factory.reactor.seconds()
        connection = _connection(self._client, secure=factory.secure_without_tls)
        excess = factory.presence.enter(connection.address)
        if excess is not None:
            factory.journal.refused(connection.address, connection.port, excess)
            if not factory.implicit_tls:
                text = f"at most {excess.maximum} {excess.limit.value}"
                transport.write(bye(text, response_code(LIMIT)))
            transport.loseConnection()
            return
        self._entry = Entry(factory.journal, factory.presence, connection)
        self._wire = TransportWire(
            transport, factory.service.waiting, factory.contexts, self._changed
        )
        factory.connections.add(self)
        self._watch()
        if not factory.implicit_tls:
            self._wire.opened(secure=False)
            self._greet()

    def handshakeCompleted(self) -> None:
        """TLS is set up: a session that asked for it goes on, or begins."""
        handle: SSL.Connection = cast(Any, self.transport).getHandle()
        tls = f"{handle.get_protocol_version_name()} {handle.get_cipher_name()}"
        self._entry.connection = replace(self._entry.connection, secure=True, tls=tls)
        self._wire.opened(secure=True)
        if self._session is None:
            self._greet()
        else:
            self._session.secured(self._entry.connection)

    def dataReceived(self, data: bytes) -> None:
        """
        Passes *data* to the session, or to the replica that the client is joined to.

        A fault in the session ends this connection, and no other.
        """
        self._octets_in += len(data)
        if self._splice is not None:
            self._splice.from_client(data)
            return
        session = self._session
        if session is None:
            return
        self._heard = self._factory.reactor.seconds()
        if self._octets_in > LOGIN_OCTETS_MAX and session.state is State.NOT_AUTHENTICATED:
            self._end(Ending.TOO_MUCH, "too much before a login", CLIENTBUG)
            return
        try:
            session.receive(data)
        except Exception:
            self._entry.fault("receive")
            self._entry.ending = Ending.FAULT
            session.end("internal error, it was logged", SERVERBUG)

    def readConnectionLost(self) -> None:
        """The client has closed its side: what it sent is answered. `nc` and scripts do so."""
        session = self._session
        if session is None and self._splice is None:
            cast(Transport, self.transport).loseConnection()
            return
        self._entry.ending = self._entry.ending or Ending.CLIENT
        self._wire.input_ended()
        if session is not None:
            session.end_of_input()

    def writeConnectionLost(self) -> None:
        """Our side is closed: all that was written is on its way."""

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Lets go of everything."""
        factory = self._factory
        if self not in factory.connections:
            return
        factory.connections.remove(self)
        factory.presence.leave(self._entry.connection.address)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        error = ""
        if self._entry.ending is None and isinstance(reason.value, SSL.Error):
            self._entry.ending = Ending.TLS
            error = error_text(reason.value)
        seconds = factory.reactor.seconds() - self._began
        self._entry.ended(seconds, self._octets_in, self._wire.octets_out, error)
        self._wire.lost()
        if self._session is not None:
            self._session.disconnected()
        factory.one_less()

    # What the factory calls.

    def shut_down(self) -> None:
        """Says BYE as soon as nothing runs. What a client is told to have happened has happened."""
        self._wire.closing_seconds_max = SHUTDOWN_CLOSING_SECONDS_MAX
        if self._splice is not None:
            self._splice.at_rest = self._end_at_rest
            self._end_at_rest()
        elif self._session is not None:
            self._wire.at_rest = self._end_at_rest
            self._end_at_rest()
        else:
            self._wire.abort()
        # Of those that are closed already, the time is over sooner than it was.
        self._watch()

    def abort(self) -> None:
        """Ends the connection at once."""
        self._entry.ending = self._entry.ending or Ending.SHUTDOWN
        self._wire.abort()

    # Below.

    def _greet(self) -> None:
        factory = self._factory
        service = replace(factory.service, observer=self._entry)
        self._session = Session(service, self._wire, self._entry.connection)
        self._session.greet()

    def _end_at_rest(self) -> None:
        splice = self._splice
        if splice is not None:
            if splice.is_at_rest:
                self._entry.ending = Ending.SHUTDOWN
                self._wire.end_relay(bye(SHUTDOWN_TEXT, response_code(UNAVAILABLE)))
        elif self._session is not None and self._session.waits_for_client:
            self._end(Ending.SHUTDOWN, SHUTDOWN_TEXT, UNAVAILABLE)

    def _end(self, ending: Ending, text: str, code: str | None = None) -> None:
        """Ends the connection with BYE, or without where none can be said."""
        if self._wire.is_closed:
            return
        self._entry.ending = ending
        if self._session is None or not self._wire.is_open:
            self._wire.abort()
        else:
            self._session.end(text, code)

    def _changed(self) -> None:
        """The wire's news: it was closed, the client does not read, or has another server now."""
        wire = self._wire
        self._splice = wire.splice
        if wire.splice is not None:
            # What a session takes in memory is over there now.
            self._session = None
            if self._factory.is_stopping:
                self.shut_down()
        if wire.is_closed:
            self._entry.leave()
            lost = None if wire.loss is None else _LOSSES[wire.loss]
            self._entry.ending = self._entry.ending or lost or Ending.SERVER
        self._watch()

    # The clock. There is one timer, which is not moved for each octet that comes: when it fires it
    # looks at what is due by then, and fires again if that is later.

    def _due(self) -> tuple[float, Ending] | None:
        """When this connection will have ended if nothing happens, and why; None: it will not."""
        wire = self._wire.due()
        if self._wire.is_closed or self._splice is not None:
            # The silence of a client that is joined to a replica is that one's matter.
            return wire
        session = self._session
        if session is None or session.state is State.NOT_AUTHENTICATED:
            silence = (self._began + LOGIN_SECONDS_MAX, Ending.NO_LOGIN)
        else:
            silence = (self._heard + IDLE_SECONDS_MAX, Ending.IDLE)
        return silence if wire is None or silence[0] <= wire[0] else wire

    def _watch(self) -> None:
        """Sees to it that `_look` is called when something is due, or before."""
        if self._wire.is_lost:
            return
        due = self._due()
        timer = self._timer
        if timer is not None:
            if due is not None and timer.getTime() <= due[0]:
                return
            timer.cancel()
            self._timer = None
        if due is not None:
            delay = max(0.0, due[0] - self._factory.reactor.seconds())
            self._timer = self._factory.reactor.callLater(delay, self._look)

    def _look(self) -> None:
        self._timer = None
        now = self._factory.reactor.seconds()
        expected = self._due()
        if expected is None:
            return
        due, ending = expected
        if ending is Ending.IDLE and self._is_busy():
            # It is our turn, so the silence begins when this command ends, which is not yet.
            self._heard = now
        elif due <= now:
            self._give_up(ending)
        self._watch()

    def _is_busy(self) -> bool:
        return self._session is not None and not self._session.waits_for_client

    def _give_up(self, ending: Ending) -> None:
        if ending is Ending.IDLE:
            # RFC 9051 §7.1.5 has this text as its example.
            self._end(ending, "Autologout; idle for too long")
        elif ending is Ending.NO_LOGIN:
            self._end(ending, "Autologout; no login in time")
        else:
            self._entry.ending = self._entry.ending or ending
            self._wire.abort()


class ImapFactory(Factory):
    """
    What a listening endpoint is given, as it is or by `tls_factory`.

    *service* is what all sessions share, but for the observer: each connection has its own, which
    reports to *journal*. *presence* is shared with other listeners. *contexts* None: no STARTTLS.
    *secure_without_tls*: nobody can listen between the client and us, as on a UNIX socket.
    """

    noisy = False

    def __init__(
        self,
        reactor: IReactorTime,
        service: Service,
        presence: Presence,
        journal: Journal,
        contexts: ServerContexts | None = None,
        *,
        implicit_tls: bool = False,
        secure_without_tls: bool = False,
    ) -> None:
        self.reactor = reactor
        self.service = replace(service, realm=LimitedRealm(service.realm, presence))
        self.presence = presence
        self.journal = journal
        self.contexts = contexts
        self.implicit_tls = implicit_tls
        self.secure_without_tls = secure_without_tls
        self.connections: set[ImapProtocol] = set()
        self.is_stopping = False
        self._stopped: Deferred[None] | None = None
        self._stop_timer: IDelayedCall | None = None

    def tls_factory(self) -> TlsFactory:
        """What a listener with *implicit_tls* listens with."""
        assert self.implicit_tls, "TLS begins with the connection or by STARTTLS, not both"
        assert self.contexts is not None, "TLS needs certificates"
        return TlsFactory(self.contexts, self, self.reactor)

    def buildProtocol(self, addr: IAddress | None) -> ImapProtocol | None:
        """A protocol for the new connection; none once the listener stops."""
        if self.is_stopping:
            return None
        return ImapProtocol(self, addr)

    def stop(self) -> Deferred[None]:
        """
        Ends all connections with BYE, once their commands have ended; called once.

        Fires when all are gone, which takes a little more than `SHUTDOWN_SECONDS_MAX` at most. The
        listening port is its owner's to close, before.
        """
        self.is_stopping = True
        for connection in list(self.connections):
            connection.shut_down()
        if not self.connections:
            return succeed(None)
        self._stopped = Deferred()
        self._stop_timer = self.reactor.callLater(SHUTDOWN_SECONDS_MAX, self._stop_now)
        return self._stopped

    def one_less(self) -> None:
        """A connection is gone."""
        stopped = self._stopped
        if stopped is None or self.connections:
            return
        self._stopped = None
        if self._stop_timer is not None and self._stop_timer.active():
            self._stop_timer.cancel()
        stopped.callback(None)

    def _stop_now(self) -> None:
        for connection in list(self.connections):
            connection.abort()


#: How a connection has ended if its replica went first.
_LOSSES = {
    Loss.BYE: Ending.REPLICA,
    Loss.SAFE: Ending.REPLICA_LOST,
    Loss.TORN: Ending.REPLICA_LOST,
}


def _connection(client: Any, *, secure: bool) -> Connection:
    """What is known of *client* as its connection is made."""
    if isinstance(client, ClientAddress):
        return client.connection(secure=secure)
    if isinstance(client, IPv4Address | IPv6Address):
        return Connection(client.host, client.port, secure)
    return Connection(LOCAL, 0, secure)
