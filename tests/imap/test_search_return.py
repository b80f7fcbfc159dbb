# SPDX-License-Identifier: GPL-3.0-or-later
"""Result options, the responses, and what SAVE keeps."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.imap.grammar import Arguments
from pluto_tw.imap.search_return import (
    DEFAULT,
    ReturnOption,
    ReturnOptions,
    esearch_line,
    is_silent,
    named,
    parse_return,
    search_line,
)
from pluto_tw.imap.selected import Messages
from pluto_tw.mail.errors import Bad
from pluto_tw.mail.sets import NumberSet

MIN, MAX, ALL, COUNT, SAVE = ReturnOption

FOUND = Messages([2, 10, 11, 21], [14, 100, 101, 800])
ONE = Messages([2], [14])
NOTHING = Messages((), ())


def options(*which: ReturnOption) -> ReturnOptions:
    return frozenset(which)


class GrammarTests(SynchronousTestCase):
    def parse(self, text: bytes) -> ReturnOptions:
        arguments = Arguments((text,))
        parsed = parse_return(arguments)
        arguments.end()
        return parsed

    def test_options(self) -> None:
        self.assertEqual(self.parse(b"(MIN count)"), options(MIN, COUNT))
        self.assertEqual(self.parse(b"(SAVE MAX ALL MAX)"), options(SAVE, MAX, ALL))

    def test_no_option_is_all(self) -> None:
        """An "empty list of options is specified as "()", ALL is assumed"."""
        self.assertEqual(self.parse(b"()"), DEFAULT)
        self.assertEqual(DEFAULT, options(ALL))

    def test_others_are_bad(self) -> None:
        """What extensions define that are not supported "MUST be rejected with a BAD response"."""
        for text in (b"MIN", b"(", b"(MIN", b"( )", b"(PARTIAL 1:10)", b"(UPDATE)", b"(MIN,MAX)"):
            self.assertRaises(Bad, self.parse, text)


class SaveTests(SynchronousTestCase):
    def test_table_4(self) -> None:
        """RFC 9051 §6.4.4.1, Table 4."""
        for asked, numbers in (
            (options(SAVE), [2, 10, 11, 21]),
            (options(SAVE, MIN), [2]),
            (options(SAVE, MAX), [21]),
            (options(SAVE, MIN, MAX), [2, 21]),
            (options(SAVE, ALL), [2, 10, 11, 21]),
            (options(SAVE, COUNT, MIN), [2, 10, 11, 21]),
            (options(SAVE, ALL, COUNT, MIN, MAX), [2, 10, 11, 21]),
        ):
            self.assertEqual(list(named(FOUND, asked).numbers), numbers)

    def test_of_one_message_and_of_none(self) -> None:
        self.assertEqual(named(ONE, options(SAVE, MIN, MAX)), ONE)
        self.assertEqual(named(NOTHING, options(SAVE, MIN, MAX)), NOTHING)

    def test_save_alone_is_silent(self) -> None:
        self.assertTrue(is_silent(options(SAVE)))
        self.assertFalse(is_silent(options(SAVE, MIN)))
        self.assertFalse(is_silent(DEFAULT))


class ResponseTests(SynchronousTestCase):
    def esearch(self, found: Messages, *which: ReturnOption, uid: bool = False) -> bytes:
        return esearch_line(b"A282", found, options(*which), None, uid=uid)

    def test_items(self) -> None:
        self.assertEqual(
            self.esearch(FOUND, COUNT, ALL, MAX, MIN),
            b'* ESEARCH (TAG "A282") MIN 2 MAX 21 COUNT 4 ALL 2,10:11,21\r\n',
        )
        self.assertEqual(
            self.esearch(FOUND, MIN, MAX, uid=True),
            b'* ESEARCH (TAG "A282") UID MIN 14 MAX 800\r\n',
        )

    def test_nothing_found(self) -> None:
        """Without matches there is no MIN, MAX, ALL, but "it still MUST send the response"."""
        self.assertEqual(self.esearch(NOTHING, MIN, MAX, ALL), b'* ESEARCH (TAG "A282")\r\n')
        self.assertEqual(
            self.esearch(NOTHING, MIN, COUNT, uid=True),
            b'* ESEARCH (TAG "A282") UID COUNT 0\r\n',
        )

    def test_modseq(self) -> None:
        """RFC 7162 §3.1.10: of a "non-empty SEARCH result"."""
        self.assertEqual(
            esearch_line(b"a", ONE, options(MIN), 917162488, uid=False),
            b'* ESEARCH (TAG "a") MIN 2 MODSEQ 917162488\r\n',
        )
        self.assertEqual(
            esearch_line(b"a", NOTHING, options(MIN), 7, uid=False),
            b'* ESEARCH (TAG "a")\r\n',
        )

    def test_search(self) -> None:
        self.assertEqual(search_line([2, 5], None), b"* SEARCH 2 5\r\n")
        self.assertEqual(search_line([2, 5], 917162500), b"* SEARCH 2 5 (MODSEQ 917162500)\r\n")
        self.assertEqual(search_line([], None), b"* SEARCH\r\n")
        self.assertEqual(search_line([], 7), b"* SEARCH\r\n")

    @given(st.sets(st.integers(1, 300), min_size=1))
    def test_sets_are_complete(self, numbers: set[int]) -> None:
        """ALL names what was found and nothing else."""
        found = Messages(sorted(numbers), sorted(numbers))
        line = self.esearch(found, ALL)
        prefix = b'* ESEARCH (TAG "A282") ALL '
        self.assertTrue(line.startswith(prefix))
        self.assertEqual(set(NumberSet.parse(line[len(prefix) : -2])), numbers)
