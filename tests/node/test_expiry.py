# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificates that expire are told of in advance."""

import io
import json
from pathlib import Path
from typing import Any

from twisted.internet.task import Clock
from twisted.logger import globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.node.expiry import LOOK_SECONDS, Certificate, Expiry
from pluto_tw.node.log import JsonLines

DAY = 24 * 3600.0


class ExpiryTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.certificates = [Certificate(Path("public.pem"), 40 * DAY)]
        self.expiry = Expiry(self.clock, self.clock.seconds, lambda: self.certificates)
        self.stream = io.StringIO()
        lines = JsonLines(self.stream)
        globalLogPublisher.addObserver(lines)
        self.addCleanup(globalLogPublisher.removeObserver, lines)

    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.stream.getvalue().splitlines()]

    def days(self) -> list[float]:
        return [event["days"] for event in self.events()]

    def test_each_notice_is_given_once(self) -> None:
        self.expiry.start()
        self.clock.pump([LOOK_SECONDS] * 24 * 42)
        self.assertEqual(self.days(), [30.0, 7.0, 1.0, 0.0])
        levels = [event["level"] for event in self.events()]
        self.assertEqual(levels, ["warn", "warn", "error", "error"])
        self.assertEqual(self.events()[-1]["verb"], "has expired")
        self.expiry.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_a_start_late_gives_one_notice(self) -> None:
        self.clock.advance(34 * DAY)
        self.expiry.look()
        self.expiry.look()
        self.assertEqual(self.days(), [6.0])

    def test_a_renewed_one_begins_anew(self) -> None:
        self.clock.advance(35 * DAY)
        self.expiry.look()
        self.certificates = [Certificate(Path("public.pem"), 80 * DAY)]
        self.expiry.look()
        self.clock.advance(40 * DAY)
        self.expiry.look()
        self.assertEqual(self.days(), [5.0, 5.0])
