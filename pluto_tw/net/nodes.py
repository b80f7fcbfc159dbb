# SPDX-License-Identifier: GPL-3.0-or-later
"""
Who is at the other end of a link between nodes: by its certificate, or by its process.

Decides what a peer must have shown. That a certificate is genuine and not expired has been seen to
by OpenSSL before, with contexts that want one; they are made by the caller. A node's certificate
says what it is in its alternative name `pluto:<role>:<Name>`, a URI.
"""

import os
import socket
import struct
from collections.abc import Collection
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final, cast

from cryptography import x509

#: struct ucred of unix(7): process, user, group.
_CREDENTIALS: Final = struct.Struct("3i")

_ROOT: Final = 0


class Role(Enum):
    """What a node may be."""

    DISTRIBUTOR = "distributor"
    WORKER = "worker"
    STORAGE = "storage"


_ROLES: Final = frozenset(role.value for role in Role)

#: Those who have mail.
REPLICAS: Final = frozenset({Role.WORKER, Role.STORAGE})


@dataclass(frozen=True, slots=True)
class Node:
    """A node as its certificate names it."""

    role: Role
    name: str

    def __str__(self) -> str:
        return f"{self.role.value} {self.name!r}"


def nodes_of(certificate: x509.Certificate) -> tuple[Node, ...]:
    """The nodes that *certificate* is for, mostly one; what is no name of a node is left out."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    found = []
    for uri in names.get_values_for_type(x509.UniformResourceIdentifier):
        scheme, _, rest = uri.partition(":")
        role, _, name = rest.partition(":")
        if scheme == "pluto" and name and role in _ROLES:
            found.append(Node(Role(role), name))
    return tuple(found)


def shown(transport: Any) -> tuple[Node, ...]:
    """The nodes that the peer of *transport*, whose handshake is done, has shown itself to be."""
    certificate = transport.getHandle().get_peer_certificate(as_cryptography=True)
    return () if certificate is None else nodes_of(cast(x509.Certificate, certificate))


class Distributors:
    """Judges who connects to a replica; *names* may be replaced at any time."""

    def __init__(self, names: Collection[str]) -> None:
        self.names = names

    def by_certificate(self, transport: Any) -> str | None:
        """None if the peer is one of the distributors; else what is wrong, for the log."""
        nodes = shown(transport)
        if any(node.role is Role.DISTRIBUTOR and node.name in self.names for node in nodes):
            return None
        return (
            f"its certificate is for {_listed(nodes)}, expected is that of a distributor among "
            f"{', '.join(sorted(self.names)) or 'none'}: see Distributors in [IMAP]"
        )

    def by_process(self, transport: Any) -> str | None:
        """None if the peer of a UNIX socket runs as the same user as we, or as root."""
        return same_user(transport)


def same_user(transport: Any) -> str | None:
    """None if the peer of a UNIX socket runs as the same user as we, or as root; else the error."""
    connected = transport.getHandle()
    told = connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    process, user, _ = _CREDENTIALS.unpack(told)
    if user in (os.geteuid(), _ROOT):
        return None
    return f"process {process} runs as user {user}, expected is {os.geteuid()} or root"


def is_replica(transport: Any, name: str) -> str | None:
    """None if the peer has shown to be the replica *name*; else what is wrong, for the log."""
    nodes = shown(transport)
    if any(node.role in REPLICAS and node.name == name for node in nodes):
        return None
    return f"its certificate is for {_listed(nodes)}, expected is the replica {name!r}"


def _listed(nodes: Collection[Node]) -> str:
    return " and ".join(map(str, nodes)) or "no node"
