# SPDX-License-Identifier: GPL-3.0-or-later
"""
Address lists: RFC 5322 §3.4 with §4.4 (obsolete forms) and what RFC 7103 §7.1 says of broken ones.

A list is read once from left to right. Nothing here raises, and every octet is looked at a bounded
number of times: nested comments are counted, a quote or comment that is never closed is noticed
once and its opening is then an ordinary octet.
"""

import re
from collections.abc import Iterable

from pluto_tw.mime.comments import comment_end
from pluto_tw.mime.facts import Address
from pluto_tw.mime.headers import decode_words

#: Addresses told of one field, group marks included. Lists that are sent as one field have some
#: hundreds at most, since each costs a line; the rest of a longer one is not told.
ADDRESSES_MAX = 4096

_WORD = rb"[^\s()<>@,;:\\\"\[\]]"
# The forms of nearly all mail: `Name <a@b>`, `"Name" <a@b>`, `<a@b>` and `a@b`, before a comma or
# the end. Whatever does not match goes to the general reader.
_COMMON = re.compile(
    rb'[ \t]*+(?:"([^"\\]*+)"[ \t]*+|([^\s()<>@,;:\\"\[\]][^()<>@,;:\\"\[\]]*+))?+'
    rb"<(" + _WORD + rb"++)@(" + _WORD + rb"++)>[ \t]*+(?:,|\Z)"
    rb"|[ \t]*+(" + _WORD + rb"++)@(" + _WORD + rb"++)[ \t]*+(?:,|\Z)"
)
_ATOM = re.compile(rb"[^\s()<>@,;:\\\".\[\]]++")
_SPACE = re.compile(rb"\s++")
_QUOTED = re.compile(rb'"((?:[^"\\]++|\\.)*+)"', re.DOTALL)
_LITERAL = re.compile(rb"\[(?:[^\[\]\\]++|\\.)*+\]", re.DOTALL)
_ROUTE = re.compile(rb"[\s,]*+(@[^:<>\"()\\]*+):")
_QUOTED_PAIR = re.compile(rb"\\(.)", re.DOTALL)


def parse(value: bytes) -> tuple[Address, ...]:
    """
    The addresses of an unfolded value, in order, in the form of ENVELOPE (see `Address`).

    Empty for a value without any. Of broken lists as much is told as can be found: naked words
    become a mailbox with an empty host. At most `ADDRESSES_MAX`.
    """
    found: list[Address] = []
    position = 0
    while position < len(value) and len(found) < ADDRESSES_MAX:
        common = _COMMON.match(value, position)
        if not common:
            return tuple(_Reader(value, position, found).read())
        quoted, words, mailbox, host, bare_mailbox, bare_host = common.groups()
        if bare_mailbox:
            found.append(Address(None, None, bare_mailbox, bare_host))
        else:
            name = _one_space(words) if words else quoted
            found.append(Address(name or None, None, mailbox, host))
        position = common.end()
    return tuple(found)


def display(address: Address) -> str:
    """
    What a reader sees of an address: its decoded name, else mailbox@host, else what there is.

    The sort key of DISPLAYFROM and DISPLAYTO, RFC 5957 §3, before folding.
    """
    if address.name:
        return decode_words(address.name)
    if address.mailbox is None:
        return ""
    joined = address.mailbox + b"@" + address.host if address.host else address.mailbox
    return decode_words(joined)


def text(addresses: Iterable[Address]) -> str:
    """Addresses as decoded text to search in: `Name <mailbox@host>, ...`, groups as their name."""
    shown = []
    for address in addresses:
        whole = display(address)
        if address.name and address.mailbox:
            whole = f"{whole} <{display(Address(None, None, address.mailbox, address.host))}>"
        if whole:
            shown.append(whole)
    return ", ".join(shown)


def _one_space(phrase: bytes) -> bytes:
    """White space between words as one space each: it means nothing, RFC 5322 §3.2.3."""
    phrase = phrase.strip()
    return b" ".join(phrase.split()) if b"  " in phrase or b"\t" in phrase else phrase


