# SPDX-License-Identifier: GPL-3.0-or-later
from hypothesis import given
from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.crdt.dots import (
    EMPTY,
    SLOT_BITS,
    SLOT_MASK,
    Vector,
    covers,
    dots_of,
    is_below,
    joined,
    make_dot,
    meet,
    raised,
    seq_of,
    trimmed,
    without,
)
from tests.crdt.strategies import dots, vectors


class VectorTests(SynchronousTestCase):
    @given(vectors, vectors, vectors)
    def test_join_is_a_least_upper_bound(self, a: Vector, b: Vector, c: Vector) -> None:
        """Commutative, associative, idempotent, above both."""
        self.assertEqual(joined(a, b), joined(b, a))
        self.assertEqual(joined(a, joined(b, c)), joined(joined(a, b), c))
        self.assertEqual(joined(a, a), a)
        self.assertTrue(is_below(a, joined(a, b)))
        self.assertEqual(is_below(a, b), joined(a, b) == b)

    @given(vectors, vectors)
    def test_meet_is_below_both(self, a: Vector, b: Vector) -> None:
        low = meet([a, b])
        self.assertTrue(is_below(low, a) and is_below(low, b))
        self.assertEqual(low, trimmed(low))

    @given(vectors, dots)
    def test_raised_covers(self, vector: Vector, dot: int) -> None:
        slot, seq = dot & SLOT_MASK, dot >> SLOT_BITS
        found = raised(vector, slot, seq)
        self.assertTrue(covers(found, dot))
        self.assertTrue(is_below(vector, found))
        self.assertEqual(covers(vector, dot), found == vector)
        self.assertEqual(seq_of(found, slot), max(seq, seq_of(vector, slot)))

    @given(vectors, vectors)
    def test_without_leaves_what_is_not_covered(self, tags: Vector, context: Vector) -> None:
        left = [dot for dot in dots_of(tags) if not covers(context, dot)]
        self.assertEqual(dots_of(without(tags, context)), left)

    def test_zero_is_no_entry(self) -> None:
        """Equal vectors are equal tuples."""
        self.assertEqual(raised(EMPTY, 3, 0), EMPTY)
        self.assertEqual(raised(EMPTY, 2, 5), (0, 0, 5))
        self.assertEqual(make_dot(2, 5), 5 << 5 | 2)
