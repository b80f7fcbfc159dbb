# SPDX-License-Identifier: GPL-3.0-or-later
"""
Search keys that look into a message's body: BODY and TEXT.

The body's text is that of its parts of type text, also within embedded messages: transfer encoding
and charset removed (RFC 5255 §4.6), HTML with its tags. TEXT also looks into the headers of parts
and of embedded messages; that of the message itself is `search_header`'s. Other parts are not read
(RFC 9051 §6.4.4: servers may leave out "terminal content media types other than TEXT and
MESSAGE"). A text that would go on from one part into the next is not found.

The octets are read once, for all keys together, in runs that leave attachments out.
"""

from collections import deque
from collections.abc import AsyncGenerator, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from pluto_tw.imap.ports import Body
from pluto_tw.imap.search_header import HeaderText
from pluto_tw.mail.search import Text
from pluto_tw.mime.charsets import Reader
from pluto_tw.mime.facts import Facts, Part, Span
from pluto_tw.mime.folding import fold
from pluto_tw.mime.parameters import parameter
from pluto_tw.mime.scanner import HEADER_OCTETS_MAX
from pluto_tw.mime.transfer import IdentityDecoder, decoder

#: Octets that are read for nothing rather than asking for the body a second time.
GAP_OCTETS_MAX = 16 * 1024


@dataclass(frozen=True, slots=True)
class _Region:
    """Octets of the message that are looked into: the body of *part*, or its header."""

    part: Part
    span: Span
    is_header: bool


class _Sink(Protocol):
    """Looks into one region."""

    def feed(self, octets: bytes) -> None:
        """Takes the next octets of the region."""

    def finish(self) -> None:
        """There are no more."""


class Needles:
    """The texts that are still looked for, by the number of their leaf, folded."""

    __slots__ = ("found", "of_bodies", "of_headers")

    def __init__(self, of_bodies: Mapping[int, str], of_headers: Mapping[int, str]) -> None:
        self.of_bodies = dict(of_bodies)
        #: Those of TEXT, which are among `of_bodies` too.
        self.of_headers = dict(of_headers)
        #: Leaves whose text was found since this was last emptied.
        self.found: list[int] = []

    def find(self, number: int) -> None:
        """The text of the leaf *number* was found."""
        self.of_bodies.pop(number, None)
        self.of_headers.pop(number, None)
        self.found.append(number)


async def look_through(body: Body, facts: Facts, needles: Needles) -> AsyncGenerator[None, None]:
    """
    Reads the message's text and marks in *needles* what is found; yields after each chunk.

    Whoever has seen enough goes on no further. No: as `Body.read`.
    """
    regions = _regions(facts, headers=bool(needles.of_headers))
    for start, end, together in _runs(regions):
        run = _Run(start, together, needles)
        async for chunk in body.read(start, end - start):
            run.feed(chunk)
            yield


def _regions(facts: Facts, *, headers: bool) -> Iterator[_Region]:
    """What is looked into, ascending, without empty spans."""
    for number, part in enumerate(facts.parts):
        if headers and number and part.header.start < part.header.end:
            # As much of it as was read when the message came.
            end = min(part.header.end, part.header.start + HEADER_OCTETS_MAX)
            yield _Region(part, Span(part.header.start, end), True)
        if part.media_type == b"text" and part.body.start < part.body.end:
            yield _Region(part, part.body, False)


def _runs(regions: Iterator[_Region]) -> Iterator[tuple[int, int, list[_Region]]]:
    """*regions* in runs that are read in one go, each with its start and end."""
    run: list[_Region] = []
    for region in regions:
        if run and region.span.start - run[-1].span.end > GAP_OCTETS_MAX:
            yield run[0].span.start, run[-1].span.end, run
            run = []
        run.append(region)
    if run:
        yield run[0].span.start, run[-1].span.end, run


class _Run:
    """Gives the octets of one run, from *start* on, to the sinks of its regions."""

    def __init__(self, start: int, regions: list[_Region], needles: Needles) -> None:
        self._position = start
        self._regions = deque(regions)
        self._needles = needles
        #: That of the first region, once it has begun.
        self._sink: _Sink | None = None

    def feed(self, chunk: bytes) -> None:
        start, end = self._position, self._position + len(chunk)
        while self._regions and self._regions[0].span.start < end:
            region = self._regions[0]
            if self._sink is None:
                self._sink = _sink(region, self._needles)
            low, high = max(region.span.start, start), min(region.span.end, end)
            self._sink.feed(chunk[low - start : high - start])
            if region.span.end > end:
                break
            self._sink.finish()
            self._sink = None
            self._regions.popleft()
        self._position = end


def _sink(region: _Region, needles: Needles) -> _Sink:
    if region.is_header:
        return _HeaderSink(needles)
    return _TextSink(region.part, needles)


class _HeaderSink:
    """The header of a part or of an embedded message."""

    def __init__(self, needles: Needles) -> None:
        self._needles = needles
        self._octets: list[bytes] = []

    def feed(self, octets: bytes) -> None:
        self._octets.append(octets)

    def finish(self) -> None:
        header = HeaderText(b"".join(self._octets), complete=True)
        for number, needle in list(self._needles.of_headers.items()):
            if header.fits(_ANY_TEXT, needle):
                self._needles.find(number)


#: HeaderText goes by the key's type; the needle is what counts.
_ANY_TEXT = Text("")


class _TextSink:
    """
    The body of a part of type text.

    Text is folded once for all needles. As much of its end is kept as a needle can be long, so that
    one that is divided between chunks is found.
    """

    def __init__(self, part: Part, needles: Needles) -> None:
        self._needles = needles
        self._transfer = decoder(part.encoding) or IdentityDecoder()
        charset = parameter(part.parameters, b"charset") or ""
        self._reader = Reader(charset.encode("ascii", "replace"))
        self._longest = max(map(len, needles.of_bodies.values()), default=0)
        self._end = ""

    def feed(self, octets: bytes) -> None:
        self._look(self._reader.feed(self._transfer.feed(octets)))

    def finish(self) -> None:
        self._look(self._reader.feed(self._transfer.finish()) + self._reader.finish())

    def _look(self, text: str) -> None:
        if not text:
            return
        window = self._end + fold(text)
        for number, needle in list(self._needles.of_bodies.items()):
            if needle in window:
                self._needles.find(number)
        self._end = window[1 - self._longest :] if self._longest > 1 else ""
