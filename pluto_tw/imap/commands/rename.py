# SPDX-License-Identifier: GPL-3.0-or-later
"""RENAME, RFC 9051 §6.3.6."""

from dataclasses import dataclass

from pluto_tw.imap.command import Reply
from pluto_tw.imap.grammar import Arguments
from pluto_tw.imap.list_response import old_name_responses
from pluto_tw.imap.session import Session
from pluto_tw.mail.codes import CANNOT
from pluto_tw.mail.errors import No
from pluto_tw.mail.names import INBOX, is_inferior


@dataclass(frozen=True, slots=True)
class Rename:
    """RENAME; the names as the client gave them."""

    old: str
    new: str


def parse(arguments: Arguments, uid: bool) -> Rename:
    """SP mailbox SP mailbox"""
    arguments.space()
    old = arguments.mailbox()
    arguments.space()
    new = arguments.mailbox()
    arguments.end()
    return Rename(old, new)


async def run(session: Session, value: Rename) -> Reply:
    """
    Gives the mailbox and its inferiors their new names; subscriptions stay as they are.

    INBOX stays too: its messages move to a new mailbox. So it can have a name below INBOX, as
    no other mailbox can go below itself.
    """
    account = session.the_account
    old = session.name(value.old)
    new = session.name(value.new)
    if old != INBOX and is_inferior(new, old, account.separator):
        raise No(CANNOT, "a mailbox cannot be its own inferior")
    await account.rename(old, new)
    if (value.old, value.new) != (old, new):
        # "If the normalized version of any of these 2 parameters differs": the old name as the
        # client gave it. INBOX is none, "it is assumed that a new INBOX is created": what the
        # client does not know then is only the name of the new mailbox.
        supplied = value.new if old == INBOX else value.old
        session.send(*old_name_responses(supplied, new, account.separator, session.features))
    return Reply()
