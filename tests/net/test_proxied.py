# SPDX-License-Identifier: GPL-3.0-or-later
"""Connections that begin with a PROXY header, and those that must not: `pluto_tw.net.proxied`."""

import os
import struct
from ipaddress import IPv4Network, IPv6Network
from typing import Any
from unittest.mock import patch

from OpenSSL import SSL
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.logger import LogEvent, globalLogPublisher
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.net import proxied
from pluto_tw.net.nodes import Distributors
from pluto_tw.net.proxied import (
    HEADER_SECONDS_MAX,
    ClientAddress,
    Judge,
    ProxiedFactory,
    ProxiedProtocol,
    Senders,
)
from pluto_tw.net.proxy import SIGNATURE, Client, Header, write_header

CLIENT = Client("198.51.100.7", 4000, "TLSv1.3 TLS_AES_256_GCM_SHA384")
HEADER = write_header(Header(CLIENT, "a", 7))
BALANCER = IPv4Address("TCP", "192.0.2.1", 1)
STRANGER = IPv4Address("TCP", "203.0.113.9", 2)


class Behind(Protocol):
    """What is behind the header."""

    def __init__(self, address: IAddress | None) -> None:
        self.address = address
        self.received = b""
        self.lost = False

    def dataReceived(self, data: bytes) -> None:
        self.received += data

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.lost = True


class BehindFactory(Factory):
    noisy = False

    def __init__(self) -> None:
        self.built: list[Behind] = []
        self.is_stopping = False

    def buildProtocol(self, addr: IAddress | None) -> Behind | None:
        if self.is_stopping:
            return None
        self.built.append(Behind(addr))
        return self.built[-1]


class Near(StringTransport):
    """A connection whose other end runs as *user*."""

    aborted = False

    def __init__(self, user: int) -> None:
        StringTransport.__init__(self)
        self._user = user

    def abortConnection(self) -> None:
        self.aborted = True

    def getHandle(self) -> "Near":
        return self

    def getsockopt(self, level: int, option: int, octets: int) -> bytes:
        return struct.pack("3i", 4711, self._user, 0)


class ProxiedTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.behind = BehindFactory()
        self.events: list[LogEvent] = []
        observer: Any = self.events.append
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)

    def listen(
        self,
        judge: Judge | None = None,
        senders: Senders | None = None,
        *,
        after_handshake: bool = False,
    ) -> None:
        self.factory = ProxiedFactory(
            self.clock, self.behind, judge=judge, senders=senders, after_handshake=after_handshake
        )

    def connect(self, address: IAddress | None = BALANCER, user: int | None = None) -> Near:
        protocol = self.factory.buildProtocol(address)
        assert protocol is not None
        self.protocol: ProxiedProtocol = protocol
        self.transport = Near(os.geteuid() if user is None else user)
        protocol.makeConnection(self.transport)
        return self.transport

    def refusals(self) -> list[tuple[str, str, int]]:
        return [
            (event["address"], event["reason"], event["repeated"])
            for event in self.events
            if event.get("event") == "proxy-refused"
        ]


class HeaderTests(ProxiedTestCase):
    """On the UNIX socket of a replica."""

    def setUp(self) -> None:
        super().setUp()
        self.listen(Distributors([]).by_process)

    def test_the_protocol_behind_is_told_of_the_client(self) -> None:
        self.connect(UNIXAddress(None))
        self.protocol.dataReceived(HEADER + b"a NOOP\r\n")
        [behind] = self.behind.built
        self.assertEqual(behind.address, ClientAddress(CLIENT, "a", 7))
        self.assertEqual(behind.received, b"a NOOP\r\n")

    def test_wherever_it_is_cut(self) -> None:
        self.connect(UNIXAddress(None))
        for octet in HEADER[:-1]:
            self.protocol.dataReceived(bytes([octet]))
        self.assertEqual(self.behind.built, [])
        self.protocol.dataReceived(HEADER[-1:])
        [behind] = self.behind.built
        self.assertEqual(behind.received, b"")
        # What looks like a second header is the client's.
        self.protocol.dataReceived(HEADER)
        self.assertEqual(behind.received, HEADER)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_a_sender_may_speak_for_itself(self) -> None:
        address = UNIXAddress(None)
        self.connect(address)
        self.protocol.dataReceived(write_header(Header(None)))
        self.assertEqual(self.behind.built[0].address, address)

    def test_without_a_header_it_is_refused(self) -> None:
        transport = self.connect(UNIXAddress(None))
        self.protocol.dataReceived(b"a LOGIN fred secret\r\n")
        self.assertTrue(transport.aborted)
        self.assertEqual(self.behind.built, [])
        [(address, reason, _)] = self.refusals()
        self.assertEqual(address, "a UNIX socket")
        self.assertNotIn("secret", reason)

    def test_a_header_has_ten_seconds(self) -> None:
        transport = self.connect(UNIXAddress(None))
        for octet in HEADER[:9]:
            self.clock.advance(1.0)
            self.protocol.dataReceived(bytes([octet]))
        self.assertFalse(transport.aborted)
        self.clock.advance(HEADER_SECONDS_MAX - 9)
        self.assertTrue(transport.aborted)
        self.assertEqual(self.factory.waiting, set())
        self.assertEqual(
            [reason for _, reason, _ in self.refusals()], ["no PROXY header within 10 s"]
        )

    def test_another_users_process_is_refused_unread(self) -> None:
        transport = self.connect(UNIXAddress(None), os.geteuid() + 1)
        self.assertTrue(transport.aborted)
        self.protocol.dataReceived(HEADER)
        self.assertEqual(self.behind.built, [])

    def test_the_factory_behind_may_have_none(self) -> None:
        self.behind.is_stopping = True
        transport = self.connect(UNIXAddress(None))
        self.protocol.dataReceived(HEADER + b"a NOOP\r\n")
        self.assertTrue(transport.disconnecting)
        self.protocol.connectionLost(Failure(ConnectionDone()))

    def test_at_a_stop_who_waits_is_closed(self) -> None:
        waiting = self.connect(UNIXAddress(None))
        served = self.connect(UNIXAddress(None))
        self.protocol.dataReceived(HEADER)
        self.factory.stop()
        self.assertTrue(waiting.aborted)
        self.assertFalse(served.aborted)

    def test_a_loss_is_told_behind(self) -> None:
        self.connect(UNIXAddress(None))
        self.protocol.dataReceived(HEADER)
        self.protocol.connectionLost(Failure(ConnectionDone()))
        self.assertTrue(self.behind.built[0].lost)

    def test_those_who_wait_are_bounded(self) -> None:
        """They are counted by no other limit."""
        with patch.object(proxied, "WAITING_MAX", 2):
            self.connect(), self.connect()
            self.assertIsNone(self.factory.buildProtocol(BALANCER))
            self.assertIsNone(self.factory.buildProtocol(BALANCER))
            floods = [event for event in self.events if event.get("event") == "proxy-flood"]
            self.assertEqual(len(floods), 1)
            self.protocol.dataReceived(HEADER)
            self.connect()


