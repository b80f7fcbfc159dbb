# SPDX-License-Identifier: GPL-3.0-or-later
"""
How many connections there may be: in all, from one address, of one user.

Decides who may come in; what a client that may not is told is for the shells. One `Presence` is
shared by all listeners of a process. Between calls its counts are those of the connections that
entered and have not left.
"""

from collections import Counter
from collections.abc import Hashable
from dataclasses import dataclass
from enum import Enum
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

#: A connection in IDLE takes some 7 KiB, and 25-40 KiB more with TLS: 10,000 stay below 500 MiB.
#: Each also takes a descriptor: the process must be allowed as many, and those of its files.
CONNECTIONS_MAX = 10_000
#: Programs of 50 people behind one address, with ten connections each. More than this at once is
#: a proxy or a webmail, which belongs into `Limits.unlimited`, or it is no mail program.
ADDRESS_CONNECTIONS_MAX = 500
#: A mail program keeps one connection a mailbox that it watches, mostly 5-10; this is ten of them.
USER_CONNECTIONS_MAX = 100

#: Networks of this size are given to single customers (RFC 6177 §2): within one, addresses are free
#: to choose, so that all of them together count as one.
IPV6_PREFIX_BITS = 64


@dataclass(frozen=True, slots=True)
class Limits:
    """The most connections in all, from one address (IPv6: one /64), and of one user."""

    connections_max: int = CONNECTIONS_MAX
    address_connections_max: int = ADDRESS_CONNECTIONS_MAX
    user_connections_max: int = USER_CONNECTIONS_MAX
    #: Networks whose addresses speak for many people; the limit for one address is not theirs.
    unlimited: tuple[IPv4Network | IPv6Network, ...] = ()


class Limit(Enum):
    """Which limit was met."""

    CONNECTIONS = "connections in all"
    ADDRESS = "connections from one address"
    USER = "connections of one user"


@dataclass(frozen=True, slots=True)
class Excess:
    """A connection is one too many. *first*: nobody met this limit since it was last kept."""

    limit: Limit
    maximum: int
    first: bool


class Presence:
    """The connections there are, counted against *limits*, which may be replaced at any time."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.connections = 0
        self._networks: Counter[str] = Counter()
        self._users: Counter[str] = Counter()
        #: The limits that somebody has met, until the count falls again.
        self._met: set[Hashable] = set()

    def enter(self, address: str) -> Excess | None:
        """Counts a connection from *address*, unless it is one too many: then that is returned."""
        limits = self.limits
        if self.connections >= limits.connections_max:
            return self._excess(Limit.CONNECTIONS, limits.connections_max, None)
        network = self.network_of(address)
        if network is not None:
            if self._networks[network] >= limits.address_connections_max:
                return self._excess(Limit.ADDRESS, limits.address_connections_max, network)
            self._networks[network] += 1
        self.connections += 1
        return None

    def leave(self, address: str) -> None:
        """A connection from *address* that entered is gone."""
        self.connections -= 1
        self._met.discard((Limit.CONNECTIONS, None))
        network = self.network_of(address)
        if network is not None:
            self._subtract(self._networks, Limit.ADDRESS, network)

    def too_many_of(self, user: str) -> Excess | None:
        """Whether one more connection of *user* is one too many."""
        if self._users[user] < self.limits.user_connections_max:
            return None
        return self._excess(Limit.USER, self.limits.user_connections_max, user)

    def enter_user(self, user: str) -> None:
        """Counts a connection of *user*; the caller has asked `too_many_of`."""
        self._users[user] += 1

    def leave_user(self, user: str) -> None:
        """A connection of *user* that was counted is gone."""
        self._subtract(self._users, Limit.USER, user)

    def network_of(self, address: str) -> str | None:
        """What *address* is counted as; None if it is not: a UNIX socket, an unlimited network."""
        try:
            ip = ip_address(address)
        except ValueError:
            return None
        if isinstance(ip, IPv6Address) and ip.ipv4_mapped is not None:
            ip = ip.ipv4_mapped
        if any(ip in network for network in self.limits.unlimited):
            return None
        if isinstance(ip, IPv6Address):
            return str(ip_network((int(ip), IPV6_PREFIX_BITS), strict=False))
        return str(ip)

    def _excess(self, limit: Limit, maximum: int, key: str | None) -> Excess:
        first = (limit, key) not in self._met
        self._met.add((limit, key))
        return Excess(limit, maximum, first)

    def _subtract(self, counts: Counter[str], limit: Limit, key: str) -> None:
        self._met.discard((limit, key))
        counts[key] -= 1
        if not counts[key]:
            del counts[key]
