# SPDX-License-Identifier: GPL-3.0-or-later
"""The comparator i;unicode-casemap: RFC 5051 §2."""

import sys
import unicodedata

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.mime import folding
from pluto_tw.mime.folding import fold


class FoldTests(SynchronousTestCase):
    def test_case_does_not_matter(self) -> None:
        for text in ("hello", "Grüße", "привет", "ελλάδα", "ǆ", "łódź"):
            for other in (text.upper().replace("SS", "ß"), text.lower(), text.title()):
                self.assertEqual(fold(other), fold(text))

    def test_titlecase_then_decomposition(self) -> None:
        """RFC 5051 §2: U+01C4 becomes U+01C5, then U+0044 U+007A U+030C."""
        for character in "\u01c4\u01c5\u01c6":
            self.assertEqual(fold(character), "\u0044\u007a\u030c")
        self.assertEqual(fold("é"), "E\u0301")
        self.assertEqual(fold("\u212b"), "A\u030a")

    def test_only_simple_mappings(self) -> None:
        """The titlecase property of UnicodeData.txt maps to one character; "ß" has none."""
        self.assertEqual(fold("ß"), "ß")
        self.assertEqual(fold("ŉ"), unicodedata.normalize("NFKD", "ŉ"))

    def test_every_character_is_stable(self) -> None:
        """Folding what was folded changes nothing but what decomposed into small letters."""
        for code_point in range(0x3000):
            folded = fold(chr(code_point))
            self.assertEqual(fold(fold(folded)), fold(folded))

    @given(st.text(), st.text())
    def test_text_can_be_folded_in_chunks(self, first: str, second: str) -> None:
        self.assertEqual(fold(first + second), fold(first) + fold(second))

    def test_what_is_remembered_is_bounded(self) -> None:
        self.patch(folding, "FOLDED_CHARACTERS_MAX", len(folding._FOLDED) + 10)
        fold("".join(map(chr, range(0x10000, min(0x10400, sys.maxunicode)))))
        self.assertLessEqual(len(folding._FOLDED), folding.FOLDED_CHARACTERS_MAX)
