# SPDX-License-Identifier: GPL-3.0-or-later
"""
What a header block says: the fields of MIME (RFC 2045, 2183, 3282, 1864, 2557) and the envelope.

The block is split once; fields are unfolded and parsed when they are asked for. Where a field
occurs more than once the first counts, but address fields are taken together (RFC 5322 §4.5.3,
RFC 7103 §7.5.1).
"""

import re
from functools import lru_cache
from typing import NamedTuple

from pluto_tw.mime import addresses
from pluto_tw.mime.comments import without_comments
from pluto_tw.mime.facts import Address, Disposition, Envelope
from pluto_tw.mime.headers import FIELD_START, fields, unfold
from pluto_tw.mime.parameters import Parameters, parse

#: Languages told of one part; the field is a list of what a document is written in.
LANGUAGES_MAX = 100

_UNFOLDED_LINE = re.compile(rb"\n(?=[^ \t\r\n])")

#: Header blocks of parts, and MIME fields of messages, that are remembered, and their octets. A
#: few, `text/plain` in UTF-8 above all, make most of all parts; those with a boundary or filename
#: come once.
REMEMBERED_MAX = 512
REMEMBERED_OCTETS_MAX = 256

NO_ENVELOPE = Envelope(None, None, (), (), (), (), (), (), None, None)

#: RFC 2045 §5.2: what a part is that does not say, or says it in no form that can be read.
DEFAULT_PARAMETERS: Parameters = ((b"charset", b"us-ascii"),)


class Content(NamedTuple):
    """The MIME fields of one part, in the form of `Part`."""

    media_type: bytes = b"text"
    subtype: bytes = b"plain"
    parameters: Parameters = DEFAULT_PARAMETERS
    content_id: bytes | None = None
    description: bytes | None = None
    encoding: bytes = b"7BIT"
    md5: bytes | None = None
    disposition: Disposition | None = None
    language: tuple[bytes, ...] = ()
    location: bytes | None = None

    def boundary(self, octets_max: int) -> bytes | None:
        """The boundary of a multipart, None without one of 1 to *octets_max* octets."""
        for name, value in self.parameters:
            if name == b"boundary":
                # RFC 2046 §5.1.1: it does not end with white space.
                boundary = value.rstrip(b" \t")
                return boundary if 0 < len(boundary) <= octets_max else None
        return None


PLAIN_TEXT = Content()
MESSAGE = Content(b"message", b"rfc822", ())


class PartHeader(NamedTuple):
    """What a header block says of its part, and how many of the block's octets are header."""

    content: Content
    octets: int


_ADDRESS_FIELDS = frozenset((b"from", b"sender", b"reply-to", b"to", b"cc", b"bcc"))
_CONTENT_FIELDS = tuple(
    b"content-" + name
    for name in (
        *(b"type", b"id", b"description", b"transfer-encoding", b"md5", b"disposition"),
        *(b"language", b"location"),
    )
)
_UNWRITTEN = (None,) * len(_CONTENT_FIELDS)


