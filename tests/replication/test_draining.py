# SPDX-License-Identifier: GPL-3.0-or-later
"""A member that leaves: nothing that it has is lost, and nobody is served by it meanwhile."""

from twisted.internet.defer import Deferred

from pluto_tw.mail.errors import No
from pluto_tw.mail.names import INBOX
from pluto_tw.replication.draining import SESSIONS_SECONDS_MAX, Drain, Stage
from pluto_tw.replication.status import PeerState
from tests.replication.cluster import KEY, ClusterCase, Replica


class DrainTests(ClusterCase):
    def setUp(self) -> None:
        super().setUp()
        self.sessions = 0
        self.changes = 0

    def drain(self, replica: Replica) -> Drain:
        def changed() -> None:
            self.changes += 1

        node = replica.node
        drain = Drain(node.store, replica.name, node.site.waiting, lambda: self.sessions, changed)
        drain.start()
        return drain

    def test_it_leaves_when_the_others_have_all(self) -> None:
        """Drain: stop writes, all peers acknowledge its last operation, it is removed."""
        a, b, c = self.replicas(3)
        self.append(c, b"before")
        self.network.cut(c, a)
        self.append(c, b"while cut off from one")
        drain = self.drain(c)
        self.run_for(20)
        self.assertEqual(drain.stage, Stage.SENDING)
        # What c made reaches a by way of b, and a acknowledges to c what it has of it.
        self.assertEqual(drain.lacking, (a.name,))
        self.network.heal()
        self.run_for(20)
        self.assertEqual((drain.stage, drain.lacking), (Stage.LEFT, ()))
        self.assertEqual(sorted(self.octets(a)), [b"before", b"while cut off from one"])
        self.same(a, b)
        for left in (a, b):
            member = left.node.site.members.of_slot(c.slot)
            assert member is not None
            self.assertEqual(member.state.name, "REMOVED")

    def test_nobody_is_served_from_its_beginning_on(self) -> None:
        a, b = self.replicas(2)
        self.append(a, b"x")
        self.run_for(2)
        session = b.node.store.session(KEY, KEY)
        self.sessions = 1
        self.drain(b)
        self.assertEqual(self.changes, 1)
        opening = Deferred.fromCoroutine(session.open(INBOX, False, lambda: None))
        self.assertIn("taken out", self.failureResultOf(opening, No).getErrorMessage())
        session.close()

    def test_sessions_end_first(self) -> None:
        """What they are in the middle of is sent, too."""
        _, b = self.replicas(2)
        self.sessions = 1
        drain = self.drain(b)
        self.run_for(3)
        self.assertEqual((drain.stage, drain.lacking), (Stage.SESSIONS, ()))
        self.sessions = 0
        self.run_for(1)
        self.assertNotEqual(drain.stage, Stage.SESSIONS)

    def test_session_that_does_not_end_delays_it_for_a_while_only(self) -> None:
        _, b = self.replicas(2)
        self.sessions = 1
        drain = self.drain(b)
        self.run_for(SESSIONS_SECONDS_MAX + 20)
        self.assertEqual(drain.stage, Stage.LEFT)

    def test_cancelled_it_serves_again(self) -> None:
        a, b = self.replicas(2)
        self.network.cut(a, b)
        self.append(b, b"x")
        drain = self.drain(b)
        self.run_for(5)
        self.assertTrue(drain.cancel())
        self.assertTrue(drain.cancel())
        self.assertEqual(self.changes, 2)
        self.run_for(5)
        self.append(b, b"y")
        self.network.heal()
        self.run_for(10)
        self.same(a, b)
        self.assertEqual(drain.stage, Stage.CANCELLED)

    def test_what_is_done_is_not_taken_back(self) -> None:
        _, b = self.replicas(2)
        drain = self.drain(b)
        self.run_for(20)
        self.assertFalse(drain.cancel())

    def test_others_refuse_it_when_it_comes_again(self) -> None:
        """'What is refused from a removed id is its connection', and it hears why."""
        a, b = self.replicas(2)
        self.drain(b)
        self.run_for(20)
        told: list[str] = []
        b.crash()
        b.replication.is_removed = told.append
        self.run_for(5)
        [peer] = a.replication.status().peers
        self.assertEqual(peer.state, PeerState.REFUSED)
        self.assertTrue(told)
        self.assertIn("was removed from the subnet", told[0])
