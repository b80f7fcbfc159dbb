# SPDX-License-Identifier: GPL-3.0-or-later
"""Values as the bytes of responses, read back with the grammar of commands where it is the same."""

from hypothesis import example, given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.imap import responses
from pluto_tw.imap.dates import format_date_time
from pluto_tw.imap.framing import AFTER_LOGIN, Framer
from pluto_tw.imap.grammar import Arguments
from pluto_tw.imap.responses import QUOTED_OCTETS_MAX, TEXT_OCTETS_MAX
from pluto_tw.mail.flags import DELETED, FLAGGED, RECENT, SEEN, Flag, flag_set
from pluto_tw.mail.sets import EMPTY, NumberSet
from tests.fuzz.framing import commands_in, drive

#: Octets among which those that matter are frequent.
octets = st.one_of(
    st.binary(max_size=40),
    st.lists(
        st.sampled_from([b'"', b"\\", b" ", b"\r", b"\n", b"{5}", b"a", b"\xc3\xa4", b"("])
    ).map(b"".join),
)
names = st.text(
    st.characters(exclude_categories=["Cs", "Cc"]) | st.sampled_from('&-%*"\\/üä'),
    min_size=1,
    max_size=30,
)
keywords = st.text("abcXYZ$_-1", min_size=1, max_size=8)


def read_back(wire: bytes, utf8: bool = False) -> Arguments:
    """The arguments of a command that has *wire* as its only one."""
    events = drive(Framer(AFTER_LOGIN), [wire + b"\r\n"], lambda announced: True)
    (segments,) = commands_in(events)
    return Arguments(segments, utf8=utf8)


class StringTests(SynchronousTestCase):
    def test_quoted(self) -> None:
        self.assertEqual(responses.quoted(b""), b'""')
        self.assertEqual(responses.quoted(rb'a "b" \c'), rb'"a \"b\" \\c"')

    def test_quoted_refuses_what_would_break_the_line(self) -> None:
        for data in (b"a\r\nb", b"\r", b"\n", b"\0", b"\xc3\xa4"):
            self.assertRaises(ValueError, responses.quoted, data)
        for data in (b"a\r\nb", b"\xc3\xa4\n", b"\xe4", b"\xed\xa0\x80"):
            self.assertRaises(ValueError, responses.quoted, data, utf8=True)

    def test_string_is_quoted_where_it_can_be(self) -> None:
        self.assertEqual(responses.string(b"a b"), b'"a b"')
        self.assertEqual(responses.string(b"x" * QUOTED_OCTETS_MAX)[:1], b'"')
        self.assertEqual(responses.string(b"x" * 1001), b"{1001}\r\n" + b"x" * 1001)
        self.assertEqual(responses.string(b"a\r\nb"), b"{4}\r\na\r\nb")

    def test_utf8_is_quoted_only_once_enabled(self) -> None:
        """RFC 9051 §A: "MUST NOT generate UTF-8-quoted strings unless"."""
        self.assertEqual(responses.string("ä".encode()), b"{2}\r\n\xc3\xa4")
        self.assertEqual(responses.string("ä".encode(), utf8=True), '"ä"'.encode())
        self.assertEqual(responses.string(b"\xe4", utf8=True), b"{1}\r\n\xe4")

    def test_nul_never_stands_in_a_string(self) -> None:
        """RFC 9051 §9 note 3: "The ASCII NUL character, %x00, MUST NOT be used anywhere"."""
        self.assertEqual(responses.string(b"a\0b"), b"{3}\r\na\x80b")
        self.assertEqual(responses.string(b"a\0b", utf8=True), b"{3}\r\na\x80b")

    def test_nstring(self) -> None:
        self.assertEqual(responses.nstring(None), b"NIL")
        self.assertEqual(responses.nstring(b"NIL"), b'"NIL"')
        self.assertEqual(responses.nstring("ä".encode(), utf8=True), '"ä"'.encode())

    def test_astring(self) -> None:
        self.assertEqual(responses.astring(b"a]b"), b"a]b")
        self.assertEqual(responses.astring(b""), b'""')
        self.assertEqual(responses.astring(b"nil"), b'"nil"')
        for data in (b"a b", b"a%", b"a*", b"(a)", b"{a", b"\\a"):
            self.assertNotEqual(responses.astring(data), data)

    @given(octets, st.booleans())
    @example(b"{5}", False)
    def test_read_back(self, data: bytes, utf8: bool) -> None:
        sent = data.replace(b"\0", b"\x80")
        for wire in (responses.string(data, utf8=utf8), responses.nstring(data, utf8=utf8)):
            at = read_back(wire, utf8)
            self.assertEqual(at.string(), sent)
            at.end()
        at = read_back(responses.astring(data, utf8=utf8), utf8)
        self.assertEqual(at.astring(), sent)
        at.end()


