# SPDX-License-Identifier: GPL-3.0-or-later
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.admin.demo.links import Link, Links

PLACES = {"eu": ("eu-d", "eu-w"), "us": ("us-d", "us-w")}
PAIRS = [
    ("eu-w", "us-w"),
    ("us-d", "eu-w"),
    ("us-w", "eu-w"),
    ("eu-d", "us-w"),
    ("eu-w", "s"),
    ("us-w", "s"),
]


class LinksTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.links = Links(PLACES, PAIRS, Clock().seconds)

    def named(self, *names: str) -> list[tuple[str, str]]:
        return [link.ends for link in self.links.named(list(names))]

    def test_both_ways_are_one_link(self) -> None:
        self.assertEqual(len(self.links.all()), 5)
        self.assertIs(self.links.of("eu-w", "us-w"), self.links.of("us-w", "eu-w"))

    def test_two_places_name_what_lies_between(self) -> None:
        self.assertEqual(
            self.named("eu", "us"), [("eu-w", "us-w"), ("us-d", "eu-w"), ("eu-d", "us-w")]
        )
        self.assertEqual(self.named("us", "eu"), self.named("eu", "us"))

    def test_nodes_are_names_too(self) -> None:
        self.assertEqual(self.named("eu-d", "us"), [("eu-d", "us-w")])
        self.assertEqual(self.named("s", "eu"), [("eu-w", "s")])

    def test_one_place_names_all_of_its_links(self) -> None:
        self.assertEqual(self.named("s"), [("eu-w", "s"), ("us-w", "s")])

    def test_no_name_names_all(self) -> None:
        self.assertEqual(len(self.named()), 5)

    def test_what_cannot_be_meant_is_told(self) -> None:
        for names, text in (
            (("eu", "moon"), "'moon' is none of: eu, eu-d, eu-w, s, us, us-d, us-w"),
            (("eu", "eu"), "no link between eu and eu"),
            (("eu", "us", "s"), "at most two"),
        ):
            with self.assertRaisesRegex(ValueError, text):
                self.named(*names)


class LaneTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.link = Link(("a", "b"), self.clock.seconds)
        self.there = self.link.lane("a", "b")
        self.back = self.link.lane("b", "a")

    def test_at_once_unless_told_otherwise(self) -> None:
        self.assertEqual(self.there.due(10**9), 0)

    def test_delay_each_way(self) -> None:
        self.link.change(delay=0.08)
        self.assertEqual((self.there.due(1), self.back.due(1)), (0.08, 0.08))

    def test_rate_is_shared_in_order_and_each_way_has_its_own(self) -> None:
        self.link.change(rate=1000, delay=0.5)
        self.assertEqual([self.there.due(500), self.there.due(1000)], [1.0, 2.0])
        self.assertEqual(self.back.due(500), 1.0)

    def test_an_idle_lane_saves_nothing_up(self) -> None:
        self.link.change(rate=1000)
        self.there.due(1000)
        self.clock.advance(10)
        self.assertEqual(self.there.due(1000), 11.0)

    def test_a_rate_of_0_is_none(self) -> None:
        self.link.change(rate=1000)
        self.link.change(rate=0)
        self.assertEqual(self.there.due(1000), 0)

    def test_who_watches_is_told_of_changes(self) -> None:
        told: list[bool] = []

        def changed() -> None:
            told.append(self.link.cut)

        self.link.watch(changed)
        self.link.change(cut=True)
        self.assertEqual(self.link.connections, 1)
        self.link.unwatch(changed)
        self.link.change(cut=False)
        self.assertEqual(told, [True])
