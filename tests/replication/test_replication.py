# SPDX-License-Identifier: GPL-3.0-or-later
"""Replicas of one subnet over channels in memory: what is written at one is found at all."""

from pluto_tw.account import snapshots
from pluto_tw.account.incoming import check_body
from pluto_tw.account.members import JOINING
from pluto_tw.replication.status import PeerState
from tests.replication.cluster import ClusterCase, Replica


class TwoReplicasTests(ClusterCase):
    """Slot 0 is the first sequencer."""

    def setUp(self) -> None:
        super().setUp()
        self.a, self.b = self.replicas(2)

    def test_peers_hear_each_other(self) -> None:
        self.assertEqual(self.a.replication.heard(), {1})
        self.assertEqual(self.b.replication.heard(), {0})
        [peer] = self.a.replication.status().peers
        self.assertEqual((peer.state, peer.slot, peer.error), (PeerState.LIVE, 1, ""))

    def test_append_arrives_with_its_body(self) -> None:
        self.append(self.a, b"one")
        self.run_for(0.1)
        self.assertEqual(self.octets(self.b), [b"one"])
        self.same(self.a, self.b)

    def test_append_away_from_the_sequencer_gets_its_uid_in_time(self) -> None:
        """A round trip to the sequencer is all that the client waits for, bodies included."""
        before = self.clock.seconds()
        self.assertTrue(self.append(self.b, b"one").uids)
        self.assertLess(self.clock.seconds() - before, 0.2)
        self.run_for(1)
        self.same(self.a, self.b)

    def test_idle_accounts_cost_nothing(self) -> None:
        self.append(self.a, b"one")
        self.run_for(10)
        self.network.asks.clear()
        self.run_for(10)
        self.assertEqual(set(self.network.asks), {"beat"})

    def test_both_write_while_cut_and_are_equal_when_healed(self) -> None:
        self.append(self.a, b"before")
        self.network.cut(self.a, self.b)
        for number in range(3):
            self.append(self.a, b"a%d" % number)
            self.append(self.b, b"b%d" % number)
        self.run_for(10)
        self.assertEqual(self.a.replication.heard(), frozenset())
        self.network.heal()
        self.run_for(15)
        self.same(self.a, self.b)
        self.assertEqual(len(self.octets(self.a)), 7)

    def test_large_body_comes_in_pieces(self) -> None:
        octets = bytes(range(256)) * 4000
        self.append(self.a, octets)
        self.run_for(3)
        self.assertEqual(self.octets(self.b), [octets])

    def test_empty_body_comes(self) -> None:
        self.append(self.a, b"")
        self.run_for(1)
        self.assertEqual(self.octets(self.b), [b""])

    def test_crash_of_either_side_loses_nothing(self) -> None:
        for number in range(4):
            self.append(self.a, b"a%d" % number)
            (self.a, self.b)[number % 2].crash()
            self.run_for(5)
            self.append(self.b, b"b%d" % number)
        self.run_for(10)
        self.same(self.a, self.b)
        self.assertEqual(len(self.octets(self.a)), 8)

    def test_channel_may_be_lost_at_any_question_and_any_answer(self) -> None:
        """Its outcome is unknown then: whatever is asked is safe to ask again."""
        lost = 0
        for what in ("question", "answer"):
            for kind in ("hello", "sync", "batch", "bodies", "beat"):
                for skipped in range(2):
                    left = [skipped]

                    def fails(
                        of: str,
                        part: str,
                        *,
                        kind: str = kind,
                        what: str = what,
                        left: list[int] = left,
                    ) -> bool:
                        if (of, part) != (kind, what):
                            return False
                        left[0] -= 1
                        return left[0] == -1

                    self.network.fails = fails
                    self.append(self.a, b"a %s %s %d" % (kind.encode(), what.encode(), skipped))
                    self.append(self.b, b"b %s %s %d" % (kind.encode(), what.encode(), skipped))
                    self.run_for(3)
                    if kind in ("hello", "sync"):
                        self.b.crash()
                    self.run_for(3)
                    lost += left[0] < 0
        self.run_for(10)
        self.same(self.a, self.b)
        self.assertEqual(len(self.octets(self.b)), 40)
        self.assertGreater(lost, 15)

    def test_fault_of_the_peer_is_survived_by_the_link(self) -> None:
        for kind in ("batch", "bodies", "sync", "beat"):
            faults = [kind, kind]

            def is_faulty(of: str, faults: list[str] = faults) -> bool:
                return of in faults and bool(faults.pop())

            self.network.is_faulty = is_faulty
            if kind == "sync":
                self.network.end_all(self.a)
            for number in range(3):
                self.append(self.a, kind.encode() + b"%d" % number)
            self.run_for(20)
            self.assertEqual(faults, [])
            self.same(self.a, self.b)

    def test_each_body_travels_once(self) -> None:
        """Also when it is appended again, and with many on their way at once."""
        for number in range(20):
            self.append(self.a, b"x" * 1000 + b"%d" % (number % 10))
        self.network.cut(self.a, self.b)
        for number in range(20):
            self.append(self.a, b"y" * 1000 + b"%d" % (number % 10))
        self.run_for(5)
        self.network.heal()
        self.run_for(5)
        self.same(self.a, self.b)
        self.assertEqual(set(self.network.bodies.values()), {1001})
        self.assertEqual(len(self.network.bodies), 20)

    def test_many_accounts_catch_up_within_the_window(self) -> None:
        self.network.cut(self.a, self.b)
        keys = [f"user{number}" for number in range(300)]
        for key in keys:
            self.append(self.a, b"mail of " + key.encode(), key)
        self.run_for(5)
        self.network.in_flight_most = 0
        self.network.heal()
        self.run_for(10)
        for key in (keys[0], keys[150], keys[299]):
            self.same(self.a, self.b, key=key)
        self.assertEqual(len(self.network.bodies), 300)
        self.assertLessEqual(self.network.in_flight_most, 8 + 2)

    def test_large_account_starves_none(self) -> None:
        self.network.delay = 0.05
        self.network.cut(self.a, self.b)
        self.append(self.a, bytes(4 * 2**20), "large")
        self.run_for(5)
        self.network.heal()
        while not self.network.bodies:
            self.run_for(0.01)
        self.append(self.a, b"small", "small")
        self.run_for(0.6)
        self.assertEqual(self.octets(self.b, "small"), [b"small"])
        self.assertLess(max(self.network.bodies.values()), 4 * 2**20)
        self.run_for(5)
        self.assertEqual(list(map(len, self.octets(self.b, "large"))), [4 * 2**20])

    def test_reconnecting_asks_only_for_what_changed(self) -> None:
        for number in range(20):
            self.append(self.a, b"one", f"user{number}")
        self.run_for(10)
        self.network.asks.clear()
        self.network.end_all(self.a)
        self.run_for(5)
        self.assertEqual(self.network.asks["sync"], 0)

    def test_flags_travel_both_ways(self) -> None:
        [uid] = self.append(self.a, b"one").uids
        self.run_for(1)
        self.flag(self.a, "\\Seen", uid)
        self.flag(self.b, "\\Flagged", uid)
        self.run_for(1)
        self.same(self.a, self.b)

    def test_stop_sends_what_can_be_sent(self) -> None:
        self.append(self.a, b"one")
        self.done(self.a.replication.stop())
        self.assertEqual(self.octets(self.b), [b"one"])

    def test_stop_does_not_wait_for_who_is_away(self) -> None:
        self.network.cut(self.a, self.b)
        self.append(self.a, b"one")
        before = self.clock.seconds()
        self.done(self.a.replication.stop())
        self.assertLess(self.clock.seconds() - before, 5.1)

    def test_sequencer_follows_the_writing(self) -> None:
        for number in range(20):
            self.append(self.b, b"%d" % number)
        self.run_for(2)
        self.assertEqual(self.a.replication.status().handovers, 1)
        before = self.clock.seconds()
        self.assertTrue(self.append(self.b, b"at once").uids)
        self.assertLess(self.clock.seconds() - before, 0.005)

    def test_replica_that_was_put_back_is_noticed(self) -> None:
        """Its peer "knows a higher seq of me": the account serves no more under this identity."""
        self.append(self.a, b"one")
        self.run_for(1)
        old = self.a.database.connection.serialize()
        self.append(self.a, b"two")
        self.run_for(6)
        self.network.end_all(self.a)
        self.a.database.connection.deserialize(old)
        self.a.node.restart()
        self.a.begin()
        self.network.dial_all(self.a)
        self.run_for(5)
        self.assertEqual(self.a.node.store.halted(), ["fred"])


