# SPDX-License-Identifier: GPL-3.0-or-later
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.crdt.dots import make_dot
from pluto_tw.crdt.pids import birth_of, birth_pid, is_pid, moved_pid
from tests.crdt.strategies import bids, dots


class PidTests(SynchronousTestCase):
    @given(dots, st.integers(0, 2**32 - 1))
    def test_a_birth_can_be_read_back(self, dot: int, index: int) -> None:
        pid = birth_pid(dot, index)
        self.assertEqual(birth_of(pid), (dot, index))
        self.assertTrue(is_pid(pid))

    @given(dots, bids)
    def test_a_move_has_the_same_name_everywhere(self, dot: int, bid: int) -> None:
        """Two replicas that move a message to one mailbox make one message."""
        pid = moved_pid(birth_pid(dot, 0), bid)
        self.assertEqual(pid, moved_pid(birth_pid(dot, 0), bid))
        self.assertNotEqual(pid, moved_pid(birth_pid(dot, 0), bid + 1))
        self.assertIsNone(birth_of(pid))
        self.assertTrue(is_pid(pid))

    def test_pids_of_an_origin_ascend(self) -> None:
        self.assertLess(birth_pid(make_dot(3, 255), 9), birth_pid(make_dot(3, 256), 0))

    @given(st.binary(max_size=20))
    def test_other_octets_are_none(self, data: bytes) -> None:
        if is_pid(data):
            self.assertIn((len(data), data[:1]), [(12, b"A"), (16, b"M")])
