# SPDX-License-Identifier: GPL-3.0-or-later
"""MOVE and UID MOVE, RFC 9051 §6.4.8 and RFC 6851."""

from pluto_tw.imap.command import Reply
from pluto_tw.imap.commands.copy import Copy, copy_uid, told_of
from pluto_tw.imap.commands.copy import parse as parse_copy
from pluto_tw.imap.commands.expunge import highest_modseq
from pluto_tw.imap.grammar import Arguments
from pluto_tw.imap.responses import untagged_status
from pluto_tw.imap.session import Session
from pluto_tw.mail.codes import READ_ONLY
from pluto_tw.mail.errors import No
from pluto_tw.mail.sets import NumberSet


def parse(arguments: Arguments, uid: bool) -> Copy:
    """SP sequence-set SP mailbox"""
    return parse_copy(arguments, uid)


async def run(session: Session, value: Copy) -> Reply:
    """
    Moves all that is left of the messages, or nothing. No: READ-ONLY, and as `OpenMailbox.move`.

    COPYUID comes "in an untagged OK before sending EXPUNGE or similar responses".
    """
    selected = session.the_mailbox
    target = session.name(value.mailbox)
    messages = selected.messages(value.messages, value.uid)
    if selected.mailbox.read_only:
        raise No(READ_ONLY, "the mailbox is selected read-only")
    if not messages:
        return Reply("No messages, nothing moved")
    moved = await selected.mailbox.move(NumberSet.from_sorted(messages.uids), target)
    text = told_of(moved, len(messages), value.uid)
    if moved.source:
        session.send(untagged_status(b"OK", "Moved", copy_uid(moved)))
    return highest_modseq(session, text, removed=moved.messages > 0)
