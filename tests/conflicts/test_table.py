# SPDX-License-Identifier: GPL-3.0-or-later
"""
The table of conflicts is what happens.

Each row is played with either site, or a third one, as the sequencer, with either site's operations
travelling first, and with either clock ahead. The replicas check themselves and each other as they
always do in `tests.support.cluster`.
"""

from collections import Counter
from collections.abc import Callable

from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.crdt.dots import Vector
from pluto_tw.crdt.rules import Rules
from tests.conflicts.accounts import TwoSites
from tests.conflicts.page import page
from tests.conflicts.plain import PlainServer
from tests.conflicts.row import Row, deeds, label_of, seen
from tests.conflicts.sites import ONE, ORDERS, OTHER, run
from tests.conflicts.table import PAIRS, TABLE
from tests.test_docs import DOCS


def servers(row: Row) -> dict[str, PlainServer]:
    """What two servers that never meet have after *row*."""
    before = PlainServer()
    before.do(row.before)
    sides = {}
    for name, text in ((ONE, row.one), (OTHER, row.other)):
        sides[name] = before.copied()
        sides[name].do(text)
    return sides


def wanted(row: Row, later: str) -> dict[str, Counter[str]]:
    """What *row* says that all show if the command of *later* is the later one."""
    changed = row.shows_if_other_later if later == OTHER else ""
    return seen(changed or row.shows)


class TableTests(SynchronousTestCase):
    maxDiff = None

    def test_every_pair_of_commands_has_a_row(self) -> None:
        self.assertEqual({row.pair for row in TABLE}, set(PAIRS))

    def test_every_row_is_about_its_pair(self) -> None:
        kinds = {"read": "store", "store-if-unchanged": "store", "unsubscribe": "subscribe"}
        for row in TABLE:
            verbs = [
                {kinds.get(words[0], words[0]) for words in deeds(text)}
                for text in (row.one, row.other)
            ]
            for side, command in zip(verbs, row.pair, strict=True):
                self.assertIn(command, side, str(row))

    def test_no_row_is_there_twice(self) -> None:
        rows = [(row.before, *sorted((row.one, row.other))) for row in TABLE]
        self.assertEqual([row for row, count in Counter(rows).items() if count > 1], [])

    def test_only_what_someone_removed_is_gone(self) -> None:
        """
        Independent of all rules: what no site shows any more is gone as well from one of two
        servers that never met, where a user had it and removed it.
        """
        for row in TABLE:
            sides = servers(row).values()
            acknowledged = {
                words[2]
                for text in (row.before, row.one, row.other)
                for words in deeds(text)
                if words[0] == "append"
            }
            removed = set[str]().union(*(side.removed() for side in sides))
            for later in (ONE, OTHER):
                shown = {label_of(m) for ms in wanted(row, later).values() for m in ms}
                self.assertLessEqual(shown, acknowledged, str(row))
                gone = acknowledged - shown
                self.assertEqual(gone, set(row.gone.split()), str(row))
                self.assertLessEqual(gone, removed, str(row))


class RulesTests(SynchronousTestCase):
    """Every row, in every order of events, on the replicas' rules."""

    maxDiff = None

    def test_all_sites_show_what_the_row_says(self) -> None:
        for row in TABLE:
            sides = servers(row)
            renumbered = set()
            for order in ORDERS:
                found = run(row, order)
                about = f"{row}, {order}"
                for name, side in sides.items():
                    self.assertEqual(found.apart[name], side.shown(), f"{about}, {name} apart")
                self.assertEqual(found.shows, wanted(row, order.later), about)
                self.assertEqual(found.subscribed, set(row.subscribed.split()), about)
                revalidated = sorted(name for names in found.revalidated.values() for name in names)
                self.assertEqual(revalidated, row.revalidated.split(), about)
                labels = set[str]().union(*found.renumbered.values())
                renumbered.add(" ".join(sorted(labels)) or "none")
            self.assertEqual(renumbered, set(row.renumbered.split(" or ")), str(row))

    def test_a_broken_rule_is_noticed(self) -> None:
        """A checker that has not caught a bug is not trusted."""

        class NothingVoids(Rules):
            def voids(self, ren: int, ren_context: Vector, dele: int, del_context: Vector) -> bool:
                return False

        class LateStaysHidden(Rules):
            def reclaims_late(self) -> bool:
                return False

            def bounces_late(self, holder: bool) -> bool:
                return not holder

        broken: dict[Callable[[], Rules], tuple[str, str]] = {
            NothingVoids: ("delete", "rename"),
            LateStaysHidden: ("store", "expunge"),
        }
        for rules, pair in broken.items():
            with self.assertRaises(AssertionError, msg=str(pair)):
                for row in TABLE:
                    if row.pair == pair:
                        for order in ORDERS:
                            found = run(row, order, rules)
                            self.assertEqual(found.shows, wanted(row, order.later))


class AccountTests(SynchronousTestCase):
    """Every row, in one order of events each, on accounts in SQLite."""

    maxDiff = None

    def test_both_sites_show_what_the_row_says(self) -> None:
        for number, row in enumerate(TABLE):
            sites = TwoSites()
            self.addCleanup(sites.close)
            sites.sites[0].do(row.before)
            sites.heal(0)
            sites.cut()
            one = number % 2
            sites.sites[one].do(row.one)
            sites.clock.advance(1)
            sites.sites[1 - one].do(row.other)
            sites.heal(number // 2 % 2)
            for site in sites.sites:
                self.assertEqual(site.shown(), wanted(row, OTHER), str(row))
                self.assertEqual(site.subscribed(), set(row.subscribed.split()), str(row))
            first, second = sites.digests()
            self.assertEqual(first, second, str(row))
            self.assertFalse(first.outstanding, str(row))


class PageTests(SynchronousTestCase):
    def test_the_page_is_up_to_date(self) -> None:
        """Else: `python -m tests.conflicts.page > docs/reference/conflicts.md`."""
        written = (DOCS / "reference" / "conflicts.md").read_text(encoding="utf-8")
        self.assertEqual(written, page())
