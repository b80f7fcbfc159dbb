# SPDX-License-Identifier: GPL-3.0-or-later
"""
What a client can ask of a message with FETCH: the data items as values, and their grammar.

Decides which items there are, what each is called in the answer, and which of them set `\\Seen`.
Leaves to `sections` where a section's octets are, and to `commands.fetch` how items are answered.

RFC822, RFC822.HEADER and RFC822.TEXT are other names of sections (RFC 3501 §7.4.2). They are
answered also after ENABLE IMAP4rev2, whose grammar has lost them: RFC 9051 §A has the server
return them only to those who ask, and to refuse a client that asks would help nobody.

RFC 9051 §6.4.5, §9 "fetch-att"; RFC 3501 §6.4.5; RFC 3516 §7; RFC 7162 §7; RFC 8474 §7.
"""

import re
from dataclasses import dataclass
from enum import Enum
from typing import Final, Literal

from pluto_tw.imap.grammar import Arguments
from pluto_tw.imap.responses import astring, parenthesised
from pluto_tw.mail.uids import UID_MAX

Text = Literal["", "HEADER", "TEXT", "MIME"]


class Attribute(Enum):
    """An item that is one word; the value is its name on the wire."""

    UID = b"UID"
    FLAGS = b"FLAGS"
    MODSEQ = b"MODSEQ"
    INTERNALDATE = b"INTERNALDATE"
    RFC822_SIZE = b"RFC822.SIZE"
    EMAILID = b"EMAILID"
    THREADID = b"THREADID"
    ENVELOPE = b"ENVELOPE"
    BODY = b"BODY"
    BODYSTRUCTURE = b"BODYSTRUCTURE"


@dataclass(frozen=True, slots=True)
class Partial:
    """Of a section's octets those from *offset* on, *octets* of them if there are so many."""

    offset: int
    octets: int


@dataclass(frozen=True, slots=True)
class Fields:
    """The fields of a header that HEADER.FIELDS names, or all others if *negate*."""

    names: tuple[bytes, ...]
    negate: bool


@dataclass(frozen=True, slots=True)
class BodySection:
    """
    BODY[section], BODY.PEEK[section], and what RFC 3501 has for them under the name RFC822.

    *path* are the part numbers. *fields* is given only if *text* is HEADER.
    """

    path: tuple[int, ...]
    text: Text
    fields: Fields | None
    partial: Partial | None
    sets_seen: bool
    #: What the answer calls it: no `.PEEK`, field names as the client wrote them, the offset of
    #: a partial without its length. RFC 9051 §7.5.2.
    told: bytes


@dataclass(frozen=True, slots=True)
class BinarySection:
    """BINARY[section] and BINARY.PEEK[section], RFC 3516 §4.2; as `BodySection`."""

    path: tuple[int, ...]
    partial: Partial | None
    sets_seen: bool
    told: bytes


@dataclass(frozen=True, slots=True)
class BinarySize:
    """BINARY.SIZE[section], RFC 3516 §4.2."""

    path: tuple[int, ...]
    told: bytes


Section = BodySection | BinarySection | BinarySize
Item = Attribute | Section

_FAST = (Attribute.FLAGS, Attribute.INTERNALDATE, Attribute.RFC822_SIZE)
#: Each "must be used by itself and not in conjunction with other macros or data items".
_MACROS: Final = {
    b"FAST": _FAST,
    b"ALL": (*_FAST, Attribute.ENVELOPE),
    b"FULL": (*_FAST, Attribute.ENVELOPE, Attribute.BODY),
}
_ATTRIBUTES: Final = {attribute.value: attribute for attribute in Attribute}
_WHOLES: Final = {
    b"RFC822": BodySection((), "", None, None, True, b"RFC822"),
    # "Note that this did not result in \Seen being set": RFC 3501 §7.4.2.
    b"RFC822.HEADER": BodySection((), "HEADER", None, None, False, b"RFC822.HEADER"),
    b"RFC822.TEXT": BodySection((), "TEXT", None, None, True, b"RFC822.TEXT"),
}
_TEXTS: Final[dict[bytes, Text]] = {
    b"": "",
    b"HEADER": "HEADER",
    b"HEADER.FIELDS": "HEADER",
    b"HEADER.FIELDS.NOT": "HEADER",
    b"TEXT": "TEXT",
    b"MIME": "MIME",
}

