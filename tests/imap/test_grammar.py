# SPDX-License-Identifier: GPL-3.0-or-later
"""Numbers, sets, flags, names and dates in a command."""

from collections.abc import Callable
from datetime import UTC, date, datetime

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.imap.grammar import DEPTH_MAX, LIST_ITEMS_MAX, Arguments, Literal
from pluto_tw.mail.codes import LIMIT
from pluto_tw.mail.errors import Bad, No
from pluto_tw.mail.flags import DELETED, KEYWORD_OCTETS_MAX, SEEN, Flag
from pluto_tw.mail.sets import NumberSet, SequenceSet

NUMBERS = (0, 1, 4294967295, 4294967296, 2**63 - 1, 2**63)


def arguments(text: bytes, utf8: bool = False) -> Arguments:
    return Arguments((text,), utf8=utf8)


class ArgumentsTestCase(SynchronousTestCase):
    def assert_takes(
        self, take: Callable[[Arguments], object], text: bytes, value: object, utf8: bool = False
    ) -> None:
        at = arguments(text, utf8)
        self.assertEqual(take(at), value)
        self.assertTrue(at.at_end())

    def assert_bad(self, take: Callable[[Arguments], object], *texts: bytes) -> None:
        for text in texts:
            at = arguments(text)
            try:
                taken = take(at)
                at.end()
            except Bad:
                continue
            self.fail(f"took {taken!r} from {text!r}")


class NumberTests(ArgumentsTestCase):
    def assert_range(self, take: Callable[[Arguments], int], low: int, high: int) -> None:
        for number in NUMBERS:
            if low <= number <= high:
                self.assert_takes(take, b"%d" % number, number)
            else:
                self.assert_bad(take, b"%d" % number)
        self.assert_bad(take, b"", b"-1", b"+1", b"x", b"1x", b" 1", b"1.", b"\xd9\xa1")
        self.assert_bad(take, b"9" * 20, b"9" * 10_000)

    def test_number(self) -> None:
        """number: "Unsigned 32-bit integer (0 <= n < 4,294,967,296)"."""
        self.assert_range(Arguments.number, 0, 4294967295)

    def test_nz_number(self) -> None:
        self.assert_range(Arguments.nz_number, 1, 4294967295)

    def test_number64(self) -> None:
        """number64: "Unsigned 63-bit integer (0 <= n <= 9,223,372,036,854,775,807)"."""
        self.assert_range(Arguments.number64, 0, 2**63 - 1)

    def test_nz_number64(self) -> None:
        self.assert_range(Arguments.nz_number64, 1, 2**63 - 1)

    def test_mod_sequence_value(self) -> None:
        """RFC 7162 §7: "Positive unsigned 63-bit integer"."""
        self.assert_range(Arguments.mod_sequence_value, 1, 2**63 - 1)

    def test_mod_sequence_valzer(self) -> None:
        self.assert_range(Arguments.mod_sequence_valzer, 0, 2**63 - 1)

    def test_leading_zeros(self) -> None:
        """number = 1*DIGIT has them, nz-number = digit-nz *DIGIT has not."""
        self.assert_takes(Arguments.number, b"007", 7)
        self.assert_takes(Arguments.number64, b"0" * 10_000 + b"7", 7)
        self.assert_takes(Arguments.mod_sequence_value, b"01", 1)
        self.assert_bad(Arguments.nz_number, b"01", b"00")
        self.assert_bad(Arguments.nz_number64, b"01")

    def test_number_ends_where_digits_end(self) -> None:
        at = arguments(b"12)")
        self.assertEqual(at.number(), 12)
        self.assertTrue(at.at(b")"))

    def test_partial(self) -> None:
        """RFC 9051 §9: partial = "<" number64 "." nz-number64 ">"."""
        self.assert_takes(Arguments.partial, b"<0.1>", (0, 1))
        self.assert_takes(
            Arguments.partial, b"<9223372036854775807.9223372036854775807>", (2**63 - 1, 2**63 - 1)
        )
        self.assert_bad(
            Arguments.partial,
            *(b"", b"<0>", b"<0.0>", b"<.1>", b"<1.>", b"<-1.1>", b"<0.1", b"0.1", b"<0,1>"),
            *(b"<9223372036854775808.1>", b"<0.9223372036854775808>"),
        )

    def test_partial_range(self) -> None:
        """RFC 9394 §4: "A range 500:400 is the same as 400:500"; so for -500:-400."""
        self.assert_takes(Arguments.partial_range, b"1:100", (1, 100))
        self.assert_takes(Arguments.partial_range, b"500:400", (400, 500))
        self.assert_takes(Arguments.partial_range, b"-1:-100", (-1, -100))
        self.assert_takes(Arguments.partial_range, b"-500:-400", (-400, -500))
        self.assert_takes(Arguments.partial_range, b"4294967295:1", (1, 4294967295))
        self.assert_bad(
            Arguments.partial_range,
            *(b"", b"1", b"1:*", b"0:1", b"1:0", b"-1:1", b"1:-1", b"-0:-1", b"1:4294967296"),
        )


