# SPDX-License-Identifier: GPL-3.0-or-later
"""
Who is at the other end of a link between nodes: by its certificate, or by its process.

Decides how a certificate names a node, and what a peer of a distributor or of its replica must have
shown. That a certificate is genuine and not expired has been seen to by OpenSSL before, with
contexts that want one; they are made by the caller. A node's certificate says what it is in its
alternative name `pluto:<role>:<Name>`, a URI; one that names two nodes would pass for either, so it
is nobody's.
"""

import os
import socket
import struct
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final, cast

from cryptography import x509

#: struct ucred of unix(7): process, user, group.
_CREDENTIALS: Final = struct.Struct("3i")

_ROOT: Final = 0

#: What stands in the log of a certificate that anybody may have made, in characters.
TOLD_MAX: Final = 200

#: Of one that cannot be understood.
UNREADABLE_TEXT: Final = "a certificate that cannot be read"


class Role(Enum):
    """What a node may be; the value is the middle of its URI."""

    DISTRIBUTOR = "distributor"
    WORKER = "worker"
    STORAGE = "storage"


_ROLES: Final = frozenset(role.value for role in Role)

#: Those who have mail.
REPLICAS: Final = frozenset({Role.WORKER, Role.STORAGE})


class Unreadable(Exception):
    """A certificate that OpenSSL accepts, and that cannot be understood."""


@dataclass(frozen=True, slots=True)
class Node:
    """A node as its certificate names it."""

    role: Role
    name: str

    @property
    def uri(self) -> str:
        """As it stands in the certificate."""
        return node_uri(self.role.value, self.name)

    def __str__(self) -> str:
        return f"{self.role.value} {self.name!r}"


def node_uri(role: str, name: str) -> str:
    """The URI by which a certificate says whose it is; *role* is the value of a `Role`."""
    return f"pluto:{role}:{name}"


def nodes_of(certificate: x509.Certificate) -> Sequence[Node]:
    """
    The nodes that *certificate* names, mostly one; what is no name of a node is left out.

    Raises `Unreadable`.
    """
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    except (ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType) as error:
        raise Unreadable from error
    found = []
    for uri in names.get_values_for_type(x509.UniformResourceIdentifier):
        scheme, _, rest = uri.partition(":")
        role, _, name = rest.partition(":")
        if scheme == "pluto" and name and role in _ROLES:
            found.append(Node(Role(role), name))
    return found


def node_of(certificate: x509.Certificate) -> Node | None:
    """The one node that *certificate* is of, if there is one. Raises `Unreadable`."""
    found = nodes_of(certificate)
    return found[0] if len(found) == 1 else None


def told(certificate: x509.Certificate) -> str:
    """*certificate* for the log, in a bounded text whatever stands in it. Raises `Unreadable`."""
    found = nodes_of(certificate)
    if found:
        return f"a certificate of {', '.join(node.uri for node in found):.{TOLD_MAX}}"
    try:
        subject = certificate.subject.rfc4514_string()
    except ValueError as error:
        raise Unreadable from error
    text = f"{subject or 'nobody':.{TOLD_MAX}}"
    return f"a certificate of {text} without a name pluto:<role>:<Name>"


class Distributors:
    """Judges who connects to a replica; *names* may be replaced at any time."""

    def __init__(self, names: Collection[str]) -> None:
        self.names = names

    def by_certificate(self, transport: Any) -> str | None:
        """None if the peer is one of the distributors; else what is wrong, for the log."""
        node, text = _shown(transport)
        if node is not None and node.role is Role.DISTRIBUTOR and node.name in self.names:
            return None
        return (
            f"it showed {text}, expected is that of a distributor among "
            f"{', '.join(sorted(self.names)) or 'none'}: see Distributors in [IMAP]"
        )

    def by_process(self, transport: Any) -> str | None:
        """None if the peer of a UNIX socket runs as the same user as we, or as root."""
        return same_user(transport)


def same_user(transport: Any) -> str | None:
    """None if the peer of a UNIX socket runs as the same user as we, or as root; else the error."""
    connected = transport.getHandle()
    credentials = connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    process, user, _ = _CREDENTIALS.unpack(credentials)
    if user in (os.geteuid(), _ROOT):
        return None
    return f"process {process} runs as user {user}, expected is {os.geteuid()} or root"


def is_replica(transport: Any, name: str) -> str | None:
    """None if the peer has shown to be the replica *name*; else what is wrong, for the log."""
    node, text = _shown(transport)
    if node is not None and node.role in REPLICAS and node.name == name:
        return None
    return f"it showed {text}, expected is that of the replica {name!r}"


def _shown(transport: Any) -> tuple[Node | None, str]:
    """What the peer of *transport*, whose handshake is done, has shown itself to be."""
    presented = transport.getHandle().get_peer_certificate(as_cryptography=True)
    if presented is None:
        return None, "no certificate"
    certificate = cast(x509.Certificate, presented)
    try:
        return node_of(certificate), told(certificate)
    except Unreadable:
        return None, UNREADABLE_TEXT
