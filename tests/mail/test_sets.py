# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests of pluto_tw.mail.sets. Python's sets are the oracle."""

from array import array
from collections.abc import Sequence
from itertools import pairwise

from hypothesis import example, given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.mail.errors import Bad
from pluto_tw.mail.sets import (
    EMPTY,
    RANGE_OCTETS_MAX,
    SET_RANGES_MAX,
    NumberSet,
    SequenceSet,
)
from pluto_tw.mail.uids import UID_MAX

#: Small numbers close together, so that ranges touch, and the last ones there are.
near_numbers = st.integers(1, 60)
end_numbers = st.integers(UID_MAX - 30, UID_MAX)
members = st.sets(near_numbers | end_numbers, max_size=60)
number_sets = members.map(NumberSet.of)
wire_numbers = st.integers(1, UID_MAX).map(str) | st.just("*")
wire_elements = wire_numbers | st.tuples(wire_numbers, wire_numbers).map(":".join)
wire_sets = st.lists(wire_elements, min_size=1, max_size=20).map(",".join).map(str.encode)

EVERYTHING = NumberSet.from_ranges([(1, UID_MAX)])


def resolved(wire: bytes, highest: int) -> list[int]:
    """The numbers of a small set as a list."""
    return list(SequenceSet.parse(wire).resolve(highest))


class SequenceSetTests(SynchronousTestCase):
    def test_examples_of_the_grammar(self) -> None:
        """RFC 9051 §9 "sequence-set": two examples."""
        self.assertEqual(resolved(b"2,4:7,9,12:*", 15), [2, 4, 5, 6, 7, 9, 12, 13, 14, 15])
        self.assertEqual(resolved(b"*:4,5:7", 10), [4, 5, 6, 7, 8, 9, 10])

    def test_range_means_the_same_in_either_order(self) -> None:
        """RFC 9051 §9 "seq-range": "2:4 and 4:2 are equivalent"."""
        self.assertEqual(resolved(b"4:2", 9), [2, 3, 4])
        self.assertEqual(resolved(b"2:4", 9), [2, 3, 4])

    def test_range_beyond_the_end_holds_the_last(self) -> None:
        """
        RFC 9051 §9 "seq-range": "3291:* includes the UID of the last message in the mailbox,
        even if that value is less than 3291".
        """
        self.assertEqual(resolved(b"3291:*", 3289), [3289, 3290, 3291])

    def test_star_names_nothing_in_an_empty_mailbox(self) -> None:
        """Other numbers still stand, for the command to refuse or not to find."""
        for wire in (b"*", b"1:*", b"*:5", b"*:*"):
            self.assertEqual(SequenceSet.parse(wire).resolve(0), EMPTY)
        self.assertEqual(resolved(b"3,*,7:*", 0), [3])

    def test_only_star_is_dynamic(self) -> None:
        """A set without it means the same in each mailbox."""
        for wire in (b"*", b"1:*", b"*:1", b"1,2:*", b"*,1"):
            self.assertTrue(SequenceSet.parse(wire).is_dynamic)
        for wire in (b"1", b"1:2", b"5,1:2"):
            self.assertFalse(SequenceSet.parse(wire).is_dynamic)

    def test_what_is_no_set_is_refused(self) -> None:
        """RFC 9051 §9: nz-number is "digit-nz *DIGIT"; "$" is left to the command grammar."""
        wires = (b"", b"0", b"01", b"1:0", b"0:*", b",", b"1,", b",1", b"1,,2", b"1:", b":1", b":")
        more = (b"1:2:3", b"-1", b"+1", b"1_0", b" 1", b"1 ", b"1\n", b"a", b"**", b"$", b"1,$")
        unicode_digits = ("\u0661".encode(), b"\xb2")
        for wire in (*wires, *more, *unicode_digits):
            self.assertRaises(Bad, SequenceSet.parse, wire)

    def test_number_beyond_32_bits_is_refused(self) -> None:
        """RFC 9051 §9 nz-number: "0 < n < 4,294,967,296"."""
        self.assertEqual(resolved(b"4294967295", 1), [UID_MAX])
        for wire in (b"4294967296", b"1:4294967296", b"9999999999", b"10000000000", b"1" * 5000):
            self.assertRaises(Bad, SequenceSet.parse, wire)

    def test_number_of_elements_is_bounded(self) -> None:
        """One client's command takes no more than its share of memory."""
        most = b",".join([b"7"] * SET_RANGES_MAX)
        self.assertEqual(SequenceSet.parse(most).resolve(0), NumberSet.of([7]))
        self.assertRaises(Bad, SequenceSet.parse, most + b",7")

    def test_format_is_as_written(self) -> None:
        """Order and overlaps stay."""
        for wire in (b"*", b"1:*", b"*:4,5:7", b"9,1,1:3", b"4:2"):
            self.assertEqual(SequenceSet.parse(wire).format(), wire)
        self.assertEqual(SequenceSet.parse(b"5:5,*:*").format(), b"5,*")

    def test_refusals_are_printable(self) -> None:
        """Their text goes to the client."""
        for wire in (b"\r\n", b"4294967296", b"1," * SET_RANGES_MAX):
            refusal = self.assertRaises(Bad, SequenceSet.parse, wire)
            self.assertTrue(refusal.text.isascii() and refusal.text.isprintable())

    @given(wire_sets)
    def test_parse_undoes_format(self, wire: bytes) -> None:
        """Equal sets have equal forms."""
        parsed = SequenceSet.parse(wire)
        self.assertEqual(SequenceSet.parse(parsed.format()), parsed)
        self.assertEqual(repr(parsed), f"SequenceSet({parsed.format().decode()})")

    @given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), min_size=1), near_numbers)
    def test_resolve_agrees_with_enumeration(
        self, elements: list[tuple[int, int]], highest: int
    ) -> None:
        """Each element is all numbers between its ends, of which 0 stands for `*`."""
        wire = ",".join(f"{low or '*'}:{high or '*'}" for low, high in elements).encode()
        expected: set[int] = set()
        for pair in elements:
            low, high = sorted(number or highest for number in pair)
            expected.update(range(low, high + 1))
        self.assertEqual(resolved(wire, highest), sorted(expected))


