# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests of pluto_tw.mail.flags."""

import re

from hypothesis import example, given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.mail.codes import LIMIT
from pluto_tw.mail.errors import Bad, No
from pluto_tw.mail.flags import (
    DELETED,
    KEYWORD_OCTETS_MAX,
    RECENT,
    REGISTERED_KEYWORDS,
    SEEN,
    SYSTEM_FLAGS,
    Flag,
    flag,
    flag_key,
    flag_set,
    is_system,
    ordered,
)

#: What RFC 9051 §9 keeps out of an atom: atom-specials.
ATOM_SPECIALS = set('(){ %*"\\]') | {chr(code) for code in (*range(0x20), 0x7F)}
ATOM_CHARACTERS = sorted({chr(code) for code in range(0x80)} - ATOM_SPECIALS)

keywords = st.text(ATOM_CHARACTERS, min_size=1, max_size=KEYWORD_OCTETS_MAX)


class FlagTests(SynchronousTestCase):
    def test_system_flag_in_any_case_is_canonical(self) -> None:
        """RFC 9051 §9: "all alphabetic characters are case insensitive"."""
        for canonical in SYSTEM_FLAGS:
            for spelled in (canonical.lower(), canonical.upper(), canonical.swapcase()):
                self.assertEqual(flag(spelled), canonical)

    def test_registered_keyword_in_any_case_is_canonical(self) -> None:
        """`$FORWARDED` is the `$Forwarded` of RFC 9051 §2.3.2."""
        for canonical in REGISTERED_KEYWORDS:
            for spelled in (canonical, canonical.lower(), canonical.upper()):
                self.assertEqual(flag(spelled), canonical)

    def test_other_keyword_keeps_its_spelling(self) -> None:
        """A label is shown to people as the client that made it wrote it."""
        self.assertEqual(flag("ToDo/Später".replace("ä", "ae")), "ToDo/Spaeter")
        self.assertEqual(flag("$Label1"), "$Label1")

    def test_recent_is_refused(self) -> None:
        """RFC 9051 §9 "flag": "Does not include "\\Recent""."""
        for spelled in ("\\Recent", "\\recent"):
            self.assertRaises(Bad, flag, spelled)

    def test_flag_extension_is_refused(self) -> None:
        """RFC 9051 §9: "Server implementations MUST NOT generate flag-extension flags"."""
        for text in ("\\", "\\*", "\\Forwarded", "\\Seenx", "\\\\Seen", " \\Seen"):
            self.assertRaises(Bad, flag, text)

    def test_each_atom_special_is_refused(self) -> None:
        """RFC 9051 §9: flag-keyword is an atom, and ATOM-CHAR "any CHAR except atom-specials"."""
        for special in ATOM_SPECIALS:
            for text in (special, "a" + special, special + "a", "a" + special + "b"):
                self.assertRaises(Bad, flag, text)

    def test_each_atom_character_is_a_keyword(self) -> None:
        """RFC 9051 §9 "ATOM-CHAR"."""
        for character in ATOM_CHARACTERS:
            self.assertEqual(flag(character), character)

    def test_empty_is_refused(self) -> None:
        """An atom has at least one character."""
        self.assertRaises(Bad, flag, "")

    def test_beyond_ascii_is_refused_even_where_lower_case_is_ascii(self) -> None:
        """CHAR is 1 to 127; U+212A, the Kelvin sign, is "k" in lower case."""
        for text in ("é", "a\x80", "a\U0010ffff", "\ud800", "$Jun\u212a", "\\Draſt"):
            self.assertRaises(Bad, flag, text)

    def test_long_keyword_is_refused_with_limit(self) -> None:
        """RFC 5530 LIMIT: "The operation ran up against an implementation limit"."""
        self.assertEqual(len(flag("k" * KEYWORD_OCTETS_MAX)), KEYWORD_OCTETS_MAX)
        refusal = self.assertRaises(No, flag, "k" * (KEYWORD_OCTETS_MAX + 1))
        self.assertEqual(refusal.code, LIMIT)

    @given(keywords)
    @example("$nonjunk")
    def test_canonical_form_is_a_fixed_point_and_keeps_the_key(self, text: str) -> None:
        """Canonicalising twice changes nothing, and nothing but case at all."""
        once = flag(text)
        self.assertEqual(flag(once), once)
        self.assertEqual(flag_key(once), text.lower())
        self.assertEqual(flag_key(flag(text.upper())), flag_key(once))

    @given(st.text())
    def test_what_is_accepted_can_be_written_to_the_wire(self, text: str) -> None:
        """Each `Flag` is an atom, or a backslash and an atom."""
        try:
            accepted = flag(text)
        except (Bad, No) as refusal:
            self.assertTrue(refusal.text.isascii() and refusal.text.isprintable())
        else:
            self.assertTrue(re.fullmatch(r"\\?[!#$&\'+-\[^-z|}~]+", accepted), accepted)


class FlagSetTests(SynchronousTestCase):
    def test_two_spellings_are_one_flag(self) -> None:
        """Of two spellings in one list the first stays."""
        self.assertEqual(flag_set(["Work", "\\SEEN", "WORK", "\\Seen"]), {"Work", SEEN})

    def test_refusal_of_one_refuses_all(self) -> None:
        """No flag of a list with a wrong one is set."""
        self.assertRaises(Bad, flag_set, ["Work", "\\Recent"])

    @given(st.lists(keywords))
    def test_holds_each_key_once(self, texts: list[str]) -> None:
        """`Flags` holds each flag in one spelling."""
        distinct = flag_set(texts)
        self.assertEqual({flag_key(named) for named in distinct}, {t.lower() for t in texts})
        self.assertEqual(len(distinct), len({t.lower() for t in texts}))


class OrderedTests(SynchronousTestCase):
    def test_recent_then_system_flags_then_keywords_by_name(self) -> None:
        """A FETCH response lists the same flags in the same order at each site."""
        given_flags = [Flag("b"), DELETED, Flag("A"), SEEN, RECENT, Flag("$Junk")]
        self.assertEqual(
            ordered(given_flags), [RECENT, DELETED, SEEN, Flag("$Junk"), Flag("A"), Flag("b")]
        )

    def test_only_backslash_makes_a_system_flag(self) -> None:
        """RFC 9051 §2.3.2: "Keywords do not begin with "\\""."""
        self.assertTrue(all(map(is_system, (*SYSTEM_FLAGS, RECENT))))
        self.assertFalse(any(map(is_system, REGISTERED_KEYWORDS)))
