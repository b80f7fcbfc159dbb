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
from typing import Final

from pluto_tw.account.incoming import BodyLink
from pluto_tw.account.replica import AccountReplica
from pluto_tw.crdt.chain import next_head
from pluto_tw.crdt.codec import (
    Segment,
    batches,
    decode_batch,
    decode_op,
    encode_batch,
    encode_op,
)
from pluto_tw.crdt.dots import (
    EMPTY,
    SLOT_BITS,
    SLOT_MASK,
    Vector,
    covers,
    is_below,
    raised,
    seq_of,
)
from pluto_tw.crdt.joining import LOADING
from pluto_tw.crdt.log import head_at
from pluto_tw.crdt.ops import Add, Op, pids_of
from pluto_tw.crdt.records import PEER, Logged, Records
from pluto_tw.crdt.resync import Checkpoint
from pluto_tw.crdt.validate import check_vector

#: Operations that one read of the log gives.
_SLICE: Final = 64

#: Octets of operations after which a segment ends: batches are cut between segments.
_SEGMENT_OCTETS: Final = 32 * 1024

#: Operations that one transaction takes, and messages that they name: 10-20 ms of the event loop.
TAKEN_MAX: Final = 64
NAMED_MAX: Final = 512

#: Missing bodies that one answer names: enough for many seconds of sending, and 20 KiB.
MISSING_MAX: Final = 512


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
class Taken:
    """
    What became of a batch: so many *operations* were new and are durable.

    *missing*: (hash, size) of bodies without which the rest cannot be taken, the first
    `MISSING_MAX`; *coming*: the same of those that another link brings. *ahead*: the rest is
    stamped too far in the future; hold it, raise an alarm, try again. *unknown*: the slot of an
    origin whose replica id is not known yet; hold the rest, exchange tables of members. *loading*:
    nothing is taken while a snapshot is. *refused*: nothing was taken; *slot* is the origin that it
    is about.
    """

    operations: int = 0
    missing: tuple[tuple[bytes, int], ...] = ()
    coming: tuple[tuple[bytes, int], ...] = ()
    ahead: bool = False
    unknown: int | None = None
    loading: bool = False
    refused: Trouble | None = None
    slot: int = 0


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
    if scalars.gate is not None:
        return iter(())
    if any(seq_of(known, slot) < seq for slot, seq in enumerate(scalars.base)):
        return None
    return (encode_batch(some) for some in batches(_segments(account, known, scalars.vv)))


