# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may log in at a node that knows the users: their source, and the threads that check."""

import os
import secrets
from typing import Any, Final

from pluto_tw.auth.authenticator import Authenticator
from pluto_tw.auth.hashing import HashingThreads
from pluto_tw.auth.slowdown import Slowdown
from pluto_tw.auth.users import UserAdapter
from pluto_tw.net.threads import PoolHop
from pluto_tw.net.waiting import ReactorWaiting

#: Passwords checked at a time; each may take a core and 64 MiB.
HASHING_THREADS_MAX: Final = 4


class Logins:
    """The *users* of one node, from `start` to `stop`."""

    def __init__(self, reactor: Any, waiting: ReactorWaiting, users: UserAdapter) -> None:
        self._reactor = reactor
        self._waiting = waiting
        self._users = users
        self._hops = [
            PoolHop(reactor, f"password-{number}")
            for number in range(min(HASHING_THREADS_MAX, os.cpu_count() or 1))
        ]
        self.authenticator = Authenticator(
            users,
            HashingThreads(self._hops, waiting),
            Slowdown(waiting.seconds),
            waiting,
            secrets.token_bytes(32),
        )

    def start(self) -> None:
        """Threads run from now on."""
        for hop in self._hops:
            hop.start()
        self._users.start(self._reactor, self._waiting)

    def reload(self, new: UserAdapter) -> None:
        """Takes over what a reload has read."""
        before, used = self._users, self._users.reloaded(new)
        if used is not before:
            used.start(self._reactor, self._waiting)
            self._waiting.start(before.stop())
        self._users = self.authenticator.source = used

    async def stop(self) -> None:
        """Lets go of everything, after the last session has ended."""
        await self._users.stop()
        for hop in self._hops:
            hop.stop()
