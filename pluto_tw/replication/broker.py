# SPDX-License-Identifier: GPL-3.0-or-later
"""
One connection of Perspective Broker, told apart from those who only speak its language.

What both ends have in common: octets pass the guard, TLS and the greeting must come to their end in
time, the first expression is the version, and every other one must have the one form that this end
waits for. So nothing that a peer sends is looked up, called or built but a question or an answer,
and what Perspective Broker could do besides (references, copies, caches) is out of reach.

The certificate of the other side is judged as the handshake completes, before anything is sent. A
broker ends once: the first reason given stays.
"""

from enum import Enum
from typing import Any, Final, Protocol, cast

from OpenSSL import SSL
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IDelayedCall, IHandshakeListener, IReactorTime
from twisted.internet.protocol import Factory, connectionDone
from twisted.python.failure import Failure
from twisted.spread import pb
from twisted.spread.jelly import SecurityOptions
from zope.interface import implementer

from pluto_tw.replication.guard import Decoder, Expression, Hostile
from pluto_tw.replication.trust import Shown, Trust

#: From the connection to both versions: TLS, certificates and two short messages, thus four ways
#: over the line. Ten seconds are enough for a line of a second with losses.
OPENING_SECONDS_MAX: Final = 10.0

#: The dialect of Banana in which frequent words are numbers.
_DIALECT: Final = b"pb"

#: Words in the alerts that mean our certificate; a signature of another authority of the same
#: name cannot be "decrypted".
_CERTIFICATE_ALERTS: Final = ("certificate", "unknown ca", "decrypt error")


class Ending(Enum):
    """What ended a connection, as it is counted and as its log is spared."""

    CERTIFICATE = "certificate"
    NAME = "name"
    TLS = "tls"
    PROTOCOL = "protocol"
    LATE = "late"
    SILENT = "silent"
    MANY = "many"
    NEWER = "newer"
    CLOSED = "closed"
    OURS = "ours"


class Transport(Protocol):
    """What a broker does with TLS on TCP."""

    def getHandle(self) -> SSL.Connection:
        """TLS itself."""

    def getPeer(self) -> Any:
        """An `IAddress`."""

    def setTcpNoDelay(self, enabled: bool) -> None:
        """Whether small pieces are sent at once."""

    def abortConnection(self) -> None:
        """Ends the connection without sending what waits."""

    def pauseProducing(self) -> None:
        """Reads no more until `resumeProducing`."""

    def resumeProducing(self) -> None:
        """Reads again."""

    def registerProducer(self, producer: object, streaming: bool) -> None:
        """*producer* is told when what is to be sent piles up, and when it does not."""


class GuardedFactory(Factory):
    """What Perspective Broker wants of the factory of its connections."""

    noisy = False

    def clientConnectionMade(self, broker: pb.Broker) -> None:
        """Called for each connection that speaks its language. `GuardedBroker.opened` is later."""


def basic_types() -> SecurityOptions:
    """What may be built of what a peer sends: the arguments of a call, made of octets."""
    security = SecurityOptions()
    security.allowTypes("tuple", "dictionary")
    return security


