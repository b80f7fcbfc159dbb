# SPDX-License-Identifier: GPL-3.0-or-later
"""
One pass over the octets of a message, in chunks of any size: its structure, offsets and facts.

The scanner looks for two things only: the end of a header block, and lines that begin with "--".
All other octets are passed over by the search of the interpreter. What it finds does not depend
on how the message was cut into chunks. It raises on no message, holds no body, and takes time in
proportion to the message whatever that is made of.

How a message is read (RFC 5322, 2046; broken ones as RFC 7103 advises):

- A line ends with CRLF or LF. A CR alone is an octet like any other.
- A header block ends with its first empty line, or where a boundary of an enclosing multipart or
  the message ends it. Lines in it that are no fields belong to it (RFC 7103 §7.2), but
  - a block of a message without any field, and a block of a part whose first line is not a field,
    are no header: the body begins at once, the header is empty;
  - lines behind the last field of a block that no empty line ends are the body;
  - a line that is a boundary which the same block names ends it, as the empty line is missing.
- A boundary line is "--", the boundary, "--" if it closes, white space, a line end (RFC 2046
  §5.1.1). Those of all enclosing multiparts count, the innermost first. The line end before it
  belongs to it. What follows the closing one is the epilogue, and no part.
- A multipart without a boundary, or in which none is found, has one part: all of it, as plain
  text. So has an embedded message or multipart that is nested too deep.
- Beyond `structure.PARTS_MAX` or `HEADERS_OCTETS_MAX` the rest of the message is body of the last
  part.
"""

import re

from pluto_tw.mime import dates, references
from pluto_tw.mime.content import HeaderBlock
from pluto_tw.mime.facts import FACTS_VERSION, Facts
from pluto_tw.mime.folding import fold
from pluto_tw.mime.structure import BOUNDARY_OCTETS_MAX, Structure
from pluto_tw.mime.subject import base_subject

#: Octets of one header block that are read. The header goes on behind them, unread, up to its
#: empty line. Postfix keeps 100 KB of one field; Exim refuses headers above 1 MB.
HEADER_OCTETS_MAX = 128 * 1024

#: Octets of all header blocks of a message that are read: 300 forwarded messages of 3 KB each.
HEADERS_OCTETS_MAX = 1024 * 1024

#: Octets of the message's header that the facts hold, so that most HEADER.FIELDS need no body.
#: With all traces of lists, filters and signatures headers reach 20 KB.
HEADER_KEPT_OCTETS_MAX = 32 * 1024

#: A line with a boundary, "--" twice, white space and its line end. A longer one is no boundary.
BOUNDARY_LINE_OCTETS_MAX = BOUNDARY_OCTETS_MAX + 64

_LF, _CR = b"\n\r"

# What may end a header block: an empty line, or a line that may be a boundary.
_HEADER_STOP = re.compile(rb"\n(?:\r\n|\n|--)")