class _Reader:
    """
    The general reader: tokens are gathered until something ends an address.

    Between two addresses `_words`, `_comment` and `_angle` are empty. A word is its octets and
    whether white space or a comment stood before it; "." is a word of its own.
    """

    def __init__(self, value: bytes, position: int, found: list[Address]) -> None:
        self._value = value
        self._position = position
        self._found = found
        self._quotes_close = True
        self._comments_close = True
        self._in_group = False
        self._begin()

    def _begin(self) -> None:
        self._words: list[tuple[bytes, bool]] = []
        self._phrase: list[tuple[bytes, bool]] = []
        self._at: int | None = None
        self._angle = False
        self._route: bytes | None = None
        self._comment: bytes | None = None
        self._spaced = False

    def read(self) -> list[Address]:
        value = self._value
        while self._position < len(value) and len(self._found) < ADDRESSES_MAX:
            if space := _SPACE.match(value, self._position):
                self._spaced = True
                self._position = space.end()
            elif atom := _ATOM.match(value, self._position):
                self._add(atom[0])
                self._position = atom.end()
            else:
                self._special(value[self._position : self._position + 1])
        self._end_address()
        if self._in_group and len(self._found) < ADDRESSES_MAX:
            self._found.append(Address(None, None, None, None))
        return self._found[:ADDRESSES_MAX]

    def _add(self, word: bytes) -> None:
        self._words.append((word, self._spaced))
        self._spaced = False

    def _special(self, octet: bytes) -> None:
        """What *octet*, which is no part of an atom, means here."""
        start = self._position
        self._position += 1
        if octet == b'"':
            self._quoted(start)
        elif octet == b"(":
            self._commented(start)
        elif octet == b"<":
            self._open_angle()
        elif octet == b">":
            if self._angle:
                self._end_address(within_angle=True)
        elif octet == b",":
            self._end_address()
        elif octet == b";":
            self._end_address()
            if self._in_group:
                self._found.append(Address(None, None, None, None))
                self._in_group = False
        elif octet == b":" and self._at is None and not self._angle and not self._in_group:
            self._open_group()
        elif octet == b"@" and self._at is None:
            self._at = len(self._words)
        elif octet == b"[" and (literal := _LITERAL.match(self._value, start)):
            self._add(literal[0])
            self._position = literal.end()
        elif octet == b"\\":
            self._add(self._value[self._position : self._position + 1])
            self._position += 1
        else:
            self._add(octet)

    def _quoted(self, start: int) -> None:
        match = _QUOTED.match(self._value, start) if self._quotes_close else None
        if match:
            self._add(_QUOTED_PAIR.sub(rb"\1", match[1]))
            self._position = match.end()
        else:
            # RFC 7103 §7.1.6: `"Joe <joe@example.com>` is Joe at that address.
            self._quotes_close = False

    def _commented(self, start: int) -> None:
        end = comment_end(self._value, start) if self._comments_close else -1
        self._spaced = True
        if end < 0:
            self._comments_close = False
        else:
            comment = self._value[start + 1 : end - 1]
            self._comment = _one_space(_QUOTED_PAIR.sub(rb"\1", comment))
            self._position = end

    def _open_angle(self) -> None:
        if self._angle:
            # RFC 7103 §7.1.2: `<<<user2@example.org>>>`.
            return
        if self._at is not None:
            # `joe@example.org <joe@example.org>`: what looks like an address is the name.
            self._words.insert(self._at, (b"@", False))
        self._phrase, self._words, self._at = self._words, [], None
        self._angle = True
        if route := _ROUTE.match(self._value, self._position):
            self._route = b"".join(route[1].split())
            self._position = route.end()

    def _open_group(self) -> None:
        self._found.append(Address(None, None, _joined(self._words), None))
        self._in_group = True
        self._begin()

    def _end_address(self, within_angle: bool = False) -> None:
        """What was gathered, as an address; nothing if nothing was."""
        words, at = self._words, self._at
        if not words and at is None and not self._angle:
            self._begin()
            return
        if at is None:
            mailbox, host = words, []
        else:
            mailbox, host = words[:at], _domain(words[at:])
        phrase = self._phrase
        if not self._angle and at is not None:
            # `Joe Smith joe@example.org`: only the last dotted word is the mailbox.
            first = _local_part_start(mailbox)
            phrase, mailbox = mailbox[:first], mailbox[first:]
        name = _joined(phrase) or self._comment or None
        local = b"".join(word for word, _ in mailbox)
        if not self._angle and at is None:
            local = _joined(mailbox)
        self._found.append(Address(name, self._route, local, b"".join(word for word, _ in host)))
        self._begin()
        if within_angle:
            # A comment or a comma may follow, and so may a second address without a comma.
            self._skip_to_next()

    def _skip_to_next(self) -> None:
        """Passes over what stands between ">" and the comma; a comment there may be the name."""
        value = self._value
        if space := _SPACE.match(value, self._position):
            self._position = space.end()
        if value[self._position : self._position + 1] == b"(" and self._comments_close:
            self._special(b"(")
            last = self._found[-1]
            if last.name is None and self._comment:
                self._found[-1] = Address(self._comment, last.route, last.mailbox, last.host)
            self._comment = None


def _joined(words: list[tuple[bytes, bool]]) -> bytes:
    """Words with one space where there was white space between them."""
    joined = b"".join(b" " + word if spaced else word for word, spaced in words)
    return joined[1:] if words and words[0][1] else joined


def _local_part_start(words: list[tuple[bytes, bool]]) -> int:
    """Where the dotted word begins with which *words* end: white space may stand around dots."""
    start = len(words) - 1
    while start > 0:
        word, spaced = words[start]
        if spaced and word != b"." and words[start - 1][0] != b".":
            break
        start -= 1
    return max(start, 0)


def _domain(words: list[tuple[bytes, bool]]) -> list[tuple[bytes, bool]]:
    """The dotted word with which *words* begin; what follows it after white space is dropped."""
    for index in range(1, len(words)):
        word, spaced = words[index]
        if spaced and word != b"." and words[index - 1][0] != b".":
            return words[:index]
    return words
