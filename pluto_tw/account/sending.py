# SPDX-License-Identifier: GPL-3.0-or-later
"""
Batches of operations that leave an account for a peer.

They are in an order in which each operation can be applied as it comes, and are read from the log
slice by slice, so that a peer that is far behind costs no memory. Only what is durable here leaves.
How batches travel, and to whom, is `pluto_tw.replication`'s; bodies go by themselves, before
(`incoming.py`).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Final

from pluto_tw.account.replica import AccountReplica
from pluto_tw.crdt.codec import Segment, batches, decode_op, encode_batch
from pluto_tw.crdt.dots import EMPTY, SLOT_BITS, SLOT_MASK, Vector, is_below, raised, seq_of
from pluto_tw.crdt.log import head_at
from pluto_tw.crdt.ops import Op
from pluto_tw.crdt.records import Logged, Records

#: Operations that one read of the log gives.
_SLICE: Final = 64

#: Octets of operations after which a segment ends: batches are cut between segments.
_SEGMENT_OCTETS: Final = 32 * 1024


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
        if not ready:
            # Some of it was pruned just now, which is told in a moment: then it is `PRUNED`.
            return
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
