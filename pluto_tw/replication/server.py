# SPDX-License-Identifier: GPL-3.0-or-later
"""
Where other replicas dial in: one connection a peer, one object, one method.

Decides who may stay and how much a peer may have at work here; what the answers are is for the
`Answers` that it is given. A peer has one connection: the newest, as the older one is of a
process or a line that is gone. While a peer does not read its answers, its questions are not read.

`SyncFactory` owns all that it makes: connections, timers and the answers that are at work.
"""

from collections import Counter
from collections.abc import Callable
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress, IDelayedCall, IReactorTime
from twisted.internet.protocol import Protocol
from twisted.logger import Logger
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.spread import pb

from pluto_tw.mail.refusals import Refusals
from pluto_tw.replication.broker import Ending, GuardedBroker, GuardedFactory, Transport
from pluto_tw.replication.channel import ASKS_MAX, KIND_OCTETS_MAX, VALUE_OCTETS_MAX, Answers
from pluto_tw.replication.guard import Expression, Hostile
from pluto_tw.replication.trust import Shown, Trust, objection

log = Logger()

#: Connections that have not shown who they are. Others push the oldest of them out, so that a
#: flood from strangers costs a peer a second try, and 30 KiB each of memory.
STRANGERS_MAX: Final = 32

#: A peer sends a heartbeat each second. One that says nothing for this long, or has not read its
#: answers for as long, is not there, and would otherwise be kept for ever.
SILENCE_SECONDS_MAX: Final = 30.0

#: How long answers that are at work may take to their end when the listener stops. They are
#: commits; what waits beyond that waits for a disk that does not come back.
STOP_SECONDS_MAX: Final = 5.0

#: How peers come to their end in the run of things. Who dials us is dialled by us, and that side
#: tells at info level who can be reached.
_ORDINARY: Final = (Ending.CLOSED, Ending.NEWER, Ending.OURS, Ending.TLS)
#: The same for strangers: probes of load balancers, our own stop.
_STRANGERS_ORDINARY: Final = (Ending.CLOSED, Ending.OURS)


class SyncFactory(GuardedFactory):
    """
    The listener's side for one subnet, or for all that listen at one address.

    *expects* tells whether a replica of this Name may dial in, at any time; *expected* are those
    Names in words, for the log. `listener()` is what a listening endpoint is to be given.
    """

    def __init__(
        self,
        reactor: IReactorTime,
        answers: Answers,
        trust: Trust,
        expects: Callable[[str], bool],
        expected: str,
    ) -> None:
        self.reactor = reactor
        self.answers = answers
        self.trust = trust
        self.expects = expects
        self.expected = expected
        #: How many questions of each peer are at work, those of its former connections too.
        self.at_work: Counter[str] = Counter()
        self.refusals = Refusals(reactor.seconds)
        self._strangers: dict[ListeningBroker, None] = {}
        self._peers: dict[str, ListeningBroker] = {}
        #: Every connection that is not lost.
        self._connections: set[ListeningBroker] = set()
        self._stopping: Deferred[None] | None = None
        self._given_up: IDelayedCall | None = None

    def listener(self) -> TLSMemoryBIOFactory:
        """The factory behind TLS."""
        trust: Any = self.trust
        factory = TLSMemoryBIOFactory(trust, False, self, clock=self.reactor)
        factory.noisy = False
        return factory

    @property
    def peers(self) -> tuple[str, ...]:
        """The Names of those who are connected."""
        return tuple(self._peers)

    def stop(self) -> Deferred[None]:
        """
        Ends all connections, and takes no more. Fires when they are gone and nothing is at work
        for them, or after `STOP_SECONDS_MAX`.
        """
        assert self._stopping is None, "it stops once"
        stopping: Deferred[None] = Deferred()
        self._stopping = stopping
        for broker in tuple(self._connections):
            broker.end("this node stops", Ending.OURS)
        self._given_up = self.reactor.callLater(STOP_SECONDS_MAX, self._give_up)
        self._one_less()
        return stopping

    def dismiss(self, peer: str) -> None:
        """*peer* is not expected any more: its connection ends."""
        broker = self._peers.get(peer)
        if broker is not None:
            broker.end("it is not among the peers of this node any more", Ending.OURS)

    # What Twisted calls.

    def buildProtocol(self, addr: IAddress | None) -> Protocol:
        """A broker of its own for each connection, also while it stops: TLS expects one."""
        return ListeningBroker(self)

    # What its connections call.

    def entered(self, broker: "ListeningBroker") -> None:
        """A connection that has not shown who it is."""
        if len(self._strangers) >= STRANGERS_MAX:
            oldest = next(iter(self._strangers))
            reason = f"more than {STRANGERS_MAX} connections have not shown who they are"
            del self._strangers[oldest]
            oldest.end(reason, Ending.MANY)
        self._strangers[broker] = None
        self._connections.add(broker)
        if self._stopping is not None:
            broker.end("this node stops", Ending.OURS)

    def admitted(self, broker: "ListeningBroker") -> None:
        """The connection is that of an expected peer; its older one ends."""
        self._strangers.pop(broker, None)
        older = self._peers.pop(broker.peer, None)
        if older is not None:
            older.end("a newer connection of the same peer takes its place", Ending.NEWER)
            self.answers.lost(broker.peer)
        self._peers[broker.peer] = broker

    def left(self, broker: "ListeningBroker", ending: Ending) -> None:
        """The connection is lost."""
        self._connections.discard(broker)
        self._strangers.pop(broker, None)
        if self._peers.get(broker.peer) is broker:
            del self._peers[broker.peer]
            self.answers.lost(broker.peer)
        self._tell(broker, ending)
        self._one_less()

    def answered(self, peer: str) -> None:
        """A question of *peer* is at work no more."""
        self.at_work[peer] -= 1
        if not self.at_work[peer]:
            del self.at_work[peer]
        self._one_less()

    # Below.

    def _one_less(self) -> None:
        if self._given_up is not None and not self._connections and not self.at_work:
            self._give_up()

    def _give_up(self) -> None:
        given_up, self._given_up = self._given_up, None
        assert given_up is not None and self._stopping is not None, "it stops"
        if given_up.active():
            given_up.cancel()
        self._stopping.callback(None)

    def _tell(self, broker: "ListeningBroker", ending: Ending) -> None:
        ordinary = _ORDINARY if broker.peer else _STRANGERS_ORDINARY
        whom = broker.peer or broker.address
        if ending in ordinary:
            log.debug(
                "{peer} has left: {reason}", event="peer-left", peer=whom, reason=broker.ended
            )
            return
        # By host: who comes again comes from another port.
        host = broker.address.rpartition(":")[0]
        repeated = self.refusals.tell(broker.peer or host, ending.value)
        if repeated is not None:
            log.warn(
                "{peer} at {address} was refused: {reason}",
                event="peer-refused",
                peer=broker.peer or "a stranger",
                address=broker.address,
                reason=broker.ended,
                repeated=repeated,
            )


