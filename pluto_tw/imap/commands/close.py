# SPDX-License-Identifier: GPL-3.0-or-later
"""CLOSE, RFC 9051 §6.4.1."""

from dataclasses import dataclass

from pluto_tw.imap.command import Reply
from pluto_tw.imap.commands.expunge import expunge
from pluto_tw.imap.grammar import Arguments
from pluto_tw.imap.responses import response_code, untagged_status
from pluto_tw.imap.session import Session
from pluto_tw.mail.errors import No


@dataclass(frozen=True, slots=True)
class Close:
    """CLOSE"""


def parse(arguments: Arguments, uid: bool) -> Close:
    """Nothing."""
    arguments.end()
    return Close()


async def run(session: Session, value: Close) -> Reply:
    r"""
    Removes what has `\Deleted`, without a word, and leaves the mailbox.

    The server "MUST NOT send the updated per-mailbox modification sequence" (RFC 7162 §3.2.8). The
    command has no NO: if the messages cannot be removed, that is said in an untagged NO, they keep
    their flag, and the mailbox is left.
    """
    selected = session.the_mailbox
    if not selected.mailbox.read_only:
        try:
            await expunge(session, selected.uids)
        except No as error:
            code = None if error.code is None else response_code(error.code, error.argument)
            session.send(untagged_status(b"NO", error.text, code))
    session.unselect()
    return Reply()
