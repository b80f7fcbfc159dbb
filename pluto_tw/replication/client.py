# SPDX-License-Identifier: GPL-3.0-or-later
"""
The channel to one peer: dialled, dialled again when it is lost, for as long as it is wanted.

Decides when to dial, whom to accept at the other end, and when to give a connection up; what is
asked over it is for others. Between `start` and `stop` a `Dialler` is in one of three states: it
waits to dial, it dials, or it has a connection, which is told to others once both sides have
accepted each other. Each change that an operator should know of is one line of the log; that a
peer still cannot be reached, for a reason told before, is none.
"""

from collections.abc import Callable
from typing import Any, Final

from twisted.internet import error
from twisted.internet.defer import Deferred, TimeoutError, succeed
from twisted.internet.interfaces import (
    IAddress,
    IDelayedCall,
    IProtocol,
    IReactorTime,
    IStreamClientEndpoint,
)
from twisted.internet.protocol import Protocol
from twisted.logger import Logger
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from twisted.spread import pb

from pluto_tw.replication.broker import Ending, GuardedBroker, GuardedFactory
from pluto_tw.replication.channel import (
    ASKS_MAX,
    KIND_OCTETS_MAX,
    VALUE_OCTETS_MAX,
    AnswerFailed,
    Channel,
    ChannelLost,
)
from pluto_tw.replication.guard import Expression, Hostile
from pluto_tw.replication.trust import Shown, Trust, objection

log = Logger()

#: From the first packet to a connection, names of hosts included: a lost packet is sent again
#: after one second, and after three.
CONNECT_SECONDS_MAX: Final = 5.0

#: The waits between two attempts: twice as long each time, so that a restarted peer is there at
#: once, and one that is away for days costs twelve packets a minute.
RETRY_SECONDS_MIN: Final = 0.1
RETRY_SECONDS_MAX: Final = 5.0

#: A connection that lasted for this long was a good one: the waits begin anew. One that is lost
#: at once, by a peer that refuses what it is asked, is dialled as slowly as one that fails.
STEADY_SECONDS: Final = 10.0

#: An answer is a commit and a way there and back. A peer that owes one for longer does more harm
#: as a connection than as one that is down.
ASK_SECONDS_MAX: Final = 10.0

#: Reasons of one failure that are told apart; after these it fails silently.
REASONS_MAX: Final = 8


