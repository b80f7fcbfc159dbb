# SPDX-License-Identifier: GPL-3.0-or-later
"""COPY and UID COPY, RFC 9051 §6.4.7; COPYUID, RFC 4315 §3."""

from collections.abc import Iterable
from dataclasses import dataclass

from pluto_tw.imap.command import Reply
from pluto_tw.imap.grammar import Arguments
from pluto_tw.imap.responses import response_code
from pluto_tw.imap.session import Session
from pluto_tw.mail.codes import COPYUID, EXPUNGEISSUED
from pluto_tw.mail.errors import No
from pluto_tw.mail.messages import Copied
from pluto_tw.mail.sets import NumberSet, SequenceSet


@dataclass(frozen=True, slots=True)
class Copy:
    """COPY or MOVE as the client asks for it; *messages* None is `$`, *mailbox* as given."""

    messages: SequenceSet | None
    uid: bool
    mailbox: str


def parse(arguments: Arguments, uid: bool) -> Copy:
    """SP sequence-set SP mailbox"""
    arguments.space()
    messages = arguments.sequence_set_or_saved()
    arguments.space()
    mailbox = arguments.mailbox()
    arguments.end()
    return Copy(messages, uid, mailbox)


async def run(session: Session, value: Copy) -> Reply:
    """Copies all that is left of the messages, or nothing. No: as `OpenMailbox.copy`."""
    selected = session.the_mailbox
    target = session.name(value.mailbox)
    messages = selected.messages(value.messages, value.uid)
    if not messages:
        return Reply("No messages, nothing copied")
    copied = await selected.mailbox.copy(NumberSet.from_sorted(messages.uids), target)
    text = told_of(copied, len(messages), value.uid)
    if copied.source:
        return Reply(text, copy_uid(copied))
    return Reply(text, response_code(EXPUNGEISSUED) if copied.messages < len(messages) else None)


def told_of(copied: Copied, named: int, uid: bool) -> str | None:
    """
    What to say where not all of the *named* messages were there any more; None: nothing.

    No(EXPUNGEISSUED) if none was and the client named them by sequence number: they are all in its
    view, so it does not know. UIDs that do not exist are ignored, RFC 9051 §6.4.9.
    """
    if copied.messages == named:
        return None
    if not copied.messages and not uid:
        raise No(EXPUNGEISSUED, "the messages no longer exist")
    return "Some of the messages no longer exist"


def copy_uid(copied: Copied) -> bytes:
    """
    The response code COPYUID: "the destination UID set corresponds to the source UID set and is in
    the same order". RFC 4315 §3.
    """
    sets = f"{copied.uid_validity} {_in_order(copied.source)} {_in_order(copied.target)}"
    return response_code(COPYUID, sets)


def _in_order(uids: Iterable[int]) -> str:
    """A uid-set that keeps the order of *uids*, with runs that ascend by one as ranges."""
    runs: list[list[int]] = []
    for uid in uids:
        if runs and uid == runs[-1][1] + 1:
            runs[-1][1] = uid
        else:
            runs.append([uid, uid])
    return ",".join(f"{low}:{high}" if low != high else str(low) for low, high in runs)
