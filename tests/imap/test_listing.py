# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests of pluto_tw.imap.listing."""

from collections.abc import Iterable, Set

from hypothesis import example, given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.imap.listing import Criteria, Listed, listing, subscribed_listing
from pluto_tw.mail.mailboxes import MailboxEntry
from pluto_tw.mail.names import INBOX, MailboxName, is_inferior, parents
from pluto_tw.mail.patterns import Pattern

ALL = Criteria()
SUBSCRIBED = Criteria(subscribed=True)
RECURSIVE = Criteria(subscribed=True, recursive=True)


def compiled(*patterns: str) -> list[Pattern]:
    return [Pattern.compile("", pattern, ".") for pattern in patterns]


def listed(
    existing: str,
    *patterns: str,
    subscribed: str = "",
    criteria: Criteria = ALL,
    special_use: Iterable[str] = (),
) -> dict[str, Listed]:
    """What is listed, by name and in order; names are given with spaces between them."""
    entries = [
        MailboxEntry(MailboxName(name), "F", frozenset({"\\Sent"} if name in special_use else ()))
        for name in existing.split()
    ]
    subscriptions = frozenset(map(MailboxName, subscribed.split()))
    steps = listing(entries, subscriptions, compiled(*patterns), criteria, ".")
    return {entry.name: entry for entry in steps if entry is not None}


def names(found: dict[str, Listed]) -> str:
    return " ".join(found)


class ListingTests(SynchronousTestCase):
    def test_inbox_comes_first_and_a_mailbox_before_its_inferiors(self) -> None:
        self.assertEqual(
            names(listed("b a-b a.b Z INBOX.x a INBOX INBOXES a.b.c", "*")),
            "INBOX INBOX.x INBOXES Z a a.b a.b.c a-b b",
        )

    def test_a_name_that_several_patterns_match_is_listed_once(self) -> None:
        """RFC 5258 §3: "the server SHOULD return only a single LIST response"."""
        self.assertEqual(names(listed("a a.b", "a", "*", "a%")), "a a.b")

    def test_children_are_mailboxes(self) -> None:
        r"""RFC 9051 §7.3.1: \HasChildren "indicates that the mailbox has child mailboxes"."""
        found = listed("a ab b.c", "*", "%", subscribed="a.b")
        self.assertFalse(found["a"].has_children)
        self.assertTrue(found["b"].has_children)

    def test_levels_are_listed_for_a_pattern_that_ends_in_percent(self) -> None:
        """
        RFC 9051 §6.3.9: "If the "%" wildcard is the last character of a mailbox name argument,
        matching levels of hierarchy are also returned."
        """
        self.assertEqual(names(listed("a.b.c", "%")), "a")
        self.assertEqual(names(listed("a.b.c", "a.%")), "a.b")
        self.assertEqual(names(listed("a.b.c", "*%")), "a a.b a.b.c")
        self.assertEqual(names(listed("a.b.c", "*")), "a.b.c")
        self.assertEqual(names(listed("a.b.c", "a", "a.b")), "")
        self.assertFalse(listed("a.b.c", "%")["a"].exists)

    def test_no_levels_where_names_are_selected(self) -> None:
        """RFC 9051 §6.3.9.1: "the list MUST include exactly those mailbox names"."""
        self.assertEqual(listed("a.b", "%", subscribed="a.b", criteria=SUBSCRIBED), {})
        special = Criteria(special_use=True)
        self.assertEqual(listed("a.b", "%", special_use=["a.b"], criteria=special), {})

    def test_subscribed_names_need_not_exist(self) -> None:
        found = listed("a", "*", subscribed="a b", criteria=SUBSCRIBED)
        self.assertEqual([entry.exists for entry in found.values()], [True, False])

    def test_subscribed_names_that_do_not_exist_are_not_listed_otherwise(self) -> None:
        """RFC 9051 §6.3.9.2: "Return options MUST NOT cause" additional names."""
        self.assertEqual(names(listed("a", "*", "%", subscribed="b c.d")), "a")

    def test_superiors_whose_selected_inferiors_are_all_listed_are_not(self) -> None:
        """RFC 9051 §6.3.9.6: "servers SHOULD suppress redundant CHILDINFO responses"."""
        found = listed("a a.b c c.d", "*", subscribed="a.b c c.d", criteria=RECURSIVE)
        self.assertEqual(names(found), "a.b c c.d")
        self.assertTrue(found["c"].has_selected_inferior)
        self.assertFalse(found["c.d"].has_selected_inferior)

    def test_superiors_are_listed_at_each_level_that_matches(self) -> None:
        found = listed("a.b.c", "a*", "%", subscribed="x.y.z", criteria=RECURSIVE)
        self.assertEqual(names(found), "x")
        found = listed("", "x", "x.y", subscribed="x.y.z", criteria=RECURSIVE)
        self.assertEqual(names(found), "x x.y")
        self.assertFalse(found["x"].is_selected)

    def test_special_use_and_subscribed_are_both_needed(self) -> None:
        """RFC 9051 §6.3.9: "the selection options are cumulative"."""
        both = Criteria(subscribed=True, special_use=True)
        found = listed("a b c", "*", subscribed="b c d", special_use="ab", criteria=both)
        self.assertEqual(names(found), "b")

    def test_each_name_that_is_considered_is_a_step(self) -> None:
        entries = [MailboxEntry(MailboxName(f"a{number}"), "F") for number in range(100)]
        steps = list(listing(entries, frozenset(), compiled("b"), ALL, "."))
        self.assertEqual(steps, [None] * len(steps))
        self.assertGreaterEqual(len(steps), 100)


