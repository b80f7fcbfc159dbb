# SPDX-License-Identifier: GPL-3.0-or-later
"""
What a mod-sequence that a client brings means here, from whichever replica it has it.

Every message between replicas carries a checkpoint: the sender's newest mod-sequence X and its
vector. From these a replica knows whether it has all that a peer had shown at some X (coverage),
and up to which mod-sequence Y of its own everything was at the peer at X (marks). RFC 7162; the
proof is in docs/spec/state.md.
"""

from dataclasses import dataclass
from enum import Enum

from pluto_tw.crdt.dots import SLOT_MASK, SLOTS_MAX, Vector, is_below, joined, make_dot, seq_of
from pluto_tw.crdt.mailboxes import SLICE
from pluto_tw.crdt.records import (
    LOG,
    NOWHERE,
    PEER,
    VIEW,
    WALKED,
    AccountRecord,
    Box,
    Peer,
    Pending,
    Records,
)
from pluto_tw.crdt.rules import Rules
from pluto_tw.crdt.transaction import Transaction
from pluto_tw.mail.uids import UID_MAX

#: Marks kept for each peer, two integers each. Recent ones are dense, older ones are thinned.
MARKS_MAX = 64


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What *slot* states, all from one committed state: mod-sequence *x*, vector, sequencer."""

    slot: int
    x: int
    vector: Vector
    sequencer: int = 0


class Kind(Enum):
    """How an answer to a client's mod-sequence is found."""

    #: It is ours: messages above it, and UIDs that vanished above it.
    OWN = "own"
    #: Messages above `Since.y` and all outstanding ones; every known UID that is not exposed.
    COVERED = "covered"
    #: All messages; every known UID that is not exposed.
    UNCOVERED = "uncovered"


@dataclass(frozen=True, slots=True)
class Since:
    """
    The meaning of a client's mod-sequence.

    *y*: a mod-sequence of ours; 0 if all messages are to be told. *last*: the highest UID that a
    client may know, where it does not say which it knows.
    """

    kind: Kind
    y: int
    last: int


def since(rules: Rules, records: Records, slot: int, key: int, modseq: int) -> Since:
    """
    What *modseq*, brought by a client of the mailbox *key*, means at the replica *slot*.

    For UNCHANGEDSINCE compare with `Since.y`: it may refuse too much, and never loses an update.
    """
    view = records.get(VIEW, key)
    shown = view.unext - 1 if view is not None else 0
    highest = max(shown, view.maxuid if view is not None else 0)
    if modseq <= 1:
        return Since(Kind.UNCOVERED, 0, UID_MAX)
    if rules.is_my_stamp(modseq, slot):
        return Since(Kind.OWN, modseq, shown)
    peer = records.get(PEER, modseq & SLOT_MASK)
    if peer is None or not rules.is_covered(modseq, peer.cov):
        return Since(Kind.UNCOVERED, 0, UID_MAX)
    return Since(Kind.COVERED, rules.since_foreign(modseq, peer.marks), highest)


def outstanding(rules: Rules, records: Records, box: Box) -> list[Pending] | None:
    """
    The placements of *box* that belong in every covered answer; None if all of them do.

    Give the boxes that are shown in the mailbox: those whose `home` is its key.
    """
    if box.home != NOWHERE and box.walk != WALKED:
        return None
    found: list[Pending] = []
    row = 0
    while some := records.pending_in(box.bid, row, SLICE):
        row = some[-1].row
        found.extend(some)
    return rules.outstanding(found)


def note_checkpoint(rules: Rules, tx: Transaction, checkpoint: Checkpoint) -> None:
    """
    Takes note of what a peer states, after everything of the event has been applied.

    Nothing is staged if it tells nothing new.
    """
    account = tx.account()
    slot = checkpoint.slot
    known = tx.get(PEER, slot) or Peer(slot)
    if rules.counts_ack(account.vv, slot, checkpoint.vector):
        ack = joined(known.ack, checkpoint.vector)
    else:
        ack = known.ack
    covered = is_below(checkpoint.vector, account.vv)
    cov = max(known.cov, checkpoint.x) if covered else known.cov
    marks = _marked(known.marks, checkpoint.x, _common(tx, account, checkpoint.vector))
    if (ack, cov, marks) != (known.ack, known.cov, known.marks):
        tx.put(PEER, slot, Peer(slot, ack, cov, marks))


def _common(tx: Transaction, account: AccountRecord, vector: Vector) -> int:
    """The highest mod-sequence up to which all that was applied here is in *vector*."""
    common = tx.newest()
    for slot in range(min(len(account.vv), SLOTS_MAX)):
        seq = seq_of(vector, slot)
        if seq < account.vv[slot]:
            logged = tx.get(LOG, make_dot(slot, seq + 1))
            common = 0 if logged is None else min(common, logged.msq - 1)
    return common


def _marked(marks: tuple[tuple[int, int], ...], x: int, y: int) -> tuple[tuple[int, int], ...]:
    """*marks*, ascending in both parts, with (x, y)."""
    if any(a <= x and b >= y for a, b in marks):
        return marks
    kept = [(a, b) for a, b in marks if not (a >= x and b <= y)]
    kept.append((x, y))
    kept.sort()
    if len(kept) > MARKS_MAX:
        # Of the older half every other one goes: spacing doubles with age.
        half = len(kept) // 2
        kept = kept[:half:2] + kept[half:]
    return tuple(kept)
