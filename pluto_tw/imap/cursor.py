# SPDX-License-Identifier: GPL-3.0-or-later
"""
A cursor over one command: its punctuation, words, strings and lists.

Decides what the lexical rules of RFC 9051 §9 (and of RFC 3501 §9 where it differs) look like on
lines and literals. What the words and strings mean begins in `grammar`, which adds the values;
where lines and literals end was decided in `framing`.

A method takes what its name says, or raises `Bad` with what was expected and where; the cursor
then stands anywhere and the command is over. Texts of errors never repeat what the client sent:
it may have been a password.
"""

import binascii
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, NoReturn, TypeVar

from pluto_tw.mail.errors import Bad

#: Items of one parenthesised list. The longest that clients send are lists of header fields,
#: some ten; message ids that are looked for go up to some hundred.
LIST_ITEMS_MAX: Final = 4096

#: Lists or search keys within each other. A client that looks for a hundred Message-IDs may nest
#: an OR for each; parsers recurse, and Python stops at 1,000 frames.
DEPTH_MAX: Final = 100

_ATOM = re.compile(rb'[^\x00-\x20\x7f-\xff(){%*"\\\]]+')
_ASTRING_ATOM = re.compile(rb'[^\x00-\x20\x7f-\xff(){%*"\\]+')
_TAG = re.compile(rb'[^\x00-\x20\x7f-\xff(){%*"\\+]+')
_WORD = re.compile(rb"[A-Za-z0-9._-]+")
_BASE64 = re.compile(
    rb"(?:[A-Za-z0-9+/]{4})*+(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?+(?![A-Za-z0-9+/=])"
)
_QUOTED = re.compile(rb'"([^\x00\r\n"\\]*+(?:\\["\\][^\x00\r\n"\\]*+)*+)"')
_ESCAPE = re.compile(rb'\\(["\\])')
_REST = re.compile(rb"[^\x00\r\n]*")

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Literal:
    """A literal whose octets are here. *binary* if sent as literal8."""

    data: bytes
    binary: bool


@dataclass(frozen=True, slots=True)
class StreamedLiteral:
    """
    A literal whose *size* octets went elsewhere, or are only announced yet.

    *upload* is what their receiver gave for them, `None` as long as they are announced.
    """

    size: int
    binary: bool
    upload: object


Segment = bytes | Literal | StreamedLiteral


