# SPDX-License-Identifier: GPL-3.0-or-later
"""
The reference page of the command line, made from the parsers: `docs/reference/commands.md`.

`python -m pluto_tw.admin.reference > docs/reference/commands.md` writes it; a test compares.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from typing import Final

from pluto_tw.admin.commands import parser

_HEAD: Final = """\
# Commands

What `pluto` can do, as its own `--help` says it. The nodes themselves are run by `twistd`:
`twistd pluto-distributor`, `twistd pluto-worker --name NAME`, `twistd pluto-storage`, and
`twistd pluto` for several in one process; each has its own `--help`.

The exit status of every command is 0 if all went well, and 2 if the arguments are wrong or the
command could do nothing; what else there is stands with the command.
"""


def page() -> str:
    """The page, in Markdown."""
    return _HEAD + "".join(_commands(parser(), "pluto"))


def _commands(of: argparse.ArgumentParser, name: str) -> Iterator[str]:
    below = [action for action in of._actions if isinstance(action, argparse._SubParsersAction)]
    if below and of.description and name != "pluto":
        yield f"\n## {name}\n\n{of.description}\n"
    for action in below:
        for word, command in action.choices.items():
            yield from _commands(command, f"{name} {word}")
    if not below:
        yield _command(of, name)


def _command(command: argparse.ArgumentParser, name: str) -> str:
    actions = [action for action in command._actions if action.dest != "help"]
    usage = " ".join([f"`{name}`", *(f"`{_usage(action)}`" for action in actions)])
    lines = ["", f"## {name}", "", usage, "", str(command.description), ""]
    if actions:
        lines += ["| Argument | Meaning |", "|---|---|", *map(_row, actions), ""]
    return "\n".join(lines)


def _usage(action: argparse.Action) -> str:
    words = _argument(action, action.option_strings[:1])
    return words if action.required and action.nargs != "*" else f"[{words}]"


def _row(action: argparse.Action) -> str:
    text = (action.help or "").replace("%(default)s", str(action.default)).replace("|", "\\|")
    return f"| `{_argument(action, action.option_strings)}` | {text} |"


def _argument(action: argparse.Action, names: Sequence[str]) -> str:
    value = action.metavar or action.dest
    if not names:
        return str(value) + (" ..." if action.nargs in ("*", "+") else "")
    return ", ".join(names) + (f" {value}" if action.nargs != 0 else "")


if __name__ == "__main__":
    sys.stdout.write(page())
