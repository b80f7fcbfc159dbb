# SPDX-License-Identifier: GPL-3.0-or-later
"""
The text of a message for SEARCH BODY and TEXT (RFC 9051 §6.4.4, RFC 5255 §4.6), in chunks.

`passages` says which octets are text; a reader makes text of them. The caller reads the octets and
looks into the text, so that no more of a message than a chunk is ever held:

    for passage in passages(facts, with_header=True):
        reader = reader_of(passage)
        for chunk in ...:  # the octets of passage.span
            look(reader.feed(chunk))
        look(reader.finish())

What is searched: the bodies of all text parts, decoded from transfer encoding and charset, markup
included; the headers of parts and of embedded messages, with their encoded-words decoded; and for
TEXT the header of the message. Not searched: other parts, preambles and epilogues, and what lies
behind the first `HEADER_SEARCHED_OCTETS_MAX` of one header. A part whose transfer encoding is
unknown is searched as it stands.
"""

from typing import NamedTuple, Protocol

from pluto_tw.mime import charsets, transfer
from pluto_tw.mime.facts import Facts, Part, Span
from pluto_tw.mime.headers import decode_words, fields

#: A header is decoded at once, so only so much of it is held. As much as the scanner reads.
HEADER_SEARCHED_OCTETS_MAX = 128 * 1024


class Passage(NamedTuple):
    """Octets that are text: the body of *part*, or a header if that is None."""

    span: Span
    part: Part | None


def passages(facts: Facts, with_header: bool) -> list[Passage]:
    """What to search, in the order of the message: TEXT searches *with header*, BODY without."""
    found = []
    for index, part in enumerate(facts.parts):
        if (index > 0 or with_header) and part.header.start < part.header.end:
            found.append(Passage(part.header, None))
        if part.media_type == b"text":
            found.append(Passage(part.body, part))
    return found


class Reader(Protocol):
    """Makes text of the octets of one passage."""

    def feed(self, octets: bytes) -> str:
        """The text that *octets* complete."""

    def finish(self) -> str:
        """What is left when no more octets come."""


def reader_of(passage: Passage) -> Reader:
    """A new reader for *passage*."""
    return HeaderReader() if passage.part is None else TextReader(passage.part)


class TextReader:
    """Text of a text part: transfer encoding undone, then read in its charset. Never raises."""

    def __init__(self, part: Part) -> None:
        charset = next((value for name, value in part.parameters if name == b"charset"), b"")
        self._decoder = transfer.decoder(part.encoding) or transfer.IdentityDecoder()
        self._charset = charsets.Reader(charset)

    def feed(self, octets: bytes) -> str:
        return self._charset.feed(self._decoder.feed(octets))

    def finish(self) -> str:
        return self._charset.feed(self._decoder.finish()) + self._charset.finish()


class HeaderReader:
    """Text of a header, when it is whole: each field on a line, encoded-words decoded."""

    def __init__(self) -> None:
        self._octets: list[bytes] = []
        self._room = HEADER_SEARCHED_OCTETS_MAX

    def feed(self, octets: bytes) -> str:
        if self._room > 0:
            self._octets.append(octets[: self._room])
            self._room -= len(octets)
        return ""

    def finish(self) -> str:
        return header_text(b"".join(self._octets))


def header_text(header: bytes) -> str:
    """The fields of a header block as `Name: value` lines, folding and encoded-words undone."""
    lines = []
    for field in fields(header):
        value = decode_words(header[field.value_start : field.span.end])
        lines.append(f"{field.name.decode('ascii')}: {value}\n")
    return "".join(lines)
