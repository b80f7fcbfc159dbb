# SPDX-License-Identifier: GPL-3.0-or-later
"""Search programs from the wire."""

from datetime import date
from typing import cast

from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.imap.cursor import DEPTH_MAX, Literal, Segment
from pluto_tw.imap.grammar import Arguments
from pluto_tw.imap.search_keys import SEARCH_KEYS_MAX, parse_program
from pluto_tw.imap.search_program import Program
from pluto_tw.imap.selected import Selected
from pluto_tw.mail.errors import Bad
from pluto_tw.mail.flags import ANSWERED, DELETED, DRAFT, FLAGGED, SEEN, Flag
from pluto_tw.mail.search import (
    AddressField,
    All,
    And,
    Body,
    ChangedSince,
    Comparison,
    EmailId,
    Field,
    HasFlag,
    Header,
    InternalDay,
    Key,
    Larger,
    Not,
    Older,
    Or,
    Recent,
    SentDay,
    Smaller,
    Text,
    ThreadId,
    Younger,
)
from pluto_tw.mail.sets import EMPTY
from pluto_tw.mail.uids import ModSeq


class EmptyView:
    """As much of a `Selected` as keys without sets need."""

    uids = ()
    saved = EMPTY


def program(*segments: Segment | str) -> Program:
    return parse_program(
        Arguments([s.encode("ascii") if isinstance(s, str) else s for s in segments])
    )


def key(text: str) -> Key:
    return program(text).resolve(cast(Selected, EmptyView()))


class KeyTests(SynchronousTestCase):
    def test_flags(self) -> None:
        for flag, word in (
            (ANSWERED, "ANSWERED"),
            (DELETED, "DELETED"),
            (DRAFT, "DRAFT"),
            (FLAGGED, "FLAGGED"),
            (SEEN, "SEEN"),
        ):
            self.assertEqual(key(word), HasFlag(flag))
            self.assertEqual(key("UN" + word.lower()), Not(HasFlag(flag)))
        self.assertEqual(key("KEYWORD $MDNSent"), HasFlag(Flag("$MDNSent")))
        self.assertEqual(key("unkeyword x"), Not(HasFlag(Flag("x"))))

    def test_keyword_that_no_message_can_have(self) -> None:
        """It names nothing; it is no mistake."""
        self.assertEqual(key("KEYWORD " + "x" * 500), HasFlag(Flag("x" * 500)))

    def test_recent(self) -> None:
        """RFC 3501: NEW is "functionally equivalent to "(RECENT UNSEEN)"", OLD to "NOT RECENT"."""
        self.assertEqual(key("RECENT"), Recent())
        self.assertEqual(key("NEW"), key("(RECENT UNSEEN)"))
        self.assertEqual(key("OLD"), key("NOT RECENT"))

    def test_strings(self) -> None:
        self.assertEqual(key("BODY x"), Body("x"))
        self.assertEqual(key('TEXT "a b"'), Text("a b"))
        for field in AddressField:
            self.assertEqual(key(f'{field.value} "x"'), Field(field, "x"))
        self.assertEqual(key('HEADER Message-ID "<a@b>"'), Header("Message-ID", "<a@b>"))
        self.assertEqual(key('HEADER X-Y ""'), Header("X-Y", ""))

    def test_days(self) -> None:
        day = date(1994, 2, 1).toordinal()
        self.assertEqual(key("BEFORE 1-Feb-1994"), InternalDay(Comparison.BEFORE, day))
        self.assertEqual(key('ON "1-Feb-1994"'), InternalDay(Comparison.ON, day))
        self.assertEqual(key("SINCE 01-feb-1994"), InternalDay(Comparison.SINCE, day))
        self.assertEqual(key("SENTBEFORE 1-Feb-1994"), SentDay(Comparison.BEFORE, day))
        self.assertEqual(key("SENTON 1-Feb-1994"), SentDay(Comparison.ON, day))
        self.assertEqual(key("SENTSINCE 1-Feb-1994"), SentDay(Comparison.SINCE, day))

    def test_sizes_and_ages(self) -> None:
        self.assertEqual(key("LARGER 0"), Larger(0))
        self.assertEqual(key(f"SMALLER {2**63 - 1}"), Smaller(2**63 - 1))
        self.assertEqual(key("OLDER 1"), Older(1))
        self.assertEqual(key(f"YOUNGER {2**32 - 1}"), Younger(2**32 - 1))

    def test_modseq(self) -> None:
        """The server "MUST ignore <entry-name> and <entry-type-req>". RFC 7162 §3.1.5."""
        self.assertEqual(key("MODSEQ 0"), ChangedSince(ModSeq(0)))
        self.assertEqual(key('MODSEQ "/flags/\\\\draft" all 620'), ChangedSince(ModSeq(620)))
        self.assertEqual(key('MODSEQ "/flags/$x" Priv 620'), ChangedSince(ModSeq(620)))
        self.assertTrue(program("SEEN NOT MODSEQ 1").names_modseq)
        self.assertFalse(program("SEEN").names_modseq)

    def test_object_ids(self) -> None:
        self.assertEqual(key("EMAILID M6d99ac3275bb4e"), EmailId("M6d99ac3275bb4e"))
        self.assertEqual(key('THREADID "T-_1"'), ThreadId("T-_1"))

    def test_side_by_side(self) -> None:
        """RFC 9051 §6.4.4: "the result is the intersection" of keys side by side."""
        self.assertEqual(key("ALL"), All())
        self.assertEqual(key("(ALL)"), All())
        self.assertEqual(key("ALL SEEN "), And((All(), HasFlag(SEEN))))
        self.assertEqual(
            key("(ALL (SEEN DRAFT)) DELETED"),
            And((And((All(), And((HasFlag(SEEN), HasFlag(DRAFT))))), HasFlag(DELETED))),
        )

    def test_operators(self) -> None:
        self.assertEqual(key("NOT NOT ALL"), Not(Not(All())))
        self.assertEqual(key("OR SEEN NOT ALL"), Or(HasFlag(SEEN), Not(All())))
        self.assertEqual(
            key("OR OR SEEN DRAFT (ALL DELETED) ALL"),
            And((Or(Or(HasFlag(SEEN), HasFlag(DRAFT)), And((All(), HasFlag(DELETED)))), All())),
        )

    def test_what_is_no_key(self) -> None:
        for text in (
            "",
            "NOBODY",
            "()",
            "(ALL",
            "ALL)",
            "ALL  SEEN",
            "NOT",
            "OR ALL",
            "OR ALL,SEEN",
            "BODY",
            "HEADER x",
            "KEYWORD \\Seen",
            "ON 31-Feb-1994",
            "ON Monday",
            "LARGER -1",
            f"SMALLER {2**63}",
            "OLDER 0",
            f"YOUNGER {2**32}",
            f"MODSEQ {2**63}",
            'MODSEQ "/flags/\\\\draft" 620',
            'MODSEQ "/comment" all 620',
            'EMAILID "a b"',
            "THREADID " + "x" * 256,
            "UID",
            "UID x",
            "0",
            "1:",
            "4294967296",
            "$,1",
            "CHARSET",
            "CHARSET UTF-8",
            "ALL CHARSET UTF-8",
        ):
            self.assertRaises(Bad, program, text)


