# SPDX-License-Identifier: GPL-3.0-or-later
"""IDLE, RFC 9051 §6.3.13: what is new is told as it happens, until the client says DONE."""

from dataclasses import dataclass

from pluto_tw.imap.command import Reply
from pluto_tw.imap.grammar import Arguments
from pluto_tw.imap.responses import continuation
from pluto_tw.imap.session import Session
from pluto_tw.mail.errors import Bad


@dataclass(frozen=True, slots=True)
class Idle:
    """IDLE."""


def parse(arguments: Arguments, uid: bool) -> Idle:
    """No arguments."""
    arguments.end()
    return Idle()


async def run(session: Session, value: Idle) -> Reply:
    """
    Tells all news, EXPUNGE included, as they come and as fast as the client takes them.

    News wait in the mailbox's log, not here, while the client does not read. How long a client
    may idle is the shell's to say.
    """
    session.send(continuation("idling"))
    while True:
        session.tell(expunge_allowed=True)
        await session.drain()
        line = await session.next_line_or_news()
        if line is not None:
            break
    if line.upper() != b"DONE":
        raise Bad("expected DONE")
    return Reply()
