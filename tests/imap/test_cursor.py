# SPDX-License-Identifier: GPL-3.0-or-later
"""Punctuation, words, strings and lists of one command."""

from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.imap.cursor import (
    DEPTH_MAX,
    LIST_ITEMS_MAX,
    Cursor,
    Literal,
    Segment,
    StreamedLiteral,
)
from pluto_tw.mail.errors import Bad

#: ATOM-CHAR of RFC 9051 §9, written out.
ATOM_CHARS = bytes(octet for octet in range(0x21, 0x7F) if octet not in b'(){%*"\\]')


def cursor(*segments: Segment, utf8: bool = False) -> Cursor:
    return Cursor(segments, utf8=utf8)


def literal(data: bytes, binary: bool = False) -> Cursor:
    """At a literal with *data*, and nothing else."""
    return cursor(b"", Literal(data, binary), b"")


class CursorTestCase(SynchronousTestCase):
    def assert_takes_all(self, take: Callable[[Cursor], object], *texts: bytes) -> None:
        for text in texts:
            at = cursor(text)
            self.assertEqual(take(at), text)
            self.assertTrue(at.at_end())

    def assert_bad(self, take: Callable[[Cursor], object], *texts: bytes) -> None:
        for text in texts:
            with self.assertRaises(Bad, msg=repr(text)):
                take(cursor(text))


class PlaceTests(CursorTestCase):
    def test_end(self) -> None:
        self.assertTrue(cursor(b"").at_end())
        cursor(b"").end()
        self.assert_bad(Cursor.end, b"x", b"  ", b" x")

    def test_one_space_at_the_end_is_forgiven(self) -> None:
        at = cursor(b"NOOP ")
        at.command_word()
        self.assertFalse(at.at_end())
        self.assertFalse(at.space_if())
        at.end()

    def test_space_before_a_literal_is_no_end(self) -> None:
        at = cursor(b" ", Literal(b"x", False), b"")
        self.assertRaises(Bad, at.end)
        self.assertTrue(at.space_if())
        self.assertTrue(at.at_literal())
        self.assertRaises(Bad, at.end)

    def test_looking_ahead_takes_nothing(self) -> None:
        at = cursor(b"(1")
        self.assertTrue(at.at(b"("))
        self.assertFalse(at.at(b"1"))
        self.assertFalse(at.at_digit())
        at.expect(b"(")
        self.assertTrue(at.at_digit())
        self.assertFalse(at.take_if(b"2"))
        self.assertTrue(at.take_if(b"1"))
        self.assertFalse(at.at_digit())

    def test_error_says_what_and_where(self) -> None:
        at = cursor(b"a1 FETCH", Literal(b"x", False), b" y")
        self.assertEqual(at.tag(), b"a1")
        with self.assertRaises(Bad) as raised:
            at.expect(b"(")
        self.assertEqual(raised.exception.text, "expected ( at octet 3")
        at.space()
        at.command_word()
        at.literal()
        with self.assertRaises(Bad) as raised:
            at.expect(b"(")
        self.assertEqual(raised.exception.text, "expected ( at octet 1 after literal 1")
        at.space()
        at.atom()
        with self.assertRaises(Bad) as raised:
            at.space()
        self.assertEqual(raised.exception.text, "expected a space where the command ends")

    def test_error_does_not_repeat_what_was_sent(self) -> None:
        at = cursor(b'"secret')
        with self.assertRaises(Bad) as raised:
            at.astring()
        self.assertNotIn("secret", raised.exception.text)


