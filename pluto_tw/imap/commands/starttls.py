# SPDX-License-Identifier: GPL-3.0-or-later
"""STARTTLS, RFC 9051 §6.2.1."""

from dataclasses import dataclass

from pluto_tw.imap.command import Reply
from pluto_tw.imap.grammar import Arguments
from pluto_tw.imap.session import Session
from pluto_tw.mail.errors import Bad


@dataclass(frozen=True, slots=True)
class StartTls:
    """STARTTLS."""


def parse(arguments: Arguments, uid: bool) -> StartTls:
    """No arguments."""
    arguments.end()
    return StartTls()


async def run(session: Session, value: StartTls) -> Reply:
    """
    TLS begins right behind the OK. What the client had sent behind STARTTLS is dropped unread:
    an attacker may have put it there.
    """
    if not session.wire.can_start_tls():
        raise Bad("TLS cannot be started on this connection")
    return Reply("Begin TLS negotiation now", then=session.begin_tls)
