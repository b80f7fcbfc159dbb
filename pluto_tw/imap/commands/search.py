# SPDX-License-Identifier: GPL-3.0-or-later
"""
SEARCH and UID SEARCH, RFC 9051 §6.4.4: with RETURN (RFC 4731), SAVE and `$` (RFC 5182), MODSEQ
(RFC 7162 §3.1.5).
"""

from dataclasses import dataclass

from pluto_tw.imap.command import Reply
from pluto_tw.imap.grammar import Arguments
from pluto_tw.imap.pace import Pace
from pluto_tw.imap.search_keys import parse_program
from pluto_tw.imap.search_match import search
from pluto_tw.imap.search_program import Program
from pluto_tw.imap.search_return import (
    DEFAULT,
    ReturnOption,
    ReturnOptions,
    esearch_line,
    is_silent,
    named,
    parse_return,
    search_line,
)
from pluto_tw.imap.selected import Messages, Selected
from pluto_tw.imap.session import Session
from pluto_tw.mail.codes import BADCHARSET
from pluto_tw.mail.errors import No
from pluto_tw.mail.sets import EMPTY, NumberSet


@dataclass(frozen=True, slots=True)
class Search:
    """SEARCH as the client asks for it; *options* None: without RETURN."""

    uid: bool
    options: ReturnOptions | None
    program: Program


def parse(arguments: Arguments, uid: bool) -> Search:
    """[SP "RETURN" SP "(" ... ")"] SP search-program"""
    arguments.space()
    options = None
    if arguments.keyword_if(b"RETURN"):
        arguments.space()
        options = parse_return(arguments)
        arguments.space()
    return Search(uid, options, parse_program(arguments))


def names_numbers(value: Search) -> bool:
    """Whether EXPUNGE must wait until after the command, also if it is UID SEARCH."""
    return value.program.names_numbers


async def run(session: Session, value: Search) -> Reply:
    """
    Tells what was found, and keeps it for `$` if SAVE asks for that.

    A search that ends in NO leaves `$` empty if it was to set it, RFC 5182 §2.1. A message that
    could be decided only by a body that cannot be had here is not found, whether it stands under
    a NOT or not; the answer says how many there were. No: BADCHARSET.
    """
    selected = session.the_mailbox
    options = DEFAULT if value.options is None else value.options
    key = value.program.resolve(selected)
    if ReturnOption.SAVE in options:
        selected.saved = EMPTY
    if value.program.charset is not None:
        raise No(BADCHARSET, "the charset is not known", "(US-ASCII UTF-8)")
    if value.program.names_modseq:
        session.enable_condstore()
    recent = EMPTY if session.features.rev2 else selected.recent
    now = int(session.service.waiting.now())
    pace = Pace(session)
    found = await search(key, selected, recent, now, pace)
    if ReturnOption.SAVE in options:
        selected.saved = NumberSet.from_sorted(named(found.messages, options).uids)
    await _tell(session, value, found.messages, pace)
    return Reply(_text(found.unread))


async def _tell(session: Session, value: Search, found: Messages, pace: Pace) -> None:
    """ESEARCH if RETURN was given or IMAP4rev2 is enabled, else SEARCH."""
    extended = value.options is not None or session.features.rev2
    options = DEFAULT if value.options is None else value.options
    if is_silent(options):
        return
    modseq = None
    if value.program.names_modseq:
        modseq = _highest_modseq(session.the_mailbox, named(found, options) if extended else found)
    if extended:
        await pace.send(esearch_line(session.tag, found, options, modseq, uid=value.uid))
    else:
        await pace.send(search_line(found.uids if value.uid else found.numbers, modseq))


def _highest_modseq(selected: Selected, messages: Messages) -> int | None:
    return max(selected.mailbox.modseqs(messages.uids), default=None)


def _text(unread: int) -> str | None:
    if not unread:
        return None
    return f"Messages left out that cannot be read here now: {unread}"