class LostBodyTests(ClusterCase):
    """A body that nobody has whole holds nobody up, and comes when somebody has it again."""

    def setUp(self) -> None:
        super().setUp()
        self.a, self.b, self.c = self.replicas(3)

    def damage(self, replica: Replica) -> None:
        replica.database.connection.execute("UPDATE chunk SET data = zeroblob(length(data))")

    def appended(self, replica: Replica) -> bytes:
        """The hash of a body that one replica alone has."""
        for other in (self.a, self.b, self.c):
            if other is not replica:
                self.network.cut(replica, other)
        self.append(replica, b"one")
        rows = replica.database.connection.execute("SELECT hash FROM body").fetchall()
        [(hash,)] = rows
        assert isinstance(hash, bytes)
        return hash

    def test_message_comes_without_its_octets(self) -> None:
        self.appended(self.a)
        self.damage(self.a)
        self.network.heal()
        self.run_for(20)
        self.append(self.b, b"after it")
        self.run_for(5)
        for replica in (self.b, self.c):
            self.assertEqual(len(self.uids(replica)), 2)
            states = "SELECT count(*) FROM body WHERE state = 1"
            self.assertEqual(replica.database.connection.execute(states).fetchall(), [(1,)])
        self.assertEqual(self.b.replication.status().lost_bodies, 1)

    def test_damaged_body_is_fetched_from_who_has_it(self) -> None:
        self.append(self.a, b"one")
        self.run_for(5)
        self.damage(self.a)

        async def check() -> bool:
            with self.a.node.store.lease("fred") as account:
                [(hash,)] = self.a.database.connection.execute("SELECT hash FROM body").fetchall()
                return await check_body(account, hash)

        self.assertFalse(self.done(check()))
        self.network.end_all(self.a)
        self.run_for(5)
        self.assertEqual(self.octets(self.a), [b"one"])


