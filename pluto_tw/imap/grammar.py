# SPDX-License-Identifier: GPL-3.0-or-later
"""
The values in a command's arguments: numbers, sets, flags, names, dates.

Decides what each primitive of RFC 9051 §9 looks like and how large it may be, on the lexical
rules of `cursor`. Leaves to each command's parser in which order they come, and to `mail` what
a flag, a set or a name may be.

As there, each method takes what its name says or raises `Bad`; only those that take flags may
also raise `No` with LIMIT.
"""

import re
from datetime import date, datetime
from typing import Final

from pluto_tw.imap.cursor import (
    DEPTH_MAX,
    LIST_ITEMS_MAX,
    Cursor,
    Literal,
    Segment,
    StreamedLiteral,
)
from pluto_tw.imap.dates import parse_date, parse_date_time
from pluto_tw.mail import utf7
from pluto_tw.mail.errors import Bad
from pluto_tw.mail.flags import Flag, Flags, flag, flag_set
from pluto_tw.mail.sets import NumberSet, SequenceSet
from pluto_tw.mail.uids import MODSEQ_MAX, UID_MAX

__all__ = [
    "DEPTH_MAX",
    "LIST_ITEMS_MAX",
    "NUMBER64_MAX",
    "NUMBER_MAX",
    "Arguments",
    "Literal",
    "Segment",
    "StreamedLiteral",
]

#: number of RFC 9051 §9: 32 bits.
NUMBER_MAX: Final = UID_MAX
#: number64 of RFC 9051 §9: 63 bits.
NUMBER64_MAX: Final = MODSEQ_MAX

_ATOM = re.compile(rb'[^\x00-\x20\x7f-\xff(){%*"\\\]]+')
_LIST_CHARS = re.compile(rb'[^\x00-\x20\x7f-\xff(){"\\]+')
_FLAG = re.compile(rb'\\?[^\x00-\x20\x7f-\xff(){%*"\\\]]+')
_LABEL = re.compile(rb"[A-Za-z._-][A-Za-z0-9._:-]*")
_DIGITS = re.compile(rb"[0-9]+")
_SET = re.compile(rb"[0-9:*,]+")
_TAGGED_SIMPLE = re.compile(rb"\$|-?[0-9:*,-]+")
_PARTIAL = re.compile(rb"<([0-9]+)\.([0-9]+)>")
_PARTIAL_RANGE = re.compile(rb"(-?)([0-9]+):(-?)([0-9]+)")
_DATE_TEXT = re.compile(rb"[0-9A-Za-z-]+")


