# SPDX-License-Identifier: GPL-3.0-or-later
"""A command's failure as a value: what becomes of an exception where it is caught."""

from dataclasses import dataclass

from pluto_tw.imap.ports import Outcome
from pluto_tw.imap.responses import Status, response_code


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a command is answered NO or BAD; *code* and *argument* as in `mail.errors.No`."""

    outcome: Outcome
    text: str
    code: str | None = None
    argument: str = ""

    def status(self) -> Status:
        """The word of the tagged line."""
        return b"BAD" if self.outcome is Outcome.BAD else b"NO"

    def response_code(self) -> bytes | None:
        """The code in its brackets."""
        return None if self.code is None else response_code(self.code, self.argument)
