# SPDX-License-Identifier: GPL-3.0-or-later
"""
One connection of a distributor to a replica: who answers there, the login of one user, then bytes.

Decides what is said up to the replica's answer, and who is believed to be the replica. How long
that may take, and what the answer means, is for `upstream.py`. Before the other end has shown who
it is nothing is sent; between the answer and the join nothing is read.
"""

import binascii
import re
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from OpenSSL import SSL
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IDelayedCall,
    IHandshakeListener,
    IReactorTime,
)
from twisted.internet.protocol import Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from pluto_tw.auth.names import AccountKey
from pluto_tw.auth.routing import Target, TcpPlace, UnixPlace
from pluto_tw.net.nodes import is_replica, same_user
from pluto_tw.net.proxy import Header, write_header
from pluto_tw.net.splice import Loss, Splice
from pluto_tw.net.tls import error_text

log = Logger()

#: Greeting and answer, with a list of capabilities each, take 1 KiB.
ANSWER_OCTETS_MAX: Final = 16 * 1024

#: How long a replica may leave its side open after we closed ours, and what was written before
#: may take. It closes as soon as it sees that.
HANG_UP_SECONDS_MAX: Final = 10.0

#: A machine that is gone says nothing. TCP asks after so many seconds of silence, three times, and
#: waits no longer than this for what was written.
SILENCE_SECONDS: Final = 15
PROBE_SECONDS: Final = 5
PROBES: Final = 3
UNACKNOWLEDGED_SECONDS_MAX: Final = 30

_STATUS: Final = re.compile(rb"(?P<status>OK|NO|BAD|BYE)(?: \[(?P<code>[A-Z0-9-]+)[^\]]*\])?")


class NotReached(Exception):
    """The replica is not there, or somebody else is in its place; the text says which, and why."""


@dataclass(frozen=True, slots=True)
class Login:
    """What a replica is told: *header*, and the command *tag* for the account *key*."""

    header: Header
    tag: bytes
    key: AccountKey

    def octets(self) -> bytes:
        """As it is sent, the command right behind the header: the greeting says nothing new."""
        name = binascii.b2a_base64(self.key.encode("utf-8"), newline=False)
        return write_header(self.header) + b"%b AUTHENTICATE EXTERNAL %b\r\n" % (self.tag, name)


@dataclass(frozen=True, slots=True)
class Answer:
    """
    What the replica said: *status* is OK, NO or BAD, or BYE if it said that instead; *code* the
    name in the brackets, if there is one; *lines* all of it behind the greeting, with CRLF.
    """

    status: str
    code: str | None
    lines: bytes

    @property
    def text(self) -> str:
        """The last line, for the log."""
        return self.lines.splitlines()[-1].decode("ascii", "replace")


