# SPDX-License-Identifier: GPL-3.0-or-later
"""
The way to one client: `pluto_tw.imap.ports.Wire` on a Twisted transport, slow in both directions
where the other side is slow.

- While the client does not take what was written, `drain` waits and nothing is read from it.
- While more than `PIPELINED_OCTETS_MAX` of what it sent wait for a command to end, no more is read.
- An end that we begin reaches the client behind all that was written: without TLS our side alone is
  closed first. A socket closed with unread input is reset by the kernel, and the BYE is lost on its
  way.

When a client has been slow for too long is said here (`due`); to look at the clock is left to the
owner, who is told by `changed` when there is a reason to.
"""

from collections.abc import Awaitable, Callable, Generator
from enum import Enum
from typing import Any, Protocol

from twisted.internet.interfaces import (
    IAddress,
    IHalfCloseableDescriptor,
    IOpenSSLServerConnectionCreator,
    IPushProducer,
    ITLSTransport,
)
from zope.interface import implementer

from pluto_tw.imap.ports import Disconnected, Link
from pluto_tw.imap.responses import bye, response_code
from pluto_tw.mail.codes import UNAVAILABLE
from pluto_tw.mail.waiting import Promise, Waiting
from pluto_tw.net.journal import Ending
from pluto_tw.net.splice import Loss, Splice
from pluto_tw.net.upstream import ReplicaLink

#: A client that pipelines more than this before we answer is paused, not dropped. Clients that
#: pipeline send some ten commands of 100 octets; a read from the socket brings at most as much.
PIPELINED_OCTETS_MAX = 64 * 1024

#: A client that takes nothing for so long is cut off. What waits for it is some 128 KiB, so one
#: that takes 450 octets a second is not concerned; people close their notebooks for longer.
WRITE_STALLED_SECONDS_MAX = 300.0

#: How long a client may leave its side open after we closed ours. On the slowest lines (20 kbit/s)
#: what was written before the BYE takes so long.
CLOSING_SECONDS_MAX = 30.0


#: What a client is told whose replica is gone: the next login finds another one.
REPLICA_LOST_BYE = bye("the server of your mail was lost, log in again", response_code(UNAVAILABLE))


class Transport(Protocol):
    """What is asked of the transport; the last three where it provides their interface."""

    def getPeer(self) -> IAddress: ...

    def write(self, data: bytes, /) -> None: ...

    def loseConnection(self) -> None: ...

    def abortConnection(self) -> None: ...

    def registerProducer(self, producer: IPushProducer, streaming: bool, /) -> None: ...

    def unregisterProducer(self) -> None: ...

    def pauseProducing(self) -> None: ...

    def resumeProducing(self) -> None: ...

    def setTcpNoDelay(self, enabled: bool, /) -> None: ...

    def loseWriteConnection(self) -> None: ...

    def startTLS(self, creator: IOpenSSLServerConnectionCreator, /) -> None: ...


class _State(Enum):
    #: TLS is being set up: nothing can be written.
    HANDSHAKE = "handshake"
    OPEN = "open"
    #: The client is joined to a replica: see `splice.py`.
    RELAYED = "relayed"
    #: We have ended it; the client may not have.
    CLOSED = "closed"
    #: It is gone, or as good as gone.
    LOST = "lost"


class _Drained:
    """Awaited, it returns at once, and costs nothing: there is one of it."""

    def __await__(self) -> Generator[Any, Any, None]:
        yield from ()


class _Gone:
    """Awaited, it raises `Disconnected`."""

    def __await__(self) -> Generator[Any, Any, None]:
        yield from ()
        raise Disconnected


_DRAINED = _Drained()
_GONE = _Gone()


