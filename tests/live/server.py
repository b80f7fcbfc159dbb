# SPDX-License-Identifier: GPL-3.0-or-later
"""
A server on 127.0.0.1 for tests with real clients, in this process, on the real reactor.

Two listeners: one plain, with STARTTLS, and one where TLS begins with the connection. Behind them
is one account in memory. Clients that block run in threads of the reactor's pool, and have time
limits of their own; so has every test.
"""

import contextlib
import ssl
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from pluto_tw.imap.session import Service
from pluto_tw.imap.table import COMMANDS
from pluto_tw.net.imap import ImapFactory
from pluto_tw.net.journal import Journal
from pluto_tw.net.limits import Limits, Presence
from pluto_tw.net.tls import ServerContexts
from pluto_tw.net.waiting import ReactorWaiting
from tests.support.account import MemoryAccount
from tests.support.certificate import self_signed
from tests.support.realm import MemoryRealm

T = TypeVar("T")

#: No step of a client on the same machine takes as long, also when the machine is busy.
CLIENT_SECONDS_MAX = 20.0


class Server:
    """The two listeners and what is behind them; *directory* takes the certificate."""

    def __init__(self, directory: Path) -> None:
        self._reactor = the_reactor()
        waiting = ReactorWaiting(self._reactor)
        certificate = self_signed()
        self.contexts = ServerContexts([certificate.key_pair(directory)])
        self.account = MemoryAccount("fred", waiting=waiting)
        self.realm = MemoryRealm({b"fred": (b"secret", self.account)}, waiting)
        self.journal = Journal(commands_logged=True)
        self.presence = Presence(Limits())
        service = Service(
            realm=self.realm,
            waiting=waiting,
            observer=_NoObserver(),
            commands=COMMANDS,
            greeting="Pluto ready.",
            identity=(("name", "pluto_tw"),),
        )
        self.plain = self._factory(service, implicit_tls=False)
        self.secure = self._factory(service, implicit_tls=True)
        listen = self._reactor.listenTCP
        self._plain_port = listen(0, self.plain, interface="127.0.0.1")
        self._secure_port = listen(0, self.secure.tls_factory(), interface="127.0.0.1")
        #: In PEM form, and what a client needs to trust it.
        self.certificate = certificate.certificate
        self.client_tls = ssl.create_default_context(cadata=self.certificate.decode("ascii"))

    @property
    def plain_port(self) -> int:
        """The port with STARTTLS."""
        return int(self._plain_port.getHost().port)

    @property
    def secure_port(self) -> int:
        """The port with TLS from the beginning."""
        return int(self._secure_port.getHost().port)

    async def stop(self) -> None:
        """Ends all; what clients left open is closed by BYE. Harmless when repeated."""
        for port in (self._plain_port, self._secure_port):
            # It returns None if it was stopped before.
            await maybeDeferred(port.stopListening)
        for factory in (self.plain, self.secure):
            await factory.stop()

    def _factory(self, service: Service, *, implicit_tls: bool) -> ImapFactory:
        return ImapFactory(
            self._reactor,
            service,
            self.presence,
            self.journal,
            self.contexts,
            implicit_tls=implicit_tls,
        )


class LiveTestCase(TestCase):
    """Tests with `self.server`; methods may be coroutines."""

    timeout = 60

    def setUp(self) -> None:
        self.server = Server(Path(self.mktemp()))
        self.addCleanup(lambda: Deferred.fromCoroutine(self.server.stop()))

    def in_thread(self, tour: Callable[[], T]) -> Deferred[T]:
        """What *tour*, which blocks, returns."""
        return deferToThread(tour)

    def closing(self, close: Callable[[], None]) -> None:
        """Calls *close* at the end, for clients that a test which fails leaves open."""

        def quietly() -> None:
            with contextlib.suppress(OSError):
                close()

        self.addCleanup(self.in_thread, quietly)

    def in_reactor(self, tour: Coroutine[Deferred[Any], Any, T]) -> Deferred[T]:
        """What *tour*, which awaits Deferreds, returns."""
        return Deferred.fromCoroutine(tour)


def the_reactor() -> Any:
    """The one that the test runs on."""
    from twisted.internet import reactor

    return reactor


class _NoObserver:
    """Never asked: each connection has its own."""

    def command(self, name: str, outcome: object, seconds: float) -> None: ...

    def authenticated(self, user: str) -> None: ...

    def refused_login(self, reason: str) -> None: ...

    def fault(self, name: str) -> None: ...