class ListeningBroker(GuardedBroker):
    """The end that is asked."""

    #: The peer's Name; empty until it has shown who it is.
    peer = ""

    def __init__(self, factory: SyncFactory) -> None:
        super().__init__(factory.reactor, factory.trust, factory, is_client=False)
        self._listener = factory
        self._silence: IDelayedCall | None = None
        self._heard = 0.0

    # What Twisted calls.

    def connectionMade(self) -> None:
        """Makes room among the strangers."""
        super().connectionMade()
        self._listener.entered(self)

    def dataReceived(self, data: bytes) -> None:
        """Whoever sends is there."""
        self._heard = self.reactor.seconds()
        super().dataReceived(data)

    # What `GuardedBroker` asks.

    def judge(self, shown: Shown) -> str:
        """Only expected replicas get an object to ask."""
        listener = self._listener
        wrong = objection(shown, listener.expects, listener.expected)
        if not wrong:
            self.peer = shown.name
            self.setNameForLocal("root", _Questions(self))
            # TLS tells it when the peer does not take its answers.
            self._transport.registerProducer(_Brake(self._transport), True)
            listener.admitted(self)
        return wrong

    def opened(self) -> None:
        """From now on the peer asks, and is not silent."""
        log.debug("{peer} has dialled in", event="peer-in", peer=self.peer, address=self.address)
        self._heard = self.reactor.seconds()
        self._listen(SILENCE_SECONDS_MAX)

    def check(self, expression: Expression) -> None:
        """A question, and no more than a peer may have at work."""
        match expression:
            case [
                b"message",
                int(),
                b"root",
                b"ask",
                1,
                [b"tuple", bytes(kind), bytes(question)],
                [b"dictionary"],
            ]:
                if len(kind) > KIND_OCTETS_MAX or not kind.isascii():
                    raise Hostile(f"a kind of question above {KIND_OCTETS_MAX} octets of ASCII")
                if len(question) > VALUE_OCTETS_MAX:
                    raise Hostile(f"a question above {VALUE_OCTETS_MAX} octets")
            case _:
                raise Hostile("neither a question nor an answer to one")
        if self._listener.at_work[self.peer] >= ASKS_MAX:
            raise Hostile(f"more than {ASKS_MAX} questions at once")

    def gone(self, ending: Ending) -> None:
        """The factory forgets it; what is at work goes on, and its answers are dropped."""
        if self._silence is not None:
            self._silence.cancel()
            self._silence = None
        self._listener.left(self, ending)

    # What `_Questions` calls.

    async def answer(self, kind: str, question: bytes) -> bytes | None:
        """The answer; None if it was a fault of ours."""
        listener = self._listener
        listener.at_work[self.peer] += 1
        try:
            answer = await listener.answers.answer(self.peer, kind, question)
            assert len(answer) <= VALUE_OCTETS_MAX, f"{kind}: an answer of {len(answer)} octets"
            return answer
        except Exception:
            log.failure(
                "no answer to {kind} of {peer}: this is a bug",
                event="answer-failed",
                kind=kind,
                peer=self.peer,
            )
            return None
        finally:
            listener.answered(self.peer)

    # Below.

    def _listen(self, seconds: float) -> None:
        self._silence = self.reactor.callLater(seconds, self._look)

    def _look(self) -> None:
        """There is one timer, which is not moved for all that comes: it looks when that was."""
        silent = self.reactor.seconds() - self._heard
        self._silence = None
        if silent >= SILENCE_SECONDS_MAX:
            self.end(f"it was silent for {silent:.0f} s, or did not read", Ending.SILENT)
        else:
            self._listen(SILENCE_SECONDS_MAX - silent)


class _Questions(pb.Root):
    """The one object that a peer can reach."""

    def __init__(self, broker: ListeningBroker) -> None:
        self._broker = broker

    def remote_ask(self, kind: bytes, question: bytes) -> "Deferred[bytes | None]":
        """The one method; the broker has checked its arguments. Never fails."""
        return Deferred.fromCoroutine(self._broker.answer(kind.decode("ascii"), question))


class _Brake:
    """Reads no questions while answers pile up."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def pauseProducing(self) -> None:
        """Answers pile up."""
        self._transport.pauseProducing()

    def resumeProducing(self) -> None:
        """The peer has taken them."""
        self._transport.resumeProducing()

    def stopProducing(self) -> None:
        """The connection is lost."""