class WordTests(CursorTestCase):
    def test_tag(self) -> None:
        """tag = 1*<any ASTRING-CHAR except "+">."""
        self.assert_takes_all(Cursor.tag, b"a1", b"A.b-c_]", b"1")
        self.assert_bad(Cursor.tag, b"", b"+", b"* x", b"(", b'"a"', b"\0", b"\xc3\xa4", b" a")

    def test_command_word_is_in_upper_case(self) -> None:
        self.assertEqual(cursor(b"fetch 1").command_word(), b"FETCH")
        self.assert_bad(Cursor.command_word, b"", b" NOOP", b"{5}")

    def test_word_stops_at_brackets(self) -> None:
        at = cursor(b"body.peek[header]<0.1>")
        self.assertEqual(at.word(), b"BODY.PEEK")
        self.assertTrue(at.at(b"["))
        self.assert_bad(Cursor.word, b"", b"[", b"+FLAGS")

    def test_keyword(self) -> None:
        at = cursor(b"min MAX")
        self.assertEqual(at.keyword(b"MIN", b"MAX"), b"MIN")
        at.space()
        self.assertFalse(at.keyword_if(b"MA"))
        self.assertTrue(at.keyword_if(b"MAX"))
        self.assertFalse(at.keyword_if(b"MAX"))
        for text in (b"MINX", b"", b"(MIN"):
            with self.assertRaises(Bad) as raised:
                cursor(text).keyword(b"MIN", b"MAX")
            self.assertIn("MIN or MAX", raised.exception.text)

    def test_space_is_exactly_one(self) -> None:
        """RFC 9051 §9 note 2: "NOT permitted to substitute TAB, insert additional spaces"."""
        cursor(b" ").space()
        self.assert_bad(Cursor.space, b"", b"\t", b"x")

    @given(st.integers(0, 255))
    def test_atom_char(self, octet: int) -> None:
        text = bytes([octet])
        if text in [bytes([allowed]) for allowed in ATOM_CHARS]:
            self.assert_takes_all(Cursor.atom, text)
        else:
            self.assert_bad(Cursor.atom, text)
        if text == b"]":
            self.assert_takes_all(Cursor.astring, text)


class StringTests(CursorTestCase):
    def test_atom_as_astring(self) -> None:
        self.assert_takes_all(Cursor.astring, b"INBOX", b"a]b", b"NIL", b"a[b", b"~x", b"+")
        self.assert_bad(Cursor.astring, b"", b"(", b"%", b"*", b"\\Seen", b"\x7f", b"\xe4")

    def test_quoted(self) -> None:
        self.assertEqual(cursor(b'""').quoted(), b"")
        self.assertEqual(cursor(b'"a b(c{5}"').quoted(), b"a b(c{5}")
        self.assertEqual(cursor(rb'"\"\\x\\"').string(), b'"\\x\\')
        self.assertEqual(cursor(b'"\t\x7f"').quoted(), b"\t\x7f")

    def test_bad_quoted(self) -> None:
        bad = (b'"', b'"abc', b'"a\\b"', b'"a\\', b'"\\"', b'"a\rb"', b'"a\0b"', b'"a\nb"', b"a")
        self.assert_bad(Cursor.quoted, *bad)
        self.assert_bad(Cursor.string, *bad, b"")
        self.assert_bad(Cursor.astring, *bad[:-1])

    def test_utf8_in_quotes_once_enabled(self) -> None:
        """RFC 6855 §3: "MUST reject, with a BAD response, any octet sequences" that are not."""
        self.assertEqual(cursor('"ä€😀"'.encode(), utf8=True).quoted(), "ä€😀".encode())
        self.assert_bad(Cursor.quoted, '"ä"'.encode())
        for wire in (b'"\xe4"', b'"\xed\xa0\x80"', b'"\xc0\x80"', b'"\xf5\x80\x80\x80"'):
            self.assertRaises(Bad, cursor(wire, utf8=True).quoted)

    def test_literal_where_a_string_may_be(self) -> None:
        for take in (Cursor.astring, Cursor.string, Cursor.nstring, Cursor.literal):
            at = literal(b"any \r\n\xff octets")
            self.assertEqual(take(at), b"any \r\n\xff octets")
            at.end()

    def test_nul_in_a_literal_is_bad(self) -> None:
        """literal = ... *CHAR8, and CHAR8 is any octet but NUL."""
        self.assertRaises(Bad, literal(b"a\0").literal)
        self.assertRaises(Bad, literal(b"a\0").astring)

    def test_literal8_is_no_string(self) -> None:
        self.assertRaises(Bad, literal(b"x", binary=True).astring)
        self.assertRaises(Bad, literal(b"x").literal8)
        self.assertRaises(Bad, cursor(b"x").literal8)
        self.assertEqual(literal(b"\0", binary=True).literal8(), b"\0")

    def test_message_literal_is_any(self) -> None:
        for given_literal in (Literal(b"x", False), StreamedLiteral(5, True, object())):
            at = cursor(b"x ", given_literal, b"")
            at.atom()
            self.assertRaises(Bad, at.message_literal)
            at.space()
            self.assertIs(at.message_literal(), given_literal)
            at.end()

    def test_streamed_literal_is_no_string(self) -> None:
        at = cursor(b"", StreamedLiteral(5, False, None))
        self.assertRaises(Bad, at.astring)

    def test_literal_that_is_only_announced_may_be_the_last(self) -> None:
        at = cursor(b"x ", StreamedLiteral(5, False, None))
        at.atom()
        at.space()
        self.assertFalse(at.at_end())
        at.message_literal()
        self.assertTrue(at.at_end())

    def test_text_around_literals(self) -> None:
        at = cursor(b"(", Literal(b"one", False), b" ", Literal(b"", False), b" three)")
        self.assertEqual(at.parenthesised(at.astring), [b"one", b"", b"three"])
        at.end()

    def test_nstring(self) -> None:
        self.assertIsNone(cursor(b"nil").nstring())
        self.assertEqual(cursor(b'"NIL"').nstring(), b"NIL")
        at = cursor(b"NIL)")
        self.assertIsNone(at.nstring())
        self.assertTrue(at.at(b")"))
        self.assert_bad(Cursor.nstring, b"NILS", b"x", b"NI", b"")

    def test_rest(self) -> None:
        self.assert_takes_all(Cursor.rest, b"", b"any \xff { text")
        self.assert_bad(Cursor.rest, b"a\0", b"a\rb")
        self.assertRaises(Bad, cursor(b"x", Literal(b"", False), b"").rest)

    def test_base64(self) -> None:
        self.assertEqual(cursor(b"AGFsaWNlAHBhc3M=").base64(), b"\0alice\0pass")
        self.assertEqual(cursor(b"").base64(), b"")
        for bad in (b"A", b"AGF", b"A===", b"AG=sa", b"=", b"AGFs AGFs", b"AG\xff", b"*", b"AGFs="):
            at = cursor(bad)
            with self.assertRaises(Bad, msg=repr(bad)):
                at.base64()
                at.end()

    def test_initial_response(self) -> None:
        """RFC 4959 §3: "a single "=" " is a response of no octets; nothing is no response."""
        self.assertEqual(cursor(b"=").initial_response(), b"")
        self.assertEqual(cursor(b"AGFs").initial_response(), b"\0al")
        self.assert_bad(Cursor.initial_response, b"")

    @given(st.binary(max_size=60), st.booleans())
    def test_whatever_is_quoted_ends_or_is_bad(self, data: bytes, utf8: bool) -> None:
        at = cursor(b'"' + data + b'"', utf8=utf8)
        try:
            taken = at.quoted()
        except Bad:
            return
        self.assertNotIn(b"\r", taken)
        self.assertNotIn(b"\n", taken)
        self.assertNotIn(b"\0", taken)


