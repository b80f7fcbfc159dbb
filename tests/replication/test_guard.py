# SPDX-License-Identifier: GPL-3.0-or-later
"""The decoder of Banana, with Twisted's own as the oracle."""

import tracemalloc
from collections.abc import Iterator

from hypothesis import example, given
from hypothesis import strategies as st
from twisted.spread.banana import Banana, int2b128
from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.replication.channel import VALUE_OCTETS_MAX
from pluto_tw.replication.guard import (
    DEPTH_MAX,
    EXPRESSION_OCTETS_MAX,
    ITEMS_MAX,
    Decoder,
    Expression,
    Hostile,
)

#: What a broker of ours sends: three levels, few items.
LEAVES = st.one_of(
    st.integers(0, 2**63 - 1), st.binary(max_size=40), st.sampled_from([b"list", b"message"])
)
EXPRESSIONS = st.lists(
    LEAVES | st.lists(LEAVES | st.lists(LEAVES, max_size=2), max_size=3), max_size=4
)

LIST, STRING = b"\x80", b"\x82"


class _Octets:
    """Takes what a Banana writes, and is its transport."""

    def __init__(self) -> None:
        self.value = b""

    def write(self, data: bytes) -> None:
        self.value += data


def encode(expression: object) -> bytes:
    """As Perspective Broker sends it, with its vocabulary."""
    banana, octets = Banana(isClient=1), _Octets()
    banana.makeConnection(octets)
    banana.currentDialect = b"pb"
    banana.sendEncoded(expression)
    return octets.value


class _Oracle(Banana):
    """Twisted's decoder."""

    def __init__(self) -> None:
        Banana.__init__(self, isClient=1)
        self.makeConnection(_Octets())
        self.currentDialect = b"pb"
        self.found: list[object] = []

    def expressionReceived(self, lst: object) -> None:
        self.found.append(lst)


def pieces(data: bytes, length: int) -> Iterator[bytes]:
    for start in range(0, len(data), length):
        yield data[start : start + length]


def decode(data: bytes, length: int | None = None) -> list[Expression]:
    """All that a new decoder finds in *data*, fed in pieces of *length*."""
    decoder = Decoder()
    return [
        expression
        for piece in pieces(data, length or len(data) or 1)
        for expression in decoder.feed(piece)
    ]


def prefix(number: int) -> bytes:
    octets: list[bytes] = []
    int2b128(number, octets.append)
    return b"".join(octets)


class DecoderTests(SynchronousTestCase):
    @given(st.lists(EXPRESSIONS, max_size=4), st.integers(1, 50))
    def test_what_a_broker_sends_comes_out_however_it_is_cut(
        self, expressions: list[object], length: int
    ) -> None:
        data = b"".join(map(encode, expressions))
        self.assertEqual(decode(data, length), expressions)

    @given(st.binary(max_size=60), st.integers(1, 60))
    @example(b"\x02\x80\x01\x81\x00\x80", 1)
    def test_any_octets_are_what_twisted_takes_them_for_or_are_refused(
        self, data: bytes, length: int
    ) -> None:
        try:
            found = decode(data, length)
        except Hostile:
            return
        oracle = _Oracle()
        oracle.dataReceived(data)
        self.assertEqual(found, oracle.found)

    @given(st.binary(max_size=200), st.integers(1, 200))
    def test_refusals_do_not_depend_on_how_octets_are_cut(self, data: bytes, length: int) -> None:
        def outcome(length: int) -> object:
            try:
                return decode(data, length)
            except Hostile:
                return "hostile"

        self.assertEqual(outcome(length), outcome(200))

    def test_the_largest_question_passes(self) -> None:
        arguments: list[Expression] = [b"tuple", b"k" * 32, bytes(VALUE_OCTETS_MAX)]
        question = [b"message", 1, b"root", b"ask", 1, arguments, [b"dictionary"]]
        self.assertEqual(decode(encode(question), 16_384), [question])


class HostileTests(SynchronousTestCase):
    def refused(self, data: bytes, why: str, length: int = 4096) -> None:
        error = self.assertRaises(Hostile, decode, data, length)
        self.assertIn(why, str(error))

    def test_nested_lists(self) -> None:
        self.refused((b"\x01" + LIST) * (DEPTH_MAX + 1), "deeper than 4")

    def test_a_list_of_many_items(self) -> None:
        self.refused(prefix(ITEMS_MAX + 1) + LIST, "more than 32 items")
        self.refused(prefix(2**40) + LIST, "more than 32 items")

    def test_many_items_in_many_lists(self) -> None:
        twenty = b"\x14" + LIST + b"\x01\x81" * 20
        self.refused(b"\x03" + LIST + twenty * 2, "more than 32 items")

    def test_an_endless_string(self) -> None:
        """It is refused as it is announced."""
        self.refused(prefix(EXPRESSION_OCTETS_MAX) + STRING, "octets")

    def test_many_long_strings(self) -> None:
        half = prefix(VALUE_OCTETS_MAX // 2) + STRING + bytes(VALUE_OCTETS_MAX // 2)
        self.refused(b"\x03" + LIST + half * 3, "octets")

    def test_an_endless_number(self) -> None:
        self.refused(b"\x01" * 10, "more than 9 digits")
        self.refused(b"\x01" * 10, "more than 9 digits", 1)
        self.refused(b"\x7f" * 1_000_000, "more than 9 digits", 1_000_000)

    def test_an_unknown_word(self) -> None:
        self.refused(b"\x63\x87", "no word has the number 99")

    def test_types_that_nobody_sends(self) -> None:
        """Negative numbers, floats, and what no type is."""
        for kind in (0x83, 0x84, 0x86, 0x88, 0xFF):
            self.refused(b"\x01" + bytes([kind]) + bytes(8), f"{kind:#x}")

    def test_memory_while_octets_come_one_by_one(self) -> None:
        """A string is kept once, and an octet of it is not an object of its own."""
        decoder = Decoder()
        data = prefix(VALUE_OCTETS_MAX) + STRING
        tracemalloc.start()
        try:
            before, _ = tracemalloc.get_traced_memory()
            for octet in pieces(data, 1):
                self.assertEqual(list(decoder.feed(octet)), [])
            for _ in range(100_000):
                for _ in decoder.feed(b"x"):
                    self.fail("not whole")
            after, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        self.assertLess(after - before, 150_000)
        self.assertLess(peak - before, 400_000)
