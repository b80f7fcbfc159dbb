# SPDX-License-Identifier: GPL-3.0-or-later
"""
Stamps: the hybrid logical clock of operations, and mod-sequences, which are one and the same.

A stamp is `ms << 20 | counter << 5 | slot`: milliseconds since 2020, a counter that goes on where
the clock stands still, the slot of who gave it. 63 bits, as RFC 7162 §7 wants a mod-sequence. The
slot in the low bits makes stamps of two replicas differ, and tells a mod-sequence that a client
brings from one's own.
"""

from typing import Final

from pluto_tw.crdt.dots import SLOT_BITS, SLOT_MASK

#: 2020-01-01 00:00:00 UTC, in milliseconds of POSIX.
EPOCH_MS: Final = 1_577_836_800_000
MS_BITS: Final = 20

#: A peer's stamp further ahead of our clock than this is not taken: it would be inherited by all,
#: and nobody could take it back.
AHEAD_MS_MAX: Final = 3_600_000


def stamp_of(unix_ms: int) -> int:
    """The least stamp of the millisecond *unix_ms*."""
    return max(unix_ms - EPOCH_MS, 0) << MS_BITS


def next_stamp(above: int, unix_ms: int, slot: int) -> int:
    """The least stamp of *slot* that is above *above* and not before *unix_ms*."""
    least = max(above + 1, stamp_of(unix_ms))
    base = least & ~SLOT_MASK | slot
    return base if base >= least else base + (1 << SLOT_BITS)


def is_ahead(stamp: int, unix_ms: int) -> bool:
    """Whether *stamp* is too far ahead of the clock to be taken."""
    return stamp > stamp_of(unix_ms + AHEAD_MS_MAX)
