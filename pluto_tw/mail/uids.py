# SPDX-License-Identifier: GPL-3.0-or-later
"""The numbers by which IMAP names messages and their states, as types with their bounds."""

from typing import NewType

#: Names a message in a mailbox for ever, together with its UIDVALIDITY. RFC 9051 §2.3.1.1.
Uid = NewType("Uid", int)
#: A message's place in one session's view of the mailbox, from 1. RFC 9051 §2.3.1.2.
SequenceNumber = NewType("SequenceNumber", int)
#: The generation of a mailbox's UIDs. RFC 9051 §2.3.1.1.
UidValidity = NewType("UidValidity", int)
#: Orders the states of a mailbox's messages. RFC 7162 §3.1.
ModSeq = NewType("ModSeq", int)

#: nz-number of RFC 9051 §9: 32 bits.
UID_MAX = 2**32 - 1
#: mod-sequence-value of RFC 7162 §7: 63 bits.
MODSEQ_MAX = 2**63 - 1
