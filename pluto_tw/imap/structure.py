# SPDX-License-Identifier: GPL-3.0-or-later
"""
ENVELOPE, BODY and BODYSTRUCTURE: the facts of a message as bytes of a FETCH response.

Decides their form only; what they say was decided when the message was scanned. The forms for
IMAP4rev1 and IMAP4rev2 differ in two things:

- message/global is told like message/rfc822, with the envelope and structure of what it embeds,
  only to IMAP4rev2 clients. RFC 3501 §9 "media-message" knows RFC822 alone, so that others read
  the fields of message/global as those of any part.
- A string may be UTF-8 in quotes if *utf8* (RFC 9051 §A); else octets above 127, which headers
  hold in spite of RFC 3501 §7.4.2, make it a literal.

Work and memory go by the size of the answer, without recursion, however deep parts are nested.
RFC 9051 §7.5.2 and §9 "envelope", "body"; RFC 3501 §7.4.2.
"""

from collections.abc import Sequence

from pluto_tw.imap.responses import nstring, parenthesised, string
from pluto_tw.mime.facts import Address, Disposition, Envelope, Facts, Part

_NIL = b"NIL"


def envelope(told: Envelope, *, utf8: bool) -> bytes:
    """The value of ENVELOPE. RFC 9051 §9 "envelope"."""
    return parenthesised(
        (
            nstring(told.date, utf8=utf8),
            nstring(told.subject, utf8=utf8),
            _addresses(told.from_, utf8),
            _addresses(told.sender, utf8),
            _addresses(told.reply_to, utf8),
            _addresses(told.to, utf8),
            _addresses(told.cc, utf8),
            _addresses(told.bcc, utf8),
            nstring(told.in_reply_to, utf8=utf8),
            nstring(told.message_id, utf8=utf8),
        )
    )


def body(facts: Facts, *, extensible: bool, rev2: bool, utf8: bool) -> bytes:
    """
    The value of BODYSTRUCTURE, or of BODY if not *extensible*. RFC 9051 §9 "body".

    *rev2*: the client has enabled IMAP4rev2.
    """
    pieces: list[bytes] = []
    # What is still to be written, the next at the end: parts, and what stands behind them.
    left: list[Part | bytes] = [facts.parts[0]]
    while left:
        part = left.pop()
        if isinstance(part, bytes):
            pieces.append(part)
            continue
        extension = _extension(part, utf8) if extensible else b""
        if part.is_multipart:
            pieces.append(b"(")
            left.append(b" %b%b)" % (string(part.subtype, utf8=utf8), extension))
        else:
            pieces.append(b"(" + _fields(part, utf8))
            if part.envelope is not None and (rev2 or part.subtype == b"rfc822"):
                pieces.append(b" %b " % envelope(part.envelope, utf8=utf8))
                left.append(b" %d%b)" % (part.lines, extension))
            else:
                lines = b" %d" % part.lines if part.media_type == b"text" else b""
                pieces.append(lines + extension + b")")
                continue
        left.extend(facts.parts[child] for child in reversed(part.children))
    return b"".join(pieces)


def _fields(part: Part, utf8: bool) -> bytes:
    """Media type and body-fields of a part that is no multipart."""
    return b" ".join(
        (
            string(part.media_type, utf8=utf8),
            string(part.subtype, utf8=utf8),
            _parameters(part.parameters, utf8),
            nstring(part.content_id, utf8=utf8),
            nstring(part.description, utf8=utf8),
            string(part.encoding, utf8=utf8),
            b"%d" % (part.body.end - part.body.start),
        )
    )


def _extension(part: Part, utf8: bool) -> bytes:
    """body-ext-mpart or body-ext-1part, all of it, with a space before."""
    if part.is_multipart:
        first = _parameters(part.parameters, utf8)
    else:
        first = nstring(part.md5, utf8=utf8)
    return b" %b %b %b %b" % (
        first,
        _disposition(part.disposition, utf8),
        _language(part.language, utf8),
        nstring(part.location, utf8=utf8),
    )


def _parameters(parameters: Sequence[tuple[bytes, bytes]], utf8: bool) -> bytes:
    if not parameters:
        return _NIL
    return parenthesised(string(text, utf8=utf8) for pair in parameters for text in pair)


def _disposition(disposition: Disposition | None, utf8: bool) -> bytes:
    if disposition is None:
        return _NIL
    return b"(%b %b)" % (
        string(disposition.kind, utf8=utf8),
        _parameters(disposition.parameters, utf8),
    )


def _language(tags: Sequence[bytes], utf8: bool) -> bytes:
    if not tags:
        return _NIL
    if len(tags) == 1:
        return string(tags[0], utf8=utf8)
    return parenthesised(string(tag, utf8=utf8) for tag in tags)


def _addresses(addresses: Sequence[Address], utf8: bool) -> bytes:
    """`"(" 1*address ")" / nil`: no spaces between addresses."""
    if not addresses:
        return _NIL
    return b"(%b)" % b"".join(
        b"(%b %b %b %b)"
        % (
            nstring(address.name, utf8=utf8),
            nstring(address.route, utf8=utf8),
            nstring(address.mailbox, utf8=utf8),
            nstring(address.host, utf8=utf8),
        )
        for address in addresses
    )
