# SPDX-License-Identifier: GPL-3.0-or-later
"""CHECK, RFC 3501 §6.4.1: RFC 9051 has dropped it; clients of IMAP4rev1 still send it."""

from dataclasses import dataclass

from pluto_tw.imap.command import Reply
from pluto_tw.imap.grammar import Arguments
from pluto_tw.imap.session import Session


@dataclass(frozen=True, slots=True)
class Check:
    """CHECK."""


def parse(arguments: Arguments, uid: bool) -> Check:
    """No arguments."""
    arguments.end()
    return Check()


async def run(session: Session, value: Check) -> Reply:
    """Asks for a checkpoint; there is nothing to do, for all that was told is durable."""
    return Reply()
