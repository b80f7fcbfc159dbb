# SPDX-License-Identifier: GPL-3.0-or-later
"""
`pluto config check`: all that is wrong or doubtful with a configuration, as a start would find it.

The files that it names, certificates and users, are read as well.

Exit status: 0, nothing; 1, warnings only; 2, errors, with which a node does not start.
"""

import argparse
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from pluto_tw.admin.arguments import add_config, config_files
from pluto_tw.node.config import Configuration, load
from pluto_tw.node.preparation import AnyNode, Selection, prepare
from pluto_tw.node.problems import ConfigurationRefused

if TYPE_CHECKING:
    from pluto_tw.admin.commands import Commands


def add_parser(commands: "Commands") -> None:
    """Adds `config check`."""
    config = commands.add_parser(
        "config", help="look at configurations", description="Looks at configurations."
    )
    below = config.add_subparsers(required=True, metavar="command", title="commands")
    check = below.add_parser(
        "check",
        help="tell all that is wrong with a configuration",
        description=(
            "Tells all that is wrong or doubtful with configurations and the files that they name, "
            "each in a line with file, key, value and what is expected. Exit status: 0 nothing, "
            "1 warnings only, 2 errors, with which a node does not start."
        ),
    )
    add_config(check, several=True)
    check.add_argument(
        "--name", metavar="NAME", help="only what this node needs, by its Name or a worker's key"
    )
    check.set_defaults(run=run)


def run(arguments: argparse.Namespace, out: TextIO) -> int:
    """Checks each configuration, and tells of each."""
    return max(_check(file, arguments.name, out) for file in config_files(arguments))


def _check(file: Path, name: str | None, out: TextIO) -> int:
    selection = _selection(name)
    errors: Sequence[str] = ()
    try:
        prepared = prepare(file, selection, datetime.now(UTC).timestamp())
        warnings = prepared.warnings
    except ConfigurationRefused as refused:
        errors, warnings = refused.errors, load(file).problems.warnings
    for error in dict.fromkeys(errors):
        out.write(f"error: {error}\n")
    for warning in dict.fromkeys(warnings):
        out.write(f"warning: {warning}\n")
    if errors:
        return 2
    good = ", ".join(node.name for node in selection(load(file)))
    out.write(f"{file}: good for {good}\n")
    return 1 if warnings else 0


def _selection(name: str | None) -> Selection:
    """The nodes that *name* means, or all."""

    def select(configuration: Configuration) -> Sequence[AnyNode]:
        nodes = configuration.nodes()
        found = [node for node in nodes if name in (None, node.name, node.key, node.key.lower())]
        if not found and configuration.is_readable:
            known = ", ".join(node.name for node in nodes) or "none"
            wanted = "there are no nodes" if name is None else f"there is no node {name!r}"
            configuration.problems.errors.append(
                f"{configuration.file}: {wanted}: expected one of the nodes, which are: {known}"
            )
        return found

    return select