class ThreeReplicasTests(ClusterCase):
    def setUp(self) -> None:
        super().setUp()
        self.a, self.b, self.c = self.replicas(3)

    def test_all_get_everything_once(self) -> None:
        for number in range(5):
            for replica in (self.a, self.b, self.c):
                self.append(replica, b"%s %d" % (replica.name.encode(), number))
        self.run_for(5)
        self.same(self.a, self.b, self.c)
        for hash, octets in self.network.bodies.items():
            self.assertEqual(octets, 2 * len(b"node-0 0"), hash.hex())

    def test_operations_go_round_a_cut_link(self) -> None:
        self.network.cut(self.a, self.c)
        self.append(self.a, b"one")
        self.append(self.c, b"two")
        self.run_for(15)
        self.same(self.a, self.b, self.c)

    def test_dead_peer_costs_others_nothing(self) -> None:
        self.network.cut(self.a, self.c)
        self.network.cut(self.b, self.c)
        self.append(self.a, b"one")
        self.run_for(0.1)
        self.same(self.a, self.b)

    def test_who_comes_back_gets_each_body_once(self) -> None:
        self.network.cut(self.a, self.c)
        self.network.cut(self.b, self.c)
        for number in range(30):
            self.append((self.a, self.b)[number % 2], b"z" * 5000 + b"%2d" % number)
        self.run_for(5)
        self.network.bodies.clear()
        self.network.heal()
        self.run_for(20)
        self.same(self.a, self.b, self.c)
        self.assertEqual(set(self.network.bodies.values()), {5002})


class JoiningTests(ClusterCase):
    """A member that joins has nothing; accounts whose logs were pruned come as snapshots."""

    def setUp(self) -> None:
        super().setUp()
        self.a, self.b = self.replicas(2, configured=3)
        self.patch(snapshots, "PIECE_OCTETS", 4096)

    def fill(self, count: int = 60) -> None:
        for number in range(count):
            self.append((self.a, self.b)[number % 2], b"mail %d" % number)
        self.run_for(20)
        for replica in (self.a, self.b):
            self.prune(replica)
        with self.a.node.store.lease("fred") as account:
            self.assertTrue(any(account.commits.stored.scalars.base))

    def join(self) -> Replica:
        slot = self.done(self.a.node.store.subnet.add("node-2", bytes([3]) * 16))
        self.assertEqual(slot, 2)
        self.run_for(2)
        return self.replica(2, range(3))

    def test_snapshot_is_taken_and_operations_after_it(self) -> None:
        self.fill()
        c = self.join()
        told: list[int] = []
        c.replication.caught_up = lambda: told.append(len(self.octets(c)))
        self.network.dial_all(c)
        self.run_for(1)
        self.append(self.a, b"meanwhile")
        self.run_for(30)
        self.same(self.a, self.b, c)
        self.assertEqual(len(self.octets(c)), 61)
        self.assertEqual(told, [61])
        figures = [peer.snapshots_received for peer in c.replication.status().peers]
        self.assertEqual(sum(figures), 1)
        self.assertEqual({n for n in self.network.bodies.values() if n > 20}, set())

    def test_of_two_that_join_neither_completes_the_other(self) -> None:
        """Who has nothing yet has sent all that it has, and that is not all mail."""
        self.fill(6)
        newcomers = []
        for slot in (2, 3):
            replica_id = bytes([slot + 1]) * 16
            self.done(self.a.node.store.subnet.add(f"node-{slot}", replica_id))
            newcomers.append(self.replica(slot, range(4)))
        told: list[int] = []
        for newcomer in newcomers:
            newcomer.node.site.members.withhold(JOINING)
            newcomer.replication.caught_up = lambda: told.append(1)
            self.network.cut(self.a, newcomer)
            self.network.cut(self.b, newcomer)
        self.network.dial_all(newcomers[0])
        self.run_for(20)
        self.assertEqual(newcomers[1].replication.heard(), {2})
        self.assertEqual(told, [])

    def test_snapshot_goes_on_after_crashes_of_both_sides(self) -> None:
        self.fill()
        c = self.join()
        self.network.dial_all(c)
        for replica in (self.a, c, self.b, c):
            self.run_for(0.3)
            replica.crash()
        self.run_for(40)
        self.same(self.a, self.b, c)

    def test_who_joins_while_the_log_is_whole_needs_no_snapshot(self) -> None:
        for number in range(5):
            self.append(self.a, b"mail %d" % number)
        self.run_for(5)
        c = self.join()
        self.network.dial_all(c)
        self.run_for(10)
        self.same(self.a, self.b, c)
        self.assertEqual(self.network.asks["snapshot"], 0)
        self.append(c, b"written there")
        self.run_for(5)
        self.same(self.a, self.b, c)
