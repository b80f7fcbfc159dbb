# SPDX-License-Identifier: GPL-3.0-or-later
"""
A header block as octets: its fields, some of its fields, the text of a value.

Where a header block begins and ends is `scanner`'s matter. Here every octet of a block is given
to a field: a line that is neither a field nor a continuation belongs to the field above it, as if
it had been folded (RFC 7103 §7.2). Lines above the first field (the "From " of an mbox file, say)
belong to none. The empty line at the end belongs to none either.
"""

import binascii
import re
import string
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from pluto_tw.mime.charsets import to_text
from pluto_tw.mime.facts import Span

#: A field's name and colon at the start of a line, RFC 5322 §2.2 and §4.5 (white space before the
#: colon). To be searched in a block with LF put before it. Possessive: never looked at twice.
FIELD_START = re.compile(rb"\n([!-9;-~]++)[ \t]*+:")

# Looking for an octet is three times as fast as looking for octets.
_NUL, _LF, _CR = b"\0\n\r"
_FOLD = re.compile(rb"\r?\n(?=[ \t])")
_NOT_IN_HEADER = str.maketrans({"\r": " ", "\n": " ", "\0": None})
_CR_LF_TO_SPACE = bytes.maketrans(b"\r\n", b"  ")
_ENCODED_WORD = re.compile(rb"=\?([^?\s]++)\?([bBqQ])\?([^?]*+)\?=")
_NOT_BASE64 = bytes(set(range(256)) - set(string.ascii_letters.encode() + b"0123456789+/"))
_BROKEN_ESCAPE = re.compile(rb"=(?![0-9A-Fa-f]{2})")


class Field(NamedTuple):
    """
    One field of a header block.

    *name* as written. *span* is the whole field, from its name to its last line end; the value
    begins at *value_start* and ends with the span. Offsets count from the start of the block.
    """

    name: bytes
    span: Span
    value_start: int


def fields(header: bytes) -> list[Field]:
    """The fields of a header block, in order. Empty for octets that hold no field at all."""
    starts = list(FIELD_START.finditer(b"\n" + header))
    end_of_fields = len(header) - len(blank_line(header))
    ends = [match.start() for match in starts[1:]] + [end_of_fields]
    return [
        Field(match[1], Span(match.start(), end), match.end() - 1)
        for match, end in zip(starts, ends, strict=False)
    ]


def blank_line(header: bytes) -> bytes:
    """The empty line that ends *header*: CRLF, LF, or nothing where the block has none."""
    if header.endswith((b"\n\r\n", b"\n\n")) or header in (b"\r\n", b"\n"):
        return b"\r\n" if header.endswith(b"\r\n") else b"\n"
    return b""


def select_fields(header: bytes, names: Iterable[bytes], negate: bool) -> bytes:
    """
    The octets of BODY[HEADER.FIELDS (names)], or of HEADER.FIELDS.NOT if *negate*.

    Fields keep their octets and order; the empty line stands at the end if the block has it. Names
    match in any case, "but otherwise exact" (RFC 9051 §6.4.5.1). Lines above the first field are
    no field, so neither form gives them.
    """
    wanted = {name.lower() for name in names}
    chosen = [
        header[field.span.start : field.span.end]
        for field in fields(header)
        if (field.name.lower() in wanted) is not negate
    ]
    chosen.append(blank_line(header))
    return b"".join(chosen)


def values(header: bytes, name: bytes) -> Iterator[bytes]:
    """The unfolded value of each field called *name*, in any case, in order."""
    wanted = name.lower()
    for field in fields(header):
        if field.name.lower() == wanted:
            yield unfold(header[field.value_start : field.span.end])


def unfold(value: bytes) -> bytes:
    """
    A field's value on one line: folding undone (RFC 5322 §2.2.3), no white space around it.

    A line end without white space behind it (RFC 7103 §7.2) and a bare CR become a space, NUL is
    dropped, so the result has no CR, LF or NUL.
    """
    value = value.strip(b" \t\r\n")
    if _LF in value:
        value = _FOLD.sub(b"", value)
        if _LF in value:
            value = value.replace(b"\r\n", b" ").replace(b"\n", b" ")
    if _CR in value or _NUL in value:
        value = value.translate(_CR_LF_TO_SPACE, b"\0")
    return value


def decode_words(value: bytes) -> str:
    """
    A field's value as text: folding undone, encoded-words decoded (RFC 2047), NUL dropped.

    Forgiving, and never raises: encoded-words are found wherever they stand, may be of any length
    and hold spaces; a character may be divided between two of them (§5 forbids it, senders do
    it); octets above 127 are UTF-8 if they can be, else Latin-1; an unknown charset is read in
    the same way; what is no encoded-word stays as it is. White space between two encoded-words
    goes (§6.2).
    """
    value = unfold(value)
    if b"=?" not in value:
        return to_text(value)
    pieces: list[str] = []
    charset, end = b"", 0
    octets: list[bytes] = []
    for match in _ENCODED_WORD.finditer(value):
        between = value[end : match.start()]
        adjacent = end > 0 and not between.strip(b" \t")
        if not adjacent or match[1] != charset:
            pieces.append(to_text(b"".join(octets), charset))
            charset, octets = match[1], []
        if not adjacent:
            pieces.append(to_text(between))
        octets.append(_encoded_text(match[2], match[3]))
        end = match.end()
    pieces.append(to_text(b"".join(octets), charset))
    pieces.append(to_text(value[end:]))
    text = "".join(pieces)
    # An encoded-word may hold what a header may not.
    return text if text.isprintable() else text.translate(_NOT_IN_HEADER)


def _encoded_text(encoding: bytes, text: bytes) -> bytes:
    """The octets of an encoded-word's text, RFC 2047 §4; broken escapes stand for themselves."""
    if encoding in b"qQ":
        return binascii.a2b_qp(_BROKEN_ESCAPE.sub(b"=3D", text), header=True)
    text = text.translate(None, _NOT_BASE64)
    if len(text) % 4 == 1:
        text = text[:-1]
    return binascii.a2b_base64(text + b"=" * (-len(text) % 4))
