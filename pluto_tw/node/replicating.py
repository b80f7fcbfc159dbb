# SPDX-License-Identifier: GPL-3.0-or-later
"""
Replication of one subnet, over the links that it has: from the opened store to its end.

What travels, and what becomes of it, is `pluto_tw.replication`'s. A replica that has peers waits
for the first of them before it serves: one whose databases were put back learns it then, and not
from its clients.
"""

from collections.abc import Callable, Mapping
from typing import Final

from twisted.logger import Logger

from pluto_tw.node.accounts import StoredAccounts
from pluto_tw.node.addresses import Address
from pluto_tw.node.identity import Identity
from pluto_tw.node.links import Links
from pluto_tw.node.surroundings import Surroundings
from pluto_tw.replication.relay import Relay
from pluto_tw.replication.replication import Replication
from pluto_tw.replication.status import Status

log = Logger()

#: How long a start waits for a peer. Longer than a peer that runs takes to be reached again, short
#: enough that a site which is cut off from all others serves soon.
IDENTITY_WAIT_SECONDS: Final = 5.0


class Replicating:
    """
    The replica *own*, whose store is open, with its *peers*; *removed* is called with the reason
    when one of them says that this replica is no member any more.
    """

    def __init__(
        self,
        around: Surroundings,
        stored: StoredAccounts,
        own: Identity,
        peers: Mapping[str, Address],
        removed: Callable[[str], None],
    ) -> None:
        self._peers = peers
        self._name = own.name
        self.replication = Replication(
            stored.store,
            own.subnet,
            own.name,
            bytes.fromhex(own.replica),
            around.waiting,
            peers,
        )
        self.replication.caught_up = stored.joined
        self.replication.is_removed = removed
        stored.heard = self.replication.heard

    def start(self, links: Links) -> None:
        """Goes on over *links*."""
        self.replication.start()
        links.use(self.replication)

    async def first_contact(self) -> None:
        """Returns when a peer was met, or `IDENTITY_WAIT_SECONDS` later."""
        if not await self.replication.first_contact(IDENTITY_WAIT_SECONDS):
            log.warn(
                "{name} serves although it has met none of {peers} in {seconds:.0f} s",
                event="alone",
                name=self._name,
                peers=", ".join(self._peers),
                seconds=IDENTITY_WAIT_SECONDS,
            )

    async def stop(self) -> None:
        """Sends what peers still take, within a limit."""
        await self.replication.stop()

    def reload(self, peers: Mapping[str, Address]) -> None:
        """From now on *peers* are replicated with."""
        self._peers = peers
        self.replication.reload(peers)

    def status(self) -> Status:
        """As `Replication.status`."""
        return self.replication.status()

    def relay(self, name: str) -> Relay | None:
        """As `Replication.relay`."""
        return self.replication.relay(name)
