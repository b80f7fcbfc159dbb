# SPDX-License-Identifier: GPL-3.0-or-later
"""
The corpus read by us and by the standard library's `email`, and why we differ where we do.

`DIFFERENCES` names each message that is read differently, by what was compared, with the reason. A
difference that is not named there fails, and so does one that is named and no longer exists.
"""

import email
import email.header
import email.utils
from collections.abc import Iterator
from email.message import Message
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.mime import transfer
from pluto_tw.mime.facts import Address, Facts
from pluto_tw.mime.headers import decode_words, fields
from pluto_tw.mime.parameters import parameter
from pluto_tw.mime.scanner import scan
from tests.mime.corpus import messages

HEADER_ENDS_EARLY = "email ends a header at its first line that is no field; RFC 7103 §7.2"
SPACE_BEFORE_COLON = "email knows no white space before the colon; RFC 5322 §4.5 has it"
NEVER_EMPTY = "BODYSTRUCTURE needs a part in every multipart, RFC 9051 §9 body-type-mpart"
NOT_A_MESSAGE = "email parses all of message/*; IMAP only rfc822 and global, RFC 9051 §6.4.5.1"
RAW_8_BIT = "email shows octets above 127 as U+FFFD; we read RFC 6532, or Latin-1"
UNFOLDED = "email keeps the line ends of folding"
WHITE_SPACE = "white space around a value means nothing to us"
COMMENTS = "email adds comments to the name; to us one counts only where there is no name"

DIFFERENCES: dict[str, dict[str, str]] = {
    "structure": {
        "content type with comments": "email takes the comment into the subtype; RFC 2045 §5.1",
        "content type with spaces": "email keeps the white space around the slash",
        "RFC 2231 continuation": NOT_A_MESSAGE,
        "message/partial": NOT_A_MESSAGE,
        "delivery status": NOT_A_MESSAGE,
        "multipart without a boundary": NEVER_EMPTY,
        "multipart whose boundary is missing": NEVER_EMPTY,
        "multipart that only closes": NEVER_EMPTY,
        "boundary of a boundary": "email sees the outer boundary close in the inner's",
        "same boundary twice": "email takes the first closing line for the outer multipart",
        "parts without bodies": "email makes one of two boundary lines that follow each other",
        "boundary folded": "email does not unfold the boundary",
    },
    "fields": {
        "quoted mbox line": HEADER_ENDS_EARLY,
        "garbage before the header": HEADER_ENDS_EARLY,
        "line without a colon": HEADER_ENDS_EARLY,
        "white space before the colon": SPACE_BEFORE_COLON,
        "RFC 5322 A.6.3": SPACE_BEFORE_COLON,
    },
    "decoded bodies": {
        "quoted mbox line": HEADER_ENDS_EARLY,
        "garbage before the header": HEADER_ENDS_EARLY,
        "line without a colon": HEADER_ENDS_EARLY,
        "white space before the colon": SPACE_BEFORE_COLON,
        "RFC 5322 A.6.3": SPACE_BEFORE_COLON,
        "bare CR in header and body": "email takes a bare CR for a line end, in headers only",
        "multipart with an empty boundary": "RFC 2046 §5.1.1: a boundary has at least one octet",
        "boundary of 300 octets": "longer than `BOUNDARY_OCTETS_MAX`",
        "multipart that is not closed": "email drops the last line end though no boundary follows",
    },
    "addresses": {
        "quoted mbox line": HEADER_ENDS_EARLY,
        "garbage before the header": HEADER_ENDS_EARLY,
        "8-bit header, UTF-8": RAW_8_BIT,
        "message of RFC 6532": RAW_8_BIT,
        "RFC 5322 A.5": COMMENTS,
        "RFC 5322 A.6.3": SPACE_BEFORE_COLON,
        "parentheses unbalanced": "RFC 7103 §7.1.4; email loses an address, makes two of another",
        "quotes unbalanced": "RFC 7103 §7.1.6; email finds no address",
        "naked words": "email keeps the first word",
    },
    "subject": {
        "line without a colon": HEADER_ENDS_EARLY,
        "bare CR in header and body": "email takes a bare CR for a line end, in headers only",
        "NUL in header and body": "NUL cannot be told in IMAP, RFC 9051 §9 CHAR8",
        "folded line of white space": UNFOLDED,
        "tab folding": UNFOLDED,
        "8-bit header, Latin-1": RAW_8_BIT,
        "8-bit header, UTF-8": RAW_8_BIT,
        "message of RFC 6532": RAW_8_BIT,
        "subject Straße ﬁ ǆ İ": RAW_8_BIT,
        "broken encoded-words": "email raises for an unknown charset",
        "long field": WHITE_SPACE,
        "subject Re: [Fwd: Re: hello (fwd)] ": WHITE_SPACE,
        "subject    spaced    out   ": WHITE_SPACE,
    },
    "sent": {
        "date Mon, 10 Jun 2024 10:11:09 (CEST) +0200 (CEST)": "email loses the zone at a comment",
        "date 2024-06-10T10:11:09+02:00": "email does not know ISO 8601",
        "date Mon, 31 Feb 2024 10:11:09 +0200": "email counts on into March",
        "date Mon, 10 Jun 2024 99:99:99 +0200": "RFC 5256 §2.2: an invalid time is 00:00:00",
        "date Mon, 10 Jun 2024 10:11:60 +0000": "a leap second does not begin the next minute",
        "date Mon, 10 Jun 2024": "RFC 5256 §2.2: a missing time is 00:00:00",
        "date Sat, 1 Jan 100 00:00:00 -0330": "RFC 5322 §4.3: three digits count from 1900",
    },
    "filename and charset": {
        "parameter without a closing quote": "email leaves the opening quote",
    },
}