class Dialler:
    """
    Keeps a channel to the peer *name* at *endpoint*, of which *address* tells in the log.

    *random* gives numbers from 0 to below 1. *connected* is called with each new channel,
    *lost* with it and the reason once it is gone, after all its questions have raised
    `ChannelLost`.
    """

    def __init__(
        self,
        reactor: IReactorTime,
        endpoint: IStreamClientEndpoint,
        name: str,
        address: str,
        trust: Trust,
        *,
        random: Callable[[], float],
        connected: Callable[[Channel], None],
        lost: Callable[[Channel, str], None],
        ask_seconds_max: float = ASK_SECONDS_MAX,
    ) -> None:
        self.reactor = reactor
        self.name = name
        self.address = address
        self.trust = trust
        self.ask_seconds_max = ask_seconds_max
        #: Why there is no channel; empty while there is one, and before the first attempt.
        self.trouble = ""
        #: Whether the peer was found at its address, be it that it refused us.
        self.was_found = False
        self._endpoint = endpoint
        self._random = random
        self._connected = connected
        self._lost = lost
        self._running = False
        self._wait = RETRY_SECONDS_MIN
        self._told: set[str] = set()
        self._retry: IDelayedCall | None = None
        self._attempt: Deferred[IProtocol] | None = None
        self._broker: DiallingBroker | None = None
        self._stopping: Deferred[None] | None = None

    def start(self) -> None:
        """Dials, before this returns."""
        assert self._stopping is None, "it is started once"
        self._running = True
        self._dial()

    def stop(self) -> Deferred[None]:
        """Ends the connection and dials no more; fires when all is gone."""
        self._running = False
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
        if self._attempt is not None:
            self._attempt.cancel()
        if self._broker is None:
            return succeed(None)
        assert self._stopping is None, "it is stopped once"
        self._stopping = Deferred()
        self._broker.end("this node stops", Ending.OURS)
        return self._stopping

    def hurry(self) -> None:
        """Dials at once if it waits to: somebody has heard from the peer."""
        if self._retry is not None:
            self._retry.cancel()
            self._redial()

    # What its connections call.

    def made(self, broker: "DiallingBroker") -> None:
        """There is a connection, on which nobody has accepted anybody."""
        self._broker = broker

    def opened(self, broker: "DiallingBroker") -> None:
        """Both sides have accepted each other."""
        log.info(
            "{peer} is reached at {address}",
            event="peer-reached",
            peer=self.name,
            address=self.address,
        )
        self.trouble = ""
        self._told.clear()
        self._connected(broker.channel)

    def gone(self, broker: "DiallingBroker") -> None:
        """The connection is lost."""
        assert self._broker is broker, "one at a time"
        self._broker = None
        if broker.open:
            if self.reactor.seconds() - broker.opened_at >= STEADY_SECONDS:
                self._wait = RETRY_SECONDS_MIN
            if self._running:
                log.warn(
                    "{peer} at {address} is lost: {reason}",
                    event="peer-lost",
                    peer=self.name,
                    address=self.address,
                    reason=broker.ended,
                )
                self._told.add(broker.ended)
            self._lost(broker.channel, broker.ended)
        if self._stopping is not None:
            self._stopping.callback(None)
        elif self._running:
            self._failed(broker.ended)

    # Below.

    def _dial(self) -> None:
        trust: Any = self.trust
        factory = TLSMemoryBIOFactory(trust, True, _OneBroker(self), clock=self.reactor)
        factory.noisy = False
        attempt = self._attempt = self._endpoint.connect(factory)
        attempt.addTimeout(CONNECT_SECONDS_MAX, self.reactor)
        attempt.addCallbacks(self._dialled, self._not_dialled)
        attempt.addErrback(lambda failure: log.failure("dialling: this is a bug", failure))

    def _dialled(self, _: object) -> None:
        self._attempt = None
        if not self._running and self._broker is not None:
            self._broker.end("this node stops", Ending.OURS)

    def _not_dialled(self, failure: Failure) -> None:
        self._attempt = None
        if self._running:
            self._failed(_why_not(failure))

    def _failed(self, reason: str) -> None:
        """Dials again, after a while."""
        self.trouble = reason
        if reason not in self._told and len(self._told) < REASONS_MAX:
            self._told.add(reason)
            log.warn(
                "{peer} cannot be reached at {address}: {reason}",
                event="peer-unreachable",
                peer=self.name,
                address=self.address,
                reason=reason,
            )
        # Between half of the wait and all of it: peers that lost each other at the same time
        # do not meet again and again.
        wait = self._wait * (0.5 + self._random() / 2)
        self._wait = min(self._wait * 2, RETRY_SECONDS_MAX)
        self._retry = self.reactor.callLater(wait, self._redial)

    def _redial(self) -> None:
        self._retry = None
        self._dial()


class _OneBroker(GuardedFactory):
    """Makes the broker of one attempt to dial."""

    def __init__(self, dialler: Dialler) -> None:
        self._dialler = dialler

    def buildProtocol(self, addr: IAddress | None) -> Protocol:
        """Called by Twisted once there is a connection."""
        return DiallingBroker(self._dialler, self)


