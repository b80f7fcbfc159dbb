# SPDX-License-Identifier: GPL-3.0-or-later
"""Logging in at a replica: what is remembered of those that are down."""

from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.auth.routing import Router, Subnet, Target, TcpPlace
from pluto_tw.net.upstream import DOWN_SECONDS, Setback, Upstream

EU = Target("eu", TcpPlace("eu.example", 1))
US = Target("us", TcpPlace("us.example", 1))
STORAGE = Target("storage", TcpPlace("storage.example", 1))


class Observer:
    """`LinkObserver` that does not look."""

    def taken(self, replica: str, seconds: float, place: int) -> None: ...

    def failed(self, replica: str, setback: Setback) -> None: ...

    def exhausted(self) -> None: ...


class MemoryTests(SynchronousTestCase):
    def setUp(self) -> None:
        reactor = MemoryReactorClock()
        self.clock: Clock = reactor
        subnets = [Subnet("one", (EU, US, STORAGE)), Subnet("two", (US, STORAGE))]
        self.upstream = Upstream(
            reactor,
            Router(subnets),
            lambda target: TCP4ClientEndpoint(reactor, "127.0.0.1", 1),
            Observer(),
        )

    def order(self) -> list[str]:
        return [target.name for _, target in self.upstream.in_order((EU, US, STORAGE))]

    def test_nothing_is_known_against_any(self) -> None:
        self.assertEqual(self.upstream.states(), {"eu": True, "us": True, "storage": True})
        self.assertEqual(self.order(), ["eu", "us", "storage"])

    def test_who_is_down_comes_last_for_a_while(self) -> None:
        self.upstream.away(EU, "refused")
        self.assertEqual(self.order(), ["us", "storage", "eu"])
        self.assertEqual(self.upstream.states(), {"eu": False, "us": True, "storage": True})
        self.clock.advance(DOWN_SECONDS)
        # The next login tries it first again, and those behind it leave it out meanwhile.
        self.assertEqual(self.order(), ["eu", "us", "storage"])
        self.assertTrue(self.upstream.states()["eu"])
        self.upstream.tried(EU)
        self.assertEqual(self.order(), ["us", "storage", "eu"])
        self.assertFalse(self.upstream.states()["eu"])
        self.upstream.back(EU)
        self.assertEqual(self.order(), ["eu", "us", "storage"])
        self.assertTrue(self.upstream.states()["eu"])