def _leaves(message: Message) -> Iterator[Message]:
    return (part for part in message.walk() if not isinstance(part.get_payload(), list))


def _email_structure(message: Message, depth: int = 0) -> Iterator[tuple[str, str, int]]:
    yield message.get_content_maintype(), message.get_content_subtype(), depth
    payload: Any = message.get_payload()
    if isinstance(payload, list):
        for part in payload:
            yield from _email_structure(part, depth + 1)


def _our_structure(facts: Facts) -> Iterator[tuple[str, str, int]]:
    depths = {-1: -1}
    for index, part in enumerate(facts.parts):
        depths[index] = depths[part.parent] + 1
        yield part.media_type.decode("latin-1"), part.subtype.decode("latin-1"), depths[index]


def _email_addresses(message: Message, name: str) -> list[tuple[str, str]]:
    written = [str(value) for value in message.get_all(name, [])]
    lines = [value.replace("\r", "").replace("\n", "") for value in written]
    return [pair for pair in email.utils.getaddresses(lines) if any(pair)]


def _our_address(address: Address) -> tuple[str, str]:
    joined = (address.mailbox or b"") + (b"@" + address.host if address.host else b"")
    return (address.name or b"").decode("utf-8", "replace"), joined.decode("utf-8", "replace")


def _email_subject(message: Message) -> str:
    try:
        subject = email.header.decode_header(message["subject"])
        return str(email.header.make_header(subject))
    except LookupError as error:
        return repr(error)


def _email_sent(message: Message) -> float | None:
    date = email.utils.parsedate_tz(str(message["date"]))
    return email.utils.mktime_tz(date) if date else None


def _without_default(charset: str | None) -> str | None:
    """US-ASCII is what a part without Content-Type has; only we say so."""
    return None if charset in (None, "us-ascii") else charset.lower()


def compare(octets: bytes) -> Iterator[tuple[str, object, object]]:
    """What is compared, what `email` says of it, what we say."""
    message, facts = email.message_from_bytes(octets), scan(octets)
    structure = list(_email_structure(message))
    ours = list(_our_structure(facts))
    yield "structure", structure, ours
    yield "fields", message.keys(), [field.name.decode() for field in fields(facts.header)]
    for name in ("from", "to", "cc"):
        told = getattr(facts.envelope, "from_" if name == "from" else name)
        addresses = [_our_address(address) for address in told if address.host is not None]
        yield "addresses", _email_addresses(message, name), addresses
    if message["subject"] is not None:
        yield "subject", _email_subject(message), decode_words(facts.envelope.subject or b"")
    if message["date"] is not None:
        yield "sent", _email_sent(message), facts.sent
    if structure != ours:
        return
    leaves = [part for part in facts.parts if not part.children]
    yield (
        "decoded bodies",
        [part.get_payload(decode=True) for part in _leaves(message)],
        [transfer.decode(octets[slice(*part.body)], part.encoding) for part in leaves],
    )
    yield (
        "filename and charset",
        [
            (part.get_filename(), _without_default(part.get_content_charset()))
            for part in _leaves(message)
        ],
        [
            (
                parameter(part.disposition.parameters if part.disposition else (), b"filename")
                or parameter(part.parameters, b"name"),
                _without_default(parameter(part.parameters, b"charset")),
            )
            for part in leaves
        ],
    )


class EmailComparisonTests(SynchronousTestCase):
    maxDiff = None

    def test_all_differences_are_explained(self) -> None:
        found: dict[str, set[str]] = {what: set() for what in DIFFERENCES}
        for name, octets in messages().items():
            for what, theirs, ours in compare(octets):
                if theirs != ours:
                    found[what].add(name.removesuffix(", LF"))
        for what, explained in DIFFERENCES.items():
            self.assertEqual(found[what], set(explained), what)

    def test_corpus_is_large(self) -> None:
        """At least 300 messages, no two of the same octets counted twice."""
        self.assertGreaterEqual(len(set(messages().values())), 300)
