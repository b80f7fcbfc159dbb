# SPDX-License-Identifier: GPL-3.0-or-later
"""The channel over TCP on loopback: what only the operating system can show."""

import socket
from typing import Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP4ServerEndpoint
from twisted.trial.unittest import TestCase

from pluto_tw.node.internal_tls import InternalContexts
from pluto_tw.replication.channel import VALUE_OCTETS_MAX, Channel, ChannelLost
from pluto_tw.replication.client import Dialler
from pluto_tw.replication.server import SyncFactory
from tests.replication.wires import Replica
from tests.support.nodes import Authority, authority


class LoopbackTests(TestCase):
    timeout = 10

    async def listen(self) -> None:
        from twisted.internet import reactor

        self.reactor: Any = reactor
        self.replica = Replica()
        trust = authority().contexts("worker", "us-worker-1")
        expects = {"eu-worker-1"}.__contains__
        self.factory = SyncFactory(self.reactor, self.replica, trust, expects, "eu-worker-1")
        endpoint = TCP4ServerEndpoint(self.reactor, 0, interface="127.0.0.1")
        self.port: Any = await endpoint.listen(self.factory.listener())
        self.addCleanup(self.factory.stop)
        self.addCleanup(self.port.stopListening)

    def dial(self, trust: InternalContexts) -> tuple[Deferred[Channel], Deferred[str]]:
        """A channel that comes, and why it is lost."""
        connected: Deferred[Channel] = Deferred()
        lost: Deferred[str] = Deferred()
        number = self.port.getHost().port
        self.dialler = Dialler(
            self.reactor,
            TCP4ClientEndpoint(self.reactor, "127.0.0.1", number),
            "us-worker-1",
            f"127.0.0.1:{number}",
            trust,
            random=lambda: 0.5,
            connected=connected.callback,
            lost=lambda channel, reason: lost.callback(reason),
        )
        self.addCleanup(self.dialler.stop)
        self.dialler.start()
        return connected, lost

    async def test_questions_of_all_sizes_without_delay(self) -> None:
        await self.listen()
        connected, _ = self.dial(authority().contexts())
        channel = await connected
        sizes = (0, 1, 1448, 16_384, 128 * 1024, VALUE_OCTETS_MAX)
        questions = [bytes([n]) * size for n, size in enumerate(sizes)]
        asked = [Deferred.fromCoroutine(channel.ask("k", question)) for question in questions]
        self.assertEqual(await gatherResults(asked), questions)
        ends: Any = [*self.factory._connections, self.dialler._broker]
        self.assertEqual(len(ends), 2)
        for broker in ends:
            end = broker.transport.transport.getHandle()
            self.assertTrue(end.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))

    async def test_a_stop_on_the_other_side_is_a_loss(self) -> None:
        await self.listen()
        connected, lost = self.dial(authority().contexts())
        channel = await connected
        await self.port.stopListening()
        ends: Any = tuple(self.factory._connections)
        for broker in ends:
            broker.transport.abortConnection()
        self.assertEqual(await lost, "the other side closed the connection")
        with self.assertRaises(ChannelLost):
            await channel.ask("k", b"")

    async def test_another_authority_is_refused(self) -> None:
        """In TLS 1.3 the dialler's handshake ends before the listener has judged it."""
        await self.listen()
        other = Authority()
        connected, _ = self.dial(InternalContexts(other.internal(other.pair())))
        while not self.dialler.trouble:
            turn: Deferred[None] = Deferred()
            self.reactor.callLater(0, turn.callback, None)
            await turn
        self.assertNoResult(connected)
        self.assertIn("us-worker-1", self.dialler.trouble)
        self.assertEqual(self.replica.events, [])
