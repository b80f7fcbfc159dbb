# SPDX-License-Identifier: GPL-3.0-or-later
"""How often a refusal is told."""

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.mail.refusals import REFUSAL_SECONDS, REFUSALS_MAX, Refusals


class RefusalsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.refusals = Refusals(self.clock.seconds)

    def test_the_same_is_told_once_a_minute_with_how_often_it_was(self) -> None:
        self.assertEqual(self.refusals.tell("192.0.2.1", "name"), 0)
        for _ in range(3):
            self.clock.advance(10)
            self.assertIsNone(self.refusals.tell("192.0.2.1", "name"))
        self.clock.advance(REFUSAL_SECONDS)
        self.assertEqual(self.refusals.tell("192.0.2.1", "name"), 3)
        self.assertIsNone(self.refusals.tell("192.0.2.1", "name"))

    def test_another_address_or_reason_is_another(self) -> None:
        for address in ("192.0.2.1", "192.0.2.2"):
            for reason in ("name", "tls"):
                self.assertEqual(self.refusals.tell(address, reason), 0)

    def test_a_flood_from_everywhere_is_not_told(self) -> None:
        told = [self.refusals.tell(f"192.0.2.{n}", "tls") for n in range(2 * REFUSALS_MAX)]
        self.assertEqual(told, [0] * REFUSALS_MAX + [None] * REFUSALS_MAX)
        self.clock.advance(REFUSAL_SECONDS)
        self.assertEqual(self.refusals.tell("198.51.100.1", "tls"), 0)
