# SPDX-License-Identifier: GPL-3.0-or-later
"""What becomes of batches that come: taken, held for a body, refused."""

from twisted.internet.defer import Deferred

from pluto_tw.account.receiving import Taken, receive
from pluto_tw.account.statements import Trouble, vector
from pluto_tw.crdt.resync import Checkpoint
from pluto_tw.mail.codes import UNAVAILABLE
from pluto_tw.mail.errors import No
from tests.account.two_replicas_case import TwoReplicasCase


class ReceivingTests(TwoReplicasCase):
    def test_body_comes_before_the_operation(self) -> None:
        """A batch is taken up to the first operation whose body is missing."""
        self.append(self.a, b"one")
        [batch] = self.batches(self.a)
        taken = self.now(receive(self.b.account, batch))
        self.assertEqual([size for _, size in taken.missing], [3])
        self.assertEqual((taken.operations, vector(self.b.account)), (0, ()))

    def test_lost_body_does_not_block(self) -> None:
        """The operation is taken, and its body marked as missing."""
        [uid] = self.append(self.a, b"one")
        [batch] = self.batches(self.a)
        missing = self.now(receive(self.b.account, batch)).missing
        lost = frozenset(hash for hash, _ in missing)
        self.assertEqual(self.now(receive(self.b.account, batch, None, lost)).operations, 2)
        opened = self.open(self.b)
        self.assertEqual(list(opened.uids()), [uid])
        error = self.failureResultOf(Deferred.fromCoroutine(opened.facts([uid])), No)
        self.assertEqual(error.value.code, UNAVAILABLE)
        self.ship_body(self.a, self.b, missing[0][0])
        self.assertEqual(self.octets(self.b, uid), b"one")

    def test_batch_taken_twice_changes_nothing(self) -> None:
        self.append(self.a, b"one")
        batches = self.batches(self.a)
        self.ship(self.a, self.b)
        before = vector(self.b.account)
        for batch in batches:
            self.assertEqual(self.now(receive(self.b.account, batch)).operations, 0)
        self.assertEqual(vector(self.b.account), before)

    def test_what_a_peer_states_waits_for_the_next_commit(self) -> None:
        """M6: "T, Cov and ack are kept in memory and written with the account's next"."""
        self.append(self.a, b"one")
        self.exchange()
        count = self.a.node.shard.count
        before = count.transactions
        self.now(self.a.account.receive([], Checkpoint(1, 1 << 40, vector(self.b.account))))
        self.assertEqual(count.transactions, before)
        self.append(self.a, b"two")
        self.assertEqual(count.transactions, before + 1)
        [(cov,)] = self.a.node.shard.read("SELECT cov FROM peer WHERE slot = 1")
        self.assertGreaterEqual(cov, 1 << 40)

    def test_octets_that_are_no_batch_are_refused(self) -> None:
        for octets in (b"\xc1", b"\x92\x01\x91\x90"):
            taken = self.now(receive(self.b.account, octets))
            self.assertEqual(taken, Taken(refused=Trouble.MALFORMED))