class SetTests(ArgumentsTestCase):
    def test_sequence_set(self) -> None:
        for text in (b"1", b"*", b"1:*", b"2,4:7,9,12:*", b"*:4,5:7"):
            self.assert_takes(Arguments.sequence_set, text, SequenceSet.parse(text))

    def test_bad_sequence_sets(self) -> None:
        self.assert_bad(
            Arguments.sequence_set,
            *(b"", b"0", b"1,", b",1", b"1::2", b"1:", b"1:2:3", b"4294967296", b"01", b"$", b"a"),
            *(b"1 2", b"-1", b"1,,2", b"**"),
        )

    def test_saved_result(self) -> None:
        """RFC 5182 §3: seq-last-command = "$"."""
        self.assert_takes(Arguments.sequence_set_or_saved, b"$", None)
        self.assert_takes(Arguments.sequence_set_or_saved, b"1:3", SequenceSet.parse(b"1:3"))
        self.assert_bad(Arguments.sequence_set_or_saved, b"$,1", b"")

    def test_uid_set_has_no_star(self) -> None:
        """RFC 7162 §7: "Sequence of UIDs; "*" is not allowed"."""
        self.assert_takes(Arguments.uid_set, b"3:1,7", NumberSet.of([1, 2, 3, 7]))
        self.assert_bad(Arguments.uid_set, b"1:*", b"*", b"", b"0", b"$")

    @given(st.sets(st.integers(1, 4294967295), min_size=1, max_size=50))
    def test_formatted_set_is_taken(self, numbers: set[int]) -> None:
        written = NumberSet.of(numbers)
        self.assert_takes(Arguments.uid_set, written.format(), written)


class FlagTests(ArgumentsTestCase):
    def test_flag(self) -> None:
        self.assert_takes(Arguments.flag, b"\\sEEN", SEEN)
        self.assert_takes(Arguments.flag, b"$forwarded", Flag("$Forwarded"))
        self.assert_takes(Arguments.flag, b"x", Flag("x"))
        self.assert_bad(Arguments.flag, b"", b"\\", b"\\\\Seen", b"(", b"a]", b"\\Recent", b"\\*")

    def test_flag_list(self) -> None:
        """flag-list = "(" [flag *(SP flag)] ")"."""
        self.assert_takes(Arguments.flag_list, b"()", frozenset())
        self.assert_takes(
            Arguments.flag_list, b"(\\Seen x \\DELETED X)", frozenset({SEEN, DELETED, Flag("x")})
        )
        self.assert_bad(Arguments.flag_list, b"\\Seen", b"(\\Seen", b"( \\Seen)", b"(\\Seen )")

    def test_flags_bare(self) -> None:
        """store-att-flags: (flag-list / (flag *(SP flag)))."""
        self.assert_takes(Arguments.flags_bare, b"\\Seen x", frozenset({SEEN, Flag("x")}))
        at = arguments(b"\\Seen ")
        self.assertEqual(at.flags_bare(), frozenset({SEEN}))
        at.end()
        self.assert_bad(Arguments.flags_bare, b"", b"\\Seen  x", b"(\\Seen)", b"\\Seen (x)")
        self.assert_bad(Arguments.flags_bare, b" ".join([b"x"] * (LIST_ITEMS_MAX + 1)))

    def test_long_keyword_is_refused_not_bad(self) -> None:
        with self.assertRaises(No) as raised:
            arguments(b"(" + b"x" * (KEYWORD_OCTETS_MAX + 1) + b")").flag_list()
        self.assertEqual(raised.exception.code, LIMIT)

    def test_entry_flag_name(self) -> None:
        """RFC 7162 §7: "for the flag \\Seen, the corresponding <entry-name>"."""
        self.assert_takes(Arguments.entry_flag_name, rb'"/flags/\\seen"', "\\seen")
        self.assert_takes(Arguments.entry_flag_name, b'"/FLAGS/$MDNSent"', "$MDNSent")
        self.assert_bad(
            Arguments.entry_flag_name,
            *(b"/flags/x", b'"/flags/"', b'"/flags/x y"', b'"/other/x"', b'""', rb'"/flags/\\\\a"'),
        )


