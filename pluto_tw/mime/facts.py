# SPDX-License-Identifier: GPL-3.0-or-later
"""
What the scanner found in a message: the value that an account keeps beside it.

The file decides the shape of the facts and their bytes at rest; `scanner` decides what they say.
Facts are derived from the message alone, so they can be dropped and made again at any time. They
are never sent to another replica.

Invariants of every `Facts` that the scanner makes:

- `parts` is in preorder, `parts[0]` is the message itself; a part's index is greater than its
  parent's. A multipart has at least one child, message/rfc822 and message/global exactly one.
- `0 <= header.start <= header.end <= body.start <= body.end <= size` for every part, and header
  and body of a child lie within the body of its parent. `header.end == body.start`.
- No octet string but `Facts.header` holds CR, LF or NUL: folding is undone, a bare CR or LF has
  become a space, NUL is dropped. Octets above 127 may occur (RFC 6532, and plain errors).
- Media types, names of parameters and dispositions are in lower case, transfer encodings in upper
  case (RFC 2045 §5.1, §6.1: none of them is case-sensitive). Values are as they were written.
"""

from typing import NamedTuple

import msgspec

#: Raised whenever the scanner or the shapes below change: older facts are then computed again.
FACTS_VERSION = 1


class Span(NamedTuple):
    """Octets of the message from *start* up to, not including, *end*."""

    start: int
    end: int


class Address(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """
    One address as ENVELOPE tells it, RFC 9051 §7.5.2.

    *name* is the phrase with its quoting removed and its encoded-words (RFC 2047) left as they
    are; a comment behind an address without a phrase counts as its name. *route* is the obsolete
    source route ("@a,@b"), *mailbox* the local part with its quoting removed, *host* the domain.

    A group opens with host None and its name in *mailbox*, and closes with both None. An address
    that lacks its domain has an empty host, because None would say group.
    """

    name: bytes | None
    route: bytes | None
    mailbox: bytes | None
    host: bytes | None


class Envelope(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """
    The header as ENVELOPE tells it, RFC 9051 §7.5.2.

    *sender* and *reply_to* are already those of From where the header has none. Strings are None
    where the field is absent. Of a field that occurs twice the first counts; addresses of all its
    occurrences are told together (RFC 5322 §4.5.3).
    """

    date: bytes | None
    subject: bytes | None
    from_: tuple[Address, ...]
    sender: tuple[Address, ...]
    reply_to: tuple[Address, ...]
    to: tuple[Address, ...]
    cc: tuple[Address, ...]
    bcc: tuple[Address, ...]
    in_reply_to: bytes | None
    message_id: bytes | None


class Disposition(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Content-Disposition, RFC 2183; *parameters* as those of `Part`."""

    kind: bytes
    parameters: tuple[tuple[bytes, bytes], ...]


class Part(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """
    One body part: what BODYSTRUCTURE says of it and where its octets are.

    *parameters* have their continuations joined (RFC 2231 §3, as RFC 9051 §7.5.2 asks): `name*0`,
    `name*1` are told as `name`. Where one of them is encoded they are told as `name*`, still in
    the notation of RFC 2231 §4 (`charset'language'%XX`), so that they stay within ASCII and
    clients read them as if they had not been divided. `pluto_tw.mime.parameters.parameter` gives
    the decoded text.

    *lines* is the number of line ends (LF) in *body*. *octets* of BODYSTRUCTURE are
    `body.end - body.start`. *header* is the part's MIME header with the empty line that ends it;
    of the message, or of an embedded one's top part, the message's header.

    *envelope* is that of the embedded message, for message/rfc822 and message/global only.
    """

    media_type: bytes
    subtype: bytes
    parameters: tuple[tuple[bytes, bytes], ...]
    content_id: bytes | None
    description: bytes | None
    encoding: bytes
    md5: bytes | None
    disposition: Disposition | None
    language: tuple[bytes, ...]
    location: bytes | None
    lines: int
    header: Span
    body: Span
    parent: int
    children: tuple[int, ...]
    envelope: Envelope | None

    @property
    def is_multipart(self) -> bool:
        """Whether the part is a multipart, whose children are its parts."""
        return self.media_type == b"multipart"

    @property
    def is_message(self) -> bool:
        """Whether the part is an embedded message, whose one child is that message's top part."""
        return self.envelope is not None


class Facts(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """
    All that is kept of one message, RFC 9051 §7.5.2, RFC 5256, RFC 8970.

    *size* is in octets. *header* holds the first `scanner.HEADER_KEPT_OCTETS_MAX` octets of the
    message's header; *header_complete* says that this is all of it.

    *base_subject* is the base subject (RFC 5256 §2.1) folded by `folding.fold`, so that comparing
    two of them by code point is i;unicode-casemap. *sent* is Date: in seconds since 1970 UTC,
    *sent_day* its day as written, as `datetime.date.toordinal` counts (SENTBEFORE and the like
    disregard the zone); both None where there is no date to read.

    *references* and *message_id* are message ids without their angle brackets, with quoting,
    comments and white space removed (RFC 5256 §3, REFERENCES): equal ids are equal octets.

    *preview* is plain text, at most 200 characters (RFC 8970 §3.3), empty where there is none.
    *binary*: the message has a NUL octet. *eight_bit*: it has an octet above 127.
    """

    version: int
    size: int
    parts: tuple[Part, ...]
    envelope: Envelope
    header: bytes
    header_complete: bool
    base_subject: str
    subject_is_reply_or_forward: bool
    sent: int | None
    sent_day: int | None
    references: tuple[bytes, ...]
    message_id: bytes | None
    preview: str
    binary: bool
    eight_bit: bool


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(Facts)


def encode(facts: Facts) -> bytes:
    """The facts as octets to keep (MessagePack, an array whose first item is the version)."""
    return _ENCODER.encode(facts)


def decode(data: bytes) -> Facts:
    """
    The facts that `encode` made *data* of.

    Raises `ValueError` if *data* is anything else, facts of another version included: the caller
    then scans the message again.
    """
    try:
        facts = _DECODER.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"not the facts of a message: {error}") from None
    if facts.version != FACTS_VERSION:
        raise ValueError(f"facts of version {facts.version}, not {FACTS_VERSION}")
    return facts
