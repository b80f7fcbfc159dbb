# SPDX-License-Identifier: GPL-3.0-or-later
"""
What a SEARCH answers: the result options of RETURN (RFC 9051 §6.4.4, RFC 4731), the SEARCH and
ESEARCH responses, and what SAVE keeps (RFC 9051 §6.4.4.1, RFC 5182).

Works on the messages found; which those are, `search_match` says.
"""

from collections.abc import Sequence
from enum import Enum

from pluto_tw.imap.grammar import Arguments
from pluto_tw.imap.responses import quoted
from pluto_tw.imap.selected import Messages
from pluto_tw.mail.sets import NumberSet


class ReturnOption(Enum):
    """The result options. Those of RFC 9394 (PARTIAL) and RFC 5267 are not supported."""

    MIN = b"MIN"
    MAX = b"MAX"
    ALL = b"ALL"
    COUNT = b"COUNT"
    SAVE = b"SAVE"


ReturnOptions = frozenset[ReturnOption]

#: "If no result option is specified or empty list of options is specified as "()", ALL is
#: assumed." RFC 9051 §6.4.4.
DEFAULT: ReturnOptions = frozenset({ReturnOption.ALL})

_NAMES = tuple(option.value for option in ReturnOption)
_ENDS = frozenset({ReturnOption.MIN, ReturnOption.MAX})
_WHOLE = frozenset({ReturnOption.ALL, ReturnOption.COUNT})


def parse_return(arguments: Arguments) -> ReturnOptions:
    """
    "(" [search-return-opt *(SP search-return-opt)] ")"

    Others "MUST be rejected with a BAD response". RFC 9051 §6.4.4.
    """
    options = arguments.parenthesised(lambda: ReturnOption(arguments.keyword(*_NAMES)), minimum=0)
    return frozenset(options) or DEFAULT


def is_silent(options: ReturnOptions) -> bool:
    """SAVE alone "suppresses any ESEARCH response"."""
    return options == {ReturnOption.SAVE}


def named(found: Messages, options: ReturnOptions) -> Messages:
    """
    Those of *found* that `$` stands for after SAVE, and whose mod-sequences are told.

    Only the ends of the result, if the client asked for nothing but them: the table of RFC 9051
    §6.4.4.1; RFC 4731 §3.2 says the same of MODSEQ.
    """
    if not found or not options & _ENDS or options & _WHOLE:
        return found
    places = []
    if ReturnOption.MIN in options:
        places.append(0)
    if ReturnOption.MAX in options and len(found) - 1 not in places:
        places.append(len(found) - 1)
    return Messages([found.numbers[p] for p in places], [found.uids[p] for p in places])


def esearch_line(
    tag: bytes, found: Messages, options: ReturnOptions, modseq: int | None, *, uid: bool
) -> bytes:
    """
    The one ESEARCH response. RFC 9051 §7.3.4.

    Of an empty result only COUNT is told. *modseq* is that of the messages `named`, None if it
    was not asked for: RFC 7162 §3.1.10 wants it of a result that is not empty.
    """
    told = found.uids if uid else found.numbers
    items = [b"* ESEARCH (TAG %b)" % quoted(tag)]
    if uid:
        items.append(b"UID")
    if ReturnOption.MIN in options and told:
        items.append(b"MIN %d" % told[0])
    if ReturnOption.MAX in options and told:
        items.append(b"MAX %d" % told[-1])
    if ReturnOption.COUNT in options:
        items.append(b"COUNT %d" % len(told))
    if ReturnOption.ALL in options and told:
        items.append(b"ALL " + NumberSet.from_sorted(told).format())
    if modseq is not None and told:
        items.append(b"MODSEQ %d" % modseq)
    return b" ".join(items) + b"\r\n"


def search_line(told: Sequence[int], modseq: int | None) -> bytes:
    """The SEARCH response of IMAP4rev1. RFC 3501 §7.2.5; *modseq* as RFC 7162 §3.1.6."""
    numbers = b"".join([b" %d" % number for number in told])
    if modseq is None or not told:
        return b"* SEARCH%b\r\n" % numbers
    return b"* SEARCH%b (MODSEQ %d)\r\n" % (numbers, modseq)
