# SPDX-License-Identifier: GPL-3.0-or-later
"""DELETE, RFC 9051 §6.3.5."""

from dataclasses import dataclass

from pluto_tw.imap.command import Reply
from pluto_tw.imap.grammar import Arguments
from pluto_tw.imap.list_response import NONEXISTENT, old_name_responses
from pluto_tw.imap.responses import response_code, untagged_status
from pluto_tw.imap.session import Session
from pluto_tw.mail.codes import CLOSED


@dataclass(frozen=True, slots=True)
class Delete:
    """DELETE; the name as the client gave it."""

    mailbox: str


def parse(arguments: Arguments, uid: bool) -> Delete:
    """SP mailbox"""
    arguments.space()
    mailbox = arguments.mailbox()
    arguments.end()
    return Delete(mailbox)


async def run(session: Session, value: Delete) -> Reply:
    """
    Removes the mailbox with its messages; inferiors stay, and with them the name as a level of
    the hierarchy. A name that is only that does not exist: No(NONEXISTENT), as LIST says.

    A session that deletes the mailbox that it has selected is told that it is closed, and goes
    on without one. Others are told by the mailbox's log.
    """
    account = session.the_account
    name = session.name(value.mailbox)
    selected = session.mailbox
    is_selected = False
    if selected is not None:
        # By identity: the selected mailbox may have been renamed, and its name given to another.
        status = await account.status(name)
        is_selected = status.mailbox_id == selected.mailbox.mailbox_id
    await account.delete(name)
    if is_selected and session.unselect():
        closed = response_code(CLOSED)
        session.send(untagged_status(b"OK", "The selected mailbox was deleted", closed))
    session.send(
        *old_name_responses(value.mailbox, name, account.separator, session.features, [NONEXISTENT])
    )
    return Reply()
