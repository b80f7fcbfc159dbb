# SPDX-License-Identifier: GPL-3.0-or-later
"""EXAMINE, RFC 9051 §6.3.3: SELECT, but nothing can be changed and `\\Recent` is not taken."""

from pluto_tw.imap.command import Reply
from pluto_tw.imap.commands import select
from pluto_tw.imap.commands.select import Select, parse_select
from pluto_tw.imap.grammar import Arguments
from pluto_tw.imap.session import Session


def parse(arguments: Arguments, uid: bool) -> Select:
    """SP mailbox [SP "(" select-param *(SP select-param) ")"]"""
    return parse_select(arguments, read_only=True)


async def run(session: Session, value: Select) -> Reply:
    """As SELECT, read-only."""
    return await select.run(session, value)
