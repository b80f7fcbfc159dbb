# SPDX-License-Identifier: GPL-3.0-or-later
"""
Search keys that look into a message's body: BODY and TEXT.

What text a body has, `pluto_tw.mime.text` says. BODY looks into parts of type text only: "Unlike
TEXT (see below), this doesn't match any header fields" (RFC 9051 §6.4.4). TEXT looks into the
headers of parts and of embedded messages as well; that of the message itself is `search_header`'s.

The octets are read once, for all keys together, in runs that leave attachments out.
"""

from collections import deque
from collections.abc import AsyncGenerator, Iterator, Mapping

from pluto_tw.imap.ports import Body
from pluto_tw.mime.facts import Facts, Span
from pluto_tw.mime.folding import fold
from pluto_tw.mime.text import HEADER_SEARCHED_OCTETS_MAX, Passage, passages, reader_of

#: Octets that are read for nothing rather than asking for the body a second time.
GAP_OCTETS_MAX = 16 * 1024


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
    for start, end, together in _runs(_passages(facts, headers=bool(needles.of_headers))):
        run = _Run(start, together, needles)
        async for chunk in body.read(start, end - start):
            run.feed(chunk)
            yield


def _passages(facts: Facts, *, headers: bool) -> Iterator[Passage]:
    """What is looked into, ascending; of long headers only what is searched of them."""
    for passage in passages(facts, with_header=False):
        start, end = passage.span
        if passage.part is not None:
            if start < end:
                yield passage
        elif headers:
            yield Passage(Span(start, min(end, start + HEADER_SEARCHED_OCTETS_MAX)), None)


def _runs(found: Iterator[Passage]) -> Iterator[tuple[int, int, list[Passage]]]:
    """Passages in runs that are read in one go, each with its start and end."""
    run: list[Passage] = []
    for passage in found:
        if run and passage.span.start - run[-1].span.end > GAP_OCTETS_MAX:
            yield run[0].span.start, run[-1].span.end, run
            run = []
        run.append(passage)
    if run:
        yield run[0].span.start, run[-1].span.end, run


class _Run:
    """Looks into the passages of one run, whose octets come from *start* on."""

    def __init__(self, start: int, together: list[Passage], needles: Needles) -> None:
        self._position = start
        self._passages = deque(together)
        self._needles = needles
        #: That of the first passage, once it has begun.
        self._search: _PassageSearch | None = None

    def feed(self, chunk: bytes) -> None:
        start, end = self._position, self._position + len(chunk)
        while self._passages and self._passages[0].span.start < end:
            passage = self._passages[0]
            if self._search is None:
                self._search = _PassageSearch(passage, self._needles)
            low, high = max(passage.span.start, start), min(passage.span.end, end)
            self._search.feed(chunk[low - start : high - start])
            if passage.span.end > end:
                break
            self._search.finish()
            self._search = None
            self._passages.popleft()
        self._position = end


class _PassageSearch:
    """
    Looks into one passage for all needles that concern it, folding its text once for all.

    As much of the text's end is kept as a needle can be long, so that one that is divided between
    chunks is found.
    """

    def __init__(self, passage: Passage, needles: Needles) -> None:
        self._reader = reader_of(passage)
        self._needles = needles
        self._wanted = needles.of_headers if passage.part is None else needles.of_bodies
        self._kept = max(map(len, self._wanted.values()), default=1) - 1
        self._end = ""

    def feed(self, octets: bytes) -> None:
        self._look(self._reader.feed(octets))

    def finish(self) -> None:
        self._look(self._reader.finish())

    def _look(self, text: str) -> None:
        if not text:
            return
        window = self._end + fold(text)
        for number, needle in list(self._wanted.items()):
            if needle in window:
                self._needles.find(number)
        self._end = window[-self._kept :] if self._kept else ""
