# SPDX-License-Identifier: GPL-3.0-or-later
"""
A subnet in one process: replicas on SQLite in memory, channels in memory, one clock.

A channel takes `delay` seconds each way. Cut links swallow everything, as a pulled cable does,
until they are healed; `Network.fails` may lose any question or answer.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from typing import Protocol, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.account import statements
from pluto_tw.account.database import MemoryDatabase
from pluto_tw.account.digests import Digest, digest
from pluto_tw.account.members import Member, Members
from pluto_tw.account.site import Site
from pluto_tw.crdt.rules import Rules
from pluto_tw.mail.flags import flag_set
from pluto_tw.mail.messages import Appended, NewMessage, StoreMode
from pluto_tw.mail.names import INBOX, MailboxName
from pluto_tw.mail.sets import NumberSet
from pluto_tw.replication import codec, messages
from pluto_tw.replication.channel import AnswerFailed, ChannelLost
from pluto_tw.replication.joining import Joiner
from pluto_tw.replication.replication import Replication
from tests.account.accounts import MortalWaiting, Node

T = TypeVar("T")

KEY = "fred"
SUBNET = "subnet"
REDIAL_SECONDS = 0.5


def name_of(slot: int) -> str:
    return f"node-{slot}"


class MemoryChannel:
    """From one replica to another; `Channel`."""

    def __init__(self, network: "Network", source: "End", target: "End") -> None:
        self.name = target.name
        self.ended = ""
        #: Something on it was lost, so it cannot be gone on with.
        self.has_swallowed = False
        self._network = network
        self._source = source
        self._target = target
        self._pending: dict[Deferred[bytes], None] = {}

    async def ask(self, kind: str, question: bytes) -> bytes:
        if self.ended:
            raise ChannelLost(self.ended)
        network = self._network
        network.asked(self._source, self._target, kind, question)
        if network.fails(kind, "question"):
            self.end("a question was lost")
            raise ChannelLost(self.ended)
        promise: Deferred[bytes] = Deferred()
        self._pending[promise] = None
        network.in_flight[self._source.name, self._target.name] = len(self._pending)
        network.in_flight_most = max(network.in_flight_most, len(self._pending))
        network.clock.callLater(network.delay, self._arrive, kind, question, promise)
        return await promise

    def _arrive(self, kind: str, question: bytes, promise: "Deferred[bytes]") -> None:
        if self.ended or self._is_swallowed():
            return
        if self._network.is_faulty(kind):
            del self._pending[promise]
            promise.errback(AnswerFailed("a fault"))
            return
        answering = Deferred.fromCoroutine(
            self._target.replication.answer(self._source.name, kind, question)
        )
        answering.addCallbacks(
            lambda answer: self._network.clock.callLater(
                self._network.delay, self._answered, kind, answer, promise
            ),
            lambda failure: self._failed(failure, promise),
        )

    def _failed(self, failure: Failure, promise: "Deferred[bytes]") -> None:
        self._network.faults.append(failure)
        if self._pending.pop(promise, 0) is None:
            promise.errback(AnswerFailed("a fault"))

    def _answered(self, kind: str, answer: bytes, promise: "Deferred[bytes]") -> None:
        if self.ended or self._is_swallowed():
            return
        if self._network.fails(kind, "answer"):
            self.end("an answer was lost")
        elif promise in self._pending:
            del self._pending[promise]
            promise.callback(answer)

    def _is_swallowed(self) -> bool:
        if self._network.is_cut(self._source, self._target):
            self.has_swallowed = True
        return self.has_swallowed

    def abort(self, reason: str) -> None:
        self.end(reason)

    def end(self, reason: str) -> None:
        if self.ended:
            return
        self.ended = reason
        pending, self._pending = self._pending, {}
        for promise in pending:
            promise.errback(ChannelLost(reason))
        self._target.replication.lost(self._source.name)
        self._source.replication.disconnected(self, reason)
        self._network.dial_later(self._source, self._target)


class End(Protocol):
    """One end of the links of a network."""

    name: str

    @property
    def replication(self) -> Replication | Joiner: ...


class Replica:
    """A node and its replication; `crash` and start again."""

    def __init__(
        self, network: "Network", node: Node, slot: int, peers: Iterable[str], replica: bytes
    ) -> None:
        self.name = name_of(slot)
        self.slot = slot
        self.node = node
        assert isinstance(node.database, MemoryDatabase)
        self.database = node.database
        self.network = network
        self._peers = list(peers)
        self._replica = replica
        self.begin()

    def begin(self) -> None:
        self.replication = Replication(
            self.node.store,
            SUBNET,
            self.name,
            self._replica,
            self.node.site.waiting,
            self._peers,
        )
        self.network.heard[self.slot] = self.replication.heard
        self.replication.start()

    def crash(self) -> None:
        """Its process dies and begins anew; what was not committed is gone."""
        self.network.end_all(self)
        self.node.restart()
        self.begin()
        self.network.dial_all(self)


class Network:
    """The links between *replicas*."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.delay = 0.01
        self.replicas: list[End] = []
        self.heard: dict[int, Callable[[], frozenset[int]]] = {}
        #: Faults of answers: bugs.
        self.faults: list[Failure] = []
        #: Questions by kind, and octets of bodies by hash.
        self.asks: Counter[str] = Counter()
        self.bodies: Counter[bytes] = Counter()
        self.in_flight: dict[tuple[str, str], int] = {}
        self.in_flight_most = 0
        self.fails: Callable[[str, str], bool] = lambda kind, what: False
        #: Whether answering a question of a kind ends in a fault at the peer.
        self.is_faulty: Callable[[str], bool] = lambda kind: False
        self._cut: set[frozenset[str]] = set()
        self._channels: dict[tuple[str, str], MemoryChannel] = {}

    def asked(self, source: End, target: End, kind: str, question: bytes) -> None:
        self.asks[kind] += 1
        if kind == messages.BODIES:
            found = codec.decode_question(kind, question)
            assert isinstance(found, messages.Bodies)
            for piece in found.pieces:
                self.bodies[piece.hash] += len(piece.octets)

    def cut(self, a: End, b: End) -> None:
        self._cut.add(frozenset((a.name, b.name)))

    def heal(self) -> None:
        self._cut.clear()
        for channel in list(self._channels.values()):
            if channel.has_swallowed:
                channel.end("it was cut for a while")

    def is_cut(self, a: End, b: End) -> bool:
        return frozenset((a.name, b.name)) in self._cut

    def dial_all(self, replica: End) -> None:
        for other in self.replicas:
            if other is not replica:
                self._dial(replica, other)
                self._dial(other, replica)

    def end_all(self, replica: End) -> None:
        for names, channel in list(self._channels.items()):
            if replica.name in names:
                channel.end("a process has ended")

    def dial_later(self, source: End, target: End) -> None:
        self.clock.callLater(REDIAL_SECONDS, self._dial, source, target)

    def _dial(self, source: End, target: End) -> None:
        found = self._channels.get((source.name, target.name))
        if found is not None and not found.ended:
            return
        if self.is_cut(source, target):
            self.dial_later(source, target)
            return
        channel = self._channels[source.name, target.name] = MemoryChannel(self, source, target)
        source.replication.connected(channel)