class Cursor:
    """
    One command, and how far it has been read.

    *segments* are what stood on lines, as `bytes`, and between each two of them a literal; the
    first is `bytes`, a literal that is only announced may be the last. *utf8* says that the
    session has enabled IMAP4rev2 or UTF8=ACCEPT: quoted strings may hold UTF-8 and mailbox names
    are UTF-8 (RFC 9051 §4.3, §5.1; RFC 6855 §3).
    """

    __slots__ = ("_depth", "_position", "_segment", "_segments", "_text", "utf8")

    def __init__(self, segments: Sequence[Segment], *, utf8: bool = False) -> None:
        self._segments = segments
        self._segment = 0
        self._text = self._text_at(0)
        self._position = 0
        self._depth = 0
        self.utf8 = utf8

    # Where the cursor is

    def at(self, text: bytes) -> bool:
        """True if *text* comes next, in just this case."""
        return self._text.startswith(text, self._position)

    def at_end(self) -> bool:
        """True if nothing is left."""
        return self._position == len(self._text) and self._segment + 1 >= len(self._segments)

    def at_literal(self) -> bool:
        """True if a literal comes next."""
        return self._position == len(self._text) and self._segment + 1 < len(self._segments)

    def at_digit(self) -> bool:
        """True if a decimal digit comes next."""
        return self._text[self._position : self._position + 1].isdigit()

    def bad(self, expected: str) -> NoReturn:
        """Raise the `Bad` that names what was *expected* here, for parsers built on these."""
        if self.at_end():
            where = "where the command ends"
        else:
            where = f"at octet {self._position + 1}"
            if self._segment:
                where += f" after literal {(self._segment + 1) // 2}"
        raise Bad(f"expected {expected} {where}")

    # Single characters and words

    def expect(self, text: bytes) -> None:
        """Take *text*, punctuation of the grammar."""
        if not self._text.startswith(text, self._position):
            self.bad(text.decode("ascii"))
        self._position += len(text)

    def take_if(self, text: bytes) -> bool:
        """Take *text* if it comes next and say whether it did."""
        if not self._text.startswith(text, self._position):
            return False
        self._position += len(text)
        return True

    def space(self) -> None:
        """SP: "exactly one space" (RFC 9051 §9 note 2)."""
        if not self._text.startswith(b" ", self._position):
            self.bad("a space")
        self._position += 1

    def space_if(self) -> bool:
        """Take a space if one comes next, unless it is the last octet (see `end`)."""
        if not self._text.startswith(b" ", self._position) or self._at_trailing_space():
            return False
        self._position += 1
        return True

    def end(self) -> None:
        """
        Nothing may be left, but for one space, which clients leave that put commands together
        from parts of which the last can be empty.
        """
        if not self.at_end() and not self._at_trailing_space():
            self.bad("the end of the command")

    def tag(self) -> bytes:
        """1*<any ASTRING-CHAR except "+">."""
        return self._match(_TAG, "a tag")

    def command_word(self) -> bytes:
        """The name of a command, in upper case."""
        return self._match(_ATOM, "a command").upper()

    def word(self) -> bytes:
        """1*(ALPHA / DIGIT / "." / "-" / "_"), in upper case: what keywords are made of."""
        return self._match(_WORD, "a word").upper()

    def keyword(self, *names: bytes) -> bytes:
        """A `word` that is one of *names* (upper case), in upper case."""
        start = self._position
        match = _WORD.match(self._text, start)
        found = match[0].upper() if match is not None else b""
        if found not in names:
            self.bad(b" or ".join(names).decode("ascii"))
        self._position = start + len(found)
        return found

    def keyword_if(self, name: bytes) -> bool:
        """Take the `word` *name* (upper case) if it comes next and say whether it did."""
        match = _WORD.match(self._text, self._position)
        if match is None or match[0].upper() != name:
            return False
        self._position = match.end()
        return True

    # Strings

    def atom(self) -> bytes:
        """1*ATOM-CHAR, in the client's case."""
        return self._match(_ATOM, "an atom")

    def astring(self) -> bytes:
        """1*ASTRING-CHAR / string."""
        match = _ASTRING_ATOM.match(self._text, self._position)
        if match is None:
            return self._string("an atom or a string")
        self._position = match.end()
        return match[0]

    def string(self) -> bytes:
        """string: quoted / literal."""
        return self._string("a string")

    def nstring(self) -> bytes | None:
        """nstring: string / nil."""
        if self._text[self._position : self._position + 3].upper() == b"NIL":
            match = _ATOM.match(self._text, self._position)
            if match is not None and len(match[0]) == 3:
                self._position += 3
                return None
        return self._string("a string or NIL")

    def quoted(self) -> bytes:
        r"""
        DQUOTE *QUOTED-CHAR DQUOTE, without quotes and escapes.

        Only `\"` and `\\` are escapes. UTF-8 is allowed where the session has enabled it, other
        octets above 127 nowhere: "MUST reject, with a BAD response" (RFC 6855 §3).
        """
        match = _QUOTED.match(self._text, self._position)
        if match is None:
            self.bad("a quoted string")
        inner = match[1]
        if not inner.isascii():
            if not self.utf8:
                self.bad("ASCII in a quoted string")
            self._utf8(inner)
        self._position = match.end()
        return _ESCAPE.sub(rb"\1", inner) if b"\\" in inner else inner

    def literal(self) -> bytes:
        """A literal: any octets but NUL (CHAR8)."""
        taken = self._next_literal()
        if not isinstance(taken, Literal) or taken.binary:
            self.bad("a literal")
        if b"\0" in taken.data:
            self.bad("a literal without NUL")
        self._pass_literal()
        return taken.data

    def literal8(self) -> bytes:
        """A literal8: any octets. RFC 3516 §7."""
        taken = self._next_literal()
        if not isinstance(taken, Literal) or not taken.binary:
            self.bad("a literal8")
        self._pass_literal()
        return taken.data

    def message_literal(self) -> Literal | StreamedLiteral:
        """A literal or literal8 with a message in it, wherever its octets are. RFC 3516 §4.4."""
        taken = self._next_literal()
        if taken is None:
            self.bad("a literal")
        self._pass_literal()
        return taken

    def rest(self) -> bytes:
        """What is left of the line, possibly nothing: any octets but NUL, CR, LF."""
        match = _REST.match(self._text, self._position)
        assert match is not None, "matches the empty string too"
        self._position = match.end()
        if not self.at_end():
            self.bad("text up to the end of the command")
        return match[0]

    def base64(self) -> bytes:
        """base64, decoded; nothing is the base64 of no octets."""
        # Checked here, as Python's strict decoder lets padding pass where none is due.
        match = _BASE64.match(self._text, self._position)
        if match is None:
            self.bad("base64")
        self._position = match.end()
        return binascii.a2b_base64(match[0])

    def initial_response(self) -> bytes:
        """initial-resp: base64, where "=" stands for no octets. RFC 4959 §3."""
        if self.take_if(b"="):
            return b""
        if self.at_end():
            self.bad("base64 or =")
        return self.base64()

    # Lists and nesting

    def parenthesised(self, item: Callable[[], T], minimum: int = 1) -> list[T]:
        """A list: "(" [item *(SP item)] ")", *minimum* (0 or 1) to `LIST_ITEMS_MAX` items."""
        self.expect(b"(")
        items: list[T] = []
        if minimum == 0 and self.take_if(b")"):
            return items
        while True:
            items.append(item())
            if self.take_if(b")"):
                return items
            self._count(items)
            self.space()

    def nested(self, rule: Callable[[], T]) -> T:
        """What *rule* takes, one level deeper; `Bad` beyond `DEPTH_MAX` levels."""
        if self._depth >= DEPTH_MAX:
            raise Bad(f"nested deeper than {DEPTH_MAX}")
        self._depth += 1
        taken = rule()
        self._depth -= 1
        return taken

    # Below all

    def _match(self, pattern: re.Pattern[bytes], expected: str) -> bytes:
        match = pattern.match(self._text, self._position)
        if match is None:
            self.bad(expected)
        self._position = match.end()
        return match[0]

    def _string(self, expected: str) -> bytes:
        if self.at(b'"'):
            return self.quoted()
        if self.at_literal():
            return self.literal()
        self.bad(expected)

    def _utf8(self, text: bytes) -> str:
        try:
            return text.decode("utf-8")
        except UnicodeDecodeError:
            raise Bad("octets above 127 must be UTF-8") from None

    def _count(self, items: Sequence[object]) -> None:
        if len(items) >= LIST_ITEMS_MAX:
            raise Bad(f"more than {LIST_ITEMS_MAX} items in a list")

    def _at_trailing_space(self) -> bool:
        return (
            self._position == len(self._text) - 1
            and self._text.endswith(b" ")
            and self._segment + 1 >= len(self._segments)
        )

    def _next_literal(self) -> Literal | StreamedLiteral | None:
        if not self.at_literal():
            return None
        following = self._segments[self._segment + 1]
        assert not isinstance(following, bytes), "literals stand between lines"
        return following

    def _pass_literal(self) -> None:
        self._segment += 2
        self._text = self._text_at(self._segment)
        self._position = 0

    def _text_at(self, index: int) -> bytes:
        if index >= len(self._segments):
            return b""
        text = self._segments[index]
        assert isinstance(text, bytes), "lines stand around literals"
        return text
