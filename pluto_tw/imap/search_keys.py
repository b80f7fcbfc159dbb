# SPDX-License-Identifier: GPL-3.0-or-later
"""
Search programs as they come on the wire: RFC 9051 §6.4.4 and §9 "search-program", with the keys of
RFC 3501 (NEW, OLD, RECENT), RFC 5032 (OLDER, YOUNGER), RFC 7162 (MODSEQ) and RFC 8474 (EMAILID,
THREADID).

Decides which keys there are, how many may stand in one program, and what their strings mean. Leaves
to `search_program` which messages the sets name, and to `search_match` which messages fit.
"""

import re
from collections.abc import Callable, Mapping
from datetime import date
from functools import partial
from typing import Final

from pluto_tw.imap.grammar import Arguments
from pluto_tw.imap.search_program import Both, Named, Operator, Program, Step
from pluto_tw.mail.errors import Bad
from pluto_tw.mail.flags import ANSWERED, DELETED, DRAFT, FLAGGED, SEEN, Flag
from pluto_tw.mail.search import (
    AddressField,
    All,
    And,
    Body,
    ChangedSince,
    Comparison,
    EmailId,
    Field,
    HasFlag,
    Header,
    InternalDay,
    Key,
    Larger,
    Not,
    Older,
    Recent,
    SentDay,
    Smaller,
    Text,
    ThreadId,
    Younger,
)
from pluto_tw.mail.uids import ModSeq
from pluto_tw.mime.charsets import codec

#: Keys in one program, operators included. The longest that clients send look for some hundred
#: message ids, an OR and a HEADER each; every key costs a pass over the mailbox.
SEARCH_KEYS_MAX: Final = 1000

_OBJECT_ID = re.compile(rb"[A-Za-z0-9_-]{1,255}")


def parse_program(arguments: Arguments) -> Program:
    """["CHARSET" SP charset SP] search-key *(SP search-key), up to the command's end."""
    name: str | None = None
    if arguments.keyword_if(b"CHARSET"):
        arguments.space()
        name = arguments.charset()
        arguments.space()
    keys = _Keys(arguments, _decoder(name))
    keys.side_by_side(arguments.space_if)
    arguments.end()
    return Program(tuple(keys.steps), None if name is None or _is_known(name) else name)


class _Keys:
    """Reads search keys, operands before operators."""

    def __init__(self, arguments: Arguments, decode: Callable[[bytes], str]) -> None:
        self.steps: list[Step] = []
        self._arguments = arguments
        self._decode = decode
        self._count = 0

    def side_by_side(self, another: Callable[[], bool]) -> None:
        """search-key *(SP search-key), as long as *another* has taken what stands before one."""
        operands = 1
        self.key()
        while another():
            operands += 1
            self.key()
        if operands > 1:
            self.steps.append(Both(operands))

    def key(self) -> None:
        """search-key"""
        arguments = self._arguments
        self._count += 1
        if self._count > SEARCH_KEYS_MAX:
            raise Bad(f"a search has at most {SEARCH_KEYS_MAX} keys")
        if arguments.take_if(b"("):
            arguments.nested(partial(self.side_by_side, self._within_parentheses))
        elif arguments.at_digit() or arguments.at(b"*") or arguments.at(b"$"):
            self.steps.append(Named(arguments.sequence_set_or_saved(), uid=False))
        else:
            word = arguments.word()
            if word == b"NOT":
                arguments.space()
                arguments.nested(self.key)
                self.steps.append(Operator.NOT)
            elif word == b"OR":
                arguments.space()
                arguments.nested(self.key)
                arguments.space()
                arguments.nested(self.key)
                self.steps.append(Operator.OR)
            else:
                self.steps.append(self._leaf(word))

    def _within_parentheses(self) -> bool:
        if self._arguments.take_if(b")"):
            return False
        self._arguments.space()
        return True

    def _leaf(self, word: bytes) -> Step:
        fixed = _FIXED.get(word)
        if fixed is not None:
            return fixed
        with_argument = _WITH_ARGUMENT.get(word)
        if with_argument is None:
            raise Bad("unknown search key")
        self._arguments.space()
        return with_argument(self)

    # What stands behind a key's word.

    def body(self) -> Key:
        """astring"""
        return Body(self._text())

    def text(self) -> Key:
        """astring"""
        return Text(self._text())

    def field(self, field: AddressField) -> Key:
        """astring"""
        return Field(field, self._text())

    def header(self) -> Key:
        """header-fld-name SP astring"""
        # No field has a name that is not ASCII; such a key is no mistake, and fits nothing.
        name = self._arguments.astring().decode("ascii", "replace")
        self._arguments.space()
        return Header(name, self._text())

    def keyword(self) -> Key:
        """flag-keyword; one that no message can have is no error."""
        return HasFlag(Flag(self._arguments.atom().decode("ascii")))

    def unkeyword(self) -> Key:
        """flag-keyword"""
        return Not(self.keyword())

    def larger(self) -> Key:
        """number64"""
        return Larger(self._arguments.number64())

    def smaller(self) -> Key:
        """number64"""
        return Smaller(self._arguments.number64())

    def internal_day(self, comparison: Comparison) -> Key:
        """date"""
        return InternalDay(comparison, self._day())

    def sent_day(self, comparison: Comparison) -> Key:
        """date"""
        return SentDay(comparison, self._day())

    def older(self) -> Key:
        """nz-number, in seconds"""
        return Older(self._arguments.nz_number())

    def younger(self) -> Key:
        """nz-number, in seconds"""
        return Younger(self._arguments.nz_number())

    def uid(self) -> Step:
        """sequence-set"""
        return Named(self._arguments.sequence_set_or_saved(), uid=True)

    def modseq(self) -> Key:
        """
        [entry-name SP entry-type-req SP] mod-sequence-valzer

        A message has one mod-sequence for all its metadata, so we "MUST ignore <entry-name> and
        <entry-type-req>". RFC 7162 §3.1.5.
        """
        if self._arguments.at(b'"'):
            self._arguments.entry_flag_name()
            self._arguments.space()
            self._arguments.keyword(b"ALL", b"PRIV", b"SHARED")
            self._arguments.space()
        return ChangedSince(ModSeq(self._arguments.mod_sequence_valzer()))

    def email_id(self) -> Key:
        """objectid"""
        return EmailId(self._object_id())

    def thread_id(self) -> Key:
        """objectid"""
        return ThreadId(self._object_id())

    def _text(self) -> str:
        return self._decode(self._arguments.astring())

    def _day(self) -> int:
        day: date = self._arguments.date()
        return day.toordinal()

    def _object_id(self) -> str:
        object_id = self._arguments.astring()
        if _OBJECT_ID.fullmatch(object_id) is None:
            raise Bad("not an object id")
        return object_id.decode("ascii")