@implementer(IHandshakeListener)
class GuardedBroker(pb.Broker):
    """One end."""

    #: Why the connection has ended or is about to; empty before.
    ended = ""
    #: Whether both sides have accepted each other.
    open = False
    address = ""

    def __init__(self, reactor: IReactorTime, trust: Trust, factory: Any, is_client: bool) -> None:
        pb.Broker.__init__(self, is_client, basic_types())
        self.knownDialects = [_DIALECT]
        self.factory = factory
        self.reactor = reactor
        self._trust = trust
        self._decoder = Decoder()
        self._timer: IDelayedCall | None = None

    # What the two ends decide.

    def judge(self, shown: Shown) -> str:
        """Why who *shown* is is not wanted, for the log; empty to go on."""
        raise NotImplementedError

    def opened(self) -> None:
        """Both sides have accepted each other, and speak the same language."""
        raise NotImplementedError

    def check(self, expression: Expression) -> None:
        """Raises `Hostile` unless *expression* is what this end waits for."""
        raise NotImplementedError

    def gone(self, ending: Ending) -> None:
        """The connection is lost; `ended` says why."""
        raise NotImplementedError

    # What Twisted calls.

    def connectionMade(self) -> None:
        """Waits for the handshake; a client's broker says nothing before it either."""
        transport = self._transport
        peer = transport.getPeer()
        self.address = f"{getattr(peer, 'host', 'local')}:{getattr(peer, 'port', 0)}"
        # A question is several records of TLS: the last must not wait for acknowledgements.
        transport.setTcpNoDelay(True)
        self._timer = self.reactor.callLater(OPENING_SECONDS_MAX, self._too_late)

    def handshakeCompleted(self) -> None:
        """Only who is expected is spoken to."""
        if self.ended:
            return
        objection = self.judge(self._trust.shown(self._transport.getHandle()))
        if objection:
            self.end(objection, Ending.NAME)
        else:
            pb.Broker.connectionMade(self)

    def dataReceived(self, data: bytes) -> None:
        """Takes what comes, as far as it is whole."""
        try:
            for expression in self._decoder.feed(data):
                if self.ended:
                    return
                self._take(expression)
        except Hostile as refusal:
            self.end(f"it does not keep to the protocol: {refusal}", Ending.PROTOCOL)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Everything that waits for an answer is told."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self.ended:
            self.ended, self._ending = self._why(reason)
        pb.Broker.connectionLost(self, reason)
        self.gone(self._ending)

    # What others call.

    def end(self, reason: str, ending: Ending) -> None:
        """Ends the connection at once, unless it has ended; *reason* is for the log."""
        if not self.ended:
            self.ended, self._ending = reason, ending
            self._transport.abortConnection()

    # Below.

    _ending = Ending.CLOSED

    @property
    def _transport(self) -> Transport:
        return cast(Transport, self.transport)

    def _take(self, expression: Expression) -> None:
        if not self.currentDialect:
            offered = expression if self.isClient else [expression]
            if not isinstance(offered, list) or _DIALECT not in offered:
                raise Hostile("another dialect of Banana than pb")
            self.callExpressionReceived(expression)
        elif not self.open:
            match expression:
                case [b"version", int(version)] if version == self.version:
                    self.open = True
                case _:
                    raise Hostile(f"no version, or not {self.version}, of Perspective Broker")
            assert self._timer is not None, "from the connection to its opening"
            self._timer.cancel()
            self._timer = None
            self.opened()
        else:
            self.check(expression)
            self.expressionReceived(expression)

    def _too_late(self) -> None:
        self._timer = None
        self.end(f"no TLS and greeting in {OPENING_SECONDS_MAX:.0f} s", Ending.LATE)

    def _why(self, reason: Failure) -> tuple[str, Ending]:
        """Why the connection was lost, if we did not end it."""
        shown = self._trust.shown(self._transport.getHandle())
        if shown.trouble:
            return f"it showed {shown.text}, which {shown.trouble}", Ending.CERTIFICATE
        error = reason.value
        if isinstance(error, SSL.Error):
            return _tls_error(error), Ending.TLS
        if isinstance(error, ConnectionDone | ConnectionLost | ConnectionAborted):
            return "the other side closed the connection", Ending.CLOSED
        return reason.getErrorMessage(), Ending.CLOSED


def _tls_error(error: SSL.Error) -> str:
    """What OpenSSL says, and what it means where that is known."""
    queue = error.args[0] if error.args else None
    # (library, function, reason) each; other errors have other arguments.
    text = "; ".join(entry[2] for entry in queue) if isinstance(queue, list) else repr(error)
    if "did not return a certificate" in text:
        return f"it showed no certificate ({text}): only nodes with one are let in"
    if "alert" in text and any(word in text for word in _CERTIFICATE_ALERTS):
        return f"it refused our certificate ({text}): its log says why"
    return f"TLS failed ({text}): is that a node of this cluster?"
