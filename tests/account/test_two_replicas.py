# SPDX-License-Identifier: GPL-3.0-or-later
"""Two replicas of one account that exchange operations: what is done here is seen there."""

from collections.abc import Sequence

from twisted.internet.defer import Deferred

from pluto_tw.account.site import UID_WAIT_SECONDS
from pluto_tw.crdt.uids import STRIPE
from pluto_tw.mail.changes import Exposed, Touched, Vanished
from pluto_tw.mail.flags import flag_set
from pluto_tw.mail.messages import StoreMode
from pluto_tw.mail.names import INBOX
from pluto_tw.mail.sets import NumberSet
from tests.account.two_replicas_case import WORK, Replica, TwoReplicasCase


class TwoReplicasTests(TwoReplicasCase):
    # At the sequencer.

    def test_append_at_the_sequencer_is_seen_there(self) -> None:
        viewer = self.open(self.b)
        uids = self.append(self.a, b"one")
        self.assertTrue(uids)
        self.ship(self.a, self.b)
        self.assertEqual(list(viewer.uids()), uids)
        self.assertEqual(self.octets(self.b, uids[0]), b"one")
        [change] = viewer.changes(0) or ()
        self.assertIsInstance(change, Exposed)
        self.same()

    def test_session_is_woken_by_a_write_elsewhere(self) -> None:
        wakes: list[int] = []
        opened = self.now(self.b.session.open(INBOX, False, lambda: wakes.append(1)))
        self.append(self.a, b"one")
        self.ship(self.a, self.b)
        self.assertEqual(wakes, [1])
        opened.close()

    def test_peers_are_woken_by_commits(self) -> None:
        woken: list[str] = []
        self.a.node.store.peers_woken = woken.append
        self.append(self.a, b"one")
        self.assertEqual(woken, ["fred"])

    # Away from it.

    def test_append_waits_for_the_sequencer(self) -> None:
        """The wait ends when every message of the command is exposed here."""
        appending = self.begin_append(self.b, b"one")
        self.assertNoResult(appending)
        self.assertEqual(list(self.open(self.b).uids()), [])
        self.ship(self.b, self.a)
        self.assertNoResult(appending)
        self.ship(self.a, self.b)
        uids = list(self.successResultOf(appending).uids)
        self.assertEqual(uids, list(self.open(self.a).uids()))
        self.assertEqual(uids, list(self.open(self.b).uids()))

    def test_append_claims_by_itself_after_the_wait(self) -> None:
        """M7: "When it ends without a cl, the origin emits the provisional cl"."""
        appending = self.begin_append(self.b, b"one")
        self.clock.advance(UID_WAIT_SECONDS * 0.9)
        self.assertNoResult(appending)
        self.clock.advance(UID_WAIT_SECONDS)
        uids = list(self.successResultOf(appending).uids)
        self.assertEqual(uids, list(self.open(self.b).uids()))
        self.assertTrue(uids)
        self.exchange()
        self.assertEqual(list(self.open(self.a).uids()), uids, "adopted as it is")
        self.same()

    def test_append_does_not_wait_for_a_silent_sequencer(self) -> None:
        """Claimed at once when the sequencer is not heard."""
        self.b.heard.clear()
        self.assertTrue(self.append(self.b, b"one"))

    def test_copy_and_move_wait_too(self) -> None:
        self.now(self.a.session.create(WORK, frozenset()))
        self.append(self.a, b"one")
        self.ship(self.a, self.b)
        opened = self.open(self.b)
        everything = NumberSet.from_ranges([(1, 2**32 - 1)])
        for work in (opened.copy(everything, WORK), opened.move(everything, WORK)):
            copying = Deferred.fromCoroutine(work)
            self.assertNoResult(copying)
            self.ship(self.b, self.a)
            self.ship(self.a, self.b)
            copied = self.successResultOf(copying)
            self.assertEqual(len(copied.target), 1)
        self.assertEqual(len(self.open(self.a, WORK).uids()), 2)
        self.assertEqual(list(opened.uids()), [])
        self.exchange()
        self.same()

    def test_wait_begins_again_after_a_crash(self) -> None:
        """M7: "and again at start-up for each own visible placement without a claim"."""
        self.begin_append(self.b, b"one")
        self.b.node.restart()
        self.b.open()
        opened = self.open(self.b)
        self.assertEqual(list(opened.uids()), [])
        self.clock.advance(UID_WAIT_SECONDS * 1.1)
        self.assertEqual(len(opened.uids()), 1)

    # Apart, then together again.

    def test_both_append_while_cut(self) -> None:
        """No UID means two messages; renumbered ones vanish and come again."""
        self.append(self.a, b"base")
        self.exchange()
        self.a.heard.clear()
        self.b.heard.clear()
        at_a, at_b = self.open(self.a), self.open(self.b)
        mine = [self.append(self.a, b"a%d" % n)[0] for n in range(3)]
        theirs = [self.append(self.b, b"b%d" % n)[0] for n in range(3)]
        self.assertFalse(set(mine) & set(theirs))
        self.exchange()
        self.assertEqual(list(at_a.uids()), list(at_b.uids()))
        self.assertEqual(len(at_a.uids()), 7)
        changes = [*(at_a.changes(0) or ()), *(at_b.changes(0) or ())]
        self.assertTrue(any(isinstance(change, Vanished) for change in changes))
        for opened, replica in ((at_a, self.a), (at_b, self.b)):
            texts = {self.octets(replica, uid) for uid in opened.uids()}
            self.assertEqual(texts, {b"base", b"a0", b"a1", b"a2", b"b0", b"b1", b"b2"})
        self.same()

    def test_renumbered_message_is_read_under_its_old_uid(self) -> None:
        """A STORE or FETCH by the old UID reaches the right message."""
        self.b.heard.clear()
        viewer = self.open(self.b)
        [old] = self.append(self.b, b"theirs")
        viewer.told(viewer.position())
        for n in range(STRIPE + 1):
            self.append(self.a, b"mine %d" % n)
        self.exchange()
        self.assertNotIn(old, viewer.uids())
        flagged = flag_set(["\\Flagged"])
        stored = self.now(viewer.store(NumberSet.of([old]), StoreMode.ADD, flagged, None))
        self.assertEqual(stored.changed, NumberSet.of([old]))
        self.assertEqual(list(viewer.flags([old])), [flagged])
        [new] = [uid for uid in viewer.uids() if viewer.flags([uid]) == [flagged]]
        self.assertEqual(viewer.email_ids([old]), viewer.email_ids([new]))
        self.assertEqual(self.octets(self.b, new), b"theirs")
        self.exchange()
        self.same()

    def test_flags_of_both_are_kept(self) -> None:
        [uid] = self.append(self.a, b"one")
        self.exchange()
        for replica, text in ((self.a, "\\Seen"), (self.b, "$b")):
            flags = flag_set([text])
            self.now(self.open(replica).store(NumberSet.of([uid]), StoreMode.ADD, flags, None))
        self.exchange()
        for replica in (self.a, self.b):
            self.assertEqual(self.open(replica).flags([uid]), [flag_set(["\\Seen", "$b"])])
        self.same()

    def test_mailboxes_of_one_name_become_one(self) -> None:
        """Two CREATEs of one name at the same time give one mailbox."""
        for replica, text in ((self.a, b"a"), (self.b, b"b")):
            replica.heard.clear()
            self.now(replica.session.create(WORK, frozenset()))
            self.append(replica, text, WORK)
        viewers = [self.open(replica, WORK) for replica in (self.a, self.b)]
        self.exchange()
        for replica in (self.a, self.b):
            self.assertEqual(len(self.open(replica, WORK).uids()), 2)
            status = self.now(replica.session.status(WORK))
            self.assertEqual((status.messages, status.size, status.unseen), (2, 2, 2))
        self.assertEqual(sum(viewer.changes(0) is not None for viewer in viewers), 2)
        self.same()

    def test_delete_and_append_keep_the_new_message(self) -> None:
        self.now(self.a.session.create(WORK, frozenset()))
        self.append(self.a, b"old", WORK)
        self.exchange()
        self.b.heard.clear()
        self.now(self.a.session.delete(WORK))
        self.append(self.b, b"new", WORK)
        self.exchange()
        for replica in (self.a, self.b):
            status = self.now(replica.session.status(WORK))
            self.assertEqual((status.messages, status.size), (1, 3))
        self.same()

    def test_client_goes_from_one_replica_to_the_other(self) -> None:
        """A client hears of a superset of what changed, and of all that vanished."""
        uids = [self.append(self.a, b"%d" % n)[0] for n in range(4)]
        self.exchange()
        at_a, at_b = self.open(self.a), self.open(self.b)
        modseq = at_a.highest_modseq()
        gone = NumberSet.of(uids[:1])
        self.now(at_b.store(gone, StoreMode.ADD, flag_set(["\\Deleted"]), None))
        self.now(at_b.expunge(gone))
        self.now(at_b.store(NumberSet.of(uids[1:2]), StoreMode.ADD, flag_set(["\\Seen"]), None))
        changed = self.now(at_b.changed_since(modseq))
        vanished = self.now(at_b.vanished_since(modseq, NumberSet.of(uids)))
        self.assertIn(uids[1], changed)
        self.assertEqual(vanished, gone)
        unknown = self.now(at_b.vanished_since(modseq, None))
        self.assertTrue(uids[0] in unknown and uids[1] not in unknown)

    def test_touch_elsewhere_is_told(self) -> None:
        [uid] = self.append(self.a, b"one")
        self.exchange()
        viewer = self.open(self.b)
        start = viewer.position()
        at_a = self.open(self.a)
        self.now(at_a.store(NumberSet.of([uid]), StoreMode.ADD, flag_set(["\\Seen"]), None))
        self.ship(self.a, self.b)
        [change] = viewer.changes(start) or ()
        assert isinstance(change, Touched)
        self.assertTrue(change.flags)

    def tallies(self, replicas: Sequence[Replica]) -> list[tuple[int, int]]:
        return [
            (r.account.commits.stored.quota_messages, r.account.commits.stored.quota_octets)
            for r in replicas
        ]

    def test_quota_counts_what_is_held_back_too(self) -> None:
        self.begin_append(self.b, b"12345")
        self.assertEqual(self.tallies([self.b]), [(1, 5)])
        self.exchange()
        self.assertEqual(self.tallies([self.a, self.b]), [(1, 5)] * 2)
        opened = self.open(self.a)
        everything = NumberSet.from_sorted(opened.uids())
        self.now(opened.store(everything, StoreMode.ADD, flag_set(["\\Deleted"]), None))
        self.now(opened.expunge(everything))
        self.exchange()
        self.assertEqual(self.tallies([self.a, self.b]), [(0, 0)] * 2)
