# SPDX-License-Identifier: GPL-3.0-or-later
"""
Replication of one subnet on real connections: who is listened to, and who is dialled.

What travels, and what becomes of it, is `pluto_tw.replication`'s. Each pair of replicas has two
connections, one dialled by each. A replica that has peers waits for the first of them before it
serves: one whose databases were put back learns it then, and not from its clients.
"""

import random
from collections.abc import Mapping
from typing import Any, Final

from twisted.internet.endpoints import HostnameEndpoint
from twisted.logger import Logger

from pluto_tw.node.accounts import StoredAccounts
from pluto_tw.node.addresses import Address
from pluto_tw.node.identity import Identity
from pluto_tw.node.internal_tls import InternalContexts
from pluto_tw.node.listening import OpenPort
from pluto_tw.node.surroundings import Surroundings
from pluto_tw.replication.client import Dialler
from pluto_tw.replication.replication import Replication
from pluto_tw.replication.server import SyncFactory
from pluto_tw.replication.status import Status

log = Logger()

#: How long a start waits for a peer. Longer than a peer that runs takes to be reached again, short
#: enough that a site which is cut off from all others serves soon.
IDENTITY_WAIT_SECONDS: Final = 5.0

#: The answer to a batch comes after those before it of the same account, each of which may wait for
#: a disk. A peer that is gone is found by its missing heartbeats, much sooner.
ASK_SECONDS_MAX: Final = 60.0


class Replicating:
    """The replica *own* of the node called *name*, with its *peers* by Name."""

    def __init__(
        self,
        around: Surroundings,
        stored: StoredAccounts,
        own: Identity,
        trust: InternalContexts,
        peers: Mapping[str, Address],
    ) -> None:
        self._around = around
        self._peers = peers
        self._name = own.name
        self._replication = Replication(
            stored.store,
            own.subnet,
            own.name,
            bytes.fromhex(own.replica),
            around.waiting,
            peers,
        )
        stored.heard = self._replication.heard
        self._factory = SyncFactory(
            around.reactor,
            self._replication,
            trust,
            peers.__contains__,
            ", ".join(peers),
        )
        self._diallers = [self._dialler(peer, address, trust) for peer, address in peers.items()]
        self._ports: list[OpenPort] = []

    async def start(self, listen: Address | None) -> None:
        """Returns when a peer was met, or `IDENTITY_WAIT_SECONDS` later. `CannotListenError`."""
        self._replication.start()
        listener: Any = self._factory.listener()
        self._ports = self._around.listening.listen(self._name, "sync", listen, listener)
        for dialler in self._diallers:
            dialler.start()
        if not await self._replication.first_contact(IDENTITY_WAIT_SECONDS):
            log.warn(
                "{name} serves although it has met none of {peers} in {seconds:.0f} s",
                event="alone",
                name=self._name,
                peers=", ".join(self._peers),
                seconds=IDENTITY_WAIT_SECONDS,
            )

    async def stop(self) -> None:
        """Sends what peers still take, within a limit; then all connections end."""
        for port in self._ports:
            await port.stop()
        await self._replication.stop()
        for dialler in self._diallers:
            await dialler.stop()
        await self._factory.stop()

    def status(self) -> Status:
        """As `Replication.status`."""
        return self._replication.status()

    @property
    def places(self) -> list[str]:
        """Where it listens."""
        return [port.place for port in self._ports]

    def _dialler(self, peer: str, address: Address, trust: InternalContexts) -> Dialler:
        reactor = self._around.reactor
        return Dialler(
            reactor,
            HostnameEndpoint(reactor, address.host, address.port),
            peer,
            str(address),
            trust,
            random=random.random,
            connected=self._replication.connected,
            lost=self._replication.disconnected,
            ask_seconds_max=ASK_SECONDS_MAX,
        )
