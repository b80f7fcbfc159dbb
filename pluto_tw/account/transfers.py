# SPDX-License-Identifier: GPL-3.0-or-later
"""
A snapshot on its way, as it is kept beside the account: so that it goes on after a broken link.

What is in a snapshot is `pluto_tw.crdt.snapshot`'s, how it is sent and taken `snapshots.py`'s.
"""

from dataclasses import dataclass
from typing import NamedTuple


class Way(NamedTuple):
    """Which snapshot of an account: with the member *slot*, *incoming* to here or from here."""

    slot: int
    incoming: bool


@dataclass(frozen=True, slots=True)
class Transfer:
    """
    *header*, *trailer* (empty until it is known) and *cursor* in octets; the cursor is where the
    receiver goes on. *began*: POSIX seconds.
    """

    header: bytes
    trailer: bytes
    cursor: bytes
    began: int