class NameTests(ArgumentsTestCase):
    def test_modified_utf7(self) -> None:
        """RFC 9051 §A.1, its examples."""
        self.assert_takes(
            Arguments.mailbox, b"~peter/mail/&U,BTFw-/&ZeVnLIqe-", "~peter/mail/台北/日本語"
        )
        self.assert_takes(Arguments.mailbox, b'"R&-D"', "R&D")
        self.assert_bad(Arguments.mailbox, b'"&Jjo!"', b"&U,BTFw-&ZeVnLIqe-", b"R&D", b"")

    def test_utf8_once_enabled(self) -> None:
        """RFC 9051 §5.1: "mailbox names are encoded in Net-Unicode"; "&" means itself."""
        self.assert_takes(Arguments.mailbox, '"Entwürfe & mehr"'.encode(), "Entwürfe & mehr", True)
        self.assert_takes(Arguments.mailbox, b"R&D", "R&D", True)
        self.assertRaises(Bad, arguments(b'"\xe4"', utf8=True).mailbox)

    def test_utf8_in_a_literal_is_taken_always(self) -> None:
        at = Arguments((b"", Literal("Entwürfe & mehr".encode(), False), b""))
        self.assertEqual(at.mailbox(), "Entwürfe & mehr")
        at = Arguments((b"", Literal(b"Entw\xfcrfe", False), b""))
        self.assertRaises(Bad, at.mailbox)

    def test_nil_is_a_name(self) -> None:
        """RFC 9051 §4.5: "a mailbox name of "NIL" is a mailbox named NIL"."""
        self.assert_takes(Arguments.mailbox, b"NIL", "NIL")

    def test_list_mailbox(self) -> None:
        """list-char = ATOM-CHAR / list-wildcards / resp-specials."""
        self.assert_takes(Arguments.list_mailbox, b"INBOX.%", "INBOX.%")
        self.assert_takes(Arguments.list_mailbox, b'"*a b"', "*a b")
        self.assert_takes(Arguments.list_mailbox, b'""', "")
        self.assert_takes(Arguments.list_mailbox, b"&APw-*", "ü*")
        self.assert_takes(Arguments.list_mailbox, '"ü*"'.encode(), "ü*", True)
        self.assert_bad(Arguments.list_mailbox, b"", b"(", b"a\\b", b'a"b', b"&*")
        self.assert_bad(Arguments.mailbox, b"INBOX.%", b"*")

    def test_charset(self) -> None:
        """charset = atom / quoted."""
        self.assert_takes(Arguments.charset, b"utf-8", "UTF-8")
        self.assert_takes(Arguments.charset, b'"us-ascii"', "US-ASCII")
        self.assert_bad(Arguments.charset, b"", b"(", b'"\xc3\xa4"')
        self.assertRaises(Bad, arguments('"ä"'.encode(), utf8=True).charset)


