# SPDX-License-Identifier: GPL-3.0-or-later
"""Which nodes configurations name, and where each would answer on this machine."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, assert_never

from pluto_tw.admin.configured import read
from pluto_tw.admin.failures import CommandFailed
from pluto_tw.net.nodes import Role
from pluto_tw.node.settings import Distributor, Storage, Worker

#: The name of the socket in StoreRoot, where AdminSocket does not say another.
SOCKET: Final = "admin"


@dataclass(frozen=True, slots=True)
class Answering:
    """
    A node, and its admin *socket*, if it has one; the node may run on another machine.

    *peers* has the Names of the other replicas of each subnet that it is a replica of.
    """

    name: str
    role: Role
    socket: Path | None
    peers: Mapping[str, tuple[str, ...]]


def answering(files: Sequence[Path]) -> list[Answering]:
    """The nodes of all configurations, each once, in their order. Raises `CommandFailed`."""
    found: dict[tuple[str, Path | None], Answering] = {}
    for file in files:
        for node in read(file).nodes():
            one = _of(node)
            found.setdefault((one.name, one.socket), one)
    if not found:
        raise CommandFailed(f"{', '.join(map(str, files))}: there are no nodes")
    return list(found.values())


def _of(node: Distributor | Worker | Storage) -> Answering:
    match node:
        case Distributor():
            return Answering(node.name, Role.DISTRIBUTOR, node.admin_socket, {})
        case Worker():
            role = Role.WORKER
        case Storage():
            role = Role.STORAGE
        case _:
            assert_never(node)
    socket = node.admin_socket
    if socket is None and node.store_root is not None:
        socket = node.store_root / SOCKET
    peers = {subnet: tuple(others) for subnet, others in node.peers.items()}
    return Answering(node.name, role, socket, peers)