@implementer(IPushProducer)
class TransportWire:
    """
    The wire over *transport*. *tls* has the certificates; None: there are none. *changed* is called
    when `due` may have come nearer, or when the session has ended the connection.
    """

    __slots__ = (
        "_changed",
        "_drained",
        "_flooded",
        "_input_ended",
        "_link",
        "_octets_out",
        "_reading",
        "_secure",
        "_since",
        "_stalled",
        "_state",
        "_tls",
        "_transport",
        "_waiting",
        "at_rest",
        "closing_seconds_max",
        "loss",
        "splice",
    )

    def __init__(
        self,
        transport: Transport,
        waiting: Waiting,
        tls: IOpenSSLServerConnectionCreator | None,
        changed: Callable[[], None],
    ) -> None:
        self._transport = transport
        self._waiting = waiting
        self._tls = tls
        self._changed = changed
        self._state = _State.HANDSHAKE
        self._secure = False
        #: The client does not take what we write; what we were sent is more than we take.
        self._stalled = False
        self._flooded = False
        self._reading = True
        #: The client has closed its side, and may read on.
        self._input_ended = False
        #: When it was stalled, or closed, last.
        self._since = 0.0
        self._drained: Promise[None] | None = None
        #: Called, if there is one, when all that came is used up as far as can be.
        self.at_rest: Callable[[], None] | None = None
        #: How long the client may leave its side open after we closed ours.
        self.closing_seconds_max = CLOSING_SECONDS_MAX
        self._octets_out = 0
        #: What joins the client to a replica, and the way there, while it is joined.
        self.splice: Splice | None = None
        self._link: ReplicaLink | None = None
        #: How the replica has ended it, if it has.
        self.loss: Loss | None = None

    # What the session calls.

    def write(self, data: bytes) -> None:
        """See `Wire`."""
        if self._state is _State.OPEN:
            self._octets_out += len(data)
            self._transport.write(data)

    def drain(self) -> Awaitable[None]:
        """See `Wire`."""
        if self.is_closed:
            return _GONE
        if not self._stalled:
            return _DRAINED
        assert self._drained is None, "one command runs at a time, and waits for one thing"
        self._drained = self._waiting.promise()
        return self._drained

    def taken(self, waiting: int) -> None:
        """See `Wire`."""
        flooded = waiting > PIPELINED_OCTETS_MAX
        if flooded is not self._flooded:
            self._flooded = flooded
            self._pace()
        if self.at_rest is not None:
            self.at_rest()

    def can_start_tls(self) -> bool:
        """See `Wire`."""
        return (
            self._tls is not None
            and self._state is _State.OPEN
            and not self._secure
            and ITLSTransport.providedBy(self._transport)
        )

    def start_tls(self) -> None:
        """See `Wire`."""
        assert self._tls is not None, "the session has asked `can_start_tls`"
        self._state = _State.HANDSHAKE
        # What was written so far goes out as it is; TLS is a producer's consumer of its own.
        self._transport.unregisterProducer()
        self._stalled = False
        self._pace()
        self._transport.startTLS(self._tls)

    def relay(self, link: Link, rest: bytes) -> None:
        """See `Wire`; *link* is a `ReplicaLink`."""
        assert isinstance(link, ReplicaLink), "a client on Twisted is joined to a server on Twisted"
        if self.is_closed:
            link.close()
            return
        self._state = _State.RELAYED
        self._transport.unregisterProducer()
        self._stalled = self._flooded = False
        self._reading = True
        self._link = link
        self.splice = link.join(self._transport, rest, self._replica_lost)
        if self._input_ended:
            link.end_of_input()
        self._changed()

    def close(self) -> None:
        """See `Wire`."""
        if self.is_closed:
            return
        self._part()
        before = self._state
        self._state = _State.CLOSED
        self._since = self._waiting.seconds()
        # From here on what comes is dropped, and read for its end only.
        self._pace()
        if before is _State.HANDSHAKE:
            self._transport.abortConnection()
        else:
            if before is _State.OPEN:
                # A transport with a producer waits for what that may still have to say.
                self._transport.unregisterProducer()
            self._end()
        self._changed()
        self._fail_drain()

    # What the protocol calls.

    @property
    def is_closed(self) -> bool:
        """Whether we have ended the connection, or it is gone."""
        return self._state in (_State.CLOSED, _State.LOST)

    @property
    def is_lost(self) -> bool:
        """Whether nothing can become of it any more."""
        return self._state is _State.LOST

    @property
    def is_open(self) -> bool:
        """Whether something can be written."""
        return self._state is _State.OPEN

    def opened(self, *, secure: bool) -> None:
        """The transport takes what is written; *secure*: TLS is set up."""
        self._state = _State.OPEN
        self._secure = secure
        self._transport.registerProducer(self, True)

    @property
    def octets_out(self) -> int:
        """What the client was sent so far."""
        return self._octets_out + (0 if self.splice is None else self.splice.octets_out)

    def input_ended(self) -> None:
        """The client has closed its side."""
        self._input_ended = True
        if self._state is _State.CLOSED:
            self._transport.loseConnection()
        elif self._link is not None:
            self._link.end_of_input()

    def end_relay(self, bye: bytes) -> None:
        """Ends the connection of a client that is joined, at a place where *bye* may be said."""
        self._octets_out += len(bye)
        self._transport.write(bye)
        self.close()

    def abort(self) -> None:
        """Ends the connection at once, whatever was written. That it is lost follows later."""
        if not self.is_lost:
            self.lost()
            self._transport.abortConnection()

    def lost(self) -> None:
        """The connection is gone."""
        self._part()
        self._state = _State.LOST
        self._fail_drain()

    def due(self) -> tuple[float, Ending] | None:
        """When the client will have been slow for too long, and at what."""
        if self._state is _State.CLOSED:
            return self._since + self.closing_seconds_max, Ending.NOT_CLOSING
        if self._stalled:
            return self._since + WRITE_STALLED_SECONDS_MAX, Ending.NOT_READING
        return None

    # What the transport calls: it has this as its producer.

    def pauseProducing(self) -> None:
        """What was written is more than the transport likes to hold."""
        if self._state is _State.OPEN and not self._stalled:
            self._stalled = True
            self._since = self._waiting.seconds()
            self._pace()
            self._changed()

    def resumeProducing(self) -> None:
        """All that was written has left the process."""
        self._stalled = False
        self._pace()
        drained, self._drained = self._drained, None
        if drained is not None:
            drained.fire(None)

    def stopProducing(self) -> None:
        """The connection is being lost: `lost` follows."""

    # Below.

    def _part(self) -> None:
        """The client is no longer joined to a replica; harmless when it was not."""
        splice, self.splice = self.splice, None
        if splice is not None:
            splice.part()
            self._octets_out += splice.octets_out
            # The replica may have stopped the reading; now it is read for its end.
            if not self._input_ended:
                self._transport.resumeProducing()
        link, self._link = self._link, None
        if link is not None:
            link.close()

    def _replica_lost(self, loss: Loss) -> None:
        self.loss = loss
        if loss is Loss.SAFE:
            self.end_relay(REPLICA_LOST_BYE)
        else:
            self.close()

    def _end(self) -> None:
        transport = self._transport
        half = IHalfCloseableDescriptor.providedBy(transport)
        if half and not self._secure and not self._input_ended:
            transport.loseWriteConnection()
        else:
            transport.loseConnection()

    def _pace(self) -> None:
        """Reads on, or no more, by what is known now."""
        if self._state is _State.RELAYED:
            # The replica says how fast.
            return
        reading = self._state is not _State.OPEN or not (self._stalled or self._flooded)
        if reading is self._reading or self._input_ended or self._state is _State.LOST:
            return
        self._reading = reading
        if reading:
            self._transport.resumeProducing()
        else:
            self._transport.pauseProducing()

    def _fail_drain(self) -> None:
        drained, self._drained = self._drained, None
        if drained is not None:
            drained.fail(Disconnected())
