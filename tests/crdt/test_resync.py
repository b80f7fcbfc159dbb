# SPDX-License-Identifier: GPL-3.0-or-later
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.crdt import commands
from pluto_tw.crdt.ops import Message
from pluto_tw.crdt.records import BOX, PEER, VIEW
from pluto_tw.crdt.resync import MARKS_MAX, Kind, Since, _marked, outstanding, since
from pluto_tw.mail.names import INBOX
from pluto_tw.mail.uids import UID_MAX
from tests.support.cluster import Cluster


class SinceTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.cluster = Cluster("AB")
        self.append("A")
        self.cluster.settle()

    def append(self, at: str) -> None:
        message = Message(b"hash", 1, 0, 0)
        self.cluster.command(at, lambda r, t: commands.append(r, t, INBOX, [message]))

    def since(self, at: str, modseq: int) -> Since:
        site = self.cluster.sites[at]
        return since(site.rules, site.records, site.slot, 0, modseq)

    def highest(self, at: str) -> int:
        view = self.cluster.sites[at].records.get(VIEW, 0)
        assert view is not None
        return view.hm

    def test_nothing_known_is_everything(self) -> None:
        """X of 0 or 1 means everything."""
        for modseq in (0, 1):
            self.assertEqual(self.since("A", modseq), Since(Kind.UNCOVERED, 0, UID_MAX))

    def test_own(self) -> None:
        """The slot in the low bits tells whose it is; UIDs were shown up to UIDNEXT-1."""
        own = self.highest("A")
        self.assertEqual(self.since("A", own), Since(Kind.OWN, own, 1))

    def test_covered(self) -> None:
        found = self.since("B", self.highest("A"))
        self.assertEqual((found.kind, found.last), (Kind.COVERED, 1))
        self.assertGreater(found.y, 0)

    def test_ahead_is_uncovered(self) -> None:
        """What the client has seen may be more than what is here."""
        self.append("A")
        self.assertEqual(self.since("B", self.highest("A")), Since(Kind.UNCOVERED, 0, UID_MAX))

    def test_unknown_slot_is_uncovered(self) -> None:
        modseq = self.highest("A") & ~31 | 9
        self.assertIs(self.since("A", modseq).kind, Kind.UNCOVERED)

    def test_covered_again_after_a_checkpoint(self) -> None:
        """A change of one message is told as one, soon after."""
        self.append("A")
        self.cluster.deliver("A", "B")
        self.cluster.deliver("B", "A")
        self.assertIs(self.since("B", self.highest("A")).kind, Kind.COVERED)
        self.assertIs(self.since("A", self.highest("B")).kind, Kind.COVERED)

    def test_idle_checkpoints_write_nothing(self) -> None:
        """Nothing happens for an idle account."""
        for _ in range(3):
            self.cluster.deliver("A", "B")
            self.cluster.deliver("B", "A")
        a, b = self.cluster.sites["A"], self.cluster.sites["B"]
        tx = b.replica.receive(
            b.records, self.cluster.moment(b), [], a.replica.checkpoint(a.records)
        )
        self.assertTrue(tx.is_empty)

    def test_a_box_that_is_walked_is_outstanding_as_a_whole(self) -> None:
        site = self.cluster.sites["A"]
        box = site.records.get(BOX, 0)
        assert box is not None
        self.assertEqual(outstanding(site.rules, site.records, box), [])
        box.walk = 5
        self.assertIsNone(outstanding(site.rules, site.records, box))


class MarksTests(SynchronousTestCase):
    @given(st.lists(st.tuples(st.integers(1, 500), st.integers(0, 500)), max_size=200))
    def test_marks_ascend_and_never_claim_more(self, pairs: list[tuple[int, int]]) -> None:
        """Each answer from marks is one that some checkpoint up to that X has given."""
        marks: tuple[tuple[int, int], ...] = ()
        for x, y in pairs:
            marks = _marked(marks, x, y)
        self.assertLessEqual(len(marks), MARKS_MAX)
        self.assertEqual(list(marks), sorted(marks))
        self.assertEqual([y for _, y in marks], sorted(y for _, y in marks))
        for x in range(0, 520, 13):
            kept = max((b for a, b in marks if a <= x), default=0)
            true = max((b for a, b in pairs if a <= x), default=0)
            self.assertLessEqual(kept, true)
            if len(pairs) <= MARKS_MAX:
                self.assertEqual(kept, true)

    def test_recent_marks_are_dense(self) -> None:
        """Older ones are thinned exponentially; the oldest is never lost."""
        marks: tuple[tuple[int, int], ...] = ()
        for i in range(1, 5000):
            marks = _marked(marks, i, i)
        self.assertEqual(marks[0], (1, 1))
        self.assertEqual(marks[-20:], tuple((i, i) for i in range(4980, 5000)))

    def test_peer_keeps_marks(self) -> None:
        cluster = Cluster("AB")
        for _ in range(5):
            cluster.command(
                "A", lambda r, t: commands.append(r, t, INBOX, [Message(b"hash", 1, 0, 0)])
            )
            cluster.deliver("A", "B")
        peer = cluster.sites["B"].records.get(PEER, 0)
        assert peer is not None
        self.assertEqual(len(peer.marks), 5)
