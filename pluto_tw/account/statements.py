# SPDX-License-Identifier: GPL-3.0-or-later
"""
What replicas state of an account to each other, and what is wrong with what a peer states.

Each origin's operations are a chain of hashes. Whoever states more of this replica's than it has
made, or sends others under the same numbers, shows that one of the two databases was put back. If
it is this one, the account halts itself here, before anything of it is told; what the peer does
about its own is left to it. Octets of a peer are decoded by others before they come here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from pluto_tw.account.replica import AccountReplica
from pluto_tw.crdt.chain import next_head
from pluto_tw.crdt.codec import Segment, encode_op
from pluto_tw.crdt.dots import EMPTY, SLOT_BITS, SLOT_MASK, Vector, is_below, seq_of
from pluto_tw.crdt.log import head_at
from pluto_tw.crdt.records import PEER
from pluto_tw.crdt.resync import Checkpoint


class Trouble(Enum):
    """Why a batch is refused; the value is for people."""

    MALFORMED = "it cannot be decoded"
    #: Of one origin there are two histories: one of the databases was put back.
    FORKED = "it continues another history"
    #: The peer knows operations of this replica that this replica does not: it was put back.
    BEHIND = "it knows more of this replica than this replica does"
    #: The peer has less than it had acknowledged: it was put back.
    FORGOT = "it has less than it had acknowledged"


@dataclass(frozen=True, slots=True)
class Refusal:
    """What the *trouble* is, about operations of the origin *slot*."""

    trouble: Trouble
    slot: int


def vector(account: AccountReplica) -> Vector:
    """The operations that are durable here."""
    return account.commits.stored.scalars.vv


def checkpoint(account: AccountReplica) -> Checkpoint:
    """What to state to peers."""
    return account.rules.checkpoint(account.commits.stored)


def acknowledged(account: AccountReplica, slot: int) -> Vector:
    """What the member *slot* has acknowledged, as far as it counts for stability."""
    peer = account.commits.staged.records.get(PEER, slot)
    return EMPTY if peer is None else peer.ack


def compare(account: AccountReplica, stated: Checkpoint, *, first: bool = False) -> Trouble | None:
    """
    What is wrong with what a peer states. *first*: on a new link, after which it states no less.

    Halts the account if this replica was put back.
    """
    if first and not is_below(acknowledged(account, stated.slot), stated.vector):
        return Trouble.FORGOT
    refusal = check(account, (), stated)
    return None if refusal is None else refusal.trouble


def check(
    account: AccountReplica, segments: Sequence[Segment], stated: Checkpoint | None
) -> Refusal | None:
    """
    What is wrong with *segments* of a batch and with what its sender has *stated*.

    Halts the account if this replica was put back.
    """
    own = account.site.slot
    known = account.commits.staged.records.account().vv
    peer = None if stated is None else stated.slot
    if stated is not None and seq_of(stated.vector, own) > seq_of(known, own):
        return _refusal(account, Trouble.BEHIND, own, peer)
    for segment in segments:
        slot = segment.ops[0].dot & SLOT_MASK
        seq = segment.ops[0].dot >> SLOT_BITS
        if slot == own and seq - 1 + len(segment.ops) > seq_of(known, own):
            return _refusal(account, Trouble.BEHIND, own, peer)
        if not _continues(account, segment, slot, seq):
            return _refusal(account, Trouble.FORKED, slot, peer)
    return None


def _continues(account: AccountReplica, segment: Segment, slot: int, seq: int) -> bool:
    """
    Whether *segment*, from *seq* on, is of the history that is known here, as far as that goes.

    Also of the operations that are here already: a replica that was put back makes others under
    their names.
    """
    records, rules = account.commits.records, account.site.rules
    known = seq_of(account.commits.staged.records.account().vv, slot)
    if not segment.head or seq - 1 > known or not account.site.members.is_known(slot):
        return True
    mine = head_at(rules, records, slot, seq - 1)
    if mine is not None and mine != segment.head:
        return False
    head = segment.head
    at = seq - 1
    for op in segment.ops[: known - at]:
        head = next_head(head, encode_op(op))
        at += 1
    mine = head_at(rules, records, slot, at)
    return mine is None or mine == head


def _refusal(account: AccountReplica, trouble: Trouble, slot: int, peer: int | None) -> Refusal:
    if slot == account.site.slot:
        account.halt(f"another history of this replica is known elsewhere: {trouble.value}", peer)
    return Refusal(trouble, slot)