class SubscribedListingTests(SynchronousTestCase):
    def of(self, pattern: str, subscribed: str) -> list[tuple[MailboxName, bool] | None]:
        subscriptions = frozenset(map(MailboxName, subscribed.split()))
        steps = subscribed_listing(subscriptions, Pattern.compile("", pattern, "."), ".")
        return [step for step in steps if step is not None]

    def test_percent_tells_a_level_of_subscribed_names(self) -> None:
        """RFC 3501 §6.3.9: 'A "%" wildcard to LSUB must return foo, not foo/bar'."""
        self.assertEqual(self.of("%", "foo.bar zap"), [("foo", False), ("zap", True)])
        self.assertEqual(self.of("%", "foo foo.bar"), [("foo", True)])

    def test_other_patterns_tell_what_is_subscribed(self) -> None:
        self.assertEqual(self.of("*", "foo.bar INBOX"), [("INBOX", True), ("foo.bar", True)])
        self.assertEqual(self.of("foo", "foo.bar"), [])


# Few letters, so that names are often superiors of each other and patterns often match.
some_names = st.lists(
    st.lists(st.sampled_from(["a", "b", INBOX]), min_size=1, max_size=3).map(".".join), max_size=6
).map(frozenset)
some_patterns = st.lists(st.text(st.sampled_from("ab.%*"), max_size=4), max_size=3)
some_criteria = st.builds(Criteria, st.booleans(), st.booleans(), st.booleans())


class DefinitionTests(SynchronousTestCase):
    """The rules of the RFC as they are written, name by name, against the sets and passes."""

    @given(some_names, some_names, some_names, some_patterns, some_criteria)
    @example(
        frozenset({"a.b"}), frozenset({"a.b"}), frozenset(), ["%", "a.%"], Criteria(recursive=True)
    )
    def test_listing_is_what_the_rules_say(
        self,
        existing: Set[MailboxName],
        special: Set[MailboxName],
        subscriptions: frozenset[MailboxName],
        pattern_texts: list[str],
        criteria: Criteria,
    ) -> None:
        patterns = compiled(*pattern_texts)
        entries = [
            MailboxEntry(name, "F", frozenset({"\\Sent"} if name in special else ()))
            for name in sorted(existing)
        ]

        def meets(name: MailboxName) -> bool:
            return (name in subscriptions if criteria.subscribed else name in existing) and (
                name in special & existing or not criteria.special_use
            )

        def matches(name: MailboxName) -> bool:
            return any(pattern.matches(name) for pattern in patterns)

        def is_level(name: MailboxName) -> bool:
            return any(pattern.is_level_list and pattern.matches(name) for pattern in patterns)

        def below(name: MailboxName, among: Iterable[MailboxName]) -> list[MailboxName]:
            return [inferior for inferior in among if is_inferior(inferior, name, ".")]

        known = existing | subscriptions
        known |= {superior for name in known for superior in parents(name, ".")}
        expected = {}
        for name in known:
            selected = list(filter(meets, below(name, known)))
            if meets(name):
                is_told = matches(name)
            elif criteria.recursive:
                is_told = matches(name) and not all(map(matches, selected))
            elif criteria.subscribed or criteria.special_use:
                is_told = False
            else:
                is_told = bool(below(name, existing)) and is_level(name)
            if is_told:
                expected[name] = Listed(
                    name,
                    exists=name in existing,
                    has_children=bool(below(name, existing)),
                    subscribed=name in subscriptions,
                    special_use=frozenset({"\\Sent"} if name in special & existing else ()),
                    is_selected=meets(name),
                    has_selected_inferior=criteria.recursive and bool(selected),
                )
        steps = listing(entries, subscriptions, patterns, criteria, ".")
        told = [step for step in steps if step is not None]
        self.assertEqual({step.name: step for step in told}, expected)
        self.assertEqual(len(told), len(expected))
        self.assertEqual(
            [step.name for step in told],
            sorted(expected, key=lambda name: (not name.startswith(INBOX), name.split("."))),
        )
