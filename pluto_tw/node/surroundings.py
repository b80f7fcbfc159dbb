# SPDX-License-Identifier: GPL-3.0-or-later
"""What a node is given by its process, and what the process asks of a node."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, Protocol

from twisted.python.failure import Failure

from pluto_tw.imap.ports import Realm
from pluto_tw.imap.session import Service
from pluto_tw.imap.table import COMMANDS
from pluto_tw.net.waiting import ReactorWaiting
from pluto_tw.node.expiry import Certificate
from pluto_tw.node.listening import Listening
from pluto_tw.node.preparation import PreparedNode


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The reactor, and what was made of it once for all nodes of a process."""

    reactor: Any
    waiting: ReactorWaiting
    listening: Listening
    #: Called with what went wrong in the part of a start that nobody waits for: as if it had been
    #: raised by `RunningNode.start`.
    failed: Callable[[Failure], None]


class RunningNode(Protocol):
    """A node, in the order of calls: `start`, any number of `reload`, `stop`."""

    async def start(self) -> None:
        """Returns when it serves. Whatever it raises, `stop` is called afterwards."""

    async def stop(self) -> None:
        """No new sessions, BYE, what is queued; returns when all is at rest."""

    def reload(self, prepared: PreparedNode) -> bool:
        """Takes over what can change in a running process; whether something else has changed."""

    def certificates(self) -> Sequence[Certificate]:
        """Those in use."""


def imap_service(realm: Realm, waiting: ReactorWaiting, greeting: str) -> Service:
    """What sessions of a node share."""
    return Service(
        realm=realm,
        waiting=waiting,
        observer=_NobodyYet(),
        commands=COMMANDS,
        greeting=greeting,
        identity=(("name", "pluto_tw"), ("version", version("pluto_tw"))),
    )


class _NobodyYet:
    """Each connection has an observer of its own, which takes this one's place."""

    def command(self, name: str, outcome: object, seconds: float) -> None: ...

    def authenticated(self, user: str) -> None: ...

    def refused_login(self, reason: str) -> None: ...

    def fault(self, name: str) -> None: ...