@implementer(IHandshakeListener)
class ReplicaProtocol(Protocol):
    """A connection to *target*. `ready` fires when that is who answers, or fails with a reason."""

    def __init__(self, reactor: IReactorTime, target: Target) -> None:
        self._reactor = reactor
        self._target = target
        self.ready: Deferred[None] = Deferred()
        #: What fails if the connection is lost now.
        self._awaited: Deferred[Any] | None = self.ready
        self._answered: Deferred[Answer] | None = None
        self._tag = b""
        self._buffer = b""
        self._splice: Splice | None = None
        self._lost = False
        self._timer: IDelayedCall | None = None

    # What Twisted calls.

    def connectionMade(self) -> None:
        """On this machine the other end is known at once, elsewhere after the handshake."""
        if isinstance(self._target.place, TcpPlace):
            _notice_silence(self._transport)
        else:
            self._judge(same_user(self._transport))

    def handshakeCompleted(self) -> None:
        """The other end has shown its certificate."""
        self._judge(is_replica(self._transport, self._target.name))

    def dataReceived(self, data: bytes) -> None:
        """Collects the answer; later, passes on what comes."""
        if self._splice is not None:
            self._splice.from_replica(data)
        elif self._answered is None:
            # Before it was asked: a replica waits for the header.
            self._fail(NotReached("the other side speaks before it is asked"))
        else:
            self._buffer += data
            self._look_for_answer(self._answered)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Tells who waits, or the client."""
        self._lost = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        awaited, self._awaited = self._awaited, None
        splice, self._splice = self._splice, None
        if awaited is not None:
            awaited.errback(Failure(NotReached(_ended(reason))))
        if splice is not None:
            splice.replica_lost()

    # What the link calls.

    def log_in(self, login: Login) -> "Deferred[Answer]":
        """Sends *login*; what comes back. Called once, when `ready` has fired."""
        answered: Deferred[Answer] = Deferred()
        if self._lost:
            answered.errback(Failure(NotReached("the connection was closed")))
            return answered
        self._awaited = self._answered = answered
        self._tag = login.tag
        self._transport.write(login.octets())
        return answered

    def join(self, client: Any, rest: bytes, lost: Callable[[Loss], None]) -> Splice | None:
        """
        Joins the transport *client*, which has sent *rest* already, to this one.

        *lost* is called once if this end goes first; it may be called before this returns, and if
        the replica is gone already, there is no splice.
        """
        if self._lost:
            lost(Loss.SAFE)
            return None
        splice = self._splice = Splice(client, self._transport, lost)
        early, self._buffer = self._buffer, b""
        if early:
            splice.from_replica(early)
        if rest:
            splice.from_client(rest)
        return splice

    def end_of_input(self) -> None:
        """The client sends no more, but may still be answered, where this link can say so."""
        if isinstance(self._target.place, UnixPlace):
            self._transport.loseWriteConnection()
        else:
            # TLS has no half of a connection.
            self.hang_up()

    def hang_up(self) -> None:
        """Ends the connection behind what was written. Harmless when repeated."""
        if self._lost or self._timer is not None:
            return
        self._awaited = None
        self._timer = self._reactor.callLater(HANG_UP_SECONDS_MAX, self._not_closed)
        self._transport.resumeProducing()
        self._transport.loseConnection()

    def abort(self) -> None:
        """Ends the connection at once; who waits is not told."""
        self._awaited = None
        if not self._lost:
            self._transport.abortConnection()

    # Below.

    @property
    def _transport(self) -> Any:
        return self.transport

    def _judge(self, wrong: str | None) -> None:
        if wrong is not None:
            self._fail(NotReached(wrong))
        elif self._awaited is self.ready:
            self._awaited = None
            self.ready.callback(None)

    def _fail(self, error: Exception) -> None:
        awaited, self._awaited = self._awaited, None
        self.abort()
        if awaited is not None:
            awaited.errback(Failure(error))

    def _look_for_answer(self, answered: "Deferred[Answer]") -> None:
        """Reads what has come anew each time: it is a kilobyte, and mostly comes at once."""
        lines = self._buffer.split(b"\r\n")[:-1]
        if lines:
            greeting = _status(lines[0], b"*")
            if greeting is None:
                self._fail(NotReached("no greeting of an IMAP server"))
                return
            if greeting["status"] == b"BYE":
                self._answer(answered, greeting, lines[:1])
                return
        for number, line in enumerate(lines[1:], 2):
            status = _status(line, self._tag)
            if status is not None:
                octets = sum(len(each) + 2 for each in lines[:number])
                self._buffer = self._buffer[octets:]
                self._answer(answered, status, lines[1:number])
                return
        if len(self._buffer) > ANSWER_OCTETS_MAX:
            self._fail(NotReached(f"no answer within {ANSWER_OCTETS_MAX} octets"))

    def _answer(
        self, answered: "Deferred[Answer]", status: re.Match[bytes], lines: list[bytes]
    ) -> None:
        if self._awaited is None:
            # Whoever asked has given up; the connection is read for its end.
            return
        self._awaited = None
        # Nothing is read on before there is somebody to have it.
        self._transport.pauseProducing()
        code: bytes | None = status["code"]
        told = b"".join(line + b"\r\n" for line in lines)
        answered.callback(
            Answer(
                status["status"].decode("ascii"),
                None if code is None else code.decode("ascii"),
                told,
            )
        )

    def _not_closed(self) -> None:
        self._timer = None
        self.abort()


def _ended(reason: Failure) -> str:
    """Why the connection was lost, in words."""
    if isinstance(reason.value, SSL.Error):
        return f"TLS failed: {error_text(reason.value)}"
    return reason.getErrorMessage()


def _status(line: bytes, tag: bytes) -> re.Match[bytes] | None:
    """What *line* says if it begins with *tag* and is a status."""
    return _STATUS.match(line, len(tag) + 1) if line.startswith(tag + b" ") else None


def _notice_silence(transport: Any) -> None:
    """
    Has TCP look after a machine that may be gone: neither end would say anything otherwise.

    Answers must not wait for the acknowledgement of what was sent before, either.
    """
    transport.setTcpNoDelay(True)
    transport.setTcpKeepAlive(True)
    connected = getattr(transport, "socket", None)
    if connected is None:
        return
    for option, value in (
        (socket.TCP_KEEPIDLE, SILENCE_SECONDS),
        (socket.TCP_KEEPINTVL, PROBE_SECONDS),
        (socket.TCP_KEEPCNT, PROBES),
        (socket.TCP_USER_TIMEOUT, UNACKNOWLEDGED_SECONDS_MAX * 1000),
    ):
        connected.setsockopt(socket.IPPROTO_TCP, option, value)