class NumberSetConstructionTests(SynchronousTestCase):
    @given(st.lists(near_numbers | end_numbers))
    def test_all_ways_lead_to_the_same_set(self, numbers: list[int]) -> None:
        """Equal sets have equal ranges, so that `==` and `hash` go by members."""
        of = NumberSet.of(numbers)
        ascending = sorted(set(numbers))
        others = [
            NumberSet.from_sorted(ascending),
            NumberSet.from_sorted(array("I", ascending)),
            NumberSet.from_ranges((number, number) for number in numbers),
            NumberSet.from_ranges(of.ranges()),
        ]
        if numbers:
            others.append(NumberSet.parse(",".join(map(str, numbers)).encode()))
        for other in others:
            self.assertEqual(other, of)
            self.assertEqual(hash(other), hash(of))
        self.assertEqual(list(of), ascending)

    @given(members)
    def test_ranges_ascend_and_do_not_touch(self, numbers: set[int]) -> None:
        """The invariant that all else stands on."""
        after = 0
        for low, high in NumberSet.of(numbers).ranges():
            self.assertTrue(after < low <= high)
            after = high + 1

    def test_range_of_numbers_is_one_range(self) -> None:
        """Whatever its length."""
        for numbers in (range(1, UID_MAX + 1), range(5, 6), range(3, 3)):
            made = NumberSet.from_sorted(numbers)
            self.assertEqual((made.range_count, len(made)), (min(len(numbers), 1), len(numbers)))
        self.assertEqual(NumberSet.from_sorted(range(1, 8, 3)), NumberSet.of([1, 4, 7]))

    def test_what_does_not_ascend_is_our_bug(self) -> None:
        """The caller promised."""
        for numbers in ([2, 1], [1, 1], [1, 2, 2], [5, 3, 9]):
            self.assertRaises(ValueError, NumberSet.from_sorted, numbers)
        self.assertRaises(ValueError, NumberSet.from_sorted, range(5, 1, -1))
        self.assertRaises(ValueError, NumberSet.from_ranges, [(4, 2)])

    def test_numbers_out_of_bounds_are_our_bug(self) -> None:
        """1 to `UID_MAX`."""
        for numbers in ([0], [-1], [UID_MAX + 1], [0, 1], [UID_MAX, UID_MAX + 1]):
            self.assertRaises(ValueError, NumberSet.of, numbers)
            self.assertRaises(ValueError, NumberSet.from_ranges, [(numbers[0], numbers[-1])])
        self.assertRaises(ValueError, NumberSet.from_sorted, range(3))

    def test_star_is_no_uid(self) -> None:
        """RFC 9051 §9 "uid-set" has no "*"."""
        for wire in (b"*", b"1:*", b"1,*", b"", b"0"):
            self.assertRaises(Bad, NumberSet.parse, wire)