class ListTests(CursorTestCase):
    def test_items(self) -> None:
        at = cursor(b"(a b c) d")
        self.assertEqual(at.parenthesised(at.atom), [b"a", b"b", b"c"])
        self.assertTrue(at.at(b" d"))

    def test_empty_only_where_allowed(self) -> None:
        at = cursor(b"()")
        self.assertEqual(at.parenthesised(at.atom, minimum=0), [])
        at.end()
        self.assert_bad(lambda at: at.parenthesised(at.atom), b"()")

    def test_bad_lists(self) -> None:
        self.assert_bad(
            lambda at: at.parenthesised(at.atom, minimum=0),
            *(b"", b"a", b"(", b"(a", b"(a ", b"(a )", b"( a)", b"(a  b)", b"(a(b))"),
        )

    def test_items_are_bounded(self) -> None:
        fits = b"(" + b" ".join([b"a"] * LIST_ITEMS_MAX) + b")"
        at = cursor(fits)
        self.assertEqual(len(at.parenthesised(at.atom)), LIST_ITEMS_MAX)
        self.assert_bad(lambda at: at.parenthesised(at.atom), b"(a " + fits[1:])

    def test_depth_is_bounded(self) -> None:
        def tree(at: Cursor) -> object:
            if not at.at(b"("):
                return at.atom()
            return at.nested(lambda: at.parenthesised(lambda: tree(at)))

        at = cursor(b"(" * DEPTH_MAX + b"a" + b")" * DEPTH_MAX)
        tree(at)
        at.end()
        deeper = DEPTH_MAX + 1
        self.assert_bad(tree, b"(" * deeper + b"a" + b")" * deeper)
        self.assert_bad(tree, b"(" * 100_000)

    def test_depth_counts_levels_not_lists(self) -> None:
        at = cursor(b"a" * (DEPTH_MAX + 5))
        for _ in range(DEPTH_MAX + 5):
            at.nested(lambda: at.expect(b"a"))
        at.end()