class CharsetTests(SynchronousTestCase):
    def test_utf8_is_assumed(self) -> None:
        """Without CHARSET, "IMAP4rev2 servers MUST assume UTF-8"."""
        found = program("BODY ", Literal("отпуск".encode(), False), "")
        self.assertEqual(found.steps, (Body("отпуск"),))

    def test_charsets_that_messages_have(self) -> None:
        found = program("CHARSET koi8-r BODY ", Literal("отпуск".encode("koi8-r"), False), "")
        self.assertEqual(found, Program((Body("отпуск"),)))
        for name in ("US-ASCII", "utf-8", '"UTF-8"', "ISO-8859-15"):
            self.assertEqual(program(f"CHARSET {name} BODY x"), Program((Body("x"),)))

    def test_unknown_charset(self) -> None:
        """The program is read to its end, to see that it is one; its strings mean nothing."""
        for name in ("X-UNKNOWN", "rot13", "UTF-7", "punycode", '""'):
            found = program(f"CHARSET {name} SUBJECT ", Literal(b"\xff", False), " NOT ALL")
            self.assertEqual(found.charset, name.strip('"').upper())
        self.assertRaises(Bad, program, "CHARSET X-UNKNOWN SUBJECT")

    def test_octets_that_are_not_in_the_charset(self) -> None:
        self.assertRaises(Bad, program, "BODY ", Literal(b"\xff", False), "")
        self.assertRaises(Bad, program, "CHARSET US-ASCII BODY ", Literal("ä".encode(), False), "")


class LimitTests(SynchronousTestCase):
    def test_number_of_keys(self) -> None:
        self.assertEqual(len(program(" ".join(["SEEN"] * SEARCH_KEYS_MAX)).steps), 1001)
        self.assertRaises(Bad, program, " ".join(["SEEN"] * (SEARCH_KEYS_MAX + 1)))
        many = "(" + " ".join(["SEEN"] * 600) + ")"
        self.assertRaises(Bad, program, f"{many} {many}")

    def test_depth(self) -> None:
        program("NOT " * DEPTH_MAX + "ALL")
        program("(" * DEPTH_MAX + "ALL" + ")" * DEPTH_MAX)
        program("OR ALL " * DEPTH_MAX + "ALL")
        for deep in ("NOT ", "(", "OR ", "OR ALL "):
            self.assertRaises(Bad, program, deep * (DEPTH_MAX + 1) + "ALL")
            self.assertRaises(Bad, program, deep * 1500 + "ALL")
