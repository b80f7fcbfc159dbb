# SPDX-License-Identifier: GPL-3.0-or-later
"""Batches for peers: their order, what they reach, and when there are none."""

from pluto_tw.account import receiving, sending, statements
from pluto_tw.account.sending import Lack, Outgoing
from pluto_tw.crdt.codec import decode_batch
from pluto_tw.crdt.dots import EMPTY, SLOT_MASK, is_below, raised, seq_of
from tests.account.accounts import Node
from tests.account.pair import SubnetCase


class SendingTests(SubnetCase):
    """A is the sequencer; B has appended what A gave UIDs to."""

    def setUp(self) -> None:
        super().setUp()
        self.a = self.node(0, [1])
        self.b = self.node(1, [0])
        self.clock.advance(10)

    def outgoing(self, node: Node, known: tuple[int, ...], slot: int | None = None) -> Outgoing:
        found = sending.next_batch(self.account(node), known, slot)
        assert isinstance(found, Outgoing), found
        return found

    def test_operations_come_after_all_that_they_have_seen(self) -> None:
        """Shipped are "ops of *all* origins", "in an order consistent with causality"."""
        for _ in range(3):
            self.append(self.a, b"a")
            self.ship(self.a, self.b)
            self.append(self.b, b"b")
            self.ship(self.b, self.a)
        known = EMPTY
        for batch in sending.ops_since(self.account(self.a), EMPTY) or ():
            for segment in decode_batch(batch):
                for op in segment.ops:
                    self.assertTrue(is_below(op.vector, known))
                    slot = op.dot & SLOT_MASK
                    known = raised(known, slot, seq_of(known, slot) + 1)
        self.assertEqual(known, statements.vector(self.account(self.a)))

    def test_batch_says_what_is_reached_by_it(self) -> None:
        self.append(self.a, *(b"%d" % number for number in range(100)))
        known, batches = EMPTY, 0
        while (found := sending.next_batch(self.account(self.a), known)) is not Lack.NOTHING:
            assert isinstance(found, Outgoing)
            self.assertTrue(is_below(known, found.reached))
            known, batches = found.reached, batches + 1
        self.assertEqual(known, statements.vector(self.account(self.a)))

    def test_one_origin_alone(self) -> None:
        """Whether or not the peer has what its operations have seen."""
        self.append(self.a, b"a")
        self.ship(self.a, self.b)
        self.append(self.b, b"b")
        found = self.outgoing(self.b, EMPTY, 1)
        origins = {op.dot & SLOT_MASK for s in decode_batch(found.batch) for op in s.ops}
        self.assertEqual(origins, {1})
        self.assertEqual(seq_of(found.reached, 0), 0)
        taken = self.now(receiving.receive(self.account(self.a), found.batch))
        self.assertEqual(taken.refused, None)

    def test_nothing_for_who_has_everything(self) -> None:
        self.assertIs(sending.next_batch(self.account(self.a), EMPTY), Lack.NOTHING)
        self.append(self.a, b"a")
        known = statements.vector(self.account(self.a))
        self.assertIs(sending.next_batch(self.account(self.a), known), Lack.NOTHING)
