# SPDX-License-Identifier: GPL-3.0-or-later
"""A new account: constant, so that replicas that make it at the same time make the same one."""

from pluto_tw.crdt.dots import SLOT_BITS
from pluto_tw.crdt.records import INBOX_BID, WALKED, AccountRecord, Box, Floor, key_of
from pluto_tw.mail.names import INBOX

#: INBOX's first UIDVALIDITY: below all that a replica can give.
INBOX_VALIDITY = 1


def first_account(lowest_slot: int) -> AccountRecord:
    """The scalars of an empty account; *lowest_slot* of the members is the first sequencer."""
    return AccountRecord(sequencer=1 << SLOT_BITS | lowest_slot, maxv=INBOX_VALIDITY)


def first_box() -> Box:
    """INBOX, empty and shown."""
    return Box(INBOX_BID, INBOX, (0, 0), INBOX_VALIDITY, home=key_of(INBOX_BID, 0), walk=WALKED)


def first_floor() -> Floor:
    """INBOX was shown."""
    return Floor(INBOX, INBOX_VALIDITY)
