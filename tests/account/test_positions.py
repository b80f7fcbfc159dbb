# SPDX-License-Identifier: GPL-3.0-or-later
"""What changed in a shard, in order; how far peers are."""

from pluto_tw.account.positions import WRITE_SECONDS
from pluto_tw.account.subnet import MEMBERS_KEY
from pluto_tw.mail.names import INBOX
from tests.account.pair import SubnetCase


class PositionsTests(SubnetCase):
    def setUp(self) -> None:
        super().setUp()
        self.a = self.node(0, [1])
        self.clock.advance(10)

    def subscribe(self, key: str, subscribed: bool = True) -> None:
        self.now(self.a.store.session(key, key).subscribe(INBOX, subscribed))

    def changed(self, position: int = 0, limit: int = 100) -> list[tuple[int, str]]:
        found = self.a.store.changed_after(0, position, limit)
        return [(changed.position, changed.key) for changed in found]

    def test_each_account_stands_where_it_changed_last(self) -> None:
        for key, subscribed in (("x", True), ("y", True), ("x", False), ("z", True)):
            self.subscribe(key, subscribed)
        self.assertEqual(self.changed(), [(2, "y"), (3, "x"), (4, "z")])
        self.assertEqual(self.changed(2, 1), [(3, "x")])
        self.assertEqual(self.a.store.newest_position(0), 4)
        self.assertEqual(self.a.store.position_of("x"), (0, 3))
        self.assertEqual(self.a.store.position_of("nobody"), (0, 0))
        self.a.restart()
        self.assertEqual(self.a.store.position_of("x"), (0, 3))
        self.subscribe("y", False)
        self.assertEqual(self.changed(4), [(5, "y")])

    def test_what_is_told_is_what_is_committed(self) -> None:
        self.subscribe("x")
        told: list[str] = []
        self.a.store.peers_woken = told.append
        [changed] = self.a.store.changed_after(0, 0, 10)
        for _ in range(2):
            stated = self.a.store.checkpoint("x")
            self.assertEqual(
                (changed.x, changed.vector, changed.sequencer),
                (stated.x, stated.vector, stated.sequencer),
            )
            self.a.restart()
        self.assertEqual(self.a.store.checkpoint("nobody").vector, ())

    def test_what_peers_need_not_hear_of_changes_nothing(self) -> None:
        """M6: "Idle accounts send nothing"."""
        self.append(self.a, b"one")
        before = self.changed()
        session = self.a.store.session("fred", "fred")
        opened = self.now(session.open(INBOX, False, lambda: None))
        opened.claim_recent()
        session.close()
        self.a.stop()
        self.a.restart()
        self.assertEqual(self.changed(), before)

    def test_acknowledged_positions_are_written_late(self) -> None:
        store = self.a.store
        self.assertEqual((store.acknowledged(1), store.stated(1)), ((0,), ()))
        for position in range(1, 6):
            store.acknowledge(1, 0, position)
        store.note_stated(1, (7, 8))
        self.assertEqual(self.a.shard.read("SELECT * FROM progress"), [])
        self.clock.advance(WRITE_SECONDS)
        store.acknowledge(1, 0, 9)
        self.a.restart()
        self.assertEqual((self.a.store.acknowledged(1), self.a.store.stated(1)), ((5,), (7, 8)))
        self.a.store.acknowledge(1, 0, 6)
        self.a.stop()
        self.a.restart()
        self.assertEqual(self.a.store.acknowledged(1), (6,))

    def test_all_accounts_are_listed(self) -> None:
        for key in ("x", "y"):
            self.subscribe(key)
        self.now(self.a.store.subnet.add("new", b"n" * 16))
        self.assertEqual(self.a.store.accounts_after(0, "", 10), [MEMBERS_KEY, "x", "y"])
        self.assertEqual(self.a.store.accounts_after(0, "x", 1), ["y"])


class LeaseTests(SubnetCase):
    def test_account_stays_while_it_is_leased(self) -> None:
        node = self.node(0, [1])
        node.store._idle_max = 0
        with node.store.lease("x") as account:
            for number in range(20):
                with node.store.lease(f"n{number}"):
                    self.assertIs(node.store.account("x"), account)
        for number in range(20):
            with node.store.lease(f"n{number}"):
                pass
        self.assertIsNot(node.store.account("x"), account)
        self.assertLessEqual(len(node.store._accounts), 6)
