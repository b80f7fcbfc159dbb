# SPDX-License-Identifier: GPL-3.0-or-later
"""
SELECT and EXAMINE, RFC 9051 §6.3.2 and §6.3.3, with the parameters CONDSTORE and QRESYNC of
RFC 7162.
"""

from dataclasses import dataclass

from pluto_tw.imap.command import Reply
from pluto_tw.imap.grammar import Arguments
from pluto_tw.imap.list_response import list_response, old_name_responses
from pluto_tw.imap.responses import response_code, untagged_status
from pluto_tw.imap.selected import SET_OCTETS_MAX, Selected
from pluto_tw.imap.session import Session
from pluto_tw.mail.codes import (
    CLOSED,
    HIGHESTMODSEQ,
    MAILBOXID,
    READ_ONLY,
    READ_WRITE,
    UIDNEXT,
    UIDVALIDITY,
    UNSEEN,
)
from pluto_tw.mail.errors import Bad
from pluto_tw.mail.flags import SEEN
from pluto_tw.mail.sets import NumberSet
from pluto_tw.mail.uids import ModSeq, UidValidity

#: Flags are looked through for the first unseen message in pieces of this many.
UNSEEN_SLICE = 1000
#: FETCH lines that are queued before the client must take some; about 64 KiB.
LINES_MAX = 1000


@dataclass(frozen=True, slots=True)
class Resynchronisation:
    """What a client knows of the mailbox. RFC 7162 §3.2.5."""

    uid_validity: UidValidity
    modseq: ModSeq
    #: None: all UIDs that there can be.
    known: NumberSet | None


@dataclass(frozen=True, slots=True)
class Select:
    """SELECT or EXAMINE; the name as the client gave it."""

    mailbox: str
    read_only: bool
    condstore: bool
    qresync: Resynchronisation | None


def parse(arguments: Arguments, uid: bool) -> Select:
    """SP mailbox [SP "(" select-param *(SP select-param) ")"]"""
    return parse_select(arguments, read_only=False)


def parse_select(arguments: Arguments, *, read_only: bool) -> Select:
    """The arguments of SELECT and EXAMINE."""
    arguments.space()
    mailbox = arguments.mailbox()
    parameters: dict[bytes, Resynchronisation | None] = {}
    if arguments.space_if():

        def parameter() -> None:
            name = arguments.keyword(b"CONDSTORE", b"QRESYNC")
            if name in parameters:
                arguments.bad("each parameter once")
            parameters[name] = None
            if name == b"QRESYNC":
                arguments.space()
                parameters[name] = _resynchronisation(arguments)

        arguments.parenthesised(parameter)
    arguments.end()
    return Select(mailbox, read_only, b"CONDSTORE" in parameters, parameters.get(b"QRESYNC"))


def _resynchronisation(arguments: Arguments) -> Resynchronisation:
    """
    "(" uidvalidity SP mod-sequence-value [SP known-uids] [SP seq-match-data] ")"

    The sequence-match data is read and not used: it only saves what a server that forgets
    expunges would repeat.
    """
    arguments.expect(b"(")
    uid_validity = UidValidity(arguments.nz_number())
    arguments.space()
    modseq = ModSeq(arguments.mod_sequence_value())
    known = None
    matches = False
    if arguments.take_if(b" "):
        if arguments.at(b"("):
            matches = True
        else:
            known = arguments.uid_set()
            matches = arguments.take_if(b" ")
    if matches:
        arguments.expect(b"(")
        arguments.uid_set()
        arguments.space()
        arguments.uid_set()
        arguments.expect(b")")
    arguments.expect(b")")
    return Resynchronisation(uid_validity, modseq, known)


async def run(session: Session, value: Select) -> Reply:
    """
    Leaves the mailbox that was selected, whatever comes of it, and selects the new one.

    RFC 9051 §6.3.2: if the SELECT fails, no mailbox is selected. A QRESYNC parameter without
    ENABLE QRESYNC is BAD and leaves all as it was (RFC 7162 §3.2.5).
    """
    if value.qresync is not None and not session.features.qresync:
        raise Bad("QRESYNC must be enabled first")
    if session.unselect():
        session.send(untagged_status(b"OK", "The mailbox before is closed", response_code(CLOSED)))
    if value.condstore:
        session.enable_condstore()
    name = session.name(value.mailbox)
    mailbox = await session.the_account.open(name, value.read_only, session.woken)
    selected = session.select(mailbox)
    _describe(session, selected, value.mailbox)
    if value.qresync is not None and value.qresync.uid_validity == mailbox.uid_validity:
        await _resynchronise(session, selected, value.qresync)
    return Reply(code=response_code(READ_ONLY if mailbox.read_only else READ_WRITE))


def _describe(session: Session, selected: Selected, supplied: str) -> None:
    """The untagged data that SELECT must tell; *supplied* is what the client called the mailbox."""
    mailbox = selected.mailbox
    features = session.features
    session.send(*selected.keyword_lines(features))
    session.send(*selected.size_lines(features))
    if not features.rev2:
        unseen = _first_unseen(selected)
        if unseen:
            _tell(session, UNSEEN, str(unseen), "First message not seen")
    _tell(session, UIDVALIDITY, str(mailbox.uid_validity), "UIDs are valid")
    _tell(session, UIDNEXT, str(mailbox.uid_next()), "Next UID, or above")
    _tell(session, HIGHESTMODSEQ, str(selected.highest_modseq), "Highest mod-sequence")
    # RFC 8474 §4.2: "A server ... MUST return" it.
    _tell(session, MAILBOXID, f"({mailbox.mailbox_id})", "Identity of the mailbox")
    if features.rev2:
        # RFC 9051 §6.3.2: LIST is among the REQUIRED untagged responses; with OLDNAME if the
        # client's name for it is another.
        separator = session.the_account.separator
        session.send(
            *old_name_responses(supplied, mailbox.name, separator, features)
            or [list_response((), separator, mailbox.name, utf8=features.utf8)]
        )


def _tell(session: Session, code: str, argument: str, text: str) -> None:
    session.send(untagged_status(b"OK", text, response_code(code, argument)))


def _first_unseen(selected: Selected) -> int:
    """The sequence number of the first message without `\\Seen`, or 0. RFC 3501 §7.1."""
    for start in range(0, len(selected.uids), UNSEEN_SLICE):
        flags = selected.mailbox.flags(selected.uids[start : start + UNSEEN_SLICE])
        for number, seen in enumerate(flags, start + 1):
            if SEEN not in seen:
                return number
    return 0


async def _resynchronise(session: Session, selected: Selected, client: Resynchronisation) -> None:
    """What changed since the client's mod-sequence: VANISHED (EARLIER), then FETCH."""
    mailbox = selected.mailbox
    known = client.known
    vanished = await mailbox.vanished_since(client.modseq, known)
    # What the view shows is told as VANISHED later, when it leaves the view.
    vanished -= NumberSet.from_sorted(selected.uids)
    for part in vanished.chunks(SET_OCTETS_MAX):
        session.send(b"* VANISHED (EARLIER) %b\r\n" % part)
    changed = await mailbox.changed_since(client.modseq)
    if known is not None:
        changed &= known
    uids = selected.by_uids(changed).uids
    for start in range(0, len(uids), LINES_MAX):
        session.send(*selected.flag_lines(uids[start : start + LINES_MAX], session.features))
        await session.drain()
