# SPDX-License-Identifier: GPL-3.0-or-later
"""STATUS, RFC 9051 §6.3.11: a mailbox in numbers, without selecting it."""

from dataclasses import dataclass

from pluto_tw.imap.command import Reply
from pluto_tw.imap.grammar import Arguments
from pluto_tw.imap.session import Session
from pluto_tw.imap.status_items import StatusItem, status_items, status_response


@dataclass(frozen=True, slots=True)
class Status:
    """STATUS; the name as the client gave it."""

    mailbox: str
    items: tuple[StatusItem, ...]


def parse(arguments: Arguments, uid: bool) -> Status:
    """SP mailbox SP status-items"""
    arguments.space()
    mailbox = arguments.mailbox()
    arguments.space()
    items = status_items(arguments)
    arguments.end()
    return Status(mailbox, items)


async def run(session: Session, value: Status) -> Reply:
    """
    The newest state, also of the selected mailbox, where the view may be behind.

    Asking for HIGHESTMODSEQ shows that the client knows mod-sequences: it is among the "CONDSTORE
    enabling commands" of RFC 7162 §3.1, as LIST RETURN (STATUS (HIGHESTMODSEQ)) is not.
    """
    name = session.name(value.mailbox)
    if StatusItem.HIGHESTMODSEQ in value.items:
        session.enable_condstore()
    account = session.the_account
    status = await account.status(name)
    session.send(
        status_response(
            name,
            value.items,
            status,
            append_octets_max=account.append_octets_max,
            utf8=session.features.utf8,
        )
    )
    return Reply()