class ClusterCase(SynchronousTestCase):
    """Has `network`; makes replicas."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.network = Network(self.clock)

    def tearDown(self) -> None:
        for fault in self.network.faults:
            fault.printTraceback()
        self.assertEqual(self.network.faults, [])
        self.assertEqual(self.flushLoggedErrors(), [])

    def replicas(self, count: int, configured: int = 0) -> list[Replica]:
        """*count* founding members, connected; so many are *configured*."""
        names = range(max(count, configured))
        found = [self.replica(slot, range(count), names) for slot in range(count)]
        for replica in found:
            self.network.dial_all(replica)
        self.run_for(4)
        return found

    def replica(
        self, slot: int, slots: Iterable[int], configured: Iterable[int] | None = None
    ) -> Replica:
        database = MemoryDatabase(name_of(slot), bytes([slot]) * 16)
        self.addCleanup(database.destroy)
        ids = {other: bytes([other + 1]) * 16 for other in slots}
        founding = [
            Member(other, name_of(other), id if other == slot else b"") for other, id in ids.items()
        ]
        members = Members(slot, founding)
        site = Site(
            members,
            MortalWaiting(self.clock),
            lambda: self.network.heard.get(slot, frozenset)(),
            rules=Rules(members.replica_ids),
        )
        peers = [name_of(other) for other in configured or ids if other != slot]
        replica = Replica(self.network, Node(database, site, SUBNET), slot, peers, ids[slot])
        self.network.replicas.append(replica)
        return replica

    def run_for(self, seconds: float) -> None:
        """Time passes, in small steps."""
        until = self.clock.seconds() + seconds
        while self.clock.seconds() < until:
            times = [call.time for call in self.clock.calls]
            step = max(0.0, min([until, *times]) - self.clock.seconds())
            self.clock.advance(step)

    def begun(self, work: Awaitable[T]) -> "Deferred[T]":
        async def run() -> T:
            return await work

        return Deferred.fromCoroutine(run())

    def done(self, work: Awaitable[T], seconds: float = 30) -> T:
        """What *work* gives within *seconds*."""
        running = self.begun(work)
        until = self.clock.seconds() + seconds
        while not running.called and self.clock.seconds() < until:
            self.run_for(0.001)
        return self.successResultOf(running)

    def append(
        self, replica: Replica, octets: bytes, key: str = KEY, name: str = INBOX
    ) -> Appended:
        session = replica.node.store.session(key, key)
        upload = session.upload(len(octets))
        self.done(upload.write(octets))
        message = NewMessage(upload, flag_set(()), None)
        appended = self.done(session.append(MailboxName(name), [message]))
        session.close()
        return appended

    def flag(self, replica: Replica, text: str, *uids: int) -> None:
        session = replica.node.store.session(KEY, KEY)
        opened = self.done(session.open(INBOX, False, lambda: None))
        self.done(opened.store(NumberSet.of(uids), StoreMode.ADD, flag_set([text]), None))
        opened.close()
        session.close()

    def uids(self, replica: Replica, key: str = KEY) -> list[int]:
        """Of INBOX."""
        session = replica.node.store.session(key, key)
        opened = self.done(session.open(INBOX, False, lambda: None))
        found = list(opened.uids())
        opened.close()
        session.close()
        return found

    def octets(self, replica: Replica, key: str = KEY) -> list[bytes]:
        """The messages of INBOX."""
        session = replica.node.store.session(key, key)
        opened = self.done(session.open(INBOX, False, lambda: None))
        found = []
        for uid in opened.uids():
            body = opened.body(uid)

            async def read() -> bytes:
                return b"".join([chunk async for chunk in body.read(0, body.size)])  # noqa: B023

            found.append(self.done(read()))
        opened.close()
        session.close()
        return found

    def digest(self, replica: Replica, key: str = KEY) -> Digest:
        async def read() -> Digest:
            with replica.node.store.lease(key) as account:
                return await digest(account)

        return self.done(read())

    def vector(self, replica: Replica, key: str = KEY) -> tuple[int, ...]:
        return replica.node.store.checkpoint(key).vector

    def same(self, *replicas: Replica, key: str = KEY) -> None:
        """All show the same, and nothing is outstanding."""
        first, *others = [self.digest(replica, key) for replica in replicas]
        for other in others:
            self.assertEqual(first, other)
        self.assertFalse(first.outstanding)

    def prune(self, replica: Replica) -> None:
        """What is stable goes from the log, as after a day."""

        async def run() -> None:
            with replica.node.store.lease(KEY) as account:
                tx = account.rules.prune(account.commits.records, account.now(), -(10**9))
                await account.commits.commit(tx)

        self.done(run())

    def known(self, replica: Replica) -> tuple[int, ...]:
        with replica.node.store.lease(KEY) as account:
            return statements.vector(account)
