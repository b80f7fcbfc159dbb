# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the command line inside of a test."""

import io
from dataclasses import dataclass

from pluto_tw.admin.commands import run


@dataclass(frozen=True)
class Ran:
    status: int
    out: str
    errors: str

    def lines(self) -> list[str]:
        return self.out.splitlines()


def pluto(*arguments: object) -> Ran:
    """What `pluto` with *arguments* does. SystemExit is argparse's."""
    out, errors = io.StringIO(), io.StringIO()
    status = run([str(argument) for argument in arguments], out, errors)
    return Ran(status, out.getvalue(), errors.getvalue())
