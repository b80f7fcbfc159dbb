# SPDX-License-Identifier: GPL-3.0-or-later
"""
The chain of each origin: a hash of all its operations so far, beside their number.

A replica whose database was put back to an older state makes other operations under old dots. Its
number alone may have caught up by the time somebody looks; the hash differs for ever. h(0) is
made of the replica's id, h(n) of h(n-1) and the canonical octets of operation n.
"""

from collections.abc import Sequence
from enum import Enum
from hashlib import blake2b
from typing import Final

HEAD_OCTETS: Final = 8

#: Hashes at multiples of this seq are kept when the log is pruned, so that two replicas far apart
#: still find a seq to compare at: 8 octets for each 256 operations.
KEPT_EVERY: Final = 256


def first_head(replica: bytes) -> bytes:
    """h(0) of the replica with this id."""
    return blake2b(replica, digest_size=HEAD_OCTETS, person=b"chain-id").digest()


def next_head(head: bytes, canonical: bytes) -> bytes:
    """The hash after an operation with these canonical octets."""
    return blake2b(head + canonical, digest_size=HEAD_OCTETS, person=b"chain").digest()


def raised_heads(heads: tuple[bytes, ...], slot: int, head: bytes) -> tuple[bytes, ...]:
    """*heads* with *head* at *slot*; empty ones where no operation is known."""
    if slot < len(heads):
        return (*heads[:slot], head, *heads[slot + 1 :])
    return (*heads, *(b"",) * (slot - len(heads)), head)


def head_of(heads: Sequence[bytes], slot: int) -> bytes:
    """The hash at the newest known operation of *slot*; empty if there is none."""
    return heads[slot] if slot < len(heads) else b""


class Finding(Enum):
    """What two replicas' knowledge of one origin says."""

    SAME = "same"
    #: The hashes differ at a seq that both know: one has operations that never were the origin's.
    FORKED = "forked"
    #: A peer knows a higher seq of me than I do: my database is older than what I shipped.
    BEHIND = "behind"
    #: There is no seq at which both hashes are known.
    UNKNOWN = "unknown"


def compare(
    own: bool, mine: tuple[int, bytes], theirs: tuple[int, bytes], at_lower: bytes | None
) -> Finding:
    """
    Compares (seq, hash) of one origin at two replicas.

    *own*: the origin is this replica. *at_lower* is the hash, at the lower of both seqs, that the
    side with the higher one has, None if it is kept no longer.
    """
    if own and theirs[0] > mine[0]:
        return Finding.BEHIND
    if at_lower is None:
        return Finding.UNKNOWN
    lower = mine if mine[0] <= theirs[0] else theirs
    return Finding.SAME if lower[1] == at_lower else Finding.FORKED
