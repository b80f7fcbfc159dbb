# SPDX-License-Identifier: GPL-3.0-or-later
"""What configurations say of nodes, as far as commands that are no node need it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import assert_never

from pluto_tw.admin.failures import CommandFailed
from pluto_tw.admin.nodes import Node, hosts_of
from pluto_tw.admin.pairs import Files
from pluto_tw.net.nodes import Role
from pluto_tw.node.addresses import Address
from pluto_tw.node.config import Configuration, load
from pluto_tw.node.settings import Distributor, Storage, Worker


@dataclass(frozen=True, slots=True)
class Placed:
    """A node, and where its pair lies; None where a configuration does not say."""

    node: Node
    files: Files | None


def read(file: Path) -> Configuration:
    """The configuration *file*. Raises `CommandFailed` with all that is wrong with it."""
    configuration = load(file)
    if configuration.problems.errors:
        raise CommandFailed("\n".join(configuration.problems.errors))
    return configuration


def placed_by(files: Sequence[Path]) -> list[Placed]:
    """The nodes of all configurations. Raises `CommandFailed`."""
    found = [_placed(node, file) for file in files for node in read(file).nodes()]
    if not found:
        raise CommandFailed(f"{', '.join(map(str, files))}: there are no nodes")
    return found


def root_by(files: Sequence[Path]) -> Files | None:
    """The authority's pair; its key lies beside its certificate. Raises `CommandFailed`."""
    found = {
        node.internal.root.resolve(): node.internal.root
        for file in files
        for node in read(file).nodes()
        if node.internal.root is not None
    }
    if len(found) > 1:
        raise CommandFailed(
            f"RootCertLoc differs: {', '.join(map(str, found))}: expected one authority for all "
            "nodes; --dir puts all files into one place"
        )
    for certificate in found.values():
        return Files(certificate, certificate.with_name("root-key.pem"))
    return None


def _placed(node: Distributor | Worker | Storage, file: Path) -> Placed:
    addresses: list[Address | None] = [node.public_mail, node.listen_mail]
    match node:
        case Distributor():
            role = Role.DISTRIBUTOR
        case Worker():
            role = Role.WORKER
            addresses.append(node.listen_sync)
        case Storage():
            role = Role.STORAGE
            addresses += node.listen_sync.values()
        case _:
            assert_never(node)
    try:
        hosts = hosts_of([address.host for address in addresses if address is not None])
        named = Node(role, node.name, hosts)
    except ValueError as error:
        raise CommandFailed(f"{file}: {node.table.path}: {error}") from None
    certificate, key = node.internal.certificate, node.internal.private_key
    if certificate is None or key is None:
        return Placed(named, None)
    return Placed(named, Files(certificate, key))
