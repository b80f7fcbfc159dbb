# SPDX-License-Identifier: GPL-3.0-or-later
"""
Content-Transfer-Encoding undone, in chunks: RFC 2045 §6.7, §6.8; for BINARY (RFC 3516) and search.

Decoders forgive: what the encoding does not know is passed over (base64) or stands for itself
(quoted-printable). None raises; what a decoder gives for a whole is what it gives for its chunks.
None holds back more than `WHITE_SPACE_OCTETS_MAX` octets and a few.
"""

import binascii
import re
import string
from typing import Protocol

#: White space at the end of a quoted-printable line goes (RFC 2045 §6.7 rule 3: transports add
#: it). A run longer than this is no transport's doing, and is kept as it is.
WHITE_SPACE_OCTETS_MAX = 1024

_IDENTITIES = frozenset({b"7BIT", b"8BIT", b"BINARY", b""})


class Decoder(Protocol):
    """Undoes one transfer encoding, for one part."""

    def feed(self, chunk: bytes) -> bytes:
        """The octets that *chunk* completes."""

    def finish(self) -> bytes:
        """What is left when no more comes. The decoder is of no use after it."""


def decoder(encoding: bytes) -> Decoder | None:
    """
    A new decoder for *encoding*, in any case; None if it is unknown.

    For BINARY an unknown encoding is NO [UNKNOWN-CTE] (RFC 3516 §4.3); search reads the part as it
    stands.
    """
    match encoding.upper():
        case b"BASE64":
            return Base64Decoder()
        case b"QUOTED-PRINTABLE":
            return QuotedPrintableDecoder()
        case identity if identity in _IDENTITIES:
            return IdentityDecoder()
        case _:
            return None


def decode(octets: bytes, encoding: bytes) -> bytes:
    """All of *octets* decoded at once; an unknown encoding leaves them as they are."""
    if encoding in _IDENTITIES:
        return octets
    chosen = decoder(encoding)
    if chosen is None:
        return octets
    return chosen.feed(octets) + chosen.finish()


class IdentityDecoder:
    """7bit, 8bit and binary: the octets as they are, RFC 2045 §2.7 to §2.9."""

    def feed(self, chunk: bytes) -> bytes:
        return chunk

    def finish(self) -> bytes:
        return b""


_NOT_BASE64 = bytes(set(range(256)) - set(string.ascii_letters.encode() + b"0123456789+/="))


class Base64Decoder:
    """
    RFC 2045 §6.8: "Any characters outside of the base64 alphabet are to be ignored".

    "=" ends a run of base64; what follows it is decoded as a run of its own (encoders that are
    called once a line do that). Of a run that ends in the middle the whole octets are given.
    """

    def __init__(self) -> None:
        self._pending = b""

    def feed(self, chunk: bytes) -> bytes:
        characters = self._pending + chunk.translate(None, _NOT_BASE64)
        if b"=" not in characters:
            whole = len(characters) & ~3
            self._pending = characters[whole:]
            return binascii.a2b_base64(characters[:whole])
        *runs, last = characters.split(b"=")
        decoded = [_base64_run(run) for run in runs if run]
        self._pending = b""
        decoded.append(self.feed(last))
        return b"".join(decoded)

    def finish(self) -> bytes:
        return _base64_run(self._pending)


def _base64_run(characters: bytes) -> bytes:
    if len(characters) % 4 == 1:
        characters = characters[:-1]
    return binascii.a2b_base64(characters + b"=" * (-len(characters) % 4))


_HEXADECIMAL = string.hexdigits.encode()


def _rules(line_end: bytes) -> tuple[re.Pattern[bytes], re.Pattern[bytes], re.Pattern[bytes]]:
    """White space that goes, "=" that stands for itself, soft breaks: for one idea of line end."""
    return (
        # Not behind a bare CR: without the white space it would become a line end.
        re.compile(rb"(?<![ \t\r])[ \t]{1,%d}+(?=%b)" % (WHITE_SPACE_OCTETS_MAX, line_end)),
        re.compile(rb"=(?![0-9A-Fa-f]{2}|%b)" % line_end),
        re.compile(rb"=(?:%b)" % line_end),
    )


_SPACE_AT_LINE_END = (b" ", b"\t", b" \r", b"\t\r")
_WITHIN = _rules(rb"\r?\n")
# The last line of a part has given its line end to the boundary, its soft break too.
_AT_END = _rules(rb"\r?\n|\r?\Z")


class QuotedPrintableDecoder:
    """
    RFC 2045 §6.7: a "=" without two hexadecimal digits behind it stands for itself.

    Line ends stay as they are. White space at the end of a line goes, also between a "=" and the
    line end, which makes that a soft break; as long as it is no longer than
    `WHITE_SPACE_OCTETS_MAX`.
    """

    def __init__(self) -> None:
        self._pending = b""
        self._in_long_run = False

    def feed(self, chunk: bytes) -> bytes:
        octets = self._pending + chunk
        kept = b""
        if self._in_long_run:
            rest = octets.lstrip(b" \t")
            kept, octets = octets[: len(octets) - len(rest)], rest
            self._in_long_run = not rest
        decided = self._decided(octets)
        self._pending = octets[decided:]
        return kept + _decode_quoted(octets[:decided], _WITHIN)

    def finish(self) -> bytes:
        return _decode_quoted(self._pending, _AT_END)

    def _decided(self, octets: bytes) -> int:
        """How many of *octets* mean the same whatever comes behind them."""
        returned = len(octets) - octets.endswith(b"\r")
        text = octets[:returned].rstrip(b" \t")
        if returned - len(text) > WHITE_SPACE_OCTETS_MAX:
            self._in_long_run = returned == len(octets)
            return returned
        if text.endswith(b"=") or (len(text) < returned and text.endswith(b"\r")):
            return len(text) - 1
        if len(text) == len(octets) and text[-2:-1] == b"=" and text[-1] in _HEXADECIMAL:
            return len(text) - 2
        return len(text)


def _decode_quoted(
    octets: bytes, rules: tuple[re.Pattern[bytes], re.Pattern[bytes], re.Pattern[bytes]]
) -> bytes:
    trailing_space, broken_escape, soft_break = rules
    # The patterns look at every octet; most chunks have nothing for the first of them.
    if any(line.endswith(_SPACE_AT_LINE_END) for line in octets.split(b"\n")):
        octets = trailing_space.sub(b"", octets)
    if b"=" not in octets:
        return octets
    return binascii.a2b_qp(soft_break.sub(b"", broken_escape.sub(b"=3D", octets)))