class Lack(Enum):
    """Why there is no batch for a peer."""

    #: It has everything, or this replica is being loaded itself and sends nothing.
    NOTHING = "nothing"
    #: What it lacks is in the log no longer: it needs a snapshot. See `next_batch`.
    PRUNED = "pruned"


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A *batch*; who applies it has *reached* then."""

    batch: bytes
    reached: Vector


def next_batch(account: AccountReplica, known: Vector, slot: int | None = None) -> Outgoing | Lack:
    """
    One batch of what is durable here and who has *known* lacks, in an order to be applied in.

    With *slot*: of that origin's operations alone, whether or not *known* has what they have seen.
    `Lack.PRUNED` to a peer that has operations at all means that it was put back: a member in
    service had acknowledged all that was pruned. Raises `ShardFailed`.
    """
    scalars = account.commits.stored.scalars
    if scalars.gate is not None:
        return Lack.NOTHING
    origins = range(len(scalars.vv)) if slot is None else (slot,)
    if any(seq_of(known, origin) < seq_of(scalars.base, origin) for origin in origins):
        return Lack.PRUNED
    until = scalars.vv
    if slot is not None:
        until = raised(EMPTY, slot, seq_of(scalars.vv, slot))
    segments = next(batches(_segments(account, known, until, alone=slot is not None)), None)
    if segments is None:
        return Lack.NOTHING
    reached = known
    for segment in segments:
        dot = segment.ops[-1].dot
        reached = raised(reached, dot & SLOT_MASK, dot >> SLOT_BITS)
    return Outgoing(encode_batch(segments), reached)


def acknowledged(account: AccountReplica, slot: int) -> Vector:
    """What the member *slot* has acknowledged, as far as it counts for stability."""
    peer = account.commits.staged.records.get(PEER, slot)
    return EMPTY if peer is None else peer.ack


def _segments(
    account: AccountReplica, known: Vector, until: Vector, *, alone: bool = False
) -> Iterator[Segment]:
    """
    The operations from *known* to *until*, each after all that it has seen; *alone*: those of one
    origin, whatever they have seen.
    """
    records, rules = account.commits.stored, account.site.rules
    logs = {
        slot: _logged(records, slot, seq_of(known, slot), until[slot])
        for slot in range(len(until))
        if seq_of(known, slot) < until[slot]
    }
    heads: dict[int, tuple[Logged, Op]] = {}
    before: dict[int, bytes] = {}
    for slot, log in list(logs.items()):
        before[slot] = head_at(rules, records, slot, seq_of(known, slot)) or b""
        _advance(heads, logs, slot, log)

    def is_ready(slot: int) -> bool:
        return slot in heads and (alone or is_below(heads[slot][1].vector, known))

    while heads:
        # Of those that were applied here first one can be applied next, wherever it goes.
        ready = [slot for slot in heads if is_ready(slot)]
        assert ready, "the log holds all that its operations have seen"
        slot = min(ready, key=lambda slot: heads[slot][0].msq)
        ops: list[Op] = []
        octets = 0
        head = before[slot]
        while is_ready(slot) and len(ops) < _SLICE and octets < _SEGMENT_OCTETS:
            logged, op = heads[slot]
            ops.append(op)
            octets += len(logged.data)
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


# In.


async def receive(
    account: AccountReplica,
    batch: bytes,
    stated: Checkpoint | None = None,
    lost: frozenset[bytes] = frozenset(),
    link: BodyLink | None = None,
) -> Taken:
    """
    Takes a batch of a peer, if not empty, and what it states; durable on return.

    In transactions of some operations each, between which others run. *lost* are hashes of bodies
    that no replica has any more: messages come without them. What is missing is asked for over
    *link*, unless another one brings it. Statements that show this replica to be put back halt the
    account. Raises `No` with UNAVAILABLE.
    """
    account.require()
    try:
        segments = decode_batch(batch) if batch else []
        if stated is not None:
            check_vector(stated.vector)
    except ValueError:
        return Taken(refused=Trouble.MALFORMED)
    if account.commits.staged.records.account().gate == LOADING:
        # Operations would be taken for the first ones of all.
        return Taken(loading=True)
    refused = _check(account, segments, stated)
    if refused is not None:
        return refused
    # Bodies of what is here already may be gone by now, everywhere: they are not asked for again.
    known = account.commits.staged.records.account().vv
    ops = [op for segment in segments for op in segment.ops if not covers(known, op.dot)]
    unknown = _unknown(account, ops)
    missing = missing_bodies(account, ops, lost)
    if missing:
        ops = _before_missing(ops, missing)
    pinned = _pin(account, ops, lost)
    try:
        taken, ahead = await _apply(account, ops, None if missing else stated)
    finally:
        for hash in pinned:
            account.ground.bodies.unpin(hash)
    asked, coming = list(missing.items()), list[tuple[bytes, int]]()
    if link is not None:
        now = account.commits.stored.scalars.vv
        done = (op for segment in segments for op in segment.ops if covers(now, op.dot))
        link.release(account, {hash for op in done for hash in _bodies_of(op)})
        asked, coming = link.shared(account, missing)
    return Taken(taken, tuple(asked[:MISSING_MAX]), tuple(coming[:MISSING_MAX]), ahead, unknown)


async def _apply(
    account: AccountReplica, ops: Sequence[Op], stated: Checkpoint | None
) -> tuple[int, bool]:
    """Takes *ops* in slices, and *stated* with the last; how many, and whether one is ahead."""
    taken = 0
    at = 0
    while True:
        named, end = 0, at
        while end < len(ops) and end - at < TAKEN_MAX and named < NAMED_MAX:
            named += _named(ops[end])
            end += 1
        is_last = end == len(ops)
        tx = await account.receive(ops[at:end], stated if is_last else None)
        taken += tx.taken
        if tx.ahead or is_last:
            return taken, tx.ahead
        at = end
        await account.site.waiting.pause()


def _named(op: Op) -> int:
    """How many messages *op* makes or names."""
    return len(op.body.messages) if isinstance(op.body, Add) else len(pids_of(op.body))


def _bodies_of(op: Op) -> list[bytes]:
    return [m.blob for m in op.body.messages] if isinstance(op.body, Add) else []


def _pin(account: AccountReplica, ops: Sequence[Op], lost: frozenset[bytes]) -> list[bytes]:
    """Pins what *ops* name: nobody may refer to it yet. To be unpinned when they are durable."""
    hashes = {hash for op in ops for hash in _bodies_of(op)} - lost
    return [hash for hash in hashes if account.ground.bodies.pin(hash)]


def _unknown(account: AccountReplica, ops: list[Op]) -> int | None:
    """
    Leaves of *ops* what comes before the first one of a replica whose id is not known: its chain
    of hashes begins with the id. The slot of that replica; None if all are known.
    """
    for at, op in enumerate(ops):
        slot = op.dot & SLOT_MASK
        if not account.site.members.is_known(slot):
            del ops[at:]
            return slot
    return None


def compare(account: AccountReplica, stated: Checkpoint, *, first: bool = False) -> Trouble | None:
    """
    What is wrong with what a peer states. *first*: on a new link, after which it states no less.

    Halts the account if this replica was put back.
    """
    if first and not is_below(acknowledged(account, stated.slot), stated.vector):
        return Trouble.FORGOT
    refused = _check(account, (), stated)
    return None if refused is None else refused.refused


def _check(
    account: AccountReplica, segments: Sequence[Segment], stated: Checkpoint | None
) -> Taken | None:
    own = account.site.slot
    known = account.commits.staged.records.account().vv
    peer = None if stated is None else stated.slot
    if stated is not None and seq_of(stated.vector, own) > seq_of(known, own):
        return _refused(account, Trouble.BEHIND, own, peer)
    for segment in segments:
        slot = segment.ops[0].dot & SLOT_MASK
        seq = segment.ops[0].dot >> SLOT_BITS
        if slot == own and seq - 1 + len(segment.ops) > seq_of(known, own):
            return _refused(account, Trouble.BEHIND, own, peer)
        if not _continues(account, segment, slot, seq):
            return _refused(account, Trouble.FORKED, slot, peer)
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


def _refused(account: AccountReplica, trouble: Trouble, slot: int, peer: int | None) -> Taken:
    if slot == account.site.slot:
        account.halt(f"another history of this replica is known elsewhere: {trouble.value}", peer)
    return Taken(refused=trouble, slot=slot)


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
    return lacking(account, wanted)


def lacking(account: AccountReplica, wanted: dict[bytes, int]) -> dict[bytes, int]:
    """Those of *wanted*, sizes by hash, that are not here."""
    here = account.ground.bodies.here(list(wanted))
    return {hash: size for hash, size in wanted.items() if hash not in here}


def _before_missing(ops: Sequence[Op], missing: dict[bytes, int]) -> list[Op]:
    taken = []
    for op in ops:
        if isinstance(op.body, Add) and any(m.blob in missing for m in op.body.messages):
            break
        taken.append(op)
    return taken
