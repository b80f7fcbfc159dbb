# SPDX-License-Identifier: GPL-3.0-or-later
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.crdt.uids import next_uid, next_validity, slot_of_uid

_slots = st.integers(0, 31)


class StripeTests(SynchronousTestCase):
    @given(st.integers(0, 2**31), _slots, st.sampled_from([1, 4, 64]))
    def test_next_uid_is_the_least_of_the_slot(self, above: int, slot: int, stripe: int) -> None:
        uid = next_uid(above, slot, stripe)
        self.assertGreater(uid, above)
        self.assertEqual(slot_of_uid(uid, stripe), slot)
        self.assertLessEqual(uid - above, 32 * stripe)
        if uid > above + 1:
            self.assertNotEqual(slot_of_uid(uid - 1, stripe), slot)
            self.assertNotEqual(slot_of_uid(above + 1, stripe), slot)

    def test_slot_changes_every_64_uids(self) -> None:
        """UID u belongs to slot ((u-1) div 64) mod 32."""
        self.assertEqual(
            [slot_of_uid(uid) for uid in (1, 64, 65, 128, 2048, 2049)], [0, 0, 1, 1, 31, 0]
        )

    @given(st.integers(0, 2**31), st.integers(0, 2**31), _slots)
    def test_next_validity_is_above_all_and_of_the_slot(
        self, above: int, seconds: int, slot: int
    ) -> None:
        v = next_validity(above, seconds, slot)
        self.assertGreater(v, max(above, seconds))
        self.assertLessEqual(v, max(above, seconds) + 32)
        self.assertEqual(v % 32, slot)
