# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests of pluto_tw.mail.names."""

import sys
import unicodedata

from hypothesis import assume, example, given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.mail.codes import CANNOT
from pluto_tw.mail.errors import No
from pluto_tw.mail.names import (
    DEPTH_MAX,
    INBOX,
    NAME_OCTETS_MAX,
    SEPARATORS,
    MailboxName,
    is_inbox,
    is_inferior,
    mailbox_name,
    parents,
    renamed,
    without_declaration,
)
from pluto_tw.mail.utf7 import encode

separators = st.sampled_from(SEPARATORS)
texts = st.text(st.sampled_from("abİıIi./#%*&~é\u0301\n") | st.characters(), max_size=20)
#: Names of few components, so that one is often above another.
components = st.lists(st.sampled_from(["a", "b", "ab", "INBOX", "é"]), min_size=1, max_size=4)


def accepted(text: str, separator: str) -> MailboxName | None:
    """The name, or None if it is refused."""
    try:
        return mailbox_name(text, separator)
    except No:
        return None


class MailboxNameTests(SynchronousTestCase):
    def assert_refused(self, *refused: str) -> None:
        for text in refused:
            with self.assertRaises(No, msg=repr(text)) as caught:
                mailbox_name(text, "/")
            self.assertEqual(caught.exception.code, CANNOT)
            self.assertTrue(caught.exception.text.isascii())
            self.assertTrue(caught.exception.text.isprintable())

    def test_inbox_in_any_case_is_inbox(self) -> None:
        """
        RFC 9051 §9: "All case variants of INBOX (e.g., "iNbOx") MUST be interpreted as
        INBOX".
        """
        for text in ("INBOX", "inbox", "iNbOx"):
            self.assertEqual(mailbox_name(text, "/"), INBOX)

    def test_inbox_is_spelled_with_ascii_alone(self) -> None:
        """The capital of the dotless i is I, but it is another letter."""
        self.assertEqual(mailbox_name("\u0131nbox", "/"), "\u0131nbox")
        self.assertFalse(is_inbox("\u0131nbox"))

    def test_first_component_inbox_is_below_inbox(self) -> None:
        """Else LIST would show a superior `inbox` beside INBOX."""
        self.assertEqual(mailbox_name("inbox/Sent", "/"), "INBOX/Sent")
        self.assertEqual(mailbox_name("inbox.Sent", "."), "INBOX.Sent")

    def test_inbox_elsewhere_is_a_name_as_any(self) -> None:
        """RFC 9051 §5.1 makes only the whole name special."""
        for text in ("inbox.Sent", "inboxes", "Old/inbox", "inbo"):
            self.assertEqual(mailbox_name(text, "/"), text)

    def test_name_is_normalised(self) -> None:
        """
        RFC 9051 §5.1: "servers MAY accept a denormalized UTF-8 mailbox name and convert it to
        Unicode Normalization Form C".
        """
        self.assertEqual(mailbox_name("Entwu\u0308rfe", "/"), "Entw\u00fcrfe")

    def test_case_is_kept(self) -> None:
        """RFC 9051 §5.1 "takes no position on case sensitivity in non-INBOX mailbox names"."""
        self.assertEqual(mailbox_name("Sent/2024 März & co", "/"), "Sent/2024 März & co")

    def test_empty_component_is_refused(self) -> None:
        """A separator first, last or twice would make a level without a name."""
        self.assert_refused("", "/", "/a", "a/", "a//b", "inbox/")

    def test_control_characters_are_refused(self) -> None:
        """
        RFC 9051 §5.1: "Servers MAY refuse to create mailbox names containing Unicode CTL
        characters".
        """
        for code in (*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029):
            self.assert_refused(f"a{chr(code)}b")

    def test_wildcards_are_refused(self) -> None:
        """RFC 9051 §5.1: "it is difficult to use such mailbox names with the LIST command"."""
        self.assert_refused("100%", "*", "a/%/b")

    def test_other_namespaces_are_refused(self) -> None:
        """RFC 9051 §5.1.2.1: "any mailbox name that begins with "#" identifies the "namespace"."""
        self.assert_refused("#news.comp.mail", "#")
        self.assertEqual(mailbox_name("C#/#1", "/"), "C#/#1")

    def test_lone_surrogates_are_refused(self) -> None:
        """They have no UTF-8 form."""
        self.assert_refused("\ud83d", "a\udcff")

    def test_length_is_counted_in_octets_of_the_normal_form(self) -> None:
        """A name is as long as what is stored."""
        longest = "é" * (NAME_OCTETS_MAX // 2)
        self.assertEqual(mailbox_name(unicodedata.normalize("NFD", longest), "/"), longest)
        self.assert_refused(longest + "e", "a" * (NAME_OCTETS_MAX + 1), "e\u0301" * 10_000)

    def test_depth_is_bounded(self) -> None:
        """CREATE makes all superiors that are missing."""
        self.assertEqual(mailbox_name("a" + "/a" * (DEPTH_MAX - 1), "/").count("a"), DEPTH_MAX)
        self.assert_refused("a" + "/a" * DEPTH_MAX)

    def test_no_decomposed_name_is_too_long_before_it_is_normalised(self) -> None:
        """
        What bounds the work of NFC turns away no name that fits afterwards: no character has
        more than one and a half characters of NFD an octet.
        """
        for code in range(0x80, sys.maxunicode + 1):
            decomposed = unicodedata.decomposition(chr(code))
            if decomposed and not decomposed.startswith("<"):
                whole = unicodedata.normalize("NFD", chr(code))
                octets = len(unicodedata.normalize("NFC", chr(code)).encode())
                self.assertLessEqual(2 * len(whole), 3 * octets)

    @given(texts, separators)
    @example("inbox", "/")
    @example("\u212a.b", ".")
    def test_canonical_form_is_a_fixed_point(self, text: str, separator: str) -> None:
        """The name of a mailbox names that mailbox."""
        name = accepted(text, separator)
        assume(name is not None)
        assert name is not None
        self.assertEqual(mailbox_name(name, separator), name)
        self.assertEqual(accepted(unicodedata.normalize("NFD", text), separator), name)

    @given(st.text(st.sampled_from('aé&"'), max_size=300))
    def test_wire_form_is_less_than_two_and_a_half_times_as_long(self, text: str) -> None:
        """What `NAME_OCTETS_MAX` is argued with."""
        self.assertLessEqual(2 * len(encode(text)), 5 * len(text.encode()))


class WithoutDeclarationTests(SynchronousTestCase):
    def test_one_separator_is_taken_from_the_end(self) -> None:
        """RFC 9051 §6.3.4: "the name created is without the trailing hierarchy delimiter"."""
        self.assertEqual(without_declaration("owatagusiam/", "/"), "owatagusiam")
        self.assertEqual(without_declaration("owatagusiam/", "."), "owatagusiam/")
        self.assertEqual(without_declaration("a/b", "/"), "a/b")
        self.assertEqual(without_declaration("a//", "/"), "a/")


class HierarchyTests(SynchronousTestCase):
    def test_parents_are_outermost_first(self) -> None:
        """The order in which CREATE makes them: RFC 9051 §6.3.4."""
        self.assertEqual(parents("foo/bar/zap", "/"), ("foo", "foo/bar"))
        self.assertEqual(parents("foo.bar", "/"), ())

    def test_inferior_begins_with_name_and_separator(self) -> None:
        """`foobar` is beside `foo`, not below it."""
        self.assertTrue(is_inferior("foo/bar/zap", "foo", "/"))
        self.assertFalse(is_inferior("foobar", "foo", "/"))
        self.assertFalse(is_inferior("foo", "foo", "/"))
        self.assertFalse(is_inferior("foo", "foo/bar", "/"))

    @given(components, components, separators)
    def test_inferior_and_parents_say_the_same(
        self, lower: list[str], upper: list[str], separator: str
    ) -> None:
        """*of* is a superior of *name* exactly if *name* is an inferior of it."""
        name, of = separator.join(lower), separator.join(upper)
        self.assertEqual(is_inferior(name, of, separator), of in parents(name, separator))


class RenamedTests(SynchronousTestCase):
    def test_name_and_inferiors_are_renamed(self) -> None:
        """RFC 9051 §6.3.6: "a rename of "foo" to "zap" will rename "foo/bar" to "zap/bar""."""
        foo, zap = MailboxName("foo"), MailboxName("zap")
        self.assertEqual(renamed(foo, foo, zap, "/"), "zap")
        self.assertEqual(renamed(MailboxName("foo/bar"), foo, zap, "/"), "zap/bar")

    def test_others_keep_their_names(self) -> None:
        """`foobar` and `x/foo` are no inferiors of `foo`."""
        for name in map(MailboxName, ("foobar", "x/foo", "Foo")):
            self.assertEqual(renamed(name, MailboxName("foo"), MailboxName("zap"), "/"), name)

    def test_inferiors_of_inbox_stay(self) -> None:
        """RFC 9051 §6.3.6: "these are unaffected by a rename of INBOX"."""
        old_mail = MailboxName("old-mail")
        self.assertEqual(renamed(INBOX, INBOX, old_mail, "."), old_mail)
        self.assertEqual(renamed(MailboxName("INBOX.bar"), INBOX, old_mail, "."), "INBOX.bar")

    def test_below_itself(self) -> None:
        """The name is computed once, so that `foo/x` does not move again."""
        old, new = MailboxName("foo"), MailboxName("foo/bar")
        self.assertEqual(renamed(MailboxName("foo/x"), old, new, "/"), "foo/bar/x")

    def test_inferior_that_outgrows_the_limits_is_refused(self) -> None:
        """RFC 9051 §6.3.6: "Any error in renaming will return a tagged NO response"."""
        for new in ("b" * NAME_OCTETS_MAX, "b" + "/b" * (DEPTH_MAX - 1)):
            refusal = self.assertRaises(
                No, renamed, MailboxName("a/b"), MailboxName("a"), MailboxName(new), "/"
            )
            self.assertEqual(refusal.code, CANNOT)

    @given(components, components, separators)
    def test_rename_and_back(self, old: list[str], rest: list[str], separator: str) -> None:
        """To a name nobody has and back is no change."""
        before, fresh = MailboxName(separator.join(old)), MailboxName("fresh")
        name = MailboxName(separator.join((*old, *rest)))
        there = renamed(name, before, fresh, separator)
        self.assertEqual(renamed(there, fresh, before, separator), name)
