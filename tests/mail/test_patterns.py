# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests of pluto_tw.mail.patterns."""

import re
from collections.abc import Iterator
from typing import Self, SupportsIndex

from hypothesis import example, given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.mail.names import NAME_OCTETS_MAX, SEPARATORS
from pluto_tw.mail.patterns import PATTERN_OCTETS_MAX, Pattern

#: Few letters, so that patterns often match.
patterns = st.text(st.sampled_from("ab.%*"), max_size=12)
names = st.text(st.sampled_from("ab."), min_size=1, max_size=12)


def matches(pattern: str, *names: str, reference: str = "", separator: str = "/") -> list[str]:
    """Those of *names* that match."""
    compiled = Pattern.compile(reference, pattern, separator)
    return [name for name in names if compiled.matches(name)]


class CountingName(str):
    """A name that counts the characters that are taken from it one by one."""

    taken: list[str]

    @classmethod
    def counting(cls, name: str, taken: list[str]) -> Self:
        counted = cls(name)
        counted.taken = taken
        return counted

    def __iter__(self) -> Iterator[str]:
        for character in super().__iter__():
            self.taken.append(character)
            yield character

    def __getitem__(self, place: SupportsIndex | slice) -> Self:
        return self.counting(super().__getitem__(place), self.taken)


