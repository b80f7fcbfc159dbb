# SPDX-License-Identifier: GPL-3.0-or-later
"""
APPEND, RFC 9051 §6.3.12, of one message or, RFC 3502, of several at once.

The literals are messages of any size. Each is considered before the client sends it, against what
is known by then, and goes straight into an upload of the account.
"""

from dataclasses import dataclass
from typing import cast

from pluto_tw.imap.command import Reply
from pluto_tw.imap.cursor import StreamedLiteral
from pluto_tw.imap.framing import LiteralAnnounced
from pluto_tw.imap.grammar import Arguments
from pluto_tw.imap.responses import response_code
from pluto_tw.imap.session import Session
from pluto_tw.mail.codes import APPENDUID, LIMIT
from pluto_tw.mail.errors import No
from pluto_tw.mail.flags import Flags
from pluto_tw.mail.messages import InternalDate, NewMessage, Upload
from pluto_tw.mail.sets import NumberSet

#: Messages in one APPEND. Each is considered again as the next is announced, so the work grows
#: with the square; clients that use MULTIAPPEND send some ten at a time.
MESSAGES_MAX = 100


@dataclass(frozen=True, slots=True)
class Message:
    """One message of an APPEND, before or after its octets have come."""

    flags: Flags
    date: InternalDate | None
    literal: StreamedLiteral | None


@dataclass(frozen=True, slots=True)
class Append:
    """APPEND mailbox message ...; the name as the client gave it."""

    mailbox: str
    messages: tuple[Message, ...]


def parse(arguments: Arguments, uid: bool) -> Append:
    """SP mailbox 1*append-message"""
    arguments.space()
    value = _arrived(arguments)
    if not value.messages or value.messages[-1].literal is None:
        arguments.bad("a literal with a message")
    return value


def _arrived(arguments: Arguments) -> Append:
    """What has come so far, from the mailbox's name on; the last message may lack its literal."""
    mailbox = arguments.mailbox()
    messages: list[Message] = []
    while not arguments.at_end():
        arguments.space()
        flags: Flags = frozenset()
        date: InternalDate | None = None
        if arguments.at(b"("):
            flags = arguments.flag_list()
            arguments.space()
        if arguments.at(b'"'):
            date = _internal_date(arguments)
            arguments.space()
        literal = None
        if not arguments.at_end():
            taken = arguments.message_literal()
            if not isinstance(taken, StreamedLiteral):
                arguments.bad("a message")
            literal = taken
        messages.append(Message(flags, date, literal))
    return Append(mailbox, tuple(messages))


def _internal_date(arguments: Arguments) -> InternalDate:
    date = arguments.date_time()
    offset = date.utcoffset()
    assert offset is not None, "a date-time has a zone"
    return InternalDate(int(date.timestamp()), int(offset.total_seconds()) // 60)


async def offer(
    session: Session, arguments: Arguments, announced: LiteralAnnounced
) -> Upload | None:
    """
    An upload for the message, if it may be appended as far as can be known now.

    None if the literal is the mailbox's name. RFC 9051 §6.3.12: a missing mailbox is told by
    TRYCREATE, here before the message is sent.
    """
    arguments.space()
    if arguments.at_end():
        return None
    value = _arrived(arguments)
    if not value.messages:
        arguments.bad("a space before the literal")
    if len(value.messages) > MESSAGES_MAX:
        raise No(LIMIT, f"at most {MESSAGES_MAX} messages in one APPEND")
    if announced.size == 0:
        # RFC 3502 §6.3.11: "A zero-length message literal argument is an error, and MUST return
        # a NO." It is how a client gives up a MULTIAPPEND.
        raise No(None, "a message is not empty")
    sizes = [m.literal.size for m in value.messages if m.literal is not None]
    await session.the_account.admit(session.name(value.mailbox), [*sizes, announced.size])
    return session.the_account.upload(announced.size)


async def run(session: Session, value: Append) -> Reply:
    """All messages or none; OK says where they are, once that is known. RFC 4315 §3."""
    messages = []
    for message in value.messages:
        assert message.literal is not None, "parse refuses a message without its literal"
        upload = cast(Upload, message.literal.upload)  # what `offer` returned
        messages.append(NewMessage(upload, message.flags, message.date))
    appended = await session.the_account.append(session.name(value.mailbox), messages)
    if not appended.uids:
        return Reply()
    uids = NumberSet.from_sorted(appended.uids).format().decode("ascii")
    return Reply(code=response_code(APPENDUID, f"{appended.uid_validity} {uids}"))
