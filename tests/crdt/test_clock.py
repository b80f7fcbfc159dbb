# SPDX-License-Identifier: GPL-3.0-or-later
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.crdt.clock import AHEAD_MS_MAX, EPOCH_MS, MS_BITS, is_ahead, next_stamp, stamp_of


class StampTests(SynchronousTestCase):
    @given(st.integers(0, 2**62), st.integers(EPOCH_MS, EPOCH_MS + 2**41), st.integers(0, 31))
    def test_next_is_above_all_and_of_the_slot(self, above: int, now: int, slot: int) -> None:
        """Greater than every mod-sequence before, not before the clock, and the least of these."""
        found = next_stamp(above, now, slot)
        self.assertGreater(found, above)
        self.assertGreaterEqual(found, stamp_of(now))
        self.assertEqual(found & 31, slot)
        self.assertTrue(found - 32 <= above or found - 32 < stamp_of(now))

    def test_sixty_three_bits_last(self) -> None:
        """RFC 7162 §7: a mod-sequence is a number of 63 bits; ours last until the year 2298."""
        self.assertLess(stamp_of(EPOCH_MS + 278 * 365 * 86_400_000), 2**63)

    def test_an_hour_ahead_is_too_far(self) -> None:
        now = EPOCH_MS + 10**12
        self.assertFalse(is_ahead(stamp_of(now + AHEAD_MS_MAX), now))
        self.assertTrue(is_ahead(stamp_of(now + AHEAD_MS_MAX + 1), now))

    def test_before_the_epoch_is_zero(self) -> None:
        self.assertEqual(stamp_of(0), 0)
        self.assertEqual(stamp_of(EPOCH_MS + 1), 1 << MS_BITS)
