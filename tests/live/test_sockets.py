# SPDX-License-Identifier: GPL-3.0-or-later
"""What clients really do to a socket: octet by octet, all at once, halfway, not at all, rudely."""

import socket
import ssl
import struct
from collections.abc import Callable

from twisted.internet.defer import Deferred

from pluto_tw.net.journal import Ending
from tests.live.server import CLIENT_SECONDS_MAX, LiveTestCase
from tests.support.messages import MESSAGES

LOGIN = b"l LOGIN fred secret\r\n"


class Raw:
    """A socket, and what has come from it."""

    def __init__(self, connected: socket.socket) -> None:
        self.socket = connected
        self.received = bytearray()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def until(self, wanted: bytes) -> bytes:
        """What comes, up to *wanted* and its line's end."""
        while True:
            at = self.received.find(wanted)
            end = self.received.find(b"\r\n", at) if at >= 0 else -1
            if end >= 0:
                taken = bytes(self.received[: end + 2])
                del self.received[: end + 2]
                return taken
            more = self.socket.recv(65536)
            assert more, (wanted, self.received)
            self.received += more

    def rest(self) -> bytes:
        """All that comes, up to the end."""
        while more := self.socket.recv(65536):
            self.received += more
        return bytes(self.received)

    def reset(self) -> None:
        """Vanishes: what is on its way is answered by a reset."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


class SocketTestCase(LiveTestCase):
    def connect(self, port: int | None = None) -> Raw:
        """A connection to the plain port, or to *port*."""
        address = ("127.0.0.1", port or self.server.plain_port)
        connected = socket.create_connection(address, CLIENT_SECONDS_MAX)
        self.closing(connected.close)
        return Raw(connected)

    def secure(self, client: Raw) -> Raw:
        """*client* after the handshake."""
        tls = self.server.client_tls.wrap_socket(client.socket, server_hostname="localhost")
        self.closing(tls.close)
        return Raw(tls)

    def logged_in(self) -> Raw:
        """A client past LOGIN, in TLS."""
        client = self.secure(self.connect(self.server.secure_port))
        client.send(LOGIN)
        client.until(b"l OK")
        return client

    def play(self, scene: Callable[[], None]) -> Deferred[None]:
        """Runs *scene*, then looks whether the server still serves."""

        def all_of_it() -> None:
            scene()
            client = self.logged_in()
            client.send(b"z LOGOUT\r\n")
            client.until(b"z OK")

        return self.in_thread(all_of_it)


class PaceTests(SocketTestCase):
    def test_octet_by_octet(self) -> Deferred[None]:
        def scene() -> None:
            client = self.logged_in()
            client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            command = b"a APPEND INBOX (\\Seen) {%d+}\r\n" % len(MESSAGES["plain"])
            for octet in command + MESSAGES["plain"] + b"\r\nb NOOP\r\n":
                client.send(bytes([octet]))
            client.until(b"a OK [APPENDUID ")
            client.until(b"b OK")

        return self.play(scene)

    def test_thousand_commands_at_once(self) -> Deferred[None]:
        """RFC 9051 §5.5: answered in the order in which they were sent."""

        def scene() -> None:
            client = self.logged_in()
            client.send(b"".join(b"n%d NOOP\r\n" % number for number in range(1000)))
            client.send(b"z LOGOUT\r\n")
            tags = [line.split()[0] for line in client.rest().splitlines()]
            assert tags == [*(b"n%d" % number for number in range(1000)), b"*", b"z"], tags

        return self.play(scene)

    def test_client_that_sends_all_before_it_reads(self) -> Deferred[None]:
        """The answers fit into the kernel's buffers: then neither side may wait for the other."""

        def scene() -> None:
            client = self.logged_in()
            client.send(b"n NOOP\r\n" * 30_000)
            client.send(b"z LOGOUT\r\n")
            assert client.rest().count(b"n OK") == 30_000

        return self.play(scene)

    def test_client_that_reads_late(self) -> Deferred[None]:
        """Answers wait here until it reads: 64 MB were asked for, little is made."""
        body = b"Subject: big\r\n\r\n" + b"x" * 1_000_000
        self.server.account.deliver(body)

        def scene() -> None:
            client = self.logged_in()
            client.send(b"s SELECT INBOX\r\n")
            client.until(b"s OK")
            client.send(b"f FETCH 1 BODY.PEEK[]\r\n" * 64)
            client.send(b"z LOGOUT\r\n")
            # The other connection is served while this one is stuck.
            other = self.logged_in()
            other.send(b"a NOOP\r\n")
            other.until(b"a OK")
            assert self._octets_waiting() < 1_000_000
            assert client.rest().count(body) == 64

        return self.play(scene)

    def _octets_waiting(self) -> int:
        """What the server holds for clients, in the transports of all connections."""
        total = 0
        for connection in list(self.server.secure.connections):
            # TLS wraps the socket's own transport.
            transport = connection.transport.transport  # type: ignore[union-attr]
            total += len(transport.dataBuffer) + transport._tempDataLen
        return total


