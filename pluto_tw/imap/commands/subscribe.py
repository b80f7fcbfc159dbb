# SPDX-License-Identifier: GPL-3.0-or-later
"""SUBSCRIBE, RFC 9051 §6.3.7."""

from dataclasses import dataclass

from pluto_tw.imap.command import Reply
from pluto_tw.imap.grammar import Arguments
from pluto_tw.imap.session import Session


@dataclass(frozen=True, slots=True)
class Subscribe:
    """SUBSCRIBE or UNSUBSCRIBE; the name as the client gave it."""

    mailbox: str


def parse(arguments: Arguments, uid: bool) -> Subscribe:
    """SP mailbox"""
    arguments.space()
    mailbox = arguments.mailbox()
    arguments.end()
    return Subscribe(mailbox)


async def run(session: Session, value: Subscribe) -> Reply:
    """OK also if it was subscribed to, and if there is no such mailbox: it may come."""
    await session.the_account.subscribe(session.name(value.mailbox), True)
    return Reply()
