# SPDX-License-Identifier: GPL-3.0-or-later
"""Arguments that several commands of `pluto` share, so that they mean the same everywhere."""

import argparse
import os
from pathlib import Path

from pluto_tw.admin.authority import ROOT_DAYS
from pluto_tw.admin.failures import CommandFailed
from pluto_tw.admin.places import DEMO, demo_directory
from pluto_tw.node.config import find


def add_config(parser: argparse.ArgumentParser, *, several: bool) -> None:
    """`--config`, once or, where *several* boxes may be named, as often as there are."""
    parser.add_argument(
        "--config",
        "-c",
        metavar="FILE",
        action="append" if several else "store",
        help=(
            "a configuration; else config.toml here, else /etc/pluto/config.toml"
            + ("; may be given more than once" if several else "")
        ),
    )


def config_files(arguments: argparse.Namespace) -> list[Path]:
    """The configurations that `--config` names, or the one that is found without."""
    given: str | list[str] | None = arguments.config
    if not given:
        return [find(None)]
    return [find(place) for place in ([given] if isinstance(given, str) else given)]


def add_cluster(parser: argparse.ArgumentParser) -> None:
    """`--config` and `--demo`: whose running nodes are meant."""
    add_config(parser, several=True)
    parser.add_argument(
        "--demo",
        action="store_true",
        help=(
            f"the nodes of `make run`, in DEMO_DIR or ./{DEMO}; DEMO_DIR alone means them too, "
            "where there is no --config"
        ),
    )


def cluster_files(arguments: argparse.Namespace) -> list[Path]:
    """The configurations of the nodes that are meant. Raises `CommandFailed`."""
    if not arguments.demo and (arguments.config or not os.environ.get("DEMO_DIR")):
        return config_files(arguments)
    if arguments.config:
        raise CommandFailed("--config and --demo exclude each other")
    directory = demo_directory()
    found = sorted(directory.glob("*/config.toml"))
    if not found:
        raise CommandFailed(f"{directory}: there is no demo: `make run` makes it")
    return found


def add_days(parser: argparse.ArgumentParser, default: int) -> None:
    """`--days`: how long a certificate is valid."""
    parser.add_argument(
        "--days",
        metavar="N",
        type=_days,
        default=default,
        help="validity of what is made now, in days (default: %(default)s)",
    )


def _days(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or not 1 <= int(text) <= ROOT_DAYS:
        raise argparse.ArgumentTypeError(f"expected a number of days from 1 to {ROOT_DAYS}")
    return int(text)
