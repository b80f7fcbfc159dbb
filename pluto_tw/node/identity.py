# SPDX-License-Identifier: GPL-3.0-or-later
"""
Who a replica is: the file `identity` in its `StoreRoot`, written once and never derived again.

Names of replicas and their slots are in every operation and every UID that this node hands out;
so they must not follow later changes of the configuration. `docs/spec/identity.md` has the form.

A file that is not *complete* is that of a first start that did not come to its end: the databases
may not exist yet. Once it is complete, a missing database is an accident, and is refused.

A replica that joins an existing subnet has no slot before all its members know it (`joining`,
`admitted`), and serves nobody before it has *joined*: before all mail is here.
"""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

FORMAT: Final = 1
REPLICA_OCTETS: Final = 16

#: Far more than any identity has.
_FILE_OCTETS_MAX: Final = 64 * 1024


class IdentityRefused(Exception):
    """The node cannot start under this identity."""


@dataclass(frozen=True, slots=True)
class Member:
    """The slot of a member, and its replica id in hexadecimal; empty until it was met."""

    slot: int
    replica: str = ""


@dataclass(frozen=True, slots=True)
class Former:
    """
    Who had *slot* when this replica was admitted, and was out of the subnet by then.

    Operations of it are still in accounts, and its id says where its history begins. *replica* is
    in hexadecimal, empty if nobody ever met it; *state* is a number of `crdt.members.State`.
    """

    slot: int
    name: str
    replica: str
    state: int


@dataclass(frozen=True, slots=True)
class Identity:
    """A replica, as it was named at its first start."""

    #: As in the configuration of the time.
    name: str
    #: 16 random octets in hexadecimal.
    replica: str
    subnet: str
    #: None: it was not admitted yet.
    slot: int | None
    shards: int
    #: The members of the subnet, by name, from which the subnet's own account goes on.
    members: Mapping[str, Member]
    complete: bool
    #: Whether all that there was when it was admitted is here; a founding member has always joined.
    joined: bool = True
    #: Those that had been removed from the subnet before this replica was admitted.
    former: Sequence[Former] = ()

    def completed(self) -> "Identity":
        """The same, after all that belongs to it was made."""
        return replace(self, complete=True)

    def admitted(
        self, slot: int, members: Mapping[str, Member], former: Sequence[Former] = ()
    ) -> "Identity":
        """The same, with the slot that it was given; *members* are all that there are."""
        own = {self.name: Member(slot, self.replica)}
        return replace(
            self, slot=slot, members={**members, **own}, joined=False, former=tuple(former)
        )

    def founding(self, peers: Mapping[str, object]) -> "Identity":
        """The same, if there is nothing to join: of the replicas with which the subnet begins."""
        replica = bytes.fromhex(self.replica)
        return found(self.name, self.subnet, peers, self.shards, lambda octets: replica)

    def having_joined(self) -> "Identity":
        """The same, after all mail has come."""
        return replace(self, joined=True)

    def knowing(self, slot: int, replica: str) -> "Identity":
        """The same, now that the id of the member with *slot* is known."""
        members = {
            name: Member(slot, replica) if member.slot == slot else member
            for name, member in self.members.items()
        }
        return replace(self, members=members)

    def check(self, name: str, subnet: str) -> list[str]:
        """What in a configuration is not of this identity."""
        return [
            f"this is the store of {what} {own!r}, and the configuration says {other!r}: an "
            "identity is for ever, so mend the configuration or name another StoreRoot"
            for what, own, other in (("node", self.name, name), ("subnet", self.subnet, subnet))
            if own != other
        ]


def found(
    name: str,
    subnet: str,
    peers: Mapping[str, object],
    shards: int,
    random: Callable[[int], bytes],
) -> Identity:
    """
    A new identity, by 16 octets of *random*.

    Slots are the places of the names in their order, so that all members find the same ones.
    """
    replica = random(REPLICA_OCTETS).hex()
    members = {
        member: Member(slot, replica if member == name else "")
        for slot, member in enumerate(sorted({name, *peers}))
    }
    return Identity(name, replica, subnet, members[name].slot, shards, members, complete=False)


def joining(name: str, subnet: str, shards: int, random: Callable[[int], bytes]) -> Identity:
    """A new identity of who asks to be admitted to a subnet that exists, by octets of *random*."""
    replica = random(REPLICA_OCTETS).hex()
    return Identity(name, replica, subnet, None, shards, {}, complete=False, joined=False)


def read(path: Path) -> Identity | None:
    """The identity in the file *path*; None if there is none. Raises `IdentityRefused`."""
    try:
        with path.open("rb") as file:
            octets = file.read(_FILE_OCTETS_MAX)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise IdentityRefused(f"{path}: {error.strerror}") from None
    try:
        return decode(octets)
    except (ValueError, TypeError, KeyError) as error:
        raise IdentityRefused(
            f"{path}: not an identity ({error}): restore it from a backup. Never make a new one "
            "by hand: two replicas with one name would overwrite each other's mail"
        ) from None


def write(path: Path, identity: Identity) -> None:
    """Writes *identity* to *path*, as a whole or not at all; durable on return."""
    new = path.with_name(f"{path.name}.new")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with open(descriptor, "wb") as file:
        file.write(encode(identity))
        file.flush()
        os.fsync(descriptor)
    new.replace(path)
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def encode(identity: Identity) -> bytes:
    """The octets of the file: JSON, for people to read."""
    return (json.dumps({"format": FORMAT, **asdict(identity)}, indent=2) + "\n").encode("ascii")


def decode(octets: bytes) -> Identity:
    """The identity that *octets* are. ValueError, TypeError or KeyError if they are none."""
    content: dict[str, Any] = json.loads(octets)
    if content["format"] != FORMAT:
        raise ValueError(f"format {content['format']}, and this version knows {FORMAT}")
    identity = Identity(
        _of(str, content["name"]),
        _of(str, content["replica"]),
        _of(str, content["subnet"]),
        None if content["slot"] is None else _of(int, content["slot"]),
        _of(int, content["shards"]),
        {
            _of(str, name): Member(_of(int, member["slot"]), _of(str, member["replica"]))
            for name, member in content["members"].items()
        },
        _of(bool, content["complete"]),
        _of(bool, content["joined"]),
        tuple(
            Former(
                _of(int, former["slot"]),
                _of(str, former["name"]),
                _of(str, former["replica"]),
                _of(int, former["state"]),
            )
            # Files of the first release have none.
            for former in content.get("former", ())
        ),
    )
    others: list[Member | Former] = [*identity.members.values(), *identity.former]
    for replica in (identity.replica, *(other.replica for other in others)):
        if replica and len(bytes.fromhex(replica)) != REPLICA_OCTETS:
            raise ValueError("a replica's id has 16 octets")
    own = identity.members.get(identity.name)
    wanted = None if identity.slot is None else Member(identity.slot, identity.replica)
    if own != wanted or not identity.replica or identity.shards < 1:
        raise ValueError("slot and members do not fit")
    return identity


def _of(kind: type[Any], value: object) -> Any:
    if type(value) is not kind:
        raise TypeError(f"{value!r} where {kind.__name__} belongs")
    return value
