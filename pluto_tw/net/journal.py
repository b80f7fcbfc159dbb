# SPDX-License-Identifier: GPL-3.0-or-later
"""
The log of client connections, and the counts that metrics are made of.

Every event has the fields `event` (its name, one of `docs/connections.md`), `address`, `port` and
`tls`; what else it has stands beside it. No passwords, no names of users who failed to log in, no
mail.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from twisted.logger import Logger

from pluto_tw.imap.ports import Connection, Outcome
from pluto_tw.net.limits import Excess, Limit, Presence

log = Logger()


class Ending(Enum):
    """Why a connection ended."""

    LOGOUT = "the client logged out"
    CLIENT = "the client closed the connection"
    SERVER = "the session gave the client up"
    IDLE = "nothing came for too long"
    NO_LOGIN = "no login in time"
    TOO_MUCH = "too much came before a login"
    NOT_READING = "the client did not read for too long"
    NOT_CLOSING = "the client did not close its side"
    TLS = "TLS failed"
    REPLICA = "the replica ended the session"
    REPLICA_LOST = "the replica was lost"
    SHUTDOWN = "the server shuts down"
    FAULT = "a fault of ours"


@dataclass(slots=True)
class Counts:
    """What happened since the process started; only ever added to."""

    connections: int = 0
    refused_connections: Counter[Limit] = field(default_factory=Counter)
    logins: int = 0
    #: By response code.
    refused_logins: Counter[str] = field(default_factory=Counter)
    #: By name and outcome.
    commands: Counter[tuple[str, Outcome]] = field(default_factory=Counter)
    faults: int = 0
    endings: Counter[Ending] = field(default_factory=Counter)
    #: Of connections that have ended, without TLS's own.
    octets_in: int = 0
    octets_out: int = 0


class Journal:
    """
    One listener's, or one process's, log and counts.

    *commands_logged*: whether each command is worth a line at debug level. An event costs some
    10 µs even if no observer of the log wants it.
    """

    def __init__(self, *, commands_logged: bool = False) -> None:
        self.counts = Counts()
        self.commands_logged = commands_logged
        #: Told how long each command took, in seconds, by its name.
        self.timed: Callable[[str, float], None] = lambda name, seconds: None

    def refused(self, address: str, port: int, excess: Excess) -> None:
        """A connection was one too many. Only the first is logged: the others are a flood."""
        self.counts.refused_connections[excess.limit] += 1
        if excess.first:
            log.warn(
                "{address} refused: at most {maximum} {limit}",
                event="connection-refused",
                address=address,
                port=port,
                tls="",
                limit=excess.limit.value,
                maximum=excess.maximum,
            )


class Entry:
    """What is kept of one connection: the `pluto_tw.imap.ports.Observer` of its session."""

    __slots__ = ("_journal", "_presence", "_present", "commands", "connection", "ending", "user")

    def __init__(self, journal: Journal, presence: Presence, connection: Connection) -> None:
        self._journal = journal
        self._presence = presence
        #: As it is known at the time.
        self.connection = connection
        #: Who logged in.
        self.user: str | None = None
        #: Whether `user` is counted as present.
        self._present = False
        self.commands = 0
        #: Why the connection is about to end; None: it is not, as far as is known.
        self.ending: Ending | None = None
        journal.counts.connections += 1

    def command(self, name: str, outcome: Outcome, seconds: float) -> None:
        """See `Observer`."""
        self.commands += 1
        self._journal.counts.commands[name, outcome] += 1
        self._journal.timed(name, seconds)
        if name == "LOGOUT" and outcome is Outcome.OK:
            self.ending = Ending.LOGOUT
        if self._journal.commands_logged:
            log.debug(
                "{address} {command} {outcome} in {milliseconds:.1f} ms",
                event="command",
                command=name,
                outcome=outcome.value,
                milliseconds=seconds * 1000,
                user=self.user,
                **self._facts(),
            )

    def authenticated(self, user: str) -> None:
        """See `Observer`."""
        self._journal.counts.logins += 1
        self._presence.enter_user(user)
        self._present = True
        self.user = user
        log.info("{address} logged in as {user}", event="login", user=user, **self._facts())

    def refused_login(self, reason: str) -> None:
        """See `Observer`."""
        self._journal.counts.refused_logins[reason] += 1
        log.info(
            "{address} failed to log in: {reason}",
            event="login-refused",
            reason=reason,
            **self._facts(),
        )

    def fault(self, name: str) -> None:
        """See `Observer`."""
        self._journal.counts.faults += 1
        log.failure(
            "a fault of ours in {command}",
            event="fault",
            command=name,
            user=self.user,
            **self._facts(),
        )

    def leave(self) -> None:
        """The session is over, although the connection may not be. Harmless when repeated."""
        if self._present and self.user is not None:
            self._present = False
            self._presence.leave_user(self.user)

    def ended(self, seconds: float, octets_in: int, octets_out: int, error: str) -> None:
        """
        The connection has ended after *seconds*; *error* tells what TLS says, if that failed.

        Logged at info level if somebody was logged in, or if a client may have meant to; the
        others are scanners and health checks.
        """
        self.leave()
        counts = self._journal.counts
        ending = self.ending or Ending.CLIENT
        counts.endings[ending] += 1
        counts.octets_in += octets_in
        counts.octets_out += octets_out
        emit = log.debug if self.user is None and ending in _UNREMARKABLE else log.info
        emit(
            "{address} ended after {seconds:.0f} s: {ending}{error}",
            event="end",
            user=self.user,
            seconds=seconds,
            octets_in=octets_in,
            octets_out=octets_out,
            commands=self.commands,
            ending=ending.value,
            error=f" ({error})" if error else "",
            **self._facts(),
        )

    def _facts(self) -> dict[str, Any]:
        connection = self.connection
        return {"address": connection.address, "port": connection.port, "tls": connection.tls}


#: Ends of connections without a login that nobody needs to know of.
_UNREMARKABLE = frozenset({Ending.LOGOUT, Ending.CLIENT, Ending.SHUTDOWN})
