# SPDX-License-Identifier: GPL-3.0-or-later
"""EXPUNGE and UID EXPUNGE, RFC 9051 §6.4.3 and §6.4.9, RFC 7162 §3.2.7 and §3.2.9."""

from collections.abc import Sequence
from dataclasses import dataclass

from pluto_tw.imap.command import Reply
from pluto_tw.imap.grammar import Arguments
from pluto_tw.imap.pace import Pace
from pluto_tw.imap.responses import response_code
from pluto_tw.imap.session import Session
from pluto_tw.mail.codes import HIGHESTMODSEQ, READ_ONLY
from pluto_tw.mail.errors import No
from pluto_tw.mail.flags import DELETED
from pluto_tw.mail.sets import EMPTY, NumberSet, SequenceSet

#: Messages whose flags are looked at before the time is: a millisecond at most.
FLAGS_SLICE = 10_000


@dataclass(frozen=True, slots=True)
class Expunge:
    """EXPUNGE of the whole mailbox, or of what a set of UIDs names; *messages* None is `$`."""

    messages: SequenceSet | None
    whole: bool


def parse(arguments: Arguments, uid: bool) -> Expunge:
    """Nothing; for UID EXPUNGE: SP sequence-set"""
    if not uid:
        arguments.end()
        return Expunge(None, True)
    arguments.space()
    messages = arguments.sequence_set_or_saved()
    arguments.end()
    return Expunge(messages, False)


async def run(session: Session, value: Expunge) -> Reply:
    r"""
    Removes the messages of the view that have `\Deleted`. No: READ-ONLY.

    A message that the client has not been told of stays, whatever its flags: it arrived and was
    marked elsewhere, and this client never saw it.
    """
    selected = session.the_mailbox
    if selected.mailbox.read_only:
        raise No(READ_ONLY, "the mailbox is selected read-only")
    uids = selected.uids if value.whole else selected.messages(value.messages, True).uids
    removed = await expunge(session, uids)
    return highest_modseq(session, None, removed=bool(removed))


async def expunge(session: Session, uids: Sequence[int]) -> NumberSet:
    r"""Removes those of *uids*, all in the view, that have `\Deleted`; those removed."""
    mailbox = session.the_mailbox.mailbox
    pace = Pace(session)
    deleted: list[int] = []
    for start in range(0, len(uids), FLAGS_SLICE):
        await pace.step()
        part = uids[start : start + FLAGS_SLICE]
        flags = mailbox.flags(part)
        deleted += [uid for uid, has in zip(part, flags, strict=True) if DELETED in has]
    return await mailbox.expunge(NumberSet.from_sorted(deleted)) if deleted else EMPTY


def highest_modseq(session: Session, text: str | None, *, removed: bool) -> Reply:
    """
    The answer after all that has vanished was told, with HIGHESTMODSEQ if something was *removed*.

    RFC 7162 §3.2.7 wants the code after ENABLE QRESYNC, RFC 6851 §4.4 of MOVE; we send it to
    clients that have shown that they know mod-sequences.
    """
    selected = session.the_mailbox
    session.tell(expunge_allowed=True)
    if not removed or not session.features.condstore:
        return Reply(text)
    return Reply(text, response_code(HIGHESTMODSEQ, str(selected.highest_modseq)))