class MailboxTests(SynchronousTestCase):
    def test_forms(self) -> None:
        """RFC 9051 §5.1 and RFC 3501 §5.1.3."""
        self.assertEqual(responses.mailbox("INBOX", utf8=False), b"INBOX")
        self.assertEqual(responses.mailbox("a b", utf8=True), b'"a b"')
        self.assertEqual(responses.mailbox("Entwürfe", utf8=False), b"Entw&APw-rfe")
        self.assertEqual(responses.mailbox("Entwürfe", utf8=True), '"Entwürfe"'.encode())
        self.assertEqual(responses.mailbox("R&D", utf8=False), b"R&-D")
        self.assertEqual(responses.mailbox("R&D", utf8=True), b"R&D")

    @given(names, st.booleans())
    def test_read_back(self, name: str, utf8: bool) -> None:
        at = read_back(responses.mailbox(name, utf8=utf8), utf8)
        self.assertEqual(at.mailbox(), name)
        at.end()

    @given(names)
    def test_rev1_form_is_seven_bit(self, name: str) -> None:
        self.assertTrue(responses.mailbox(name, utf8=False).isascii())


class ListTests(SynchronousTestCase):
    def test_flags_have_one_order(self) -> None:
        flags = frozenset({Flag("b"), SEEN, Flag("A"), DELETED, FLAGGED, Flag("$Junk")})
        self.assertEqual(responses.flag_list(flags), b"(\\Flagged \\Deleted \\Seen $Junk A b)")
        self.assertEqual(responses.flag_list(frozenset()), b"()")
        self.assertEqual(responses.flag_list(frozenset({SEEN, RECENT})), b"(\\Recent \\Seen)")

    def test_flag_lists_are_remembered(self) -> None:
        first = responses.flag_list(frozenset({SEEN, Flag("x")}))
        self.assertIs(responses.flag_list(frozenset({Flag("x"), SEEN})), first)

    @given(st.lists(st.sampled_from(["\\Seen", "\\Deleted", "$Junk"]) | keywords, max_size=6))
    def test_flags_read_back(self, texts: list[str]) -> None:
        flags = flag_set(texts)
        at = read_back(responses.flag_list(flags))
        self.assertEqual(at.flag_list(), flags)
        at.end()

    @given(st.sets(st.integers(1, 4294967295), min_size=1))
    def test_sets_read_back(self, numbers: set[int]) -> None:
        written = NumberSet.of(numbers)
        self.assertEqual(read_back(responses.number_set(written)).uid_set(), written)

    def test_empty_set_has_no_form(self) -> None:
        self.assertRaises(ValueError, responses.number_set, EMPTY)

    def test_parenthesised(self) -> None:
        self.assertEqual(responses.parenthesised([]), b"()")
        self.assertEqual(responses.parenthesised(iter([b"a", b"(b)"])), b"(a (b))")

    @given(st.integers(-(2**35), 2**37), st.integers(-1439, 1439))
    def test_date_times_read_back(self, moment: int, zone: int) -> None:
        read = read_back(format_date_time(moment, zone)).date_time()
        self.assertEqual(read.timestamp(), moment)


class LineTests(SynchronousTestCase):
    def test_tagged(self) -> None:
        self.assertEqual(responses.tagged(b"a1", b"OK", "done"), b"a1 OK done\r\n")
        code = responses.response_code("TRYCREATE")
        self.assertEqual(
            responses.tagged(b"a1", b"NO", "no such mailbox", code),
            b"a1 NO [TRYCREATE] no such mailbox\r\n",
        )

    def test_untagged(self) -> None:
        self.assertEqual(responses.untagged(b"3 EXISTS"), b"* 3 EXISTS\r\n")
        self.assertEqual(responses.untagged_status(b"OK", "hello"), b"* OK hello\r\n")
        self.assertEqual(
            responses.bye("too many errors", b"[UNAVAILABLE]"),
            b"* BYE [UNAVAILABLE] too many errors\r\n",
        )

    def test_continuation(self) -> None:
        """continue-req = "+" SP (resp-text / base64) CRLF."""
        self.assertEqual(responses.continuation("go on"), b"+ go on\r\n")
        self.assertEqual(responses.continuation(""), b"+ -\r\n")
        self.assertEqual(responses.challenge(b""), b"+ \r\n")
        self.assertEqual(responses.challenge(b"\0" * 60), b"+ " + b"A" * 80 + b"\r\n")

    def test_response_code(self) -> None:
        self.assertEqual(responses.response_code("COPYUID", "1 3:4 7,9"), b"[COPYUID 1 3:4 7,9]")
        for name, argument in (("A", "b]c"), ("A", "b\r\nc"), ("", ""), ("A", "ä"), ("A]", "")):
            self.assertRaises(ValueError, responses.response_code, name, argument)

    def test_text_that_looks_like_a_code(self) -> None:
        """A mailbox's name in a text must not be able to say [UIDVALIDITY 1]."""
        self.assertEqual(responses.text_safe("[ALERT] x"), b"(ALERT] x")

    @given(st.text(max_size=TEXT_OCTETS_MAX + 10))
    @example("a\r\n* BYE")
    def test_text_is_one_line_of_bounded_ascii(self, text: str) -> None:
        """text = 1*TEXT-CHAR."""
        safe = responses.text_safe(text)
        self.assertTrue(safe.decode("ascii").isprintable())
        self.assertTrue(1 <= len(safe) <= TEXT_OCTETS_MAX)
        self.assertFalse(safe.startswith(b"["))
