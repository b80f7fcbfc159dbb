# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificates that the configuration names."""

import time
from datetime import timedelta
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.node import tls
from pluto_tw.node.problems import Problems
from pluto_tw.node.tls import read_pair
from tests.support.certificate import self_signed

DAY = 86400


class ReadPairTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.certificate, self.key = self_signed().save(Path(self.mktemp()))
        self.problems = Problems()

    def read(self, days: float = 0) -> bool:
        now = time.time() + days * DAY
        return read_pair(self.problems, self.certificate, self.key, now) is not None

    def test_what_ends_soon_is_used_and_warned_of(self) -> None:
        """The test's certificate is good for a day."""
        self.assertTrue(self.read())
        self.assertIn("the certificate expires at ", self.problems.warnings[0])

    def test_not_valid(self) -> None:
        self.assertTrue(self.read(2))
        self.assertTrue(self.read(-2))
        self.assertIn("the certificate has expired at ", self.problems.warnings[0])
        self.assertIn("the certificate is not valid before ", self.problems.warnings[1])

    def test_valid_for_long(self) -> None:
        now = time.time() - 0.5 * DAY
        self.patch(tls, "EXPIRY_WARNED", timedelta())
        read_pair(self.problems, self.certificate, self.key, now)
        self.assertEqual(self.problems.warnings, [])

    def test_what_cannot_be_used_is_a_problem(self) -> None:
        self.key.write_bytes(b"nonsense")
        self.assertFalse(self.read())
        self.certificate.unlink()
        self.assertFalse(self.read())
        self.assertEqual(len(self.problems.errors), 2)
        self.assertTrue(self.problems.errors[0].startswith(f"{self.key}: no private key"))
        self.assertEqual(self.problems.errors[1], f"{self.certificate}: No such file or directory")
