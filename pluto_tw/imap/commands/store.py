# SPDX-License-Identifier: GPL-3.0-or-later
"""
STORE and UID STORE, RFC 9051 §6.4.6, with UNCHANGEDSINCE of RFC 7162 §3.1.3.

What is told of messages that others have expunged, but that this session still shows, follows
RFC 2180 §4.2; RFC 9051 §6.4.9 has UIDs that do not exist ignored.
"""

from dataclasses import dataclass

from pluto_tw.imap.command import Reply
from pluto_tw.imap.grammar import Arguments
from pluto_tw.imap.pace import Pace
from pluto_tw.imap.responses import number_set, response_code
from pluto_tw.imap.selected import Selected
from pluto_tw.imap.session import Session
from pluto_tw.mail.codes import EXPUNGEISSUED, MODIFIED, READ_ONLY
from pluto_tw.mail.errors import Bad, No
from pluto_tw.mail.flags import Flags
from pluto_tw.mail.messages import Stored, StoreMode
from pluto_tw.mail.sets import NumberSet, SequenceSet
from pluto_tw.mail.uids import ModSeq

#: FETCH lines that are made at once: a millisecond or two.
LINES_MAX = 500


@dataclass(frozen=True, slots=True)
class Store:
    """STORE as the client asks for it; *messages* None is `$`."""

    messages: SequenceSet | None
    uid: bool
    mode: StoreMode
    silent: bool
    flags: Flags
    unchanged_since: ModSeq | None


def parse(arguments: Arguments, uid: bool) -> Store:
    """
    SP sequence-set [SP "(" store-modifier *(SP store-modifier) ")"] SP store-att-flags

    Raises No with LIMIT for a keyword that is too long.
    """
    arguments.space()
    messages = arguments.sequence_set_or_saved()
    arguments.space()
    unchanged_since = None
    if arguments.at(b"("):
        unchanged_since = _modifiers(arguments)
        arguments.space()
    if arguments.take_if(b"+"):
        mode = StoreMode.ADD
    elif arguments.take_if(b"-"):
        mode = StoreMode.REMOVE
    else:
        mode = StoreMode.REPLACE
    silent = arguments.keyword(b"FLAGS", b"FLAGS.SILENT") == b"FLAGS.SILENT"
    arguments.space()
    flags = arguments.flag_list() if arguments.at(b"(") else arguments.flags_bare()
    arguments.end()
    return Store(messages, uid, mode, silent, flags, unchanged_since)


def _modifiers(arguments: Arguments) -> ModSeq:
    """UNCHANGEDSINCE, of which "only a single" one may be there; there is no other. RFC 7162 §7."""

    def modifier() -> ModSeq:
        if arguments.tagged_ext_label() != b"UNCHANGEDSINCE":
            raise Bad("unknown store modifier")
        arguments.space()
        return ModSeq(arguments.mod_sequence_valzer())

    modifiers = arguments.parenthesised(modifier)
    if len(modifiers) > 1:
        raise Bad("UNCHANGEDSINCE may be given once")
    return modifiers[0]


async def run(session: Session, value: Store) -> Reply:
    """Changes the flags and tells the new ones. No: READ-ONLY, EXPUNGEISSUED, MODIFIED."""
    selected = session.the_mailbox
    if value.unchanged_since is not None:
        session.enable_condstore()
    messages = selected.messages(value.messages, value.uid)
    if selected.mailbox.read_only:
        raise No(READ_ONLY, "the mailbox is selected read-only")
    if not messages:
        return Reply("No messages, nothing stored")
    uids = NumberSet.from_sorted(messages.uids)
    stored = await selected.mailbox.store(uids, value.mode, value.flags, value.unchanged_since)
    if stored.changed:
        selected.silence(stored.modseq, stored.changed)
    await _tell(session, value, uids, stored)
    return _reply(selected, value, stored)


async def _tell(session: Session, value: Store, uids: NumberSet, stored: Stored) -> None:
    """
    The FETCH responses.

    Of messages that failed UNCHANGEDSINCE the flags are told also if .SILENT was asked for: "It is
    RECOMMENDED that the server avoids the need for the client to do that by sending an unsolicited
    FETCH response" (RFC 7162 §3.1.3). Of the others mod-sequences are told despite .SILENT, to
    clients that know them: of each if the STORE was conditional ("MUST be sent"), else of those
    whose mod-sequence has changed.
    """
    selected = session.the_mailbox
    with_flags = stored.modified if value.silent else uids - stored.gone
    pace = Pace(session)
    await pace.send(*selected.keyword_lines(session.features))
    uids_told = selected.by_uids(with_flags).uids
    for start in range(0, len(uids_told), LINES_MAX):
        part = uids_told[start : start + LINES_MAX]
        await pace.send(*selected.flag_lines(part, session.features))
        await pace.step()
    if value.silent and session.features.condstore:
        conditional = value.unchanged_since is not None
        changed = uids - stored.gone - stored.modified if conditional else stored.changed
        uids_told = selected.by_uids(changed).uids
        for start in range(0, len(uids_told), LINES_MAX):
            await pace.send(*selected.modseq_lines(uids_told[start : start + LINES_MAX]))
            await pace.step()


def _reply(selected: Selected, value: Store, stored: Stored) -> Reply:
    """
    The tagged answer, in which MODIFIED matters more than EXPUNGEISSUED.

    RFC 2180 §4.2: OK with .SILENT, NO without it, where messages that the client named by number
    are gone; RFC 7162 §3.1.3, example 11, has MODIFIED in that NO.
    """
    code, argument, text = None, "", None
    gone = bool(stored.gone) and not value.uid
    if gone:
        code, text = EXPUNGEISSUED, "Some of the messages no longer exist"
    if stored.modified:
        modified = stored.modified
        if not value.uid:
            modified = NumberSet.from_sorted(selected.by_uids(modified).numbers)
        code, argument = MODIFIED, number_set(modified).decode("ascii")
        text = text or "Conditional STORE failed for some messages"
    if gone and not value.silent:
        raise No(code, "some of the messages no longer exist", argument)
    return Reply(text, None if code is None else response_code(code, argument))