class HandshakeTests(ProxiedTestCase):
    """On the port of a replica, where the header comes within TLS."""

    def setUp(self) -> None:
        super().setUp()
        self.wrong: str | None = None
        self.listen(lambda transport: self.wrong, after_handshake=True)

    def test_who_it_is_is_known_after_the_handshake(self) -> None:
        self.connect()
        self.protocol.handshakeCompleted()
        self.protocol.dataReceived(HEADER)
        self.assertEqual(len(self.behind.built), 1)

    def test_a_stranger_is_not_read(self) -> None:
        self.wrong = "it showed a certificate of pluto:worker:x"
        transport = self.connect()
        self.protocol.handshakeCompleted()
        self.protocol.dataReceived(HEADER)
        self.assertTrue(transport.aborted)
        self.assertEqual(self.behind.built, [])
        self.assertEqual(self.refusals(), [("192.0.2.1 port 1", self.wrong, 0)])

    def test_a_handshake_that_fails_is_told(self) -> None:
        self.connect()
        self.protocol.connectionLost(Failure(SSL.Error([("ssl", "", "certificate expired")])))
        self.assertEqual(
            self.refusals(), [("192.0.2.1 port 1", "TLS failed: certificate expired", 0)]
        )

    def test_the_handshake_is_within_the_time(self) -> None:
        transport = self.connect()
        self.clock.advance(HEADER_SECONDS_MAX)
        self.assertTrue(transport.aborted)


class RefusalTests(ProxiedTestCase):
    def test_who_comes_again_is_told_once_a_minute(self) -> None:
        """The log is for who can do something about it, not for who knocks."""
        self.listen()
        for _ in range(100):
            self.connect()
            self.protocol.dataReceived(b"GET / HTTP/1.1\r\n")
        self.assertEqual(len(self.refusals()), 1)
        self.clock.advance(60)
        self.connect()
        self.protocol.dataReceived(b"GET / HTTP/1.1\r\n")
        self.assertEqual([repeated for _, _, repeated in self.refusals()], [0, 99])


class SendersTests(ProxiedTestCase):
    """In front of a distributor."""

    def setUp(self) -> None:
        super().setUp()
        self.senders = Senders([IPv4Network("192.0.2.0/24"), IPv6Network("2001:db8::/32")])
        self.listen(senders=self.senders)

    def test_a_balancer_is_believed(self) -> None:
        self.connect(BALANCER)
        self.protocol.dataReceived(HEADER)
        self.assertEqual(self.behind.built[0].address, ClientAddress(CLIENT, "a", 7))

    def test_a_balancer_must_send_one(self) -> None:
        transport = self.connect(BALANCER)
        self.protocol.dataReceived(b"\x16\x03\x01")
        self.assertTrue(transport.aborted)

    def test_others_are_served_without(self) -> None:
        self.connect(STRANGER)
        self.protocol.dataReceived(b"\x16\x03\x01")
        [behind] = self.behind.built
        self.assertEqual((behind.address, behind.received), (STRANGER, b"\x16\x03\x01"))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_others_who_send_one_are_refused(self) -> None:
        """Else everybody could choose the address that is counted and logged."""
        transport = self.connect(STRANGER)
        self.protocol.dataReceived(HEADER)
        self.assertTrue(transport.aborted)
        self.assertEqual(self.behind.built[0].received, b"")

    def test_a_client_may_send_a_signature_later(self) -> None:
        transport = self.connect(STRANGER)
        self.protocol.dataReceived(b"a")
        self.protocol.dataReceived(SIGNATURE)
        self.assertFalse(transport.aborted)

    def test_networks(self) -> None:
        for host, included in (
            ("192.0.2.255", True),
            ("192.0.3.0", False),
        ):
            address = IPv4Address("TCP", host, 1)
            self.assertEqual(self.senders.include(address), included, host)
        for host, included in (
            ("2001:db8::1", True),
            ("2001:db9::1", False),
            ("::ffff:192.0.2.1", True),
            ("fe80::1%eth0", False),
        ):
            self.assertEqual(self.senders.include(IPv6Address("TCP", host, 1)), included, host)
        self.assertFalse(self.senders.include(UNIXAddress(None)))