class DiallingBroker(GuardedBroker):
    """The end that asks."""

    opened_at = 0.0

    def __init__(self, dialler: Dialler, factory: GuardedFactory) -> None:
        super().__init__(dialler.reactor, dialler.trust, factory, is_client=True)
        self.channel = _BrokerChannel(dialler.name, self)
        self._dialler = dialler
        self._root = self.remoteForName("root")
        #: When each question that waits for its answer was asked; the oldest first.
        self._asked: dict[int, float] = {}
        self._watch: IDelayedCall | None = None

    # What Twisted calls.

    def connectionMade(self) -> None:
        """One at a time."""
        super().connectionMade()
        self._dialler.made(self)

    # What `GuardedBroker` asks.

    def judge(self, shown: Shown) -> str:
        """The peer is the one that was to be dialled, wherever it was found."""
        name = self._dialler.name
        wrong = objection(shown, lambda shown_name: shown_name == name, name)
        self._dialler.was_found = self._dialler.was_found or not wrong
        return wrong

    def opened(self) -> None:
        """The peer has accepted us: it says nothing before."""
        self.opened_at = self.reactor.seconds()
        self._dialler.opened(self)

    def check(self, expression: Expression) -> None:
        """An answer to what was asked; [b"None"] stands for a fault of the peer."""
        match expression:
            case [b"answer", int(question), bytes(answer)]:
                if len(answer) > VALUE_OCTETS_MAX:
                    raise Hostile(f"an answer above {VALUE_OCTETS_MAX} octets")
            case [b"answer", int(question), [b"None"]]:
                pass
            case _:
                raise Hostile("no answer")
        if question not in self._asked:
            raise Hostile("an answer to what was not asked")
        del self._asked[question]

    def gone(self, ending: Ending) -> None:
        """All questions have failed."""
        self._asked.clear()
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        self._dialler.gone(self)

    # What the channel calls.

    async def ask(self, kind: bytes, question: bytes) -> bytes:
        """As `Channel.ask`, once its arguments are known to be good."""
        if self.ended:
            raise ChannelLost(self.ended)
        answer: Deferred[bytes | None] = self._root.callRemote("ask", kind, question)
        self._asked[self.currentRequestID] = self.reactor.seconds()
        if self._watch is None:
            self._watch = self.reactor.callLater(self._dialler.ask_seconds_max, self._look)
        try:
            value = await answer
        except pb.PBConnectionLost:
            raise ChannelLost(self.ended) from None
        if value is None:
            raise AnswerFailed(f"{self._dialler.name} had a fault: its log says more")
        return value

    @property
    def asks(self) -> int:
        """Questions that wait for their answers."""
        return len(self._asked)

    # Below.

    def _look(self) -> None:
        """There is one timer for all questions: it looks at the oldest, which is due first."""
        self._watch = None
        oldest = next(iter(self._asked.values()), None)
        if oldest is None:
            return
        limit = self._dialler.ask_seconds_max
        waited = self.reactor.seconds() - oldest
        if waited >= limit:
            self.end(f"no answer for {limit:.0f} s", Ending.SILENT)
        else:
            self._watch = self.reactor.callLater(limit - waited, self._look)


class _BrokerChannel:
    """`Channel` on a broker: what others may call of it."""

    def __init__(self, name: str, broker: DiallingBroker) -> None:
        self.name = name
        self._broker = broker

    async def ask(self, kind: str, question: bytes) -> bytes:
        """The peer's answer."""
        octets = kind.encode("ascii")
        if len(octets) > KIND_OCTETS_MAX or len(question) > VALUE_OCTETS_MAX:
            raise ValueError(f"a question {kind:.40} of {len(question)} octets is too long")
        if self._broker.asks >= ASKS_MAX:
            raise RuntimeError(f"more than {ASKS_MAX} questions at once to {self.name}")
        return await self._broker.ask(octets, question)

    def abort(self, reason: str) -> None:
        """Ends the connection at once."""
        self._broker.end(reason, Ending.OURS)


def _why_not(failure: Failure) -> str:
    """Why there is no connection, in the same words each time that it is the same."""
    if failure.check(TimeoutError, error.TimeoutError):
        return f"no connection in {CONNECT_SECONDS_MAX:.0f} s"
    if failure.check(error.DNSLookupError):
        return "its host has no address"
    refusal = failure.value
    if isinstance(refusal, error.ConnectError) and isinstance(refusal.osError, OSError):
        return refusal.osError.strerror or str(refusal.osError)
    return failure.getErrorMessage()
