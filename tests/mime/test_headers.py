# SPDX-License-Identifier: GPL-3.0-or-later
"""Header blocks: fields, their selection for FETCH, encoded-words."""

import itertools

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.mime.headers import decode_words, fields, select_fields, unfold, values

BLOCK = (
    b"From jane Mon Jun 10 10:11:09 2024\r\n"
    b"Received: from a\r\n\tby b\r\nSubject : one\r\nnot a field\r\nTO: x\r\nsubject: two\r\n\r\n"
)
PIECES = [b"A:", b"b c", b"\r\n", b"\n", b" ", b"To: x\n", b"=?", b"\0", b"\r", b":"]


class FieldsTests(SynchronousTestCase):
    def test_every_octet_belongs_to_the_field_above(self) -> None:
        """But those above the first field, and the empty line."""
        found = fields(BLOCK)
        self.assertEqual(
            [field.name for field in found], [b"Received", b"Subject", b"TO", b"subject"]
        )
        whole = b"".join(BLOCK[field.span.start : field.span.end] for field in found)
        self.assertEqual(BLOCK, b"From jane Mon Jun 10 10:11:09 2024\r\n" + whole + b"\r\n")

    def test_values_are_unfolded(self) -> None:
        self.assertEqual(list(values(BLOCK, b"RECEIVED")), [b"from a\tby b"])
        self.assertEqual(list(values(BLOCK, b"Subject")), [b"one not a field", b"two"])

    @given(st.lists(st.sampled_from(PIECES)))
    def test_spans_follow_each_other(self, pieces: list[bytes]) -> None:
        block = b"".join(pieces)
        found = fields(block)
        for field, following in itertools.pairwise(found):
            self.assertEqual(field.span.end, following.span.start)
        for field in found:
            self.assertEqual(block[field.span.start :][: len(field.name)], field.name)
            self.assertLessEqual(field.value_start, field.span.end)

    @given(st.lists(st.sampled_from(PIECES)))
    def test_unfolded_is_one_line(self, pieces: list[bytes]) -> None:
        self.assertFalse(set(unfold(b"".join(pieces))) & set(b"\r\n\0"))


class SelectFieldsTests(SynchronousTestCase):
    def test_names_match_in_any_case_and_order_stays(self) -> None:
        """RFC 9051 §6.4.5.1: "The field-matching is ASCII-range case insensitive"."""
        self.assertEqual(
            select_fields(BLOCK, [b"SUBJECT", b"to"], False),
            b"Subject : one\r\nnot a field\r\nTO: x\r\nsubject: two\r\n\r\n",
        )

    def test_negation_gives_the_others(self) -> None:
        self.assertEqual(
            select_fields(BLOCK, [b"subject", b"to"], True),
            b"Received: from a\r\n\tby b\r\n\r\n",
        )

    def test_empty_line_is_never_left_out(self) -> None:
        """Quoted: "the blank line is always included as part of the header data"."""
        self.assertEqual(select_fields(BLOCK, [b"X-None"], False), b"\r\n")
        self.assertEqual(select_fields(b"\n", [b"x"], False), b"\n")

    def test_no_empty_line_is_made_up(self) -> None:
        """Quoted: "except in the case of a message that has no body and no blank line"."""
        self.assertEqual(select_fields(b"A: b\r\n", [b"a"], False), b"A: b\r\n")
        self.assertEqual(select_fields(b"A: b", [b"a"], False), b"A: b")


class DecodeWordsTests(SynchronousTestCase):
    def test_examples_of_rfc_2047(self) -> None:
        """RFC 2047 §8."""
        for written, text in (
            (b"(=?ISO-8859-1?Q?a?=)", "(a)"),
            (b"(=?ISO-8859-1?Q?a?= b)", "(a b)"),
            (b"(=?ISO-8859-1?Q?a?= =?ISO-8859-1?Q?b?=)", "(ab)"),
            (b"(=?ISO-8859-1?Q?a?=  =?ISO-8859-1?Q?b?=)", "(ab)"),
            (b"(=?ISO-8859-1?Q?a?=\r\n    =?ISO-8859-1?Q?b?=)", "(ab)"),
            (b"(=?ISO-8859-1?Q?a_b?=)", "(a b)"),
            (b"(=?ISO-8859-1?Q?a?= =?ISO-8859-2?Q?_b?=)", "(a b)"),
            (b"=?ISO-8859-1?Q?Keld_J=F8rn_Simonsen?=", "Keld Jørn Simonsen"),
            (b"=?iso-8859-1?B?SWYgeW91?=", "If you"),
            (b"=?US-ASCII*EN?Q?Keith_Moore?=", "Keith Moore"),
        ):
            self.assertEqual(decode_words(written), text)

    def test_character_in_two_words(self) -> None:
        self.assertEqual(decode_words(b"=?utf-8?q?=C3?= =?utf-8?b?qQ==?="), "é")

    def test_octets_above_127(self) -> None:
        self.assertEqual(decode_words("Grüße".encode()), "Grüße")
        self.assertEqual(decode_words(b"caf\xe9"), "café")

    def test_unknown_charset_is_read_anyway(self) -> None:
        self.assertEqual(decode_words(b"=?x-none?q?caf=C3=A9_=E9?="), "café é")

    def test_what_is_no_encoded_word_stays(self) -> None:
        for text in ("=?utf-8?x?a?=", "=?utf-8?q?a", "=? ?q?a?=", "??=", "=?utf-8?q?"):
            self.assertEqual(decode_words(text.encode()), text)

    def test_broken_escapes_stand_for_themselves(self) -> None:
        self.assertEqual(decode_words(b"=?utf-8?q?a=_=4x=?="), "a= =4x=")
        self.assertEqual(decode_words(b"=?utf-8?b?YWJj*ZA?="), "abcd")

    def test_line_ends_do_not_come_from_encoded_words(self) -> None:
        self.assertEqual(decode_words(b"=?utf-8?q?a=0D=0Ab=00?="), "a  b")

    @given(st.binary())
    def test_anything_is_text(self, value: bytes) -> None:
        decode_words(b"=?utf-8?q?" + value + b"?= =?iso-2022-jp?b?" + value).encode()
