# SPDX-License-Identifier: GPL-3.0-or-later
"""A distributor and its replicas in one process, over real sockets: UNIX and mutual TLS."""

import contextlib
import imaplib
import ssl
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from pluto_tw.auth.authenticator import Authenticator
from pluto_tw.auth.file import AuthFile
from pluto_tw.auth.hashing import HashingThreads
from pluto_tw.auth.names import AccountKey
from pluto_tw.auth.routing import Router, Subnet, Target, TcpPlace, UnixPlace
from pluto_tw.auth.slowdown import Slowdown
from pluto_tw.imap.session import Service
from pluto_tw.imap.table import COMMANDS
from pluto_tw.mail.codes import UNAVAILABLE
from pluto_tw.mail.errors import No
from pluto_tw.net.endpoints import listen_unix, replica_endpoint
from pluto_tw.net.external import ExternalRealm
from pluto_tw.net.imap import ImapFactory
from pluto_tw.net.journal import Journal
from pluto_tw.net.limits import Limits, Presence
from pluto_tw.net.login import AccountRealm
from pluto_tw.net.nodes import Distributors
from pluto_tw.net.proxied import ProxiedFactory
from pluto_tw.net.tls import ServerContexts, TlsFactory
from pluto_tw.net.upstream import Setback, Upstream
from pluto_tw.net.waiting import ReactorWaiting
from tests.live.server import CLIENT_SECONDS_MAX, the_reactor
from tests.support.account import MemoryAccount
from tests.support.certificate import self_signed
from tests.support.connection import CountingObserver
from tests.support.hop import SynchronousHop
from tests.support.nodes import Authority


class Counting:
    """The observer of links."""

    def __init__(self) -> None:
        self.taken_by: list[tuple[str, int]] = []
        self.setbacks: Counter[tuple[str, Setback]] = Counter()
        self.exhaustions = 0

    def taken(self, replica: str, seconds: float, place: int) -> None:
        self.taken_by.append((replica, place))

    def failed(self, replica: str, setback: Setback) -> None:
        self.setbacks[replica, setback] += 1

    def exhausted(self) -> None:
        self.exhaustions += 1


