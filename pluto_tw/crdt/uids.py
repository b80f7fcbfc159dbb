# SPDX-License-Identifier: GPL-3.0-or-later
"""
Stripes: which replica may give which UID and which UIDVALIDITY.

No two replicas can give one UID to two messages, nor one UIDVALIDITY to two mailboxes, also while
they cannot reach each other, because each takes numbers of its own slot only.
"""

from typing import Final

from pluto_tw.crdt.dots import SLOT_MASK, SLOTS_MAX

#: UIDs in one run of a stripe: sets of UIDs and VANISHED responses stay short while one replica
#: gives them.
STRIPE: Final = 64

#: At this UID a mailbox's UIDs begin again at 1 under a new UIDVALIDITY: half of the 32 bits are
#: left for what replicas give before they hear of it.
UID_RESTART: Final = 2**31


def slot_of_uid(uid: int, stripe: int = STRIPE) -> int:
    """Who may give *uid*."""
    return (uid - 1) // stripe % SLOTS_MAX


def next_uid(above: int, slot: int, stripe: int = STRIPE) -> int:
    """The least UID of *slot* that is above *above*."""
    run = above // stripe
    behind = (slot - run) % SLOTS_MAX
    return above + 1 if behind == 0 else (run + behind) * stripe + 1


def next_validity(above: int, unix_seconds: int, slot: int) -> int:
    """The least UIDVALIDITY of *slot* that is above *above* and *unix_seconds*."""
    least = max(above, unix_seconds) + 1
    v = least & ~SLOT_MASK | slot
    return v if v >= least else v + SLOTS_MAX