class Arguments(Cursor):
    """The arguments of one command; constructed as a `Cursor` is."""

    __slots__ = ()

    # Numbers

    def number(self) -> int:
        """number: 0 to 4294967295; leading zeros are allowed."""
        return self._number("a number", 0, NUMBER_MAX)

    def nz_number(self) -> int:
        """nz-number: 1 to 4294967295, no leading zero."""
        if self._text.startswith(b"0", self._position):
            self.bad("a number that does not start with 0")
        return self._number("a number from 1", 1, NUMBER_MAX)

    def number64(self) -> int:
        """number64: 0 to 2^63-1."""
        return self._number("a number", 0, NUMBER64_MAX)

    def nz_number64(self) -> int:
        """nz-number64: 1 to 2^63-1, no leading zero."""
        if self._text.startswith(b"0", self._position):
            self.bad("a number that does not start with 0")
        return self._number("a number from 1", 1, NUMBER64_MAX)

    def mod_sequence_value(self) -> int:
        """mod-sequence-value: 1 to 2^63-1. RFC 7162 §7."""
        return self._number("a mod-sequence from 1", 1, MODSEQ_MAX)

    def mod_sequence_valzer(self) -> int:
        """mod-sequence-valzer: 0 to 2^63-1. RFC 7162 §7."""
        return self._number("a mod-sequence", 0, MODSEQ_MAX)

    def partial(self) -> tuple[int, int]:
        """partial, `<offset.octets>`: octets from 1. RFC 9051 §9, RFC 3516 §7."""
        match = _PARTIAL.match(self._text, self._position)
        if match is None:
            self.bad("<offset.octets>")
        offset = self._bounded(match[1], 0, NUMBER64_MAX, "<offset.octets>")
        octets = self._bounded(match[2], 1, NUMBER64_MAX, "<offset.octets> with octets from 1")
        self._position = match.end()
        return offset, octets

    def partial_range(self) -> tuple[int, int]:
        """
        partial-range of RFC 9394 §4, the smaller absolute value first; both below 0 if counted
        from the newest: "-500:-400" is (-400, -500).
        """
        match = _PARTIAL_RANGE.match(self._text, self._position)
        if match is None or match[1] != match[3]:
            self.bad("a range")
        first = self._bounded(match[2], 1, NUMBER_MAX, "a range of numbers from 1")
        last = self._bounded(match[4], 1, NUMBER_MAX, "a range of numbers from 1")
        self._position = match.end()
        sign = -1 if match[1] else 1
        return sign * min(first, last), sign * max(first, last)

    # Sets

    def sequence_set(self) -> SequenceSet:
        """sequence-set of numbers and "*"."""
        return SequenceSet.parse(self._match(_SET, "a set of numbers"))

    def sequence_set_or_saved(self) -> SequenceSet | None:
        """sequence-set, or `None` for "$", the saved result of SEARCH. RFC 5182 §3."""
        return None if self.take_if(b"$") else self.sequence_set()

    def uid_set(self) -> NumberSet:
        """uid-set: no "*"."""
        return NumberSet.parse(self._match(_SET, "a set of UIDs"))

    # Flags

    def flag(self) -> Flag:
        """flag: a system flag or a keyword. Raises `No` with LIMIT if it is too long."""
        return flag(self._flag_text())

    def flag_list(self) -> Flags:
        """flag-list: "(" [flag *(SP flag)] ")". Raises `No` with LIMIT if one is too long."""
        return flag_set(self.parenthesised(self._flag_text, minimum=0))

    def flags_bare(self) -> Flags:
        """The flags of STORE without parentheses, flag *(SP flag), up to the command's end."""
        texts = [self._flag_text()]
        while self.space_if():
            self._count(texts)
            texts.append(self._flag_text())
        return flag_set(texts)

    def entry_flag_name(self) -> str:
        r"""
        entry-name of SEARCH MODSEQ: the flag X of "/flags/X", with its backslash, unchecked.

        RFC 7162 §3.1.5; example: `"/flags/\\seen"` is `\seen`.
        """
        entry = self.quoted()
        if entry[:7].lower() != b"/flags/" or not _FLAG.fullmatch(entry, 7):
            self.bad('"/flags/" and a flag in quotes')
        return entry[7:].decode("ascii")

    # Names

    def mailbox(self) -> str:
        """
        mailbox, decoded; `mail.names` says whether it names anything.

        UTF-8 where the session has enabled it. Otherwise modified UTF-7; octets above 127, which
        a client can send there in a literal, are UTF-8 nevertheless: that form is never modified
        UTF-7, so nothing is ambiguous, and RFC 6855 §3 has us take such names in UTF-8 anyway.
        An ASCII name that is not modified UTF-7, as `R&D`, is refused: taken as it is we would
        list it as `R&-D`, and the client would miss what it has just made (RFC 9051 §A.1).
        """
        return self._name(self.astring())

    def list_mailbox(self) -> str:
        """list-mailbox, decoded as `mailbox` is: 1*list-char / string, with "%" and "*"."""
        match = _LIST_CHARS.match(self._text, self._position)
        if match is None:
            return self._name(self._string("a mailbox pattern"))
        self._position = match.end()
        return self._name(match[0])

    def charset(self) -> str:
        """charset: atom / quoted, in upper case."""
        if self.at(b'"'):
            name = self.quoted()
            if not name.isascii():
                self.bad("a charset in ASCII")
        else:
            name = self._match(_ATOM, "a charset")
        return name.decode("ascii").upper()

    # Dates

    def date(self) -> date:
        """date: date-text, or that in quotes."""
        start = self._position
        in_quotes = self.take_if(b'"')
        text = self._match(_DATE_TEXT, "a date")
        if in_quotes:
            self.expect(b'"')
        try:
            return parse_date(text)
        except ValueError:
            self._position = start
            self.bad("a date such as 1-Feb-1994")

    def date_time(self) -> datetime:
        """date-time, with its zone."""
        start = self._position
        text = self.quoted()
        try:
            return parse_date_time(text)
        except ValueError:
            self._position = start
            self.bad('a date and time such as "01-Feb-1994 21:52:25 -0800"')

    # Extensions

    def tagged_ext_label(self) -> bytes:
        """tagged-ext-label, in upper case: the name of a parameter or modifier. RFC 4466 §3."""
        return self._match(_LABEL, "the name of a parameter").upper()

    def skip_tagged_ext_val(self) -> None:
        """
        tagged-ext-val, of a parameter that nobody knows: a set, a number, or a list of strings
        and lists. RFC 4466 §3.
        """
        if not self.at(b"("):
            self._match(_TAGGED_SIMPLE, "a set, a number or a list")
            return
        self.expect(b"(")
        if self.take_if(b")"):
            return
        depth = 1
        while depth:
            while self.take_if(b"("):
                depth += 1
                if depth > DEPTH_MAX:
                    raise Bad(f"nested deeper than {DEPTH_MAX}")
            self.astring()
            while depth and self.take_if(b")"):
                depth -= 1
            if depth:
                self.space()

    # Below all

    def _number(self, expected: str, low: int, high: int) -> int:
        match = _DIGITS.match(self._text, self._position)
        if match is None:
            self.bad(expected)
        number = self._bounded(match[0], low, high, expected)
        self._position = match.end()
        return number

    def _bounded(self, digits: bytes, low: int, high: int, expected: str) -> int:
        # Python refuses to convert more than 4,300 digits, and 19 are the most that can be meant.
        significant = digits.lstrip(b"0") or b"0"
        if len(significant) <= 19 and low <= int(significant) <= high:
            return int(significant)
        self.bad(f"{expected} up to {high}")

    def _flag_text(self) -> str:
        return self._match(_FLAG, "a flag").decode("ascii")

    def _name(self, wire: bytes) -> str:
        if self.utf8 or not wire.isascii():
            return self._utf8(wire)
        try:
            return utf7.decode(wire)
        except ValueError:
            raise Bad("a mailbox name must be in modified UTF-7") from None
