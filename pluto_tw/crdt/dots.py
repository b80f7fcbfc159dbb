# SPDX-License-Identifier: GPL-3.0-or-later
"""
Names of operations, and version vectors.

A **dot** names an operation for ever: `seq << 5 | slot`, where *slot* (0 to 31) is the replica
that made it and *seq* counts its operations from 1. A **vector** says up to which seq one has the
operations of each slot: entry i is that of slot i, and zeros at the end are left off, so that
equal vectors are equal tuples. The tags of a box or placement, the highest seq of each origin, are
a vector too.
"""

from collections.abc import Iterable
from typing import Final

#: Slots are burned when a replica is removed or gets a new identity; 32 of them outlast any
#: cluster of at most seven, and the stripes of UIDs and UIDVALIDITY are cut by this number.
SLOTS_MAX: Final = 32
SLOT_BITS: Final = 5
SLOT_MASK: Final = SLOTS_MAX - 1

#: Of 63 bits those left by the slot: a dot fits in a signed integer of 64 bits.
SEQ_MAX: Final = 2**58 - 1

Vector = tuple[int, ...]

EMPTY: Final[Vector] = ()


def make_dot(slot: int, seq: int) -> int:
    """The dot of operation *seq* of *slot*."""
    return seq << SLOT_BITS | slot


def covers(vector: Vector, dot: int) -> bool:
    """Whether who has *vector* has the operation *dot*."""
    slot = dot & SLOT_MASK
    return slot < len(vector) and vector[slot] >= dot >> SLOT_BITS


def seq_of(vector: Vector, slot: int) -> int:
    """Entry *slot* of *vector*."""
    return vector[slot] if slot < len(vector) else 0


def is_below(low: Vector, high: Vector) -> bool:
    """Whether *high* has all that *low* has; true for equal ones."""
    if len(low) > len(high):
        return False
    return all(a <= b for a, b in zip(low, high, strict=False))


def raised(vector: Vector, slot: int, seq: int) -> Vector:
    """*vector* with at least *seq* at *slot*; the same object if it has that."""
    length = len(vector)
    if slot < length:
        if vector[slot] >= seq:
            return vector
        return (*vector[:slot], seq, *vector[slot + 1 :])
    if seq == 0:
        return vector
    return (*vector, *(0,) * (slot - length), seq)


def joined(a: Vector, b: Vector) -> Vector:
    """The least vector above both."""
    if a == b or not b:
        return a
    if len(a) < len(b):
        a, b = b, a
    return tuple(map(max, a, b)) + a[len(b) :]


def meet(vectors: Iterable[Vector]) -> Vector:
    """The greatest vector below all of *vectors*, of which there is at least one."""
    return trimmed([min(entries) for entries in zip(*vectors, strict=False)])


def trimmed(entries: Iterable[int]) -> Vector:
    """The vector of *entries*, without the zeros at the end."""
    found = list(entries)
    while found and found[-1] == 0:
        found.pop()
    return tuple(found)


def without(tags: Vector, context: Vector) -> Vector:
    """The part of *tags* that *context* does not cover."""
    if not tags:
        return tags
    length = len(context)
    kept = [seq if slot >= length or seq > context[slot] else 0 for slot, seq in enumerate(tags)]
    return trimmed(kept)


def dots_of(tags: Vector) -> list[int]:
    """Each entry of *tags* as the dot it stands for."""
    return [seq << SLOT_BITS | slot for slot, seq in enumerate(tags) if seq]
