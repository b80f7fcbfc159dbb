# SPDX-License-Identifier: GPL-3.0-or-later
"""A world with clients in it: sessions on wires that record, a clock that only tests move."""

import traceback
from dataclasses import dataclass, field, replace

from twisted.internet.task import Clock

from pluto_tw.imap.ports import Connection, Disconnected, Link, Outcome
from pluto_tw.imap.session import Service, Session
from pluto_tw.imap.table import COMMANDS
from pluto_tw.net.waiting import DeferredPromise, ReactorWaiting
from tests.support.account import ARRIVAL_SECONDS, MemoryAccount
from tests.support.realm import MemoryRealm

#: The time of day at which the world's clock starts: messages arrive then, and do not age.
START_SECONDS = float(ARRIVAL_SECONDS)
#: How often `Client.received` lets timers that are due run, before it gives up on a busy world.
TURNS_MAX = 1000


@dataclass
class RecordingWire:
    """Keeps what a session writes; `block` makes it a client that does not read."""

    written: list[bytes] = field(default_factory=list)
    closed: bool = False
    tls_available: bool = False
    tls_started: bool = False
    #: Octets that the session has left unread.
    waiting: int = 0
    #: Whom the client was joined to, and what it had sent by then.
    relayed: tuple[Link, bytes] | None = None
    _blocked: list[DeferredPromise] | None = None

    def write(self, data: bytes) -> None:
        if not self.closed:
            self.written.append(data)

    async def drain(self) -> None:
        if self._blocked is not None:
            promise = DeferredPromise()
            self._blocked.append(promise)
            await promise

    def block(self) -> None:
        """The client takes nothing more."""
        self._blocked = []

    def unblock(self, error: Disconnected | None = None) -> None:
        """The client takes what waits, or, with *error*, is gone."""
        blocked, self._blocked = self._blocked or [], None
        for promise in blocked:
            if error is None:
                promise.fire(None)
            else:
                promise.fail(error)

    def taken(self, waiting: int) -> None:
        self.waiting = waiting

    def can_start_tls(self) -> bool:
        return self.tls_available and not self.tls_started

    def start_tls(self) -> None:
        self.tls_started = True

    def relay(self, link: Link, rest: bytes) -> None:
        self.relayed = (link, rest)

    def close(self) -> None:
        self.closed = True


@dataclass
class CountingObserver:
    """Remembers what it was told."""

    commands: list[tuple[str, Outcome]] = field(default_factory=list)
    users: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def command(self, name: str, outcome: Outcome, seconds: float) -> None:
        self.commands.append((name, outcome))

    def authenticated(self, user: str) -> None:
        self.users.append(user)

    def refused_login(self, reason: str) -> None:
        self.refused.append(reason)

    def fault(self, name: str) -> None:
        self.faults.append(f"{name}: {traceback.format_exc()}")


class World:
    """One account, its realm, and the time; `connect` brings clients."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.waiting = ReactorWaiting(self.clock, lambda: START_SECONDS + self.clock.seconds())
        self.account = MemoryAccount("user", waiting=self.waiting)
        self.realm = MemoryRealm({b"user": (b"secret", self.account)}, self.waiting)
        self.observer = CountingObserver()
        self.service = Service(
            realm=self.realm,
            waiting=self.waiting,
            observer=self.observer,
            commands=COMMANDS,
            greeting="Pluto ready.",
            identity=(("name", "pluto_tw"),),
        )

    def connect(self, *, secure: bool = True, tls_available: bool = False) -> "Client":
        """A new connection; the greeting is what it receives first."""
        wire = RecordingWire(tls_available=tls_available)
        connection = Connection("192.0.2.1", 40000, secure)
        client = Client(self, wire, Session(self.service, wire, connection))
        client.session.greet()
        return client

    def logged_in(self) -> "Client":
        """A new connection past LOGIN, with nothing left to receive."""
        client = self.connect()
        client.send(b"login LOGIN user secret\r\n")
        assert b"login OK" in client.received(), "the world's user can log in"
        return client

    def settle(self) -> None:
        """Runs what is due, until nothing is; time does not pass."""
        for _ in range(TURNS_MAX):
            due = [
                call
                for call in self.clock.getDelayedCalls()
                if call.getTime() <= self.clock.seconds()
            ]
            if not due:
                return
            self.clock.advance(0)
        raise AssertionError(f"still busy after {TURNS_MAX} turns")


class Client:
    """The other end of a session's wire."""

    def __init__(self, world: World, wire: RecordingWire, session: Session) -> None:
        self.world = world
        self.wire = wire
        self.session = session

    def send(self, data: bytes) -> None:
        """*data* as it is, in one piece."""
        self.session.receive(data)

    def received(self) -> bytes:
        """What has come since this was last asked, once all that is due has run."""
        self.world.settle()
        data = b"".join(self.wire.written)
        self.wire.written.clear()
        return data

    def ask(self, command: bytes) -> bytes:
        """Sends *command* (tag and CRLF are added) and returns all that is received."""
        self.send(b"x " + command + b"\r\n")
        return self.received()

    def secure(self) -> None:
        """The TLS handshake is done."""
        self.session.secured(replace(self.session.connection, secure=True, tls="TLSv1.3"))

    def vanish(self) -> None:
        """The connection is lost."""
        self.wire.closed = True
        self.wire.unblock(Disconnected())
        self.session.disconnected()
