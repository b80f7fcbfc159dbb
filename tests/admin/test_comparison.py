# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said of replicas, from what they tell."""

from dataclasses import replace

from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.admin.comparison import Told, Verdict, compare

ONE = Told((3, 1), False, True, "aa", 4, {"INBOX": "1", "Work": "2", "": "3"})


class CompareTests(SynchronousTestCase):
    def test_the_same_is_equal(self) -> None:
        found = compare({"a": ONE, "b": replace(ONE, vector=(3, 1, 0))})
        self.assertEqual((found.verdict, found.behind), (Verdict.EQUAL, {}))
        self.assertEqual(compare({}).verdict, Verdict.EQUAL)

    def test_behind_by_what_others_have(self) -> None:
        """By the sum over all origins: of two that wrote while cut off each lacks something."""
        found = compare({"a": ONE, "b": replace(ONE, vector=(1, 1, 4), digest="bb")})
        self.assertEqual(found.verdict, Verdict.BEHIND)
        self.assertEqual(found.behind, {"a": 4, "b": 2})
        self.assertEqual(found.groups, ())

    def test_different_where_the_same_was_applied(self) -> None:
        other = replace(ONE, digest="bb", mailboxes={"INBOX": "1", "Work": "9", "New": "5"})
        found = compare({"a": ONE, "b": other, "c": ONE})
        self.assertEqual(found.verdict, Verdict.DIFFERENT)
        self.assertEqual(found.groups, (("a", "c"), ("b",)))
        self.assertEqual(found.mailboxes, ("", "New", "Work"))

    def test_different_outdoes_behind(self) -> None:
        behind = replace(ONE, vector=(1,), digest="cc")
        found = compare({"a": ONE, "b": replace(ONE, digest="bb"), "c": behind})
        self.assertEqual((found.verdict, found.behind), (Verdict.DIFFERENT, {"c": 3}))

    def test_unsettled_uids_are_behind_and_not_different(self) -> None:
        for other in (replace(ONE, outstanding=True), replace(ONE, steady=False)):
            found = compare({"a": ONE, "b": replace(other, digest="bb")})
            self.assertEqual((found.verdict, found.settling), (Verdict.BEHIND, ("b",)))

    def test_a_lost_body_is_no_equality(self) -> None:
        found = compare({"a": ONE, "b": replace(ONE, unfit=2, places=(("INBOX", 7),))})
        self.assertEqual((found.verdict, found.unfit), (Verdict.DIFFERENT, {"b": 2}))


ANSWER = {
    "vector": [3, 1],
    "outstanding": False,
    "digest": "aa",
    "mailboxes": [{"name": "INBOX", "digest": "1"}],
    "new": 1,
}


class ReadTests(SynchronousTestCase):
    def test_members_of_other_releases(self) -> None:
        """New members are ignored, and those of this release may be missing."""
        self.assertEqual(Told.read(ANSWER), Told((3, 1), False, True, "aa", 0, {"INBOX": "1"}))

    def test_nonsense(self) -> None:
        for missing in ("vector", "mailboxes"):
            self.assertRaises(ValueError, Told.read, {**ANSWER, missing: None})
        self.assertRaises(ValueError, Told.read, {})
