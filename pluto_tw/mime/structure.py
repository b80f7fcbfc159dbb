# SPDX-License-Identifier: GPL-3.0-or-later
"""
The parts of a message while it is read: what a header block opens, what a boundary line closes.

`scanner` finds header blocks and boundary lines and says where they are; here it is decided what
they mean. All offsets count octets from the start of the message; `lines` are the LF before an
offset, or those in a part.

Between two calls `_stack` holds the open parts, from the message to the deepest, and `boundaries`
the boundaries in force, each with the place in `_stack` of the multipart that it belongs to.
"""

from pluto_tw.mime.content import NO_ENVELOPE, PLAIN_TEXT, Content, HeaderBlock, part_header
from pluto_tw.mime.facts import Envelope, Part, Span
from pluto_tw.mime.preview import PREVIEW_HTML_OCTETS_MAX, PREVIEW_TEXT_OCTETS_MAX, preview

#: Parts of one message. A digest of a busy list has some hundreds; the facts of 2,000 parts are
#: 200 KB.
PARTS_MAX = 2000

#: Parts around a part. Postfix stops at 100 too; mail that people made has fewer than 10.
DEPTH_MAX = 100

#: RFC 2046 §5.1.1 allows 70 octets; what is longer than this is no boundary.
BOUNDARY_OCTETS_MAX = 256

EMPTY_BLOCK = HeaderBlock(b"")


class Structure:
    """The parts found so far. Made with the message itself open, its header to come."""

    def __init__(self) -> None:
        self.boundaries: dict[bytes, int] = {}
        #: With what all boundary lines begin, the LF before them included.
        self.boundary_prefix = b"\n--"
        self.envelope = NO_ENVELOPE
        #: The message's header, and its octets as far as they were read.
        self.header = EMPTY_BLOCK
        self.header_octets = b""
        self.preview = ""
        #: The part from which the preview is being made.
        self.previewed: Previewed | None = None
        self._parts = [_Open(-1, True, 0, 0)]
        self._stack = [0]

    def parts(self) -> tuple[Part, ...]:
        """All parts in preorder, once the message is closed."""
        return tuple([part.part() for part in self._parts])

    def open(self, start: int, lines: int, is_message: bool = False) -> None:
        """Opens a part within the deepest one; its header, of a message or a part, is to come."""
        parent = self._stack[-1]
        self._parts[parent].children.append(len(self._parts))
        self._stack.append(len(self._parts))
        self._parts.append(_Open(parent, is_message, start, lines))

    def end_header(
        self, octets: bytes, end: int, lines: int, empty_line: bool, roomy: bool
    ) -> bool:
        """
        The header block of the deepest part ends at *end*, with or without an empty line.

        *octets* is the block as far as it was kept. True: the header of an embedded message begins
        at *end*. If not *roomy* nothing below this part is taken apart.
        """
        part = self._parts[self._stack[-1]]
        # Of a block that was not kept whole nobody knows where its last field ends.
        empty_line = empty_line or len(octets) < end - part.header_start
        if part.is_message:
            block = HeaderBlock(octets)
            header = block.part_header(True, empty_line, False)
            if header.octets < len(octets):
                block = HeaderBlock(octets[: header.octets])
            self._message(part, block, octets[: header.octets])
        else:
            header = part_header(octets, empty_line, self._is_digest(part.parent))
        part.content = header.content
        if header.octets == 0:
            part.body_start = part.header_start
            part.lines = -part.lines
        elif header.octets == len(octets):
            part.body_start = end
            part.lines = -lines
        else:
            part.body_start = part.header_start + header.octets
            part.lines = octets.count(b"\n", header.octets) - lines
        opens = self._descend(part, roomy and len(self._stack) < DEPTH_MAX)
        if self.previewed is not None and self.previewed.position < end:
            self.previewed.take(octets, end - len(octets), end)
        if opens and part.body_start < end:
            # The part has no header: what was taken for one is that of the message in it.
            return self.end_header(octets, end, lines, empty_line, roomy)
        return opens

    def _is_digest(self, parent: int) -> bool:
        content = self._parts[parent].content
        return content.subtype == b"digest" and content.media_type == b"multipart"

    def _message(self, part: "_Open", block: HeaderBlock, octets: bytes) -> None:
        """The header of *part*, of which *octets* were kept, is that of a message."""
        envelope = block.envelope()
        if part.parent >= 0:
            self._parts[part.parent].embedded = envelope
        else:
            self.envelope = envelope
            self.header = block
            self.header_octets = octets

    def _descend(self, part: "_Open", roomy: bool) -> bool:
        """What is in the body of *part*. True: a message, which has been opened."""
        media_type = part.content.media_type
        roomy = roomy and len(self._parts) + 2 <= PARTS_MAX
        if media_type == b"multipart":
            boundary = part.content.boundary(BOUNDARY_OCTETS_MAX)
            if roomy and boundary is not None:
                part.boundary, part.hidden = boundary, self.boundaries.get(boundary)
                self.boundaries[boundary] = len(self._stack) - 1
                self._find_prefix()
                return False
            part = self._plain_child(part)
        elif media_type == b"message" and part.content.subtype in (b"rfc822", b"global"):
            if roomy:
                self.open(part.body_start, -part.lines, True)
                return True
            part.embedded = NO_ENVELOPE
            part = self._plain_child(part)
        if not self.preview and self.previewed is None and part.is_previewed():
            self.previewed = Previewed(part.content, part.body_start)
        return False

    def _plain_child(self, part: "_Open") -> "_Open":
        """The one child, plain text, of a container that cannot be taken apart; left open."""
        self.open(part.body_start, 0)
        child = self._parts[-1]
        child.body_start, child.lines = part.body_start, part.lines
        return child

    def body_start(self) -> int:
        """Where the body of the deepest open part begins; its header must have ended."""
        return self._parts[self._stack[-1]].body_start

    def is_full(self, depth: int) -> bool:
        """Whether no part can be opened in the multipart at *depth*: then its boundary is text."""
        deepest = self._parts[self._stack[-1]]
        # A multipart that ends without a part gets one, as any that is opened may.
        unfilled = not deepest.children and deepest.boundary is not None
        more = 3 if unfilled and depth < len(self._stack) - 1 else 2
        return len(self._parts) + more > PARTS_MAX

    def close(self, depth: int, end: int, lines: int) -> None:
        """Ends all open parts from *depth* of the stack on; their bodies end at *end*."""
        while len(self._stack) > depth:
            part = self._parts[self._stack[-1]]
            if not part.children and part.content.media_type == b"multipart":
                part = self._plain_child(part)
            part.body_end = end
            part.lines += lines
            if part.boundary is not None:
                self.forget_boundary(len(self._stack) - 1)
            self._stack.pop()

    def forget_boundary(self, depth: int) -> None:
        """The boundary of the multipart at *depth* counts no more; the one it hid does again."""
        part = self._parts[self._stack[depth]]
        boundary, part.boundary = part.boundary, None
        if boundary is not None and self.boundaries.get(boundary) == depth:
            if part.hidden is None:
                del self.boundaries[boundary]
            else:
                self.boundaries[boundary] = part.hidden
            self._find_prefix()

    def _find_prefix(self) -> None:
        """A prefix of many octets is found sooner than one of few, and found falsely less often."""
        prefix, *others = self.boundaries or (b"",)
        for boundary in others:
            while not boundary.startswith(prefix):
                prefix = prefix[:-1]
        self.boundary_prefix = b"\n--" + prefix

    def end_preview(self) -> None:
        """All that can be had of the previewed part has been taken."""
        if self.previewed is not None:
            self.preview = self.previewed.text()
            self.previewed = None


