# SPDX-License-Identifier: GPL-3.0-or-later
"""LOGOUT, RFC 9051 §6.1.3."""

from dataclasses import dataclass

from pluto_tw.imap.command import Reply
from pluto_tw.imap.grammar import Arguments
from pluto_tw.imap.responses import bye
from pluto_tw.imap.session import Session


@dataclass(frozen=True, slots=True)
class Logout:
    """LOGOUT."""


def parse(arguments: Arguments, uid: bool) -> Logout:
    """No arguments."""
    arguments.end()
    return Logout()


async def run(session: Session, value: Logout) -> Reply:
    r"""BYE, then OK, then the connection ends; `\Deleted` messages stay."""
    session.unselect()
    session.send(bye("Logging out"))
    return Reply(then=session.close)