# Behind each number stands a dot, which ends nothing, or the end.
_SPECIFICATION = re.compile(rb"((?:[1-9][0-9]{0,9}(?:\.(?!\Z)|\Z))*+)([A-Z.]*+)")


def parse_items(arguments: Arguments) -> tuple[Item, ...]:
    """
    A macro, an item, or a list of items, each of them once, in the order asked for.

    `Bad` for an item that there is not.
    """
    if arguments.at(b"("):
        return tuple(dict.fromkeys(arguments.parenthesised(lambda: _item(arguments))))
    for name, items in _MACROS.items():
        if arguments.keyword_if(name):
            return items
    return (_item(arguments),)


def sets_seen(items: tuple[Item, ...]) -> bool:
    """Whether answering *items* sets `\\Seen`. RFC 9051 §6.4.5."""
    return any(isinstance(item, BodySection | BinarySection) and item.sets_seen for item in items)


def _item(arguments: Arguments) -> Item:
    name = arguments.word()
    if arguments.take_if(b"["):
        return _section(arguments, name)
    item = _ATTRIBUTES.get(name) or _WHOLES.get(name)
    if item is None:
        arguments.bad("a data item before this")
    return item


def _section(arguments: Arguments, name: bytes) -> Section:
    """What follows the bracket behind *name*."""
    word, _, suffix = name.partition(b".")
    peek = suffix == b"PEEK"
    if word == b"BODY" and (peek or name == b"BODY"):
        return _body_section(arguments, sets_seen=not peek)
    if word != b"BINARY" or suffix not in (b"", b"PEEK", b"SIZE") or name.endswith(b"."):
        arguments.bad("BODY, BODY.PEEK, BINARY, BINARY.PEEK or BINARY.SIZE before [")
    path, _ = _specification(arguments, {b"": ""})
    arguments.expect(b"]")
    told = b"%b[%b]" % (word, _path_text(path))
    if suffix == b"SIZE":
        return BinarySize(path, b"BINARY.SIZE[%b]" % _path_text(path))
    partial, told = _partial(arguments, told)
    return BinarySection(path, partial, not peek, told)


def _body_section(arguments: Arguments, *, sets_seen: bool) -> BodySection:
    path, word = _specification(arguments, _TEXTS)
    if word == b"MIME" and not path:
        arguments.bad("a part number before MIME")
    fields = None
    told = b".".join(filter(None, (_path_text(path), word)))
    if word.startswith(b"HEADER.FIELDS"):
        arguments.space()
        names = tuple(arguments.parenthesised(arguments.astring))
        fields = Fields(names, word.endswith(b"NOT"))
        told += b" " + parenthesised(map(astring, names))
    arguments.expect(b"]")
    partial, told = _partial(arguments, b"BODY[%b]" % told)
    return BodySection(path, _TEXTS[word], fields, partial, sets_seen, told)


def _specification(arguments: Arguments, texts: dict[bytes, Text]) -> tuple[tuple[int, ...], bytes]:
    """Part numbers, and the one of *texts* behind them: "1.2.HEADER" is (1, 2), HEADER."""
    if arguments.at(b"]"):
        return (), b""
    match = _SPECIFICATION.fullmatch(arguments.word())
    if match is None or match[2] not in texts or not (match[1] or match[2]):
        arguments.bad("a section before this")
    path = tuple(map(int, match[1].rstrip(b".").split(b"."))) if match[1] else ()
    if any(number > UID_MAX for number in path):
        arguments.bad(f"part numbers up to {UID_MAX} before this")
    return path, match[2]


def _partial(arguments: Arguments, told: bytes) -> tuple[Partial | None, bytes]:
    """The partial, if there is one, and the item's name with its offset."""
    if not arguments.at(b"<"):
        return None, told
    partial = Partial(*arguments.partial())
    return partial, b"%b<%d>" % (told, partial.offset)


def _path_text(path: tuple[int, ...]) -> bytes:
    return b".".join(b"%d" % number for number in path)
