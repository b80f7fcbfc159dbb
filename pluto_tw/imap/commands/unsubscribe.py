# SPDX-License-Identifier: GPL-3.0-or-later
"""UNSUBSCRIBE, RFC 9051 §6.3.8."""

from pluto_tw.imap.command import Reply
from pluto_tw.imap.commands import subscribe
from pluto_tw.imap.commands.subscribe import Subscribe
from pluto_tw.imap.grammar import Arguments
from pluto_tw.imap.session import Session


def parse(arguments: Arguments, uid: bool) -> Subscribe:
    """SP mailbox"""
    return subscribe.parse(arguments, uid)


async def run(session: Session, value: Subscribe) -> Reply:
    """OK also "if the mailbox is not subscribed"."""
    await session.the_account.subscribe(session.name(value.mailbox), False)
    return Reply()