class DateTests(ArgumentsTestCase):
    def test_date(self) -> None:
        """date = date-text / DQUOTE date-text DQUOTE."""
        for text in (b"1-Feb-1994", b'"1-Feb-1994"', b"01-FEB-1994"):
            self.assert_takes(Arguments.date, text, date(1994, 2, 1))
        self.assert_bad(Arguments.date, b"", b"31-Feb-1994", b'"1-Feb-1994', b'1-Feb-1994"', b'""')

    def test_date_ends_before_a_parenthesis(self) -> None:
        at = arguments(b"1-Feb-1994)")
        at.date()
        self.assertTrue(at.at(b")"))

    def test_date_time(self) -> None:
        self.assert_takes(
            Arguments.date_time,
            b'"17-Jul-1996 02:44:25 -0700"',
            datetime(1996, 7, 17, 9, 44, 25, tzinfo=UTC),
        )
        self.assert_bad(
            Arguments.date_time,
            *(b"", b'""', b"17-Jul-1996", b'"17-Jul-1996"', b'"31-Feb-1996 02:44:25 -0700"'),
        )

    def test_error_is_where_the_date_begins(self) -> None:
        with self.assertRaises(Bad) as raised:
            arguments(b"31-Feb-1994").date()
        self.assertEqual(raised.exception.text, "expected a date such as 1-Feb-1994 at octet 1")


class ExtensionTests(ArgumentsTestCase):
    def test_label(self) -> None:
        """RFC 4466 §3: tagged-label-fchar *tagged-label-char."""
        self.assert_takes(Arguments.tagged_ext_label, b"x-a.b:1", b"X-A.B:1")
        self.assert_bad(Arguments.tagged_ext_label, b"", b"1a", b":a", b"(")

    def test_skip_simple_values(self) -> None:
        for text in (b"1", b"0", b"9223372036854775807", b"1:*,3", b"-1:-100", b"$"):
            self.assert_takes(Arguments.skip_tagged_ext_val, text, None)
        self.assert_bad(Arguments.skip_tagged_ext_val, b"", b"x", b'"x"', b")")

    def test_skip_lists(self) -> None:
        for text in (
            *(b"()", b"(a)", b"(a b)", b'("x y" 1)', b"(a (b c) d)", b"((a))", b"((a) (b))"),
            b"(" * DEPTH_MAX + b"a" + b")" * DEPTH_MAX,
        ):
            self.assert_takes(Arguments.skip_tagged_ext_val, text, None)

    def test_skip_stops_at_the_closing_parenthesis(self) -> None:
        at = arguments(b"(a)) b")
        at.skip_tagged_ext_val()
        self.assertTrue(at.at(b") b"))

    def test_skip_literals(self) -> None:
        at = Arguments((b"(a ", Literal(b"x", False), b" (", Literal(b"y", False), b"))"))
        at.skip_tagged_ext_val()
        at.end()

    def test_bad_lists(self) -> None:
        deep = DEPTH_MAX + 1
        self.assert_bad(
            Arguments.skip_tagged_ext_val,
            *(b"(", b"(a", b"(a ", b"(a )", b"( a)", b"(a  b)", b"(a(b))", b"(())", b"(a))"),
            *(b"(" * deep + b"a" + b")" * deep, b"(" * 100_000),
        )


class CommandTests(ArgumentsTestCase):
    def test_a_whole_command(self) -> None:
        """As a command's parser uses what is here."""
        at = arguments(b"A1 UID STORE 1:* (UNCHANGEDSINCE 12) +FLAGS.SILENT (\\Deleted)")
        self.assertEqual(at.tag(), b"A1")
        at.space()
        self.assertEqual(at.command_word(), b"UID")
        at.space()
        self.assertEqual(at.command_word(), b"STORE")
        at.space()
        self.assertEqual(at.sequence_set_or_saved(), SequenceSet.parse(b"1:*"))
        at.space()
        at.expect(b"(")
        at.keyword(b"UNCHANGEDSINCE")
        at.space()
        self.assertEqual(at.mod_sequence_valzer(), 12)
        at.expect(b")")
        at.space()
        self.assertFalse(at.take_if(b"-"))
        self.assertTrue(at.take_if(b"+"))
        self.assertEqual(at.keyword(b"FLAGS", b"FLAGS.SILENT"), b"FLAGS.SILENT")
        at.space()
        self.assertEqual(at.flag_list(), frozenset({DELETED}))
        at.end()