_FIXED: Final[Mapping[bytes, Step]] = {
    b"ALL": All(),
    b"ANSWERED": HasFlag(ANSWERED),
    b"DELETED": HasFlag(DELETED),
    b"DRAFT": HasFlag(DRAFT),
    b"FLAGGED": HasFlag(FLAGGED),
    b"SEEN": HasFlag(SEEN),
    b"UNANSWERED": Not(HasFlag(ANSWERED)),
    b"UNDELETED": Not(HasFlag(DELETED)),
    b"UNDRAFT": Not(HasFlag(DRAFT)),
    b"UNFLAGGED": Not(HasFlag(FLAGGED)),
    b"UNSEEN": Not(HasFlag(SEEN)),
    # RFC 3501 §6.4.4. A session that has enabled IMAP4rev2 has no recent messages.
    b"NEW": And((Recent(), Not(HasFlag(SEEN)))),
    b"OLD": Not(Recent()),
    b"RECENT": Recent(),
}

_WITH_ARGUMENT: Final[Mapping[bytes, Callable[[_Keys], Step]]] = {
    b"BCC": lambda keys: keys.field(AddressField.BCC),
    b"BEFORE": lambda keys: keys.internal_day(Comparison.BEFORE),
    b"BODY": _Keys.body,
    b"CC": lambda keys: keys.field(AddressField.CC),
    b"EMAILID": _Keys.email_id,
    b"FROM": lambda keys: keys.field(AddressField.FROM),
    b"HEADER": _Keys.header,
    b"KEYWORD": _Keys.keyword,
    b"LARGER": _Keys.larger,
    b"MODSEQ": _Keys.modseq,
    b"OLDER": _Keys.older,
    b"ON": lambda keys: keys.internal_day(Comparison.ON),
    b"SENTBEFORE": lambda keys: keys.sent_day(Comparison.BEFORE),
    b"SENTON": lambda keys: keys.sent_day(Comparison.ON),
    b"SENTSINCE": lambda keys: keys.sent_day(Comparison.SINCE),
    b"SINCE": lambda keys: keys.internal_day(Comparison.SINCE),
    b"SMALLER": _Keys.smaller,
    b"SUBJECT": lambda keys: keys.field(AddressField.SUBJECT),
    b"TEXT": _Keys.text,
    b"THREADID": _Keys.thread_id,
    b"TO": lambda keys: keys.field(AddressField.TO),
    b"UID": _Keys.uid,
    b"UNKEYWORD": _Keys.unkeyword,
    b"YOUNGER": _Keys.younger,
}


# Charsets


def _is_known(charset: str) -> bool:
    return charset in ("US-ASCII", "ASCII", "UTF-8") or codec(charset.encode("ascii")) is not None


def _decoder(charset: str | None) -> Callable[[bytes], str]:
    """
    Octets of a search string to text.

    Without a charset it is UTF-8: "if CHARSET is not provided, IMAP4rev2 servers MUST assume
    UTF-8", and RFC 3501 has ASCII there, which is a part of it. Others are those that are read in
    messages. Octets that are not in the charset are the client's error.
    """
    if charset is None:
        name = "utf-8"
    elif charset in ("US-ASCII", "ASCII"):
        name = "ascii"
    elif not _is_known(charset):
        # The search will be refused; the command is read to its end to see that it is one.
        name = "latin-1"
    else:
        name = codec(charset.encode("ascii")) or "utf-8"

    def decode(octets: bytes) -> str:
        try:
            return octets.decode(name)
        except UnicodeDecodeError:
            raise Bad("the string is not in the charset of the search") from None

    return decode