class HeaderBlock:
    """The fields of one header block, by name in lower case."""

    def __init__(self, octets: bytes) -> None:
        self._octets = octets
        pieces = FIELD_START.split(b"\n" + octets)
        #: Whether there is no field, and whether the first line is one.
        self.is_empty = len(pieces) == 1
        self.begins_with_field = not pieces[0]
        self._first: dict[bytes, bytes] = {}
        self._more: dict[bytes, list[bytes]] = {}
        first = self._first
        for name, value in zip(pieces[1::2], pieces[2::2], strict=True):
            name = name.lower()
            if name not in first:
                first[name] = value
            elif name in _ADDRESS_FIELDS:
                self._more.setdefault(name, []).append(value)

    def value(self, name: bytes) -> bytes | None:
        """The first value of the field *name*, unfolded; None if there is no such field."""
        value = self._first.get(name)
        return None if value is None else unfold(value)

    def addresses(self, name: bytes) -> tuple[Address, ...]:
        """The addresses of all fields called *name*."""
        value = self._first.get(name)
        if value is None:
            return ()
        if name in self._more:
            value = b",".join(unfold(each) for each in (value, *self._more[name]))
        return addresses.parse(unfold(value))

    def content(self, within_digest: bool) -> Content:
        """
        The MIME fields, with the defaults of RFC 2045 §5.2.

        *within_digest*: a part that names no type is message/rfc822, RFC 2046 §5.1.5. A type that
        cannot be read is text/plain; what parameters can be read stay.
        """
        written = tuple(map(self._first.get, _CONTENT_FIELDS))
        if written == _UNWRITTEN:
            return MESSAGE if within_digest else PLAIN_TEXT
        if sum(map(len, filter(None, written))) > REMEMBERED_OCTETS_MAX:
            return _content(written, within_digest)
        return _remembered_content(written, within_digest)

    def part_header(self, of_message: bool, empty_line: bool, within_digest: bool) -> PartHeader:
        """
        What the block says as the header *of a message* or of a part; see the head of `scanner`.

        *empty_line*: whether the empty line of a header ended it.
        """
        octets = self._octets
        if not self.begins_with_field and octets not in (b"", b"\r\n", b"\n"):
            junk_may_lead = of_message or octets.startswith((b" ", b"\t", b"From ", b">From "))
            if self.is_empty or not junk_may_lead:
                return PartHeader(MESSAGE if within_digest else PLAIN_TEXT, 0)
        content = self.content(within_digest)
        if not empty_line and (found := fields(octets)):
            behind = _UNFOLDED_LINE.search(octets, found[-1].value_start)
            if behind:
                shorter = HeaderBlock(octets[: behind.end()]).content(within_digest)
                # What a message begins with has been looked for behind the block.
                if shorter.media_type != b"message":
                    return PartHeader(shorter, behind.end())
        return PartHeader(content, len(octets))

    def envelope(self) -> Envelope:
        """The envelope, with Sender and Reply-To defaulted from From: RFC 9051 §7.5.2."""
        if self.is_empty:
            return NO_ENVELOPE
        value, addresses_of = self.value, self.addresses
        from_ = addresses_of(b"from")
        return Envelope(
            value(b"date"),
            value(b"subject"),
            from_,
            addresses_of(b"sender") or from_,
            addresses_of(b"reply-to") or from_,
            addresses_of(b"to"),
            addresses_of(b"cc"),
            addresses_of(b"bcc"),
            value(b"in-reply-to"),
            value(b"message-id"),
        )


def part_header(octets: bytes, empty_line: bool, within_digest: bool) -> PartHeader:
    """What the header block of a part says, not of a message."""
    if len(octets) > REMEMBERED_OCTETS_MAX:
        return HeaderBlock(octets).part_header(False, empty_line, within_digest)
    return _remembered_block(octets, empty_line, within_digest)


@lru_cache(REMEMBERED_MAX)
def _remembered_block(octets: bytes, empty_line: bool, within_digest: bool) -> PartHeader:
    return HeaderBlock(octets).part_header(False, empty_line, within_digest)


def _content(written: tuple[bytes | None, ...], within_digest: bool) -> Content:
    """What *written*, the values of `_CONTENT_FIELDS`, say; at least one of them is there."""
    media, id_, description, encoding, md5, disposition, language, location = (
        None if value is None else unfold(value) for value in written
    )
    default = MESSAGE if within_digest else PLAIN_TEXT
    media_type, subtype, parameters = _media_type(media) if media else default[:3]
    return Content(
        media_type,
        subtype,
        parameters,
        id_,
        description,
        _encoding(encoding) if encoding else b"7BIT",
        md5,
        _disposition(disposition) if disposition else None,
        _languages(language) if language else (),
        location,
    )


_remembered_content = lru_cache(REMEMBERED_MAX)(_content)


def _media_type(value: bytes) -> tuple[bytes, bytes, Parameters]:
    written, parameters = parse(value)
    media_type, slash, subtype = written.lower().partition(b"/")
    media_type, subtype = media_type.rstrip(), subtype.lstrip()
    if not slash or not media_type or not subtype or 32 in media_type or 32 in subtype:
        return b"text", b"plain", parameters or DEFAULT_PARAMETERS
    return media_type, subtype, parameters


def _encoding(value: bytes) -> bytes:
    """The transfer encoding's word; what follows it is some sender's error."""
    if value.isalnum():
        return value.upper()
    words = without_comments(value).replace(b";", b" ").split(None, 1)
    return words[0].upper() if words else b"7BIT"


def _disposition(value: bytes) -> Disposition | None:
    kind, parameters = parse(value)
    if not kind and not parameters:
        return None
    # RFC 2183 §2.8: "Unrecognized disposition types should be treated as attachment".
    return Disposition(kind.lower() or b"attachment", parameters)


def _languages(value: bytes) -> tuple[bytes, ...]:
    """RFC 3282: tags with commas between them."""
    tags = (tag.strip() for tag in without_comments(value).split(b","))
    return tuple([tag for tag in tags if tag][:LANGUAGES_MAX])