class MatchesTests(SynchronousTestCase):
    def test_star_crosses_the_separator(self) -> None:
        """RFC 9051 §6.3.9: "*" "matches zero or more characters at this position"."""
        self.assertEqual(matches("*", "a", "a/b", "a/b/c"), ["a", "a/b", "a/b/c"])
        self.assertEqual(matches("a*", "a", "ab", "a/b", "ba"), ["a", "ab", "a/b"])
        self.assertEqual(matches("a*c", "ac", "abc", "a/b/c", "acb"), ["ac", "abc", "a/b/c"])

    def test_percent_does_not_cross_the_separator(self) -> None:
        """RFC 9051 §6.3.9: "%" "does not match a hierarchy delimiter"."""
        self.assertEqual(matches("%", "a", "a/b", "a.b"), ["a", "a.b"])
        self.assertEqual(matches("a/%", "a", "a/b", "a/b/c"), ["a/b"])
        self.assertEqual(matches("%/%", "a", "a/b", "a/b/c"), ["a/b"])
        self.assertEqual(matches("%b%", "b", "abc", "a/b"), ["b", "abc"])

    def test_runs_of_wildcards_are_the_widest_of_them(self) -> None:
        """`%*`, `*%` and `**` amount to `*`, `%%` to `%`."""
        for pattern in ("%*", "*%", "**", "%*%"):
            self.assertEqual(matches(pattern, "a", "a/b"), ["a", "a/b"])
        self.assertEqual(matches("%%", "a", "a/b"), ["a"])

    def test_name_without_wildcards_matches_itself(self) -> None:
        """Case counts, but in INBOX; a regular expression is a name as any."""
        self.assertEqual(matches("a.c", "a.c", "abc", "A.c"), ["a.c"])

    def test_reference_is_put_before_the_pattern(self) -> None:
        """RFC 9051 §6.3.9, Table 1: "archive/" and "%" are "archive/%"."""
        self.assertEqual(
            matches("%", "archive/x", "archive/x/y", "x", reference="archive/"), ["archive/x"]
        )

    def test_inbox_matches_in_any_case(self) -> None:
        """RFC 9051 §5.1: "The case-insensitive mailbox name INBOX"."""
        for pattern in ("inbox", "InBoX", "inbox*", "inb%", "INBOX%", "i*", "*", "%", "*BOX"):
            self.assertEqual(matches(pattern, "INBOX"), ["INBOX"], pattern)
        self.assertEqual(matches("box", "INBOX", reference="in"), ["INBOX"])

    def test_below_inbox_case_counts(self) -> None:
        """Only the first component is INBOX in any case, as in `mailbox_name`."""
        inferiors = ("INBOX/Sent", "INBOX/sent", "INBOX/Sent/x")
        self.assertEqual(matches("inbox/S%", *inferiors), ["INBOX/Sent"])
        self.assertEqual(matches("inbox/sent", *inferiors), ["INBOX/sent"])
        self.assertEqual(matches("inbox*", *inferiors), list(inferiors))

    def test_other_names_are_not_inbox(self) -> None:
        """`INBOXES` and `x/INBOX` are names as any; `INB` is none."""
        self.assertEqual(matches("inbox%", "INBOXES", "inboxes"), ["inboxes"])
        self.assertEqual(matches("inb", "INBOX", "INB", "inb"), ["inb"])
        self.assertEqual(matches("%/inbox", "x/INBOX", "x/inbox"), ["x/inbox"])
        self.assertEqual(matches("\u0131nb*", "INBOX"), [])

    def test_pattern_is_normalised_as_names_are(self) -> None:
        """RFC 9051 §5.1: denormalised names must be accepted "in all IMAP commands"."""
        self.assertEqual(matches("Entwu\u0308r%", "Entw\u00fcrfe"), ["Entw\u00fcrfe"])

    def test_empty_pattern_matches_nothing(self) -> None:
        """RFC 9051 §6.3.9: "any mailbox name arguments that are empty strings are ignored"."""
        for pattern in ("", "*", "%", "%*"):
            self.assertEqual(matches(pattern, ""), [])
        self.assertEqual(matches("", "a", "INBOX"), [])

    def test_over_long_pattern_matches_nothing(self) -> None:
        """RFC 9051 §6.3.9: a pattern that is not accepted "MUST be silently ignored"."""
        longest = "*" * PATTERN_OCTETS_MAX
        self.assertEqual(matches(longest, "a"), ["a"])
        self.assertEqual(matches("*", "a", reference=longest), [])
        self.assertEqual(matches("é" * (PATTERN_OCTETS_MAX // 2) + "*", "a"), [])

    def test_lone_surrogate_is_no_error(self) -> None:
        """No name holds one."""
        self.assertEqual(matches("\ud800", "a"), [])
        self.assertEqual(matches("*\ud800", "a"), [])

    def test_each_character_of_the_name_is_one_step_whatever_the_pattern(self) -> None:
        """A pattern that can match in very many ways holds nobody up."""
        name = "a" * NAME_OCTETS_MAX
        for pattern in ("*%a" * 600 + "b", "*a" * 999 + "*b", "%a" * 999 + "b", "*a%" * 600 + "b"):
            compiled = Pattern.compile("", pattern, "/")
            taken: list[str] = []
            self.assertFalse(compiled.matches(CountingName.counting(name, taken)))
            self.assertGreater(len(taken), 0)
            self.assertLessEqual(len(taken), NAME_OCTETS_MAX)

    @given(patterns, names, st.sampled_from(SEPARATORS))
    @example("*a%.b", "a.ab.b", ".")
    @example("%a*.", "aa.a.", ".")
    def test_agrees_with_regular_expressions(self, pattern: str, name: str, separator: str) -> None:
        """Without INBOX a pattern is a regular expression; on names so short that is safe."""
        wildcards = {"*": ".*", "%": f"[^{re.escape(separator)}]*"}
        expression = "".join(wildcards.get(piece, re.escape(piece)) for piece in pattern)
        expected = re.fullmatch(expression, name, re.DOTALL) is not None
        self.assertEqual(Pattern.compile("", pattern, separator).matches(name), expected)
        for split in range(len(pattern)):
            joined = Pattern.compile(pattern[:split], pattern[split:], separator)
            self.assertEqual(joined.matches(name), expected)

    @given(patterns)
    @example("a%b*")
    def test_uppercase_inbox_matches_as_any_name(self, pattern: str) -> None:
        """RFC 9051 §6.3.9: INBOX is included "if the uppercase string "INBOX" matches"."""
        upper = pattern.replace("a", "IN").replace("b", "BOX")
        expression = upper.replace(".", r"\.").replace("*", ".*").replace("%", "[^.]*")
        expected = re.fullmatch(expression, "INBOX") is not None
        self.assertEqual(Pattern.compile("", upper, ".").matches("INBOX"), expected)


class LevelListTests(SynchronousTestCase):
    def test_only_percent_at_the_end_lists_levels(self) -> None:
        """
        RFC 9051 §6.3.9: "If the "%" wildcard is the last character of a mailbox name
        argument, matching levels of hierarchy are also returned".
        """
        for pattern, expected in {
            "%": True,
            "a/%": True,
            "*": False,
            "%/a": False,
            "": False,
        }.items():
            self.assertEqual(Pattern.compile("", pattern, "/").is_level_list, expected)