class HalfwayTests(SocketTestCase):
    def test_client_that_closes_its_side_is_answered(self) -> Deferred[None]:
        """As `printf ... | nc` does it."""

        def scene() -> None:
            client = self.connect()
            client.send(b"a NOOP\r\nb CAPABILITY\r\n")
            client.socket.shutdown(socket.SHUT_WR)
            answers = client.rest()
            assert b"a OK" in answers and b"b OK" in answers, answers

        return self.play(scene)

    def test_client_that_vanishes_in_a_literal(self) -> Deferred[None]:
        def scene() -> None:
            client = self.logged_in()
            client.send(b"a APPEND INBOX {1000000+}\r\nSubject: ")
            client.reset()
            client = self.logged_in()
            client.send(b"s STATUS INBOX (MESSAGES)\r\n")
            assert b"MESSAGES 0" in client.until(b"s OK")

        return self.play(scene)

    def test_client_that_vanishes_in_an_answer(self) -> Deferred[None]:
        self.server.account.deliver(b"Subject: big\r\n\r\n" + b"x" * 5_000_000)

        def scene() -> None:
            client = self.logged_in()
            client.send(b"s SELECT INBOX\r\nf FETCH 1 BODY.PEEK[]\r\n")
            client.until(b"* 1 FETCH")
            client.reset()

        return self.play(scene)

    def test_bye_arrives_behind_unread_commands(self) -> Deferred[None]:
        """A socket closed with unread input is reset, and what was written last is lost."""

        def scene() -> None:
            client = self.connect()
            # More than the kernel's buffers hold: it is taken, or the client is reset.
            client.send(b"a LOGOUT\r\n" + b"b NOOP\r\n" * 2_000_000)
            answers = client.rest()
            assert answers.endswith(b"a OK LOGOUT completed\r\n"), answers[-200:]

        return self.play(scene)


class RudeTests(SocketTestCase):
    def test_garbage_is_answered_bad_and_then_no_more(self) -> Deferred[None]:
        def scene() -> None:
            client = self.connect()
            client.send(bytes(range(256)) + b"\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\na NOOP\r\n")
            answers = client.until(b"a OK")
            assert answers.count(b" BAD ") >= 3, answers

        return self.play(scene)

    def test_endless_line_is_the_end(self) -> Deferred[None]:
        def scene() -> None:
            client = self.connect()
            try:
                for _ in range(100):
                    client.send(b"x" * 10_000)
            except (BrokenPipeError, ConnectionResetError):
                pass
            assert b"* BYE " in client.rest()

        return self.play(scene)

    def test_tls_on_the_plain_port(self) -> Deferred[None]:
        """The client sees no TLS, and says so."""

        def scene() -> None:
            with self.assertRaises(ssl.SSLError):
                self.secure(self.connect())

        return self.play(scene)

    def test_plain_on_the_tls_port(self) -> Deferred[None]:
        """Nothing is said in the clear; the log tells what it was."""

        def scene() -> None:
            client = self.connect(self.server.secure_port)
            client.send(b"a LOGIN fred secret\r\n")
            # At most an alert of TLS.
            assert b"OK" not in client.rest()

        return self.play(scene).addCallback(
            lambda _: self.assertEqual(self.server.journal.counts.endings[Ending.TLS], 1)
        )

    def test_commands_smuggled_in_front_of_tls(self) -> Deferred[None]:
        """CVE-2011-0411: what came in the clear behind STARTTLS must not run in TLS."""

        def scene() -> None:
            client = self.connect()
            client.until(b"* OK")
            client.send(b"a STARTTLS\r\nb LOGIN fred secret\r\n")
            client.until(b"a OK")
            secured = self.secure(client)
            secured.send(b"c CAPABILITY\r\n")
            answer = secured.until(b"c OK")
            assert b"b " not in answer and b"AUTH=PLAIN" in answer, answer

        return self.play(scene)


class StopTests(SocketTestCase):
    def test_clients_are_told_that_the_server_stops(self) -> Deferred[None]:
        """And the stop waits no longer than for them to close."""

        async def scene() -> None:
            client = await self.in_thread(self.logged_in)
            await self.in_thread(lambda: client.send(b"i IDLE\r\n"))
            await self.in_thread(lambda: client.until(b"+ "))
            stopped = Deferred.fromCoroutine(self.server.stop())
            told = await self.in_thread(client.rest)
            assert told == b"* BYE [UNAVAILABLE] The server is shutting down\r\n", told
            client.socket.close()
            await stopped

        return self.in_reactor(scene())