class NumberSetTests(SynchronousTestCase):
    @given(members, members)
    @example({5}, set())
    def test_algebra_is_that_of_sets(self, left: set[int], right: set[int]) -> None:
        """`|`, `&`, `-` and `==` of the members."""
        one, two = NumberSet.of(left), NumberSet.of(right)
        self.assertEqual(one | two, NumberSet.of(left | right))
        self.assertEqual(one & two, NumberSet.of(left & right))
        self.assertEqual(one - two, NumberSet.of(left - right))
        self.assertEqual(one == two, left == right)

    @given(number_sets)
    def test_everything_and_nothing(self, some: NumberSet) -> None:
        """The laws that reach both ends of the numbers."""
        self.assertEqual(some | EVERYTHING, EVERYTHING)
        self.assertEqual(some & EVERYTHING, some)
        self.assertEqual(some - EVERYTHING, EMPTY)
        self.assertEqual(EVERYTHING - (EVERYTHING - some), some)
        self.assertEqual(some | EMPTY, some)
        self.assertEqual(some & EMPTY, EMPTY)
        self.assertEqual(some - EMPTY, some)

    @given(members, near_numbers | end_numbers | st.sampled_from([-1, 0, UID_MAX + 1]))
    def test_counts_and_bounds(self, numbers: set[int], number: int) -> None:
        """`in`, `len`, `bool`, `low` and `high` are those of the members."""
        made = NumberSet.of(numbers)
        self.assertEqual(number in made, number in numbers)
        self.assertEqual(len(made), len(numbers))
        self.assertEqual(bool(made), bool(numbers))
        if numbers:
            self.assertEqual((made.low, made.high), (min(numbers), max(numbers)))

    @given(members, st.integers(-1, 70))
    def test_first_and_last(self, numbers: set[int], count: int) -> None:
        """RFC 9394 §3.1: pages counted from either end."""
        ascending, made = sorted(numbers), NumberSet.of(numbers)
        taken = max(count, 0)
        self.assertEqual(list(made.first(count)), ascending[:taken])
        self.assertEqual(list(made.last(count)), ascending[max(len(ascending) - taken, 0) :])

    def test_all_numbers_are_one_range(self) -> None:
        """1:4294967295 costs no more than 1."""
        self.assertEqual(len(EVERYTHING), UID_MAX)
        self.assertIn(UID_MAX, EVERYTHING)
        middle = EVERYTHING - NumberSet.of([7, 2**31])
        self.assertEqual(middle.format(), b"1:6,8:2147483647,2147483649:4294967295")
        self.assertEqual(len(middle), UID_MAX - 2)
        self.assertEqual(EVERYTHING.first(2**31).format(), b"1:2147483648")
        self.assertEqual(EVERYTHING.last(3).format(), b"4294967293:4294967295")
        self.assertEqual(EVERYTHING.select([3, 9, UID_MAX]), [3, 9, UID_MAX])
        many = SequenceSet.parse(b",".join([b"1:4294967295"] * 1000)).resolve(0)
        self.assertEqual((many, many.range_count), (EVERYTHING, 1))

    @given(number_sets)
    def test_parse_undoes_format(self, some: NumberSet) -> None:
        """The empty set has no form in the grammar."""
        if some:
            self.assertEqual(NumberSet.parse(some.format()), some)
        else:
            self.assertEqual(some.format(), b"")

    def test_format(self) -> None:
        """Ranges as short as they can be."""
        self.assertEqual(NumberSet.of([5, 3, 1, 2]).format(), b"1:3,5")
        self.assertEqual(NumberSet.of([1, 2]).format(), b"1:2")
        self.assertEqual(repr(NumberSet.of([1, 2, 9])), "NumberSet(1:2,9)")

    @given(number_sets, st.integers(RANGE_OCTETS_MAX, 60))
    def test_chunks_are_the_set_in_pieces_that_fit(self, some: NumberSet, octets: int) -> None:
        """Joined with commas they are the whole form; none could take the next range too."""
        chunks = list(some.chunks(octets))
        self.assertEqual(b",".join(chunks), some.format())
        self.assertTrue(all(0 < len(chunk) <= octets for chunk in chunks))
        for chunk, following in pairwise(chunks):
            self.assertGreater(len(chunk) + 1 + len(following.split(b",")[0]), octets)

    def test_chunk_takes_the_longest_range(self) -> None:
        """Less than one range can be no chunk."""
        longest = NumberSet.from_ranges([(UID_MAX - 1, UID_MAX)])
        self.assertEqual(list(longest.chunks(RANGE_OCTETS_MAX)), [longest.format()])
        self.assertEqual(len(longest.format()), RANGE_OCTETS_MAX)
        self.assertRaises(ValueError, list, longest.chunks(RANGE_OCTETS_MAX - 1))


class SelectTests(SynchronousTestCase):
    @given(number_sets, members)
    @example(NumberSet.of([1, 5]), {2, 3, 4})
    def test_agrees_with_a_comprehension(self, some: NumberSet, uids: set[int]) -> None:
        """The members in the sequence, in its order, from any kind of sequence."""
        ascending = sorted(uids)
        expected = [uid for uid in ascending if uid in some]
        kinds: tuple[Sequence[int], ...] = (ascending, array("I", ascending), tuple(ascending))
        for kind in kinds:
            self.assertEqual(some.select(kind), expected)
        spans = list(some.spans(ascending))
        self.assertTrue(all(start < end for start, end in spans))
        self.assertEqual(
            [ascending[i] for start, end in spans for i in range(start, end)], expected
        )

    @given(number_sets, near_numbers, near_numbers)
    def test_takes_a_range(self, some: NumberSet, low: int, high: int) -> None:
        """The sequence numbers of a mailbox are one."""
        numbers = range(low, high)
        self.assertEqual(some.select(numbers), [number for number in numbers if number in some])

    def test_spans_are_sequence_numbers_less_one(self) -> None:
        """UIDs 20 to 40 and 70 of a mailbox are its messages 2 to 4 and 6."""
        uids = array("I", [10, 20, 30, 40, 50, 70])
        self.assertEqual(list(NumberSet.parse(b"20:40,60:90").spans(uids)), [(1, 4), (5, 6)])
