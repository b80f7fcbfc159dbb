# SPDX-License-Identifier: GPL-3.0-or-later
"""
`pluto pki`: the certificates that nodes show each other.

Decides which nodes and files are meant; what is done about each is for `pairs.py` and
`root_pair.py`. A line a file is told. Exit status: 0, all is well; 1, something was left that a
person has to look at; 2, it could not be done.
"""

import argparse
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from pluto_tw.admin import authority, pairs
from pluto_tw.admin.arguments import add_config, add_days, config_files
from pluto_tw.admin.configured import Placed, placed_by, root_by
from pluto_tw.admin.failures import CommandFailed
from pluto_tw.admin.nodes import Node, read_node
from pluto_tw.admin.pairs import Deed, Files, Keeper, NoRootKey
from pluto_tw.admin.places import DIRECTORY, node_files, root_files
from pluto_tw.admin.root_pair import care_for_root

if TYPE_CHECKING:
    from pluto_tw.admin.commands import Commands


def add_parser(commands: "Commands") -> None:
    """Adds `pki`."""
    parser = commands.add_parser(
        "pki",
        help="make and renew the certificates that nodes show each other",
        description=(
            "Makes an authority of your own, if there is none, and a certificate and a key for "
            "each node of the configurations, or of --node; where the configurations say, or else "
            "below --dir. What is there and good is left. Exit status: 0 all is well, 1 something "
            "was left for you to look at, 2 it could not be done."
        ),
    )
    add_config(parser, several=True)
    parser.add_argument(
        "--node",
        metavar="ROLE:NAME[:HOST,...]",
        type=_node,
        action="append",
        default=[],
        help=(
            "a node by role (distributor, worker or storage) and Name, instead of those of "
            "configurations; may be given more than once"
        ),
    )
    parser.add_argument(
        "--dir", metavar="DIR", type=Path, help=f"all files there (without a place: {DIRECTORY})"
    )
    parser.add_argument(
        "--root-cert", metavar="FILE", type=Path, help="the certificate of an authority there is"
    )
    parser.add_argument("--root-key", metavar="FILE", type=Path, help="the authority's key")
    add_days(parser, authority.NODE_DAYS)
    parser.add_argument(
        "--renew",
        action="store_true",
        help=(
            "certificates that end within 60 days, have ended, or lack the node's name are made "
            "anew for the same keys"
        ),
    )
    parser.add_argument(
        "--force",
        action="store_true",
        help="all keys and certificates of the nodes are made anew; never the authority's",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, out: TextIO) -> int:
    """Looks after all pairs, the authority's first."""
    placed, root = _wanted(arguments)
    now = datetime.now(UTC)
    given = arguments.root_cert is not None or arguments.root_key is not None
    try:
        found = care_for_root(
            root, now, lambda line: out.write(line + "\n"), renew=arguments.renew, make=not given
        )
        keeper = Keeper(
            found.certificate,
            found.authority,
            now,
            arguments.days,
            arguments.renew,
            arguments.force,
        )
        results = [_care(keeper, node, files, out) for node, files in placed]
    except OSError as error:
        raise CommandFailed(f"{error.filename}: {error.strerror}") from None
    except ValueError as error:
        raise CommandFailed(str(error)) from None
    return 0 if all([found.is_well, *results]) else 1


def _wanted(arguments: argparse.Namespace) -> tuple[list[tuple[Node, Files]], Files]:
    """The nodes with their files, and the authority's files."""
    directory: Path = arguments.dir or DIRECTORY
    found: Sequence[Placed]
    root = None
    if not arguments.node:
        configurations = config_files(arguments)
        found = placed_by(configurations)
        root = root_by(configurations)
    elif arguments.config:
        raise CommandFailed("--node and --config exclude each other")
    else:
        found = [Placed(node, None) for node in arguments.node]
    placed = [
        (
            one.node,
            node_files(one.node, directory)
            if one.files is None or arguments.dir is not None
            else one.files,
        )
        for one in found
    ]
    _check_unique(placed)
    if root is None or arguments.dir is not None:
        root = root_files(directory)
    certificate = arguments.root_cert or root.certificate
    # The key of a certificate that was named lies beside it.
    beside = root.key if arguments.root_cert is None else certificate.with_name(root.key.name)
    return placed, Files(certificate, arguments.root_key or beside)


def _check_unique(placed: Sequence[tuple[Node, Files]]) -> None:
    """Raises `CommandFailed` if two nodes have one name, or would have one file."""
    used: dict[Path, str] = {}
    names: set[str] = set()
    for node, files in placed:
        if node.name in names:
            raise CommandFailed(f"there are two nodes {node.name!r}: a name belongs to one")
        names.add(node.name)
        for path in (files.certificate, files.key):
            other = used.setdefault(path.absolute(), node.name)
            if other != node.name:
                raise CommandFailed(f"{path}: {other} and {node.name} would share this file")


def _care(keeper: Keeper, node: Node, files: Files, out: TextIO) -> bool:
    """Whether the pair is well now."""
    try:
        outcome = keeper.care(files, node)
    except NoRootKey:
        out.write(f"{files.certificate}: left: it needs the authority's key to be signed\n")
        return False
    out.write(f"{files.certificate}: {outcome.deed.value}: {outcome.text}\n")
    is_private = not files.key.exists() or pairs.is_private(files.key)
    if not is_private:
        out.write(f"{files.key}: left: others may read it: chmod 600\n")
    return is_private and outcome.deed is not Deed.LEFT


def _node(text: str) -> Node:
    try:
        return read_node(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
