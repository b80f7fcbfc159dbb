# SPDX-License-Identifier: GPL-3.0-or-later
"""
What a session can be told of its mailbox: the entries of a mailbox's log.

A mailbox keeps one ordered log for all its sessions; each session remembers how far it has
been told. A session's view is always a prefix of the exposures and vanishings of this log, in its
order; touches of messages that the session already shows may overtake
(docs/decisions/0019-flags-ahead-of-highestmodseq.md).

Mod-sequences in a log never fall, and that of a vanishing is above those of all entries before it:
a session may have to stop there, and what it was told as HIGHESTMODSEQ must not cover it. So what
vanishes in one commit stands before what that commit exposes and touches.
"""

from dataclasses import dataclass

from pluto_tw.mail.sets import NumberSet
from pluto_tw.mail.uids import ModSeq


@dataclass(frozen=True, slots=True)
class Exposed:
    """Messages became visible; *uids* are above all UIDs that were ever exposed before."""

    modseq: ModSeq
    uids: NumberSet


@dataclass(frozen=True, slots=True)
class Vanished:
    """Messages are gone, or go on under another UID that is exposed later in the log."""

    modseq: ModSeq
    uids: NumberSet


@dataclass(frozen=True, slots=True)
class Touched:
    """
    The mod-sequence of messages rose to *modseq*.

    *flags* says whether their flags changed as well; if not, only sessions that asked for
    mod-sequences are told.
    """

    modseq: ModSeq
    uids: NumberSet
    flags: bool


@dataclass(frozen=True, slots=True)
class Ended:
    """
    The mailbox is not what the session selected any more: deleted, or another took its name.

    Nothing follows it in the log. *reason* is for the client's BYE.
    """

    reason: str


Change = Exposed | Vanished | Touched | Ended