class _Open:
    """A part while it is read. Before its header has ended it has no `body_start`."""

    __slots__ = (
        "body_end",
        "body_start",
        "boundary",
        "children",
        "content",
        "embedded",
        "header_start",
        "hidden",
        "is_message",
        "lines",
        "parent",
    )

    def __init__(self, parent: int, is_message: bool, start: int, lines: int) -> None:
        self.parent = parent
        #: Whether its header is that of a message, not of a part.
        self.is_message = is_message
        self.header_start = start
        self.body_start = self.body_end = -1
        #: Those before the header; then minus those before the body; in the end those in it.
        self.lines = lines
        self.content: Content = PLAIN_TEXT
        self.children: list[int] = []
        #: The boundary that it adds to those in force, and whose same boundary that hides.
        self.boundary: bytes | None = None
        self.hidden: int | None = None
        #: The envelope of the message that it embeds.
        self.embedded: Envelope | None = None

    def is_previewed(self) -> bool:
        """A preview is made of the first text, plain or HTML, that is not an attachment."""
        written = self.content
        return (
            written.media_type == b"text"
            and written.subtype in (b"plain", b"html")
            and (written.disposition is None or written.disposition.kind != b"attachment")
        )

    def part(self) -> Part:
        """The part as it is told, once it is closed."""
        return Part(
            *self.content,
            self.lines,
            Span(self.header_start, self.body_start),
            Span(self.body_start, self.body_end),
            self.parent,
            tuple(self.children),
            self.embedded,
        )


class Previewed:
    """The beginning of the body of the part from which the preview is to be made."""

    def __init__(self, content: Content, start: int) -> None:
        self._content = content
        self._is_html = content.subtype == b"html"
        self._room = PREVIEW_HTML_OCTETS_MAX if self._is_html else PREVIEW_TEXT_OCTETS_MAX
        self._octets: list[bytes] = []
        #: The offset up to which octets were taken.
        self.position = start

    def take(self, data: bytes, base: int, end: int) -> None:
        """Takes the octets up to the offset *end* from *data*, which begins at offset *base*."""
        if self._room > 0 and end > self.position:
            start = self.position - base
            piece = data[start : min(end - base, start + self._room)]
            self._octets.append(piece)
            self._room -= len(piece)
        self.position = max(self.position, end)

    def text(self) -> str:
        """The preview."""
        charset = next((v for name, v in self._content.parameters if name == b"charset"), b"")
        octets = b"".join(self._octets)
        return preview(octets, self._content.encoding, charset, self._is_html)
