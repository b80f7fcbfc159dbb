# SPDX-License-Identifier: GPL-3.0-or-later
"""
What one replica of an account gives to another, and takes from it.

Batches of operations leave in an order in which each can be applied as it comes; they are read from
the log slice by slice, so that a peer that is far behind costs no memory. What comes in is checked
first: against the chain of each origin, and for bodies that are not here. How batches travel, and
to whom, is `pluto_tw.replication`'s.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from hashlib import blake2b
from typing import Final

from pluto_tw.account.replica import AccountReplica
from pluto_tw.crdt.chain import first_head
from pluto_tw.crdt.codec import Segment, batches, decode_batch, decode_op, encode_batch
from pluto_tw.crdt.dots import (
    SLOT_BITS,
    SLOT_MASK,
    Vector,
    covers,
    is_below,
    make_dot,
    raised,
    seq_of,
)
from pluto_tw.crdt.mailboxes import group
from pluto_tw.crdt.ops import Add, Op
from pluto_tw.crdt.records import HEAD, LOG, Logged, Records
from pluto_tw.crdt.resync import Checkpoint
from pluto_tw.crdt.rules import Rules
from pluto_tw.mail.names import MailboxName

#: Operations that one read of the log gives.
_SLICE: Final = 64

#: Which of some hashes are those of bodies that are here, whole.
_HERE: Final = """
    SELECT hash FROM body
    WHERE state = 0 AND hash IN (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_HASHES: Final = 20


class Trouble(Enum):
    """Why a batch is refused; the value is for people."""

    MALFORMED = "it cannot be decoded"
    #: Of one origin there are two histories: one of the databases was put back.
    FORKED = "it continues another history"
    #: The peer knows operations of this replica that this replica does not: it was put back.
    BEHIND = "it knows more of this replica than this replica does"


@dataclass(frozen=True, slots=True)
class Taken:
    """
    What became of a batch: so many *operations* were new and are durable.

    *missing*: (hash, size) of bodies without which the rest cannot be taken. *ahead*: the rest is
    stamped too far in the future; hold it, raise an alarm, try again. *refused*: nothing was taken;
    *slot* is the origin that it is about.
    """

    operations: int = 0
    missing: tuple[tuple[bytes, int], ...] = ()
    ahead: bool = False
    refused: Trouble | None = None
    slot: int = 0


@dataclass(frozen=True, slots=True)
class Digest:
    """
    What clients can see of an account, in 16 octets: equal where *vector* is, unless messages are
    *outstanding* at one of the replicas.
    """

    vector: Vector
    outstanding: bool
    digest: bytes


# Out.


def vector(account: AccountReplica) -> Vector:
    """The operations that are durable here."""
    return account.commits.stored.scalars.vv


def checkpoint(account: AccountReplica) -> Checkpoint:
    """What to state to peers."""
    return account.rules.checkpoint(account.commits.stored)


def ops_since(account: AccountReplica, known: Vector) -> Iterator[bytes] | None:
    """
    Batches of all that is durable here and that who has *known* lacks.

    None if the log does not reach back so far: a snapshot is needed. Raises `ShardFailed`, also on
    the way.
    """
    scalars = account.commits.stored.scalars
    if any(seq_of(known, slot) < seq for slot, seq in enumerate(scalars.base)):
        return None
    return (encode_batch(some) for some in batches(_segments(account, known, scalars.vv)))


def _segments(account: AccountReplica, known: Vector, until: Vector) -> Iterator[Segment]:
    """The operations from *known* to *until*, each after all that it has seen."""
    records, rules = account.commits.stored, account.site.rules
    logs = {
        slot: _logged(records, slot, seq_of(known, slot), until[slot])
        for slot in range(len(until))
        if seq_of(known, slot) < until[slot]
    }
    heads: dict[int, tuple[Logged, Op]] = {}
    before: dict[int, bytes] = {}
    for slot, log in list(logs.items()):
        before[slot] = head_at(records, rules, slot, seq_of(known, slot)) or b""
        _advance(heads, logs, slot, log)
    while heads:
        # Of those that were applied here first one can be applied next, wherever it goes.
        ready = [slot for slot, (_, op) in heads.items() if is_below(op.vector, known)]
        assert ready, "the log holds all that its operations have seen"
        slot = min(ready, key=lambda slot: heads[slot][0].msq)
        ops: list[Op] = []
        head = before[slot]
        while slot in heads and len(ops) < _SLICE and is_below(heads[slot][1].vector, known):
            logged, op = heads[slot]
            ops.append(op)
            before[slot] = logged.head
            known = raised(known, slot, op.dot >> SLOT_BITS)
            _advance(heads, logs, slot, logs[slot])
        yield Segment(head, tuple(ops))


def _advance(
    heads: dict[int, tuple[Logged, Op]],
    logs: dict[int, Iterator[Logged]],
    slot: int,
    log: Iterator[Logged],
) -> None:
    logged = next(log, None)
    if logged is None:
        heads.pop(slot, None)
        del logs[slot]
    else:
        heads[slot] = logged, decode_op(logged.data)


def _logged(records: Records, slot: int, after: int, until: int) -> Iterator[Logged]:
    while after < until and (found := records.log_after(slot, after, _SLICE)):
        for logged in found:
            after = logged.dot >> SLOT_BITS
            if after > until:
                return
            yield logged


def head_at(records: Records, rules: Rules, slot: int, seq: int) -> bytes | None:
    """The chain's hash at operation *seq* of *slot*; None if it is not known here (any more)."""
    if seq == 0:
        return first_head(rules.replica_id(slot))
    dot = make_dot(slot, seq)
    logged = records.get(LOG, dot)
    if logged is not None:
        return logged.head
    kept = records.get(HEAD, dot)
    return None if kept is None else kept.head


# In.


async def receive(
    account: AccountReplica,
    batch: bytes,
    stated: Checkpoint | None = None,
    lost: frozenset[bytes] = frozenset(),
) -> Taken:
    """
    Takes a batch of a peer, and what it states; durable on return.

    *lost* are hashes of bodies that no replica has any more: messages come without them. Raises
    `No` with UNAVAILABLE.
    """
    account.require()
    try:
        segments = decode_batch(batch)
    except ValueError:
        return Taken(refused=Trouble.MALFORMED)
    refused = _check(account, segments, stated)
    if refused is not None:
        return refused
    # Bodies of what is here already may be gone by now, everywhere: they are not asked for again.
    known = account.commits.staged.records.account().vv
    ops = [op for segment in segments for op in segment.ops if not covers(known, op.dot)]
    missing = missing_bodies(account, ops, lost)
    if missing:
        ops = _before_missing(ops, missing)
    tx = await account.receive(ops, None if missing else stated)
    return Taken(tx.taken, tuple(missing.items()), tx.ahead)


def _check(
    account: AccountReplica, segments: Sequence[Segment], stated: Checkpoint | None
) -> Taken | None:
    records, rules, own = account.commits.records, account.site.rules, account.site.slot
    known = account.commits.staged.records.account().vv
    if stated is not None and seq_of(stated.vector, own) > seq_of(known, own):
        return Taken(refused=Trouble.BEHIND, slot=own)
    for segment in segments:
        slot = segment.ops[0].dot & SLOT_MASK
        seq = (segment.ops[0].dot >> SLOT_BITS) - 1
        if slot == own and seq + len(segment.ops) > seq_of(known, own):
            return Taken(refused=Trouble.BEHIND, slot=own)
        if segment.head and seq <= seq_of(known, slot):
            head = head_at(records, rules, slot, seq)
            if head is not None and head != segment.head:
                return Taken(refused=Trouble.FORKED, slot=slot)
    return None


def missing_bodies(
    account: AccountReplica, ops: Sequence[Op], lost: frozenset[bytes]
) -> dict[bytes, int]:
    """The bodies that *ops* need and that are not here, by hash, with their sizes."""
    wanted: dict[bytes, int] = {}
    for op in ops:
        if isinstance(op.body, Add):
            for message in op.body.messages:
                if message.blob not in lost:
                    wanted[message.blob] = message.size
    hashes = list(wanted)
    for at in range(0, len(hashes), _HASHES):
        some = hashes[at : at + _HASHES]
        some += some[-1:] * (_HASHES - len(some))
        for (found,) in account.ground.shard.read(_HERE, some):
            del wanted[found]
    return wanted


def _before_missing(ops: Sequence[Op], missing: dict[bytes, int]) -> list[Op]:
    taken = []
    for op in ops:
        if isinstance(op.body, Add) and any(m.blob in missing for m in op.body.messages):
            break
        taken.append(op)
    return taken


# Comparing.


async def digest(account: AccountReplica) -> Digest:
    """The digest of all that clients can see. Raises `No` with UNAVAILABLE."""
    stored = account.commits.stored
    hashed = blake2b(digest_size=16)
    for name in sorted(stored.names()):
        boxes = group(stored, name)
        if not boxes:
            continue
        uses = sorted({use for box in boxes for use in box.use})
        hashed.update(repr((name, boxes[0].v, uses)).encode())
        mailbox = await account.mailboxes.open(MailboxName(name))
        columns = mailbox.columns
        uids = columns.uids()
        for uid, email, flags in zip(
            uids, columns.email_ids(uids), columns.flags(uids), strict=True
        ):
            hashed.update(f"{uid} {email} {' '.join(sorted(map(str.lower, flags)))}\n".encode())
        account.mailboxes.left(mailbox)
        await account.site.waiting.pause()
    name = ""
    while found := stored.subscriptions_after(name, _SLICE):
        name = found[-1].name
        for subscription in found:
            if any(entry & 1 for entry in subscription.entries):
                hashed.update(f"{subscription.name}\n".encode())
    return Digest(stored.scalars.vv, account.rules.is_busy(stored), hashed.digest())
