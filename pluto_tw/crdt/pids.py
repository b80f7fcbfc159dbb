# SPDX-License-Identifier: GPL-3.0-or-later
"""
Names of placements (pids): of messages in a box.

- 12 octets, `A`, slot (1), seq (6), index (4): the message *index* of the APPEND or COPY with that
  dot. Big-endian, so that pids of one origin ascend with time.
- 16 octets, `M` and 15 octets of hash: what a MOVE makes of one placement in one target. Two
  replicas that move a message to the same mailbox at the same time make the same name, and so one
  message.
"""

from hashlib import blake2b
from typing import Final

from pluto_tw.crdt.dots import SLOT_BITS, SLOT_MASK, SLOTS_MAX

BIRTH: Final = 0x41
MOVED: Final = 0x4D
BIRTH_OCTETS: Final = 12
MOVED_OCTETS: Final = 16
_HASH_OCTETS = MOVED_OCTETS - 1

#: What six octets hold: at 1,000 operations a second for 8,900 years.
PID_SEQ_MAX: Final = 2**48 - 1


def birth_pid(dot: int, index: int) -> bytes:
    """The pid of message *index* of the operation *dot*."""
    return ((BIRTH << 88) | (dot & SLOT_MASK) << 80 | (dot >> SLOT_BITS) << 32 | index).to_bytes(
        BIRTH_OCTETS, "big"
    )


def birth_of(pid: bytes) -> tuple[int, int] | None:
    """The dot and index of a pid that an APPEND or COPY made; None for one of a MOVE."""
    if len(pid) != BIRTH_OCTETS:
        return None
    number = int.from_bytes(pid, "big")
    seq = number >> 32 & PID_SEQ_MAX
    return seq << SLOT_BITS | (number >> 80 & SLOT_MASK), number & 0xFFFFFFFF


def moved_pid(source: bytes, bid: int) -> bytes:
    """The pid that a MOVE of *source* to the box *bid* makes."""
    digest = blake2b(source + bid.to_bytes(8, "big"), digest_size=_HASH_OCTETS, person=b"pid")
    return b"M" + digest.digest()


def is_pid(data: bytes) -> bool:
    """Whether *data* has the form of a pid."""
    return is_birth(data) or (len(data) == MOVED_OCTETS and data[0] == MOVED)


def is_birth(data: bytes) -> bool:
    """Whether *data* has the form of a pid that an APPEND or COPY makes, and so of an EMAILID."""
    return len(data) == BIRTH_OCTETS and data[0] == BIRTH and data[1] < SLOTS_MAX and any(data[2:8])
