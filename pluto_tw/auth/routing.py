# SPDX-License-Identifier: GPL-3.0-or-later
"""
Which replicas have a user's account, and in which order a distributor goes to them.

Where the workers have ranges of user IDs, the range decides; where none has, accounts spread over
the subnets by rendezvous hashing of their keys. Both sides of the link compute this, and what it
says must never change for an account that has mail: `docs/spec/routing.md`, with a sample in the
tests. Which of the replicas can be reached is not known here.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

from pluto_tw.auth.names import AccountKey

_SCORE_OCTETS: Final = 8


@dataclass(frozen=True, slots=True)
class TcpPlace:
    """A replica's port for distributors, with mutual TLS; *host* is a name or a number."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class UnixPlace:
    """The same on this machine: the path of a UNIX socket."""

    path: str

    def __str__(self) -> str:
        return self.path


@dataclass(frozen=True, slots=True)
class Target:
    """A replica, by its Name, and where it takes distributors' connections."""

    name: str
    place: TcpPlace | UnixPlace


@dataclass(frozen=True, slots=True)
class Subnet:
    """
    The replicas of a part of the users, in the order in which they are tried: the region's own
    worker, those of other regions, storage. *users*: the IDs that are this subnet's, if any are.
    """

    name: str
    targets: tuple[Target, ...]
    users: range | None = None


def subnet_by_key(names: Collection[str], key: AccountKey) -> str:
    """
    The one of *names*, not empty, with the highest score for *key*: rendezvous hashing.

    The score of a name is BLAKE2b, 64 bits, of the name's UTF-8, an octet 0, and the key's UTF-8,
    as a big-endian number; of equal scores the name that sorts last wins. A name that comes or goes
    moves only the accounts that it gets or had.
    """
    return max(names, key=lambda name: (_score(name, key), name))


def _score(name: str, key: AccountKey) -> bytes:
    text = name.encode("utf-8") + b"\0" + key.encode("utf-8")
    return blake2b(text, digest_size=_SCORE_OCTETS).digest()


class Router:
    """
    Routes to *subnets*, whose names differ. Either all of them have ranges of users, or none.

    ValueError where that is not so, where ranges overlap, or where a subnet has no replica.
    """

    def __init__(self, subnets: Sequence[Subnet]) -> None:
        self._subnets = {subnet.name: subnet for subnet in subnets}
        if len(self._subnets) != len(subnets):
            raise ValueError("two subnets of one name")
        for subnet in subnets:
            if not subnet.targets:
                raise ValueError(f"the subnet {subnet.name} has no replica")
        ranged = [(subnet.users, subnet) for subnet in subnets if subnet.users is not None]
        if ranged and len(ranged) != len(subnets):
            raise ValueError("some subnets have ranges of users, some have none")
        self._by_range = sorted(ranged, key=lambda entry: entry[0].start)
        for (lower, one), (upper, other) in zip(self._by_range, self._by_range[1:], strict=False):
            if upper.start < lower.stop:
                raise ValueError(f"the subnets {one.name} and {other.name} share users")

    def targets(self) -> Sequence[Target]:
        """All replicas, each once, in the order of the subnets."""
        found = [target for subnet in self._subnets.values() for target in subnet.targets]
        return list({target.name: target for target in found}.values())

    def route(self, user_id: int, key: AccountKey) -> Subnet | None:
        """The subnet of the user with this ID and *key*; None: the user belongs to nobody."""
        if not self._by_range:
            return self._subnets[subnet_by_key(self._subnets, key)] if self._subnets else None
        # A box has a handful of workers.
        for users, subnet in self._by_range:
            if user_id in users:
                return subnet
        return None