class Scanner:
    """
    Reads one message: `feed` its octets, then `finish`.

    Between two calls `_search` is the offset before which everything is known, `_tail` the octets
    from shortly before it on, the first of them at offset `_base`.
    """

    def __init__(self) -> None:
        # The octet before the message, so that its first line is found as all others are.
        self._tail = b"\n"
        self._base = self._search = -1
        self._lines = 0
        self._counted = 0
        self._binary = False
        self._eight_bit = False
        self._structure = Structure()
        self._in_header = True
        self._headers_octets_left = HEADERS_OCTETS_MAX
        self._begin_header(0)

    def feed(self, chunk: bytes | memoryview) -> None:
        """More octets of the message, as many as there are."""
        data = self._taken(chunk)
        self._scan(data, False)
        if self._in_header:
            self._keep_block(data, self._search)
        elif (previewed := self._structure.previewed) is not None:
            previewed.take(data, self._base, self._search - 1)
        # One octet more than is searched: a CR may stand before the LF of a boundary.
        cut = max(self._search - 1 - self._base, 0)
        self._lines_at(data, self._base + cut)
        self._tail = data[cut:]
        self._base += cut

    def finish(self, chunk: bytes | memoryview = b"") -> Facts:
        """The facts, after the last octets. The scanner is of no use after it."""
        data = self._taken(chunk)
        self._scan(data, True)
        size = self._base + len(data)
        while self._in_header:
            self._end_header(data, size, False)
        self._end_preview(data, size)
        self._structure.close(0, size, self._lines_at(data, size))
        return self._facts(size)

    def _taken(self, chunk: bytes | memoryview) -> bytes:
        octets = bytes(chunk)
        self._binary = self._binary or b"\0" in octets
        self._eight_bit = self._eight_bit or not octets.isascii()
        return self._tail + octets

    def _scan(self, data: bytes, final: bool) -> None:
        """Goes through *data*, which begins at `_base`, until more octets are needed."""
        base = self._base
        structure = self._structure
        boundaries = structure.boundaries
        at = self._search - base
        while self._in_header or boundaries:
            if self._in_header:
                stop = _HEADER_STOP.search(data, at)
                if stop is None:
                    break
                start, at = stop.span()
                if data[at - 1] == _LF:
                    self._end_header(data, base + at, True)
                    at -= 1
                    continue
            elif (start := data.find(structure.boundary_prefix, at)) < 0:
                break
            # A line that begins with "--". Its LF, or the end of the message, is at `end`.
            latest = start + 1 + BOUNDARY_LINE_OCTETS_MAX
            end = data.find(b"\n", start + 1, latest)
            if end < 0:
                if len(data) >= latest:
                    at = start + 1
                    continue
                if not final:
                    self._search = base + start
                    return
                end = len(data)
            line = data[start + 3 : end].rstrip(b" \t\r")
            depth, closes = boundaries.get(line), False
            if depth is None and line.endswith(b"--"):
                depth, closes = boundaries.get(line[:-2]), True
            if depth is not None:
                at = self._cross(data, depth, closes, start, end)
            elif self._is_own_boundary(data, start, line):
                self._end_header(data, base + start + 1, False)
                at = start
            else:
                at = end
        # What begins in the last line may be what is looked for.
        start = data.rfind(b"\n", max(at, len(data) - BOUNDARY_LINE_OCTETS_MAX))
        self._search = base + (start if start >= 0 else len(data))

    def _cross(self, data: bytes, depth: int, closes: bool, start: int, end: int) -> int:
        """
        Passes the boundary line between the LF at *start* and that at *end*, indexes of *data*.

        Returns from where the search goes on.
        """
        structure, base = self._structure, self._base
        while self._in_header:
            self._end_header(data, base + start + 1, False)
        if not closes and (structure.is_full(depth) or self._headers_octets_left <= 0):
            structure.boundaries.clear()
            return end
        # The line end before the line belongs to it, RFC 2046 §5.1.1, unless it ends a header.
        body_end = base + start - (data[start - 1] == _CR)
        body_end = max(body_end, structure.body_start())
        self._end_preview(data, body_end)
        structure.close(depth + 1, body_end, self._lines_at(data, body_end))
        if closes:
            structure.forget_boundary(depth)
        else:
            # The message may end without a line end behind its last boundary.
            begin = min(base + end + 1, base + len(data))
            structure.open(begin, self._lines_at(data, begin))
            self._begin_header(begin)
        return end

    def _begin_header(self, offset: int) -> None:
        """The header block of the part that was opened begins at *offset*."""
        self._in_header = True
        self._block: list[bytes] = []
        self._block_octets = 0
        self._block_end = offset
        self._own_boundary_tried = False

    def _keep_block(self, data: bytes, end: int) -> None:
        """Keeps what *data* has of the header block up to *end*, as far as limits allow."""
        room = min(HEADER_OCTETS_MAX, self._headers_octets_left) - self._block_octets
        if end > self._block_end and room > 0:
            start = self._block_end - self._base
            piece = data[start : min(end - self._base, start + room)]
            self._block.append(piece)
            self._block_octets += len(piece)
        self._block_end = max(self._block_end, end)

    def _end_header(self, data: bytes, end: int, empty_line: bool) -> None:
        """The header block ends at *end*, with or without an empty line."""
        self._keep_block(data, end)
        octets = b"".join(self._block)
        self._headers_octets_left -= len(octets)
        lines = self._lines_at(data, end)
        roomy = self._headers_octets_left > 0
        self._in_header = self._structure.end_header(octets, end, lines, empty_line, roomy)
        if self._in_header:
            self._begin_header(end)

    def _is_own_boundary(self, data: bytes, start: int, line: bytes) -> bool:
        """Whether *line* is a boundary that the unfinished header names; asked once a block."""
        if not self._in_header or self._own_boundary_tried or not line:
            return False
        self._own_boundary_tried = True
        self._keep_block(data, self._base + start + 1)
        content = HeaderBlock(b"".join(self._block)).content(False)
        return content.media_type == b"multipart" and content.boundary(BOUNDARY_OCTETS_MAX) == line

    def _end_preview(self, data: bytes, end: int) -> None:
        """The body of the deepest part ends at *end*."""
        if (previewed := self._structure.previewed) is not None:
            previewed.take(data, self._base, end)
            self._structure.end_preview()

    def _lines_at(self, data: bytes, offset: int) -> int:
        """How many LF stand before *offset*, which lies in *data*."""
        if offset < self._counted:
            # Only the line end before a boundary that has also ended a header.
            return self._lines - 1
        self._lines += data.count(b"\n", self._counted - self._base, offset - self._base)
        self._counted = offset
        return self._lines

    def _facts(self, size: int) -> Facts:
        structure = self._structure
        envelope = structure.envelope
        parts = structure.parts()
        header = structure.header_octets[:HEADER_KEPT_OCTETS_MAX]
        sent = dates.sent_date(envelope.date) if envelope.date else None
        subject = base_subject(envelope.subject or b"")
        message_ids = references.message_ids(envelope.message_id or b"")
        referred = structure.header.value(b"references")
        return Facts(
            FACTS_VERSION,
            size,
            parts,
            envelope,
            header,
            len(header) == parts[0].header.end,
            fold(subject.text),
            subject.is_reply_or_forward,
            sent.seconds if sent else None,
            sent.day if sent else None,
            references.references(referred, envelope.in_reply_to),
            message_ids[0] if message_ids else None,
            structure.preview,
            self._binary,
            self._eight_bit,
        )


def scan(message: bytes) -> Facts:
    """The facts of a whole message."""
    return Scanner().finish(message)
