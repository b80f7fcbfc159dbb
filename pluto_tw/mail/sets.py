# SPDX-License-Identifier: GPL-3.0-or-later
"""
Sets of message numbers: as a client writes them, and as we reckon with them.

`SequenceSet` is the form of the wire, where `*` waits for a mailbox to mean something;
`NumberSet` is a set in the sense of algebra, of UIDs or of sequence numbers. RFC 9051 §9
"sequence-set", "uid-set". Leaves to the command grammar "$" (RFC 5182), which is no number, and to
the commands what a number beyond the mailbox's end means.

All work and memory goes by the number of ranges, never by the count of members: `1:4294967295`
is one range. Numbers are 1 to `UID_MAX` throughout.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Self

from pluto_tw.mail.errors import Bad
from pluto_tw.mail.uids import UID_MAX

#: Elements in one set from a client. Clients that know of holes send some thousands; this many
#: take 64 to 700 KiB of a line and, while they are read, about 6 MiB of memory.
SET_RANGES_MAX: Final = 32 * 1024

#: The octets of the longest range, `4294967294:4294967295`; no chunk can be smaller.
RANGE_OCTETS_MAX: Final = 21

_STAR = 0
_ELEMENT = rb"(?:[1-9][0-9]{0,9}|\*)(?::(?:[1-9][0-9]{0,9}|\*))?"
# Possessive, as nothing that it took can be taken otherwise: the places to go back to would take
# more memory than the set.
_SEQUENCE_SET = re.compile(_ELEMENT + rb"(?:," + _ELEMENT + rb")*+")


@dataclass(frozen=True, slots=True, repr=False)
class NumberSet:
    """
    An immutable set of numbers, held as ascending ranges that neither overlap nor touch.

    Equal sets have equal ranges. Make one with `of`, `from_sorted`, `from_ranges`, `parse`, or
    take `EMPTY`: the constructor itself trusts its arguments.
    """

    _lows: tuple[int, ...]
    _highs: tuple[int, ...]

    @classmethod
    def of(cls, numbers: Iterable[int]) -> Self:
        """The set of *numbers*, in any order. Raises `ValueError` for what is no number here."""
        return cls.from_sorted(sorted(set(numbers)))

    @classmethod
    def from_sorted(cls, ascending: Iterable[int]) -> Self:
        """
        The set of *ascending* numbers, each greater than the one before.

        Raises `ValueError` if one is not, or is no number here. A `range` takes no time.
        """
        if isinstance(ascending, range) and ascending.step == 1:
            return cls.from_ranges([(ascending[0], ascending[-1])] if ascending else [])
        numbers = iter(ascending)
        last = next(numbers, None)
        if last is None:
            return cls((), ())
        lows = [last]
        highs: list[int] = []
        for number in numbers:
            if number != last + 1:
                if number <= last:
                    raise ValueError(f"{number} does not ascend from {last}")
                highs.append(last)
                lows.append(number)
            last = number
        highs.append(last)
        return cls._bounded(lows, highs)

    @classmethod
    def from_ranges(cls, ranges: Iterable[tuple[int, int]]) -> Self:
        """
        The set of all numbers from *low* to *high* of each of *ranges*, both included.

        In any order, overlapping or not. Raises `ValueError` if *low* is above *high*, or
        either is no number here.
        """
        lows: list[int] = []
        highs: list[int] = []
        for low, high in sorted(ranges):
            if low > high:
                raise ValueError(f"a range from {low} down to {high}")
            if not highs or low > highs[-1] + 1:
                lows.append(low)
                highs.append(high)
            elif high > highs[-1]:
                highs[-1] = high
        return cls._bounded(lows, highs)

    @classmethod
    def parse(cls, wire: bytes) -> Self:
        """The set that *wire* names, without `*`. Raises `Bad`. RFC 9051 §9 "uid-set"."""
        written = SequenceSet.parse(wire)
        if written.is_dynamic:
            raise Bad("a set of UIDs has no *")
        return cls.from_ranges(written.bounds(_STAR))

    @classmethod
    def _bounded(cls, lows: list[int], highs: list[int]) -> Self:
        if lows and (lows[0] < 1 or highs[-1] > UID_MAX):
            raise ValueError(f"{lows[0]} to {highs[-1]} is not within 1 to {UID_MAX}")
        return cls(tuple(lows), tuple(highs))

    def __contains__(self, number: int) -> bool:
        place = bisect_right(self._lows, number) - 1
        return place >= 0 and number <= self._highs[place]

    def __iter__(self) -> Iterator[int]:
        """The members, ascending. There may be four thousand million: the caller bounds them."""
        for low, high in self.ranges():
            yield from range(low, high + 1)

    def __len__(self) -> int:
        return sum(self._highs) - sum(self._lows) + len(self._lows)

    def __bool__(self) -> bool:
        return bool(self._lows)

    def __or__(self, other: Self) -> Self:
        if not other:
            return self
        return type(self).from_ranges((*self.ranges(), *other.ranges())) if self else other

    def __and__(self, other: Self) -> Self:
        lows: list[int] = []
        highs: list[int] = []
        my_lows, my_highs = self._lows, self._highs
        their_lows, their_highs = other._lows, other._highs
        mine = theirs = 0
        while mine < len(my_lows) and theirs < len(their_lows):
            my_low, my_high = my_lows[mine], my_highs[mine]
            their_low, their_high = their_lows[theirs], their_highs[theirs]
            # Of the two, pass by the one that ends first and all that end before the other begins.
            # That is nearly always the very next: a bisection for each would take twice as long.
            if my_high < their_high:
                if my_high >= their_low:
                    lows.append(max(my_low, their_low))
                    highs.append(my_high)
                mine += 1
                if mine < len(my_highs) and my_highs[mine] < their_low:
                    mine = bisect_left(my_highs, their_low, mine)
            else:
                if their_high >= my_low:
                    lows.append(max(my_low, their_low))
                    highs.append(their_high)
                theirs += 1
                if theirs < len(their_highs) and their_highs[theirs] < my_low:
                    theirs = bisect_left(their_highs, my_low, theirs)
        return type(self)(tuple(lows), tuple(highs))

    def __sub__(self, other: Self) -> Self:
        return self & other._complement()

    def ranges(self) -> Iterator[tuple[int, int]]:
        """Each range as (low, high), both included, ascending."""
        return zip(self._lows, self._highs, strict=True)

    @property
    def range_count(self) -> int:
        """How many ranges there are: what work and memory go by."""
        return len(self._lows)

    @property
    def low(self) -> int:
        """The least member. The set must not be empty."""
        return self._lows[0]

    @property
    def high(self) -> int:
        """The greatest member. The set must not be empty."""
        return self._highs[-1]

    def first(self, count: int) -> Self:
        """The *count* least members, or all if there are fewer. RFC 9394 `PARTIAL 1:count`."""
        taken: list[tuple[int, int]] = []
        for low, high in self.ranges():
            if count <= 0:
                break
            taken.append((low, min(high, low + count - 1)))
            count -= high - low + 1
        return type(self).from_ranges(taken)

    def last(self, count: int) -> Self:
        """The *count* greatest members, or all. RFC 9394 `PARTIAL -1:-count`."""
        taken: list[tuple[int, int]] = []
        for low, high in zip(reversed(self._lows), reversed(self._highs), strict=True):
            if count <= 0:
                break
            taken.append((max(low, high - count + 1), high))
            count -= high - low + 1
        return type(self).from_ranges(taken)

    def select(self, ascending: Sequence[int]) -> list[int]:
        """
        The numbers of *ascending* that are members, in their order.

        *ascending* is strictly so: a list, an `array`, a `range`. Costs two bisections a range,
        and the answer.
        """
        selected: list[int] = []
        for start, end in self.spans(ascending):
            selected.extend(ascending[start:end])
        return selected

    def spans(self, ascending: Sequence[int]) -> Iterator[tuple[int, int]]:
        """
        Where the members stand in *ascending*, as for `select`: slices (start, end), ascending.

        Of a session's UIDs they are the sequence numbers, less one.
        """
        size = len(ascending)
        end = 0
        first = bisect_left(self._highs, ascending[0]) if size else self.range_count
        for place in range(first, self.range_count):
            start = bisect_left(ascending, self._lows[place], end)
            if start == size:
                return
            end = bisect_right(ascending, self._highs[place], start)
            if start < end:
                yield start, end

    def format(self) -> bytes:
        """The form of the wire, b"1:3,5"; b"" if empty, which no grammar of RFC 9051 allows."""
        return b",".join(self._range_texts())

    def chunks(self, octets_max: int) -> Iterator[bytes]:
        """
        The form of the wire in pieces, each a set of at most *octets_max* octets.

        Nothing if empty. Raises `ValueError` if *octets_max* is below `RANGE_OCTETS_MAX`.
        """
        if octets_max < RANGE_OCTETS_MAX:
            raise ValueError(f"a range takes up to {RANGE_OCTETS_MAX} octets")
        piece: list[bytes] = []
        octets = -1
        for text in self._range_texts():
            if octets + 1 + len(text) > octets_max:
                yield b",".join(piece)
                piece, octets = [], -1
            piece.append(text)
            octets += 1 + len(text)
        if piece:
            yield b",".join(piece)

    def __repr__(self) -> str:
        return f"NumberSet({self.format().decode('ascii')})"

    def _complement(self) -> Self:
        lows = (1, *(high + 1 for high in self._highs))
        highs = (*(low - 1 for low in self._lows), UID_MAX)
        # Where the set reaches an end of the numbers, nothing is left beyond it.
        start = 1 if highs[0] < 1 else 0
        end = len(lows) - 1 if lows[-1] > UID_MAX else len(lows)
        return type(self)(lows[start:end], highs[start:end])

    def _range_texts(self) -> Iterator[bytes]:
        for low, high in self.ranges():
            yield b"%d" % low if low == high else b"%d:%d" % (low, high)


EMPTY: Final = NumberSet((), ())


@dataclass(frozen=True, slots=True, repr=False)
class SequenceSet:
    """
    A sequence-set as written, not yet told what `*` means. Make one with `parse`.

    Keeps the order and the overlaps that the client wrote.
    """

    #: Pairs of seq-numbers, in either order, the same twice for one alone; `*` is 0.
    _elements: tuple[tuple[int, int], ...]

    @classmethod
    def parse(cls, wire: bytes) -> Self:
        """
        The set that *wire* spells. Example: b"2,4:7,9,12:*".

        Raises `Bad` if it is no sequence-set (empty, a zero, a leading zero: nz-number has
        none), if a number is above `UID_MAX`, or if there are more than `SET_RANGES_MAX`
        elements. RFC 9051 §9 "sequence-set", without its "$".
        """
        if wire == b"1:*":
            # What every mail program asks for first.
            return cls(((1, _STAR),))
        if wire.count(b",") >= SET_RANGES_MAX:
            raise Bad(f"a set has at most {SET_RANGES_MAX} elements")
        if _SEQUENCE_SET.fullmatch(wire) is None:
            raise Bad("not a set of message numbers")
        elements = []
        for element in wire.split(b","):
            low, _, high = element.partition(b":")
            first = _STAR if low == b"*" else int(low)
            second = first if not high else _STAR if high == b"*" else int(high)
            if first > UID_MAX or second > UID_MAX:
                raise Bad(f"a message number is at most {UID_MAX}")
            elements.append((first, second))
        return cls(tuple(elements))

    @property
    def is_dynamic(self) -> bool:
        """True if it holds `*`, and so means another set when the mailbox has grown."""
        return any(_STAR in element for element in self._elements)

    def resolve(self, highest: int) -> NumberSet:
        """
        The numbers that it names when `*` means *highest*, the largest in use.

        A range may be written downwards: "4:2" is 2 to 4, and "9:*" holds *highest* even if
        that is below 9. *highest* is 0 if the mailbox is empty; then `*` and ranges with it
        name nothing. Of sequence numbers RFC 9051 §9 "seq-number" wants BAD there, as for each
        above the number of messages, which the command sees from `is_dynamic` and
        `NumberSet.high`. Of UIDs it gives UIDNEXT to `*` there, which no message has either;
        UIDs that do not exist are no error (RFC 9051 §6.4.9).
        """
        return NumberSet.from_ranges(self.bounds(highest))

    def bounds(self, highest: int) -> Iterator[tuple[int, int]]:
        """The elements as (low, high) in the order written, `*` as for `resolve`."""
        for first, second in self._elements:
            first, second = first or highest, second or highest
            if first and second:
                yield (first, second) if first <= second else (second, first)

    def format(self) -> bytes:
        """The form of the wire, as it was written, but that b"5:5" is b"5"."""
        return b",".join(
            _number_text(first)
            if first == second
            else b"%b:%b" % (_number_text(first), _number_text(second))
            for first, second in self._elements
        )

    def __repr__(self) -> str:
        return f"SequenceSet({self.format().decode('ascii')})"


def _number_text(number: int) -> bytes:
    return b"*" if number == _STAR else b"%d" % number
