# SPDX-License-Identifier: GPL-3.0-or-later
"""
The reference page of the configuration, made of the table of keys.

`python -m pluto_tw.node.reference` prints it; a test compares it with
`docs/reference/configuration.md`.
"""

import sys
from pathlib import Path
from typing import Any

from pluto_tw.node.keys import Key
from pluto_tw.node.sections import SECTIONS, Section

_HEAD = """\
# Configuration

The keys of `config.toml`. The file is TOML, is read with `--config`, or is `config.toml` here, or
`/etc/pluto/config.toml`. A file that was written for the original loads; keys that mean nothing
here are named in a warning.

- Everything that is wrong with the file, or with a file that it names, is told at once when a node
  starts, and it does not start then.
- A path that is not absolute begins at the directory of the configuration.
- SIGHUP has a node read its certificates, its users, the limits of connections and the level of the
  log again, with all else checked. If something is wrong, nothing changes, and the log says what
  it is.

This page is made from `pluto_tw/node/keys.py` and `sections.py`, by
`python -m pluto_tw.node.reference`.
"""


def page() -> str:
    """The whole page, in Markdown."""
    return "\n".join([_HEAD, *map(_section, SECTIONS)])


def _section(section: Section) -> str:
    title = f"`[{section.name}]`" if section.name else "Without a section"
    lines = [
        f"## {title}",
        "",
        section.meaning,
        "",
        "| Key | Expected | Without it | Meaning |",
        "|---|---|---|---|",
        *map(_row, section.keys),
        "",
    ]
    return "\n".join(lines)


def _row(key: Key[Any]) -> str:
    expected = "" if key.lost else key.kind.expected
    meaning = f"*No meaning here:* {key.meaning}." if key.lost else key.meaning
    return f"| `{key.name}` | {expected} | {_default(key.default)} | {meaning} |"


def _default(default: object) -> str:
    match default:
        case None:
            return ""
        case bool():
            return f"`{str(default).lower()}`"
        case int():
            return f"{default:,}"
        case ():
            return "`[]`"
        case Path() | str():
            return f'`"{default}"`'
        case _:
            raise AssertionError(default)


if __name__ == "__main__":
    sys.stdout.write(page())
