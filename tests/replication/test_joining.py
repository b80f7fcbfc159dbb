# SPDX-License-Identifier: GPL-3.0-or-later
"""The first start of a replica: it founds its subnet, or is admitted to one that exists."""

from twisted.internet.defer import Deferred

from pluto_tw.replication.joining import Founds, Joiner, Joins
from tests.account.accounts import MortalWaiting
from tests.replication.cluster import SUBNET, ClusterCase, name_of

SECONDS = 5.0


class Newcomer:
    """A replica without an identity."""

    def __init__(self, case: ClusterCase, slot: int, configured: int) -> None:
        self.name = name_of(slot)
        self.id = bytes([slot + 1]) * 16
        peers = [name_of(other) for other in range(configured) if other != slot]
        waiting = MortalWaiting(case.clock)
        #: Peers that are there, and let nobody of this name in.
        self.closed: list[str] = []
        self.waits = 0
        self.replication = Joiner(SUBNET, self.name, self.id, waiting, peers, lambda: self.closed)
        self.replication.waits = self._waits
        case.network.replicas.append(self)
        self.found = Deferred.fromCoroutine(self.replication.find_out(SECONDS))

    def _waits(self) -> None:
        self.waits += 1


class JoinerTests(ClusterCase):
    def newcomer(self, slot: int, configured: int) -> Newcomer:
        newcomer = Newcomer(self, slot, configured)
        self.network.dial_all(newcomer)
        return newcomer

    def test_who_has_no_peers_founds(self) -> None:
        self.assertEqual(self.successResultOf(self.newcomer(0, 1).found), Founds())

    def test_first_one_of_a_cluster_founds_after_a_while(self) -> None:
        first = self.newcomer(0, 2)
        self.run_for(SECONDS - 1)
        self.assertNoResult(first.found)
        self.run_for(1.1)
        self.assertEqual(self.successResultOf(first.found), Founds())

    def test_those_that_start_together_found_at_once(self) -> None:
        both = [self.newcomer(slot, 2) for slot in range(2)]
        self.run_for(2)
        for one in both:
            self.assertEqual(self.successResultOf(one.found), Founds())

    def test_founding_member_that_comes_later_is_known_by_its_name(self) -> None:
        first = self.replica(0, range(2))
        self.network.dial_all(first)
        second = self.newcomer(1, 2)
        self.run_for(1)
        self.assertEqual(self.successResultOf(second.found), Founds())

    def test_newcomer_is_added_and_waits_until_all_have_heard_of_it(self) -> None:
        a, b = self.replicas(2, configured=3)
        self.network.cut(a, b)
        self.run_for(5)
        third = self.newcomer(2, 3)
        self.run_for(20)
        self.assertNoResult(third.found)
        self.network.heal()
        self.run_for(10)
        joined = self.successResultOf(third.found)
        assert isinstance(joined, Joins)
        self.assertEqual(joined.slot, 2)
        ids = [(row.slot, row.name, row.replica) for row in joined.members]
        self.assertEqual(ids, [(n, name_of(n), bytes([n + 1]) * 16) for n in range(3)])

    def test_stranger_of_a_members_name_waits_for_an_operator(self) -> None:
        first = self.replica(0, range(2))
        self.assertTrue(first.node.site.members.learn(1, b"another one's id"))
        stranger = self.newcomer(1, 2)
        self.run_for(20)
        self.assertNoResult(stranger.found)
        [peer] = first.replication.status().peers
        self.assertIn("remove that member first", peer.error)
        self.assertEqual(stranger.waits, 1)

    def test_peer_that_lets_nobody_in_is_waited_for(self) -> None:
        """It was not reloaded yet: to found a subnet beside its own would be wrong."""
        first = self.replica(0, range(2))
        second = Newcomer(self, 1, 2)
        second.closed.append(first.name)
        self.run_for(20)
        self.assertNoResult(second.found)
        self.assertEqual(second.waits, 1)
        self.network.dial_all(second)
        self.run_for(2)
        self.assertEqual(self.successResultOf(second.found), Founds())

    def test_stopped_while_it_waits_it_is_nothing(self) -> None:
        first = self.newcomer(0, 2)
        first.replication.stop()
        first.replication.stop()
        self.assertIsNone(self.successResultOf(first.found))
        self.run_for(SECONDS + 1)
        self.assertEqual(first.waits, 0)

    def test_who_was_removed_is_not_admitted_again(self) -> None:
        a, b = self.replicas(2)
        self.done(a.node.store.subnet.remove(b.name, forced=True))
        self.network.end_all(b)
        self.network.replicas.remove(b)
        again = self.newcomer(1, 2)
        self.run_for(10)
        self.assertNoResult(again.found)
