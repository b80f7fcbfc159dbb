# SPDX-License-Identifier: GPL-3.0-or-later
from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.crdt import commands
from pluto_tw.crdt.chain import Finding, compare, first_head, head_of, next_head, raised_heads
from pluto_tw.crdt.log import head_at
from pluto_tw.crdt.records import HEAD, LOG
from pluto_tw.mail.names import INBOX
from tests.support.cluster import Cluster
from tests.support.histories import History, random_steps


class ChainTests(SynchronousTestCase):
    def test_another_operation_makes_another_chain(self) -> None:
        """A restored copy that went on differs for ever, also where its number caught up."""
        start = first_head(b"replica")
        one = next_head(next_head(start, b"a"), b"b")
        two = next_head(next_head(start, b"x"), b"b")
        self.assertNotEqual(one, two)
        self.assertNotEqual(start, first_head(b"replica again"))

    def test_heads_are_beside_the_vector(self) -> None:
        heads = raised_heads((), 2, b"h")
        self.assertEqual(heads, (b"", b"", b"h"))
        self.assertEqual(raised_heads(heads, 0, b"g"), (b"g", b"", b"h"))
        self.assertEqual([head_of(heads, slot) for slot in (0, 2, 9)], [b"", b"h", b""])

    def test_comparison(self) -> None:
        """Compared at the lower of the two seqs."""
        self.assertIs(compare(False, (5, b"a"), (7, b"b"), b"a"), Finding.SAME)
        self.assertIs(compare(False, (5, b"a"), (7, b"b"), b"c"), Finding.FORKED)
        self.assertIs(compare(False, (7, b"b"), (5, b"a"), b"a"), Finding.SAME)
        self.assertIs(compare(True, (5, b"a"), (7, b"b"), b"a"), Finding.BEHIND)
        self.assertIs(compare(True, (7, b"b"), (5, b"a"), None), Finding.UNKNOWN)

    def test_hash_at_a_seq(self) -> None:
        """Both sides compare at the lower of two seqs, also where the log was pruned."""
        cluster = Cluster("AB")
        for _ in range(300):
            cluster.command("A", lambda r, t: commands.subscribe(r, t, INBOX, True))
            cluster.command("A", lambda r, t: commands.subscribe(r, t, INBOX, False))
        cluster.settle()
        for _ in range(2):
            cluster.deliver("A", "B")
            cluster.deliver("B", "A")
        a, b = cluster.sites.values()
        cluster.prune("A")
        for seq in (0, 256, 512, 600):
            found = head_at(a.rules, a.records, 0, seq)
            self.assertIsNotNone(found)
            self.assertEqual(found, head_at(b.rules, b.records, 0, seq))
        self.assertIsNone(head_at(a.rules, a.records, 0, 300))
        self.assertIsNone(head_at(a.rules, a.records, 0, 601))
        self.assertIsNotNone(head_at(b.rules, b.records, 0, 300))

    def test_all_replicas_have_the_same_chain(self) -> None:
        """Through batches, state and pruning; one hash of each 256 outlives the log."""
        cluster = Cluster("AB")
        history = History(cluster)
        for seed in range(20):
            history.play(random_steps(seed, 100))
        cluster.settle()
        a, b = list(cluster.sites.values())[:2]
        self.assertEqual(a.account().heads, b.account().heads)
        for dot, kept in a.records.tables[HEAD.number].items():
            self.assertEqual(dot >> 5 & 255, 0)
            other = b.records.get(HEAD, dot) or b.records.get(LOG, dot)
            if other is not None:
                self.assertEqual(other.head, kept.head)
