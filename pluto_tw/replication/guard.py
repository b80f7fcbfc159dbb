# SPDX-License-Identifier: GPL-3.0-or-later
"""
Banana, the octets of Perspective Broker, read within limits: a decoder without I/O.

Twisted's own decoder lets a peer nest lists without end, and copies a long string once for each
piece that arrives of it. This one reads what a broker of ours can have sent, and nothing else:
lists, strings, words of the vocabulary, whole numbers from 0. It decides what is an expression;
which expressions have a meaning is for `broker.py`. After `Hostile` a decoder is of no more use.

Between calls it holds what began and has not ended: at most `EXPRESSION_OCTETS_MAX` octets of
strings, `ITEMS_MAX` items and a few octets of a prefix.
"""

from collections.abc import Iterator
from typing import Final

from twisted.spread.banana import INT, LIST, LONGINT, STRING, VOCAB, Banana

from pluto_tw.replication.channel import VALUE_OCTETS_MAX

#: A question is a list in a list. Each level costs a hundred octets for the two of its opening.
DEPTH_MAX: Final = 4

#: Lists, strings and numbers of one expression: a question has eleven, an answer three.
ITEMS_MAX: Final = 32

#: The octets of an expression, from its first to its last. The largest that we send is a question
#: of `VALUE_OCTETS_MAX` and some 60 around it.
EXPRESSION_OCTETS_MAX: Final = VALUE_OCTETS_MAX + 1024

#: Digits of a number, each of seven bits: enough for 2**63, far above any count of questions.
PREFIX_OCTETS_MAX: Final = 9

#: Octets from here on are types, below they are digits.
_TYPE: Final = 0x80

_LIST, _INT, _STRING, _LONGINT, _VOCAB = (octet[0] for octet in (LIST, INT, STRING, LONGINT, VOCAB))

#: The words that Perspective Broker sends as a number.
_WORDS: Final[dict[int, bytes]] = Banana.incomingVocabulary

Expression = int | bytes | list["Expression"]


class Hostile(Exception):
    """These octets come from nobody who means well; the text says what is wrong with them."""


class Decoder:
    """The octets of one connection, in the pieces in which they come."""

    def __init__(self) -> None:
        #: The lists that are open, and how many items each of them waits for.
        self._lists: list[list[Expression]] = []
        self._missing: list[int] = []
        #: Digits whose type has not come.
        self._prefix = b""
        #: The string that is being received, and how many octets of it have not come.
        self._string = bytearray()
        self._awaited = 0
        self._items = 0
        self._octets = 0

    def feed(self, data: bytes) -> Iterator[Expression]:
        """
        The expressions that end in *data*, each as soon as it is whole.

        All must be taken, or the decoder be given up. Raises `Hostile`.
        """
        start = 0
        while start < len(data):
            if self._awaited:
                piece = data[start : start + self._awaited]
                start += len(piece)
                self._awaited -= len(piece)
                if self._string or self._awaited:
                    self._string += piece
                    if self._awaited:
                        return
                    piece = bytes(self._string)
                    self._string = bytearray()
                item: Expression = piece
            else:
                end = start
                while end < len(data) and data[end] < _TYPE:
                    end += 1
                    if end - start > PREFIX_OCTETS_MAX:
                        break
                prefix = self._prefix + data[start:end]
                if len(prefix) > PREFIX_OCTETS_MAX:
                    raise Hostile(f"a number of more than {PREFIX_OCTETS_MAX} digits")
                if end == len(data):
                    self._prefix = prefix
                    return
                self._prefix = b""
                start = end + 1
                self._count(len(prefix) + 1)
                begun = self._begin(data[end], _number(prefix))
                if begun is None:
                    continue
                item = begun
            yield from self._ended(item)

    def _begin(self, kind: int, number: int) -> Expression | None:
        """What a prefix and its type are, if that is all of it; None if more must come."""
        if kind == _STRING:
            self._count(number)
            self._awaited = number
            return None if number else b""
        if kind in (_INT, _LONGINT):
            return number
        if kind == _VOCAB:
            if number not in _WORDS:
                raise Hostile(f"no word has the number {number}")
            return _WORDS[number]
        if kind == _LIST:
            if len(self._lists) == DEPTH_MAX:
                raise Hostile(f"lists deeper than {DEPTH_MAX}")
            if not number:
                return []
            if number > ITEMS_MAX:
                raise Hostile(f"a list of more than {ITEMS_MAX} items")
            self._lists.append([])
            self._missing.append(number)
            return None
        raise Hostile(f"the type {kind:#x} is not used here")

    def _ended(self, item: Expression) -> Iterator[Expression]:
        """Puts *item* where it belongs, and so the lists that end with it."""
        self._items += 1
        if self._items > ITEMS_MAX:
            raise Hostile(f"an expression of more than {ITEMS_MAX} items")
        while self._lists:
            self._lists[-1].append(item)
            self._missing[-1] -= 1
            if self._missing[-1]:
                return
            self._missing.pop()
            item = self._lists.pop()
        self._items = self._octets = 0
        yield item

    def _count(self, octets: int) -> None:
        self._octets += octets
        if self._octets > EXPRESSION_OCTETS_MAX:
            raise Hostile(f"an expression of more than {EXPRESSION_OCTETS_MAX} octets")


def _number(prefix: bytes) -> int:
    """Seven bits a digit, the lowest first."""
    number = 0
    for digit in reversed(prefix):
        number = number << 7 | digit
    return number
