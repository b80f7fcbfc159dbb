# SPDX-License-Identifier: GPL-3.0-or-later
"""
The connections of one subnet: who is listened to, and who is dialled.

Each pair of replicas has two, one dialled by each. Who uses them may change while they stand: who
asks to be a member has no replication yet, and goes on over the same connections once it has. So
may the peers, at a reload.
"""

import random
from collections.abc import Iterable, Mapping
from typing import Any, Final, Protocol

from twisted.internet.endpoints import HostnameEndpoint

from pluto_tw.node.addresses import Address
from pluto_tw.node.internal_tls import InternalContexts
from pluto_tw.node.listening import OpenPort
from pluto_tw.node.surroundings import Surroundings
from pluto_tw.replication.channel import Answers, Channel
from pluto_tw.replication.client import Dialler
from pluto_tw.replication.server import SyncFactory

#: The answer to a batch comes after those before it of the same account, each of which may wait for
#: a disk. A peer that is gone is found by its missing heartbeats, much sooner.
ASK_SECONDS_MAX: Final = 60.0


class User(Answers, Protocol):
    """Who uses the connections: `Joiner`, then `Replication`."""

    def connected(self, channel: Channel) -> None:
        """There is a channel to a peer."""

    def disconnected(self, channel: Channel, reason: str) -> None:
        """That channel is gone."""


class Links:
    """Of the node called *name*, to *peers* by Name; *user* is the first who uses them."""

    def __init__(
        self,
        around: Surroundings,
        name: str,
        trust: InternalContexts,
        peers: Mapping[str, Address],
        user: User,
    ) -> None:
        self._around = around
        self._name = name
        self._trust = trust
        self._user = user
        self._addresses: dict[str, Address] = {}
        self._diallers: dict[str, Dialler] = {}
        self._channels: dict[Channel, None] = {}
        self._factory = SyncFactory(
            around.reactor, user, trust, self._addresses.__contains__, ", ".join(peers)
        )
        self._ports: list[OpenPort] = []
        self._is_started = False
        self.reload(peers)

    def start(self, listen: Address | None) -> None:
        """Listens, and dials. Raises `CannotListenError`."""
        self._is_started = True
        listener: Any = self._factory.listener()
        self._ports = self._around.listening.listen(self._name, "sync", listen, listener)
        for dialler in self._diallers.values():
            dialler.start()

    async def stop_listening(self) -> None:
        """Nobody dials in any more; the connections stay."""
        for port in self._ports:
            await port.stop()

    async def stop(self) -> None:
        """Ends all connections, after `stop_listening`."""
        for dialler in self._diallers.values():
            await dialler.stop()
        await self._factory.stop()

    def use(self, user: User) -> None:
        """From now on *user* has the connections, those included that there are."""
        self._user = self._factory.answers = user
        for channel in tuple(self._channels):
            user.connected(channel)

    def reload(self, peers: Mapping[str, Address]) -> None:
        """
        From now on *peers* are listened to and dialled, and no others.

        A channel to a peer that has another address now is dialled there.
        """
        gone = [peer for peer, known in self._addresses.items() if peers.get(peer) != known]
        for peer in gone:
            del self._addresses[peer]
            dialler = self._diallers.pop(peer)
            if self._is_started:
                # Its end needs nobody to wait for it: nothing of it is used again.
                dialler.stop()
            if peer not in peers:
                self._factory.dismiss(peer)
        for peer, address in peers.items():
            if peer not in self._addresses:
                self._addresses[peer] = address
                dialler = self._diallers[peer] = self._dialler(peer, address)
                if self._is_started:
                    dialler.start()
        self._factory.expected = ", ".join(peers)

    @property
    def places(self) -> list[str]:
        """Where it listens."""
        return [port.place for port in self._ports]

    def closed(self) -> Iterable[str]:
        """The peers that were found where they should be, and have closed the connection."""
        connected = {channel.name for channel in self._channels}
        return [
            peer
            for peer, dialler in self._diallers.items()
            if dialler.was_found and peer not in connected
        ]

    def _connected(self, channel: Channel) -> None:
        self._channels[channel] = None
        self._user.connected(channel)

    def _disconnected(self, channel: Channel, reason: str) -> None:
        del self._channels[channel]
        self._user.disconnected(channel, reason)

    def _dialler(self, peer: str, address: Address) -> Dialler:
        reactor = self._around.reactor
        return Dialler(
            reactor,
            HostnameEndpoint(reactor, address.host, address.port),
            peer,
            str(address),
            self._trust,
            random=random.random,
            connected=self._connected,
            lost=self._disconnected,
            ask_seconds_max=ASK_SECONDS_MAX,
        )