class DistributorTests(TestCase):
    timeout = 60

    def setUp(self) -> None:
        self.reactor: Any = the_reactor()
        self.waiting = ReactorWaiting(self.reactor)
        self.account = MemoryAccount("fred", waiting=self.waiting)
        self.opened: list[tuple[str, str | None, int | None]] = []
        self.refusal: No | None = None
        self.directory = Path(self.mktemp())
        self.directory.mkdir()
        self.journal = Journal(commands_logged=True)
        self.replica = ImapFactory(
            self.reactor,
            self._service(ExternalRealm(self._open)),
            Presence(Limits()),
            self.journal,
            secure_without_tls=True,
        )
        self.addCleanup(self.replica.stop)
        self.observer = Counting()

    async def _open(
        self, key: AccountKey, subnet: str | None, user_id: int | None
    ) -> MemoryAccount:
        self.opened.append((key, subnet, user_id))
        if self.refusal is not None:
            raise self.refusal
        return self.account

    def _service(self, realm: Any) -> Service:
        return Service(
            realm=realm,
            waiting=self.waiting,
            observer=CountingObserver(),
            commands=COMMANDS,
            greeting="Pluto ready.",
            identity=(),
        )

    def unix(self, name: str) -> Target:
        """A replica that listens on a UNIX socket."""
        # Such a path has at most 107 octets.
        path = f"/tmp/pluto-test-{id(self):x}-{name}"
        judged = ProxiedFactory(self.reactor, self.replica, judge=Distributors([]).by_process)
        port = listen_unix(self.reactor, path, judged)
        self.addCleanup(lambda: maybeDeferred(port.stopListening))
        self.addCleanup(judged.stop)
        self.port = port
        return Target(name, UnixPlace(path))

    def tls(self, name: str, shown: str, role: str = "distributor") -> tuple[Target, Any]:
        """A replica that listens with mutual TLS, and what connects to it as *shown*."""
        authority = Authority()
        judged = ProxiedFactory(
            self.reactor,
            self.replica,
            judge=Distributors(["eu-distributor"]).by_certificate,
            after_handshake=True,
        )
        contexts = authority.contexts("worker", "worker-1")
        port = self.reactor.listenTCP(
            0, TlsFactory(contexts, judged, self.reactor), interface="127.0.0.1"
        )
        self.addCleanup(lambda: maybeDeferred(port.stopListening))
        self.addCleanup(judged.stop)
        client = authority.contexts(role, shown)
        return Target(name, TcpPlace("127.0.0.1", port.getHost().port)), lambda _: client

    def distributor(self, *targets: Target, tls: Any = None) -> int:
        """The port, with implicit TLS, of a distributor that has these replicas."""
        users = self.directory / "users"
        users.write_text("Fred;secret\n")
        source = AuthFile(users, ";")
        source.load()
        authenticator = Authenticator(
            source,
            HashingThreads([SynchronousHop()], self.waiting),
            Slowdown(self.waiting.seconds),
            self.waiting,
            b"x" * 32,
        )
        presence = Presence(Limits())
        upstream = Upstream(
            self.reactor,
            Router([Subnet("a", targets)]),
            lambda target: replica_endpoint(self.reactor, target, tls),
            self.observer,
        )
        realm = AccountRealm(authenticator, upstream.open, presence.network_of)
        certificate = self_signed()
        contexts = ServerContexts([certificate.key_pair(self.directory)])
        self.client_tls = ssl.create_default_context(cadata=certificate.certificate.decode())
        self.front_journal = Journal()
        self.front = ImapFactory(
            self.reactor,
            self._service(realm),
            presence,
            self.front_journal,
            contexts,
            implicit_tls=True,
        )
        port = self.reactor.listenTCP(0, self.front.tls_factory(), interface="127.0.0.1")
        self.addCleanup(lambda: maybeDeferred(port.stopListening))
        self.addCleanup(self.front.stop)
        return int(port.getHost().port)

    def play(self, port: int, scene: Callable[[imaplib.IMAP4_SSL], None]) -> "Deferred[None]":
        def tour() -> None:
            client = imaplib.IMAP4_SSL(
                "localhost", port, ssl_context=self.client_tls, timeout=CLIENT_SECONDS_MAX
            )
            try:
                scene(client)
            finally:
                with contextlib.suppress(OSError):
                    client.shutdown()

        return deferToThread(tour)

    def test_a_session_through_a_unix_socket(self) -> "Deferred[None]":
        """What the client does behind the login reaches the replica, and no password does."""
        port = self.distributor(self.unix("worker-1"))
        body = b"Subject: big\r\n\r\n" + b"x" * 500_000

        def scene(client: imaplib.IMAP4_SSL) -> None:
            client.login("Fred", "secret")
            assert "UIDPLUS" in client.capability()[1][0].decode()
            assert client.append("INBOX", "", None, body)[0] == "OK"
            client.select("INBOX")
            found = client.fetch("1", "BODY.PEEK[]")[1][0]
            assert isinstance(found, tuple) and found[1] == body
            client.logout()

        async def whole() -> None:
            await self.play(port, scene)
            self.assertEqual(self.opened, [("fred", "a", 1)])
            self.assertEqual(self.observer.taken_by, [("worker-1", 0)])

        return Deferred.fromCoroutine(whole())

    def test_the_next_replica_takes_the_login(self) -> "Deferred[None]":
        nowhere = Target("worker-0", UnixPlace("/tmp/pluto-test-nothing-here"))
        port = self.distributor(nowhere, self.unix("storage"))

        def scene(client: imaplib.IMAP4_SSL) -> None:
            client.login("fred", "secret")
            client.logout()

        async def whole() -> None:
            await self.play(port, scene)
            self.assertEqual(self.observer.taken_by, [("storage", 1)])
            self.assertEqual(self.observer.setbacks, {("worker-0", Setback.AWAY): 1})

        return Deferred.fromCoroutine(whole())

    def test_nobody_takes_it_and_the_connection_stays(self) -> "Deferred[None]":
        self.refusal = No(UNAVAILABLE, "not now")
        port = self.distributor(self.unix("worker-1"))

        def scene(client: imaplib.IMAP4_SSL) -> None:
            with self.assertRaisesRegex(imaplib.IMAP4.error, "UNAVAILABLE"):
                client.login("fred", "secret")
            self.refusal = None
            client.login("fred", "secret")
            client.logout()

        return self.play(port, scene)

    def test_a_lost_replica_is_told_in_idle(self) -> "Deferred[None]":
        port = self.distributor(self.unix("worker-1"))

        def scene(client: imaplib.IMAP4_SSL) -> None:
            client.login("fred", "secret")
            client.select("INBOX")
            client.send(b"i IDLE\r\n")
            assert client.readline().startswith(b"+ ")
            for connection in list(self.replica.connections):
                self.reactor.callFromThread(connection.abort)
            assert client.readline().startswith(b"* BYE [UNAVAILABLE] "), "told"
            assert client.readline() == b""

        return self.play(port, scene)

    def test_a_session_through_mutual_tls(self) -> "Deferred[None]":
        target, tls = self.tls("worker-1", "eu-distributor")
        port = self.distributor(target, tls=tls)

        def scene(client: imaplib.IMAP4_SSL) -> None:
            client.login("fred", "secret")
            assert client.select("INBOX")[0] == "OK"
            client.logout()

        return self.play(port, scene)

    def test_another_replica_in_the_place_is_not_spoken_to(self) -> "Deferred[None]":
        target, tls = self.tls("worker-2", "eu-distributor")
        return self.refused(self.distributor(target, tls=tls), "worker-2")

    def test_a_distributor_that_is_not_listed_is_refused(self) -> "Deferred[None]":
        target, tls = self.tls("worker-1", "us-distributor")
        return self.refused(self.distributor(target, tls=tls), "worker-1")

    def test_a_worker_is_no_distributor(self) -> "Deferred[None]":
        target, tls = self.tls("worker-1", "eu-distributor", role="worker")
        return self.refused(self.distributor(target, tls=tls), "worker-1")

    def refused(self, port: int, replica: str) -> "Deferred[None]":
        """Nobody reaches the account through *replica*."""

        def scene(client: imaplib.IMAP4_SSL) -> None:
            with self.assertRaisesRegex(imaplib.IMAP4.error, "UNAVAILABLE"):
                client.login("fred", "secret")
            client.logout()

        async def whole() -> None:
            await self.play(port, scene)
            self.assertEqual(self.opened, [])
            self.assertEqual(self.observer.setbacks, {(replica, Setback.AWAY): 1})
            self.assertEqual(self.observer.exhaustions, 1)

        return Deferred.fromCoroutine(whole())
