# SPDX-License-Identifier: GPL-3.0-or-later
"""
BODY[section], BINARY[section] and BINARY.SIZE[section] of a message: which octets they are.

Decides which of a section's octets are asked for, whether they are at hand in the facts, and how
those that are not are read: as a stream, so that no message is held in memory. Leaves to
`pluto_tw.mime` where sections begin and how transfer encodings are undone, and to the command
when the client has room for more.

- A section that the message does not have is NIL; the decoded size of one is 0.
- A partial that begins behind the end gives the empty string. RFC 9051 §6.4.5.
- Octets are those of the message, but that NUL, which no literal may hold (RFC 9051 §9 note 3),
  is told as 0x80 in BODY. BINARY tells it, in a literal8.
- What is decoded is sent as it was encoded, line ends included: none of ours have changed them.

RFC 9051 §6.4.5, §6.4.5.1; RFC 3516 §4.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from pluto_tw.imap.fetch_items import BinarySection, BinarySize, BodySection, Partial, Section
from pluto_tw.imap.ports import Body
from pluto_tw.mail.codes import CANNOT, UNKNOWN_CTE
from pluto_tw.mail.errors import No
from pluto_tw.mime import section, transfer
from pluto_tw.mime.facts import Facts, Span
from pluto_tw.mime.headers import select_fields

#: Fields are chosen from so much of a header that had to be read again, in memory. The scanner
#: reads far less of one.
HEADER_OCTETS_MAX: Final = 1024 * 1024

#: Decoded sections up to this size are kept from the pass that finds it; larger ones are read and
#: decoded a second time.
DECODED_OCTETS_MAX: Final = 64 * 1024

NIL: Final = b"NIL"
_EMPTY: Final = b'""'

#: Awaited between two chunks of work, so that others have their turn.
Step = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Stream:
    """
    A value that is read while it is sent: *size* octets, at least one.

    The first of *chunks* raises `No` if the message cannot be had. *binary*: needs a literal8.
    """

    size: int
    binary: bool
    chunks: AsyncIterator[bytes]

    def announcement(self) -> bytes:
        """What stands before the octets."""
        return b"~{%d}\r\n" % self.size if self.binary else b"{%d}\r\n" % self.size


def needs_facts(item: Section) -> bool:
    """False for the whole message: all of its octets are wanted as they are."""
    return bool(item.path) or (isinstance(item, BodySection) and item.text != "")


def from_facts(item: Section, facts: Facts) -> bytes | None:
    """The value of *item* in the form of the wire, if the facts alone tell it."""
    if not needs_facts(item):
        return None
    if not isinstance(item, BodySection):
        return _missing(item) if section.find(facts, item.path) is None else None
    span = section.span(facts, item.path, item.text)
    if span is None:
        return NIL
    if item.fields is None:
        span = _cut(span, item.partial)
        return _EMPTY if span.start == span.end else _kept(facts, span)
    if item.path or not facts.header_complete:
        return None
    return _fields(item, facts.header)


def check(item: Section, facts: Facts) -> None:
    """
    Whether the message has *item* in a form that can be told, before any of it is.

    No: UNKNOWN-CTE; CANNOT for BINARY of a part that has parts: "can only be requested for leaf
    body parts" (RFC 9051 §6.4.5).
    """
    if isinstance(item, BodySection) or not item.path:
        return
    part = section.find(facts, item.path)
    if part is None:
        return
    if part.is_multipart or part.is_message:
        raise No(CANNOT, "only a part without parts of its own can be decoded")
    if transfer.decoder(part.encoding) is None:
        raise No(UNKNOWN_CTE, "the Content-Transfer-Encoding of the part is not known")


async def value(item: Section, facts: Facts | None, body: Body, step: Step) -> bytes | Stream:
    """
    The value of *item*, which `check` has passed, in the form of the wire, or the stream of it.

    *facts* may be None if none of the items asked for `needs_facts`. BINARY[] is the message as
    it is: what has no Content-Transfer-Encoding of its own has nothing to be undone.
    No(UNAVAILABLE) if the message cannot be read.
    """
    if facts is not None and (told := from_facts(item, facts)) is not None:
        return told
    if isinstance(item, BodySection):
        return await _body_section(item, facts, body)
    return await _decoded_section(item, facts, body, step)


async def _body_section(item: BodySection, facts: Facts | None, body: Body) -> bytes | Stream:
    span = _span(item, facts, body)
    if item.fields is None:
        span = _cut(span, item.partial)
        if span.start == span.end:
            return _EMPTY
        return Stream(span.end - span.start, False, _without_nul(_read(body, span)))
    end = min(span.end, span.start + HEADER_OCTETS_MAX)
    header = b"".join([chunk async for chunk in _read(body, Span(span.start, end))])
    if end < span.end:
        # The last line may be cut: it goes, and the empty line that is not reached comes.
        header = header[: header.rfind(b"\n") + 1] + b"\r\n"
    return _fields(item, header)


async def _decoded_section(
    item: BinarySection | BinarySize, facts: Facts | None, body: Body, step: Step
) -> bytes | Stream:
    encoding, span = b"BINARY", Span(0, body.size)
    may_hold_nul = True
    if item.path:
        assert facts is not None, "the caller asks `needs_facts`"
        part = section.find(facts, item.path)
        assert part is not None, "`from_facts` has answered for it"
        encoding, span = part.encoding, part.body
        may_hold_nul = facts.binary
    is_identity = isinstance(transfer.decoder(encoding), transfer.IdentityDecoder)
    if isinstance(item, BinarySize):
        if is_identity:
            return b"%d" % (span.end - span.start)
        return b"%d" % await _decoded_size(encoding, body, span, step)
    if not is_identity:
        return await _measured(
            lambda: _window(_decoded(encoding, _read(body, span)), item.partial), step
        )
    wanted = _cut(span, item.partial)
    if may_hold_nul or wanted.start == wanted.end:
        return await _measured(lambda: _read(body, wanted), step)
    return Stream(wanted.end - wanted.start, False, _read(body, wanted))


def _missing(item: Section) -> bytes:
    """What is told of a part that there is not."""
    return b"0" if isinstance(item, BinarySize) else NIL


def _span(item: BodySection, facts: Facts | None, body: Body) -> Span:
    if not needs_facts(item):
        return Span(0, body.size)
    assert facts is not None, "the caller asks `needs_facts`"
    span = section.span(facts, item.path, item.text)
    assert span is not None, "`from_facts` has answered for it"
    return span


def _cut(span: Span, partial: Partial | None) -> Span:
    """What *partial* leaves of *span*."""
    if partial is None:
        return span
    start = min(span.start + partial.offset, span.end)
    return Span(start, min(start + partial.octets, span.end))


def _kept(facts: Facts, span: Span) -> bytes | None:
    """The octets of *span* as a literal, if they are among those of the header that are kept."""
    start = facts.parts[0].header.start
    if span.start < start or span.end > start + len(facts.header):
        return None
    return _literal(facts.header[span.start - start : span.end - start])


def _fields(item: BodySection, header: bytes) -> bytes:
    """
    The fields of *header* that *item* asks for: first chosen, then cut.

    "A substring fetch of a HEADER.FIELDS ... is calculated after subsetting the header", RFC 9051
    §6.4.5.
    """
    assert item.fields is not None, "called for HEADER.FIELDS alone"
    chosen = select_fields(header, item.fields.names, item.fields.negate)
    start, end = _cut(Span(0, len(chosen)), item.partial)
    return _literal(chosen[start:end]) if start < end else _EMPTY


def _literal(octets: bytes) -> bytes:
    """
    *octets* as a literal, never quoted, however short.

    Some clients know a section's octets by their being in a literal: Python's imaplib gives them
    another shape then.
    """
    return b"{%d}\r\n%b" % (len(octets), octets.replace(b"\0", b"\x80"))


async def _read(body: Body, span: Span) -> AsyncIterator[bytes]:
    if span.start < span.end:
        async for chunk in body.read(span.start, span.end - span.start):
            yield chunk


async def _without_nul(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    async for chunk in chunks:
        yield chunk.replace(b"\0", b"\x80")


# Decoding


async def _decoded(encoding: bytes, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    decoder = transfer.decoder(encoding)
    assert decoder is not None, "`check` has refused it"
    async for chunk in chunks:
        yield decoder.feed(chunk)
    yield decoder.finish()


async def _window(chunks: AsyncIterator[bytes], partial: Partial | None) -> AsyncIterator[bytes]:
    """What *partial* leaves of all *chunks*; no more of them are taken than are needed."""
    if partial is None:
        async for chunk in chunks:
            yield chunk
        return
    start, end = partial.offset, partial.offset + partial.octets
    position = 0
    async for chunk in chunks:
        yield chunk[max(start - position, 0) : end - position]
        position += len(chunk)
        if position >= end:
            return


async def _decoded_size(encoding: bytes, body: Body, span: Span, step: Step) -> int:
    size = 0
    async for chunk in _decoded(encoding, _read(body, span)):
        size += len(chunk)
        await step()
    return size


async def _measured(read: Callable[[], AsyncIterator[bytes]], step: Step) -> bytes | Stream:
    """
    The value that *read* gives, as often as it is called.

    A first pass finds what must be said before the octets: how many there are, and whether they
    hold NUL. "If ... the data does not contain the NUL octet, the server SHOULD return the data
    in a <string>", RFC 3516 §4.3.
    """
    size = 0
    binary = False
    kept: list[bytes] = []
    async for chunk in read():
        size += len(chunk)
        binary = binary or b"\0" in chunk
        if size <= DECODED_OCTETS_MAX:
            kept.append(chunk)
        else:
            kept.clear()
        await step()
    if not size:
        return _EMPTY
    if size > DECODED_OCTETS_MAX:
        return Stream(size, binary, read())
    return (b"~{%d}\r\n" if binary else b"{%d}\r\n") % size + b"".join(kept)
