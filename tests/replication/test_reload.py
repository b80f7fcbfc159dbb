# SPDX-License-Identifier: GPL-3.0-or-later
"""Peers that come and go while replication runs."""

from pluto_tw.replication.status import PeerState
from tests.replication.cluster import ClusterCase, name_of


class ReloadTests(ClusterCase):
    def test_peer_that_was_left_out_is_talked_to_after_a_reload(self) -> None:
        a = self.replica(0, range(2), [0])
        b = self.replica(1, range(2))
        self.network.dial_all(a)
        self.append(b, b"x")
        self.run_for(5)
        self.assertEqual(a.replication.status().peers, ())
        a.replication.reload([b.name])
        self.run_for(10)
        self.same(a, b)

    def test_peer_that_was_taken_out_is_told_nothing_more(self) -> None:
        a, b = self.replicas(2)
        a.replication.reload([])
        self.append(a, b"x")
        self.run_for(5)
        self.assertEqual(self.octets(b), [])
        [peer] = b.replication.status().peers
        self.assertNotEqual(peer.state, PeerState.LIVE)

    def test_others_stay_as_they_are(self) -> None:
        a, b, _ = self.replicas(3)
        a.replication.reload([b.name, name_of(2)])
        states = {peer.state for peer in a.replication.status().peers}
        self.assertEqual(states, {PeerState.LIVE})
