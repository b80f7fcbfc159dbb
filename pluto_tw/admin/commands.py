# SPDX-License-Identifier: GPL-3.0-or-later
"""
The command `pluto`: its subcommands, and what becomes of their failures.

A subcommand is a module with `add_parser`, which sets `run`; `run` gets the arguments and where to
write, and returns the exit status. It imports the reactor, if it needs one, inside of functions.
"""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING, Final, TextIO

from pluto_tw.admin import (
    check_command,
    config_command,
    demo_command,
    member_command,
    pki_command,
    public_command,
    status_command,
    users_command,
)
from pluto_tw.admin.failures import CommandFailed

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

#: In the order of the reference page.
COMMANDS: Final[tuple[Callable[["Commands"], None], ...]] = (
    config_command.add_parser,
    pki_command.add_parser,
    users_command.add_parser,
    status_command.add_parser,
    check_command.add_parser,
    member_command.add_parser,
    public_command.add_parser,
    demo_command.add_parser,
)

#: A program that was interrupted by Ctrl-C ends so, by custom of shells.
INTERRUPTED: Final = 130


def parser() -> argparse.ArgumentParser:
    """The parser of all subcommands."""
    top = argparse.ArgumentParser(
        prog="pluto",
        description="Runs and looks after the nodes of pluto_tw.",
        allow_abbrev=False,
    )
    top.add_argument("--version", action="version", version=f"pluto_tw {version('pluto_tw')}")
    commands = top.add_subparsers(required=True, metavar="command", title="commands")
    for add_parser in COMMANDS:
        add_parser(commands)
    return top


def run(given: Sequence[str], out: TextIO, errors: TextIO) -> int:
    """Runs the command that *given* names; its exit status. argparse exits by itself."""
    arguments = parser().parse_args(given)
    try:
        status: int = arguments.run(arguments, out)
        out.flush()
    except CommandFailed as failed:
        errors.write(f"pluto: {failed}\n")
        return failed.status
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # Who reads has seen enough, as `head` has. Python would complain again at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return status


def main() -> None:
    """The console script `pluto`."""
    sys.exit(run(sys.argv[1:], sys.stdout, sys.stderr))
