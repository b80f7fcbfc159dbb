# SPDX-License-Identifier: GPL-3.0-or-later
"""
Operations as octets, version 1: the canonical form of one, and batches.

The **canonical** form is what the log keeps and the chain hashes; equal operations have equal
octets. In a **batch** each operation is written as the difference from the one before it of the
same origin. In both, pids that follow each other are runs, and so are UIDs: a bulk claim of a
thousand messages takes some tens of octets.

The decoders take whatever a peer sends: they answer with the operations or raise `ValueError`, in
memory bounded by the constants here. A kind of operation that is not known is an error and never
skipped, since everything after it may depend on it. docs/spec/ops.md and batches.md.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import msgspec
from msgspec import Struct

from pluto_tw.crdt.dots import (
    EMPTY,
    SEQ_MAX,
    SLOT_BITS,
    SLOT_MASK,
    SLOTS_MAX,
    Vector,
    make_dot,
    raised,
)
from pluto_tw.crdt.ops import (
    MESSAGES_MAX,
    OCTETS_MAX,
    Add,
    Annotate,
    Bn,
    Body,
    Cl,
    Del,
    Ep,
    Exp,
    FlagChange,
    MemberAdd,
    MemberRemove,
    Mk,
    Mv,
    Op,
    Ren,
    Rv,
    St,
    Sub,
    pids_of,
)
from pluto_tw.crdt.pids import MOVED_OCTETS, PID_SEQ_MAX, birth_of, birth_pid, is_pid
from pluto_tw.crdt.validate import check_body, check_vector

VERSION: Final = 1

#: Octets of a batch that a sender aims at: measured best on TLS links. One operation more may be
#: in it than fits.
BATCH_OCTETS: Final = 128 * 1024
BATCH_OCTETS_MAX: Final = BATCH_OCTETS + OCTETS_MAX + 64 * 1024

#: Messages that the operations of one batch name together: runs are short, what they stand for is
#: not, so the receiver's memory is bounded by this.
BATCH_MESSAGES_MAX: Final = 64 * 1024

_INDEX_MAX = 2**32 - 1

#: A pid of a MOVE, or (slot, seq, index, count, step): *count* pids from that one on, each with the
#: next index (step 0) or the next seq (step 1).
_PidRun = bytes | tuple[int, int, int, int, int]
_Runs = tuple[_PidRun, ...]
#: (distance from the end of the run before, count - 1) for runs of ascending numbers, flattened.
_Numbers = tuple[int, ...]


class _Exp(Struct, frozen=True, array_like=True, tag=6):
    pids: _Runs


class _Mv(Struct, frozen=True, array_like=True, tag=7):
    bid: int
    pids: _Runs
    #: How many pids in a row have the same flags.
    flags: tuple[tuple[int, tuple[str, ...]], ...]


class _St(Struct, frozen=True, array_like=True, tag=8):
    changes: tuple[tuple[str, bool, _Runs], ...]
    keep: bool


class _Cl(Struct, frozen=True, array_like=True, tag=9):
    bid: int
    gen: int
    epoch: int
    pids: _Runs
    uids: _Numbers


class _Bn(Struct, frozen=True, array_like=True, tag=10):
    bid: int
    gen: int
    unext: int
    pids: _Runs
    claims: _Numbers


_Plain = Mk | Rv | Ren | Del | Add | Sub | Annotate | Ep | MemberAdd | MemberRemove
_Packed = _Plain | _Exp | _Mv | _St | _Cl | _Bn


class _Canonical(Struct, frozen=True, array_like=True):
    version: int
    dot: int
    hlc: int
    vector: tuple[int, ...]
    body: _Packed


class _Step(Struct, frozen=True, array_like=True):
    """An operation after the one before it of its origin."""

    later: int
    #: (slot, how many more) of all other origins, flattened.
    more: tuple[int, ...]
    body: _Packed


class _Segment(Struct, frozen=True, array_like=True):
    """Operations of one origin, after *seq*, where the chain's hash is *head*."""

    slot: int
    seq: int
    head: bytes
    steps: tuple[_Step, ...]


class _Batch(Struct, frozen=True, array_like=True):
    version: int
    segments: tuple[_Segment, ...]


class Segment(Struct, frozen=True):
    """Operations of one origin in a row; *head* is the chain's hash before the first."""

    head: bytes
    ops: tuple[Op, ...]


_encode = msgspec.msgpack.Encoder().encode
_canonical = msgspec.msgpack.Decoder(_Canonical)
_batch = msgspec.msgpack.Decoder(_Batch)


# One operation.


def encode_op(op: Op) -> bytes:
    """The canonical form of *op*."""
    return _encode(_Canonical(VERSION, op.dot, op.hlc, op.vector, _pack(op.body)))


def decode_op(data: bytes) -> Op:
    """The operation whose canonical form is *data*. Raises `ValueError`."""
    if len(data) > OCTETS_MAX:
        raise ValueError("an operation of too many octets")
    found = _canonical.decode(data)
    if found.version != VERSION:
        raise ValueError(f"operations of version {found.version} are not known")
    op = Op(found.dot, found.hlc, found.vector, _unpack(found.body))
    _check(op)
    return op


# Batches.


def encode_batch(segments: Iterable[Segment]) -> bytes:
    """A batch of *segments*, to be applied in this order."""
    before: dict[int, tuple[int, Vector]] = {}
    packed = []
    for segment in segments:
        slot = segment.ops[0].dot & SLOT_MASK
        seq = (segment.ops[0].dot >> SLOT_BITS) - 1
        steps = []
        for op in segment.ops:
            hlc, vector = before.get(slot, (0, EMPTY))
            steps.append(_Step(op.hlc - hlc, _difference(vector, op, slot), _pack(op.body)))
            before[slot] = op.hlc, op.vector
        packed.append(_Segment(slot, seq, segment.head, tuple(steps)))
    return _encode(_Batch(VERSION, tuple(packed)))


def decode_batch(data: bytes) -> list[Segment]:
    """The segments of a batch. Raises `ValueError`."""
    if len(data) > BATCH_OCTETS_MAX:
        raise ValueError("a batch of too many octets")
    found = _batch.decode(data)
    if found.version != VERSION:
        raise ValueError(f"batches of version {found.version} are not known")
    before: dict[int, tuple[int, Vector]] = {}
    messages = 0
    segments = []
    for segment in found.segments:
        slot, seq = segment.slot, segment.seq
        if not (0 <= slot < SLOTS_MAX and 0 <= seq <= SEQ_MAX - len(segment.steps)):
            raise ValueError("a segment of no origin")
        ops = []
        for step in segment.steps:
            hlc, vector = before.get(slot, (0, EMPTY))
            hlc += step.later
            vector = _followed(raised(vector, slot, seq), step.more, slot)
            seq += 1
            body = _unpack(step.body)
            messages += len(body.messages) if isinstance(body, Add) else len(pids_of(body))
            if messages > BATCH_MESSAGES_MAX + MESSAGES_MAX:
                raise ValueError("a batch that names too many messages")
            op = Op(make_dot(slot, seq), hlc, vector, body)
            _check(op)
            ops.append(op)
            before[slot] = hlc, vector
        segments.append(Segment(segment.head, tuple(ops)))
    return segments


def batches(segments: Iterable[Segment]) -> Iterator[list[Segment]]:
    """
    *segments* cut into batches of about `BATCH_OCTETS`, each with at least one operation.

    The head of a segment is known at its first operation only, so a segment is not cut: give those
    that may stand alone, of one operation each if need be.
    """
    batch: list[Segment] = []
    octets = 0
    messages = 0
    for segment in segments:
        size = len(_encode(tuple(_pack(op.body) for op in segment.ops)))
        named = sum(
            len(op.body.messages) if isinstance(op.body, Add) else len(pids_of(op.body))
            for op in segment.ops
        )
        if batch and (octets + size > BATCH_OCTETS or messages + named > BATCH_MESSAGES_MAX):
            yield batch
            batch, octets, messages = [], 0, 0
        batch.append(segment)
        octets += size
        messages += named
    if batch:
        yield batch


def _difference(before: Vector, op: Op, slot: int) -> tuple[int, ...]:
    flat: list[int] = []
    length = len(before)
    for origin, seq in enumerate(op.vector):
        more = seq - (before[origin] if origin < length else 0)
        if origin != slot and more:
            flat += (origin, more)
    return tuple(flat)


def _followed(vector: Vector, more: tuple[int, ...], slot: int) -> Vector:
    if len(more) % 2 or len(more) > 2 * SLOTS_MAX:
        raise ValueError("a vector's difference that is none")
    for origin, count in zip(more[::2], more[1::2], strict=True):
        if not 0 <= origin < SLOTS_MAX or origin == slot or not 0 < count <= SEQ_MAX:
            raise ValueError("a vector's difference that is none")
        seq = (vector[origin] if origin < len(vector) else 0) + count
        vector = raised(vector, origin, seq)
    return vector


def _check(op: Op) -> None:
    seq = op.dot >> SLOT_BITS
    if not (0 < seq <= PID_SEQ_MAX and 0 <= op.hlc < 2**63):
        raise ValueError("an operation with no such name or stamp")
    check_vector(op.vector)
    if (op.vector[op.dot & SLOT_MASK] if (op.dot & SLOT_MASK) < len(op.vector) else 0) != seq - 1:
        raise ValueError("an operation that does not follow its origin's last one")
    check_body(op.body)


# Bodies.


def _pack(body: Body) -> _Packed:
    if isinstance(body, Cl):
        return _Cl(body.bid, body.gen, body.epoch, _runs(body.pids), _numbers(body.uids))
    if isinstance(body, St):
        changes = tuple((c.flag, c.value, _runs(c.pids)) for c in body.changes)
        return _St(changes, body.keep)
    if isinstance(body, Exp):
        return _Exp(_runs(body.pids))
    if isinstance(body, Mv):
        return _Mv(body.bid, _runs(body.pids), _flag_runs(body.flags))
    if isinstance(body, Bn):
        return _Bn(body.bid, body.gen, body.unext, _runs(body.pids), _numbers(body.claims))
    return body


def _unpack(body: _Packed) -> Body:
    if isinstance(body, _Cl):
        pids = _pids(body.pids)
        uids = _expanded(body.uids, len(pids))
        return Cl(body.bid, body.gen, body.epoch, pids, uids)
    if isinstance(body, _St):
        budget = MESSAGES_MAX
        changes = []
        for flag, value, runs in body.changes:
            pids = _pids(runs, budget)
            budget -= len(pids)
            changes.append(FlagChange(flag, value, pids))
        return St(tuple(changes), body.keep)
    if isinstance(body, _Exp):
        return Exp(_pids(body.pids))
    if isinstance(body, _Mv):
        pids = _pids(body.pids)
        return Mv(body.bid, pids, _flags(body.flags, len(pids)))
    if isinstance(body, _Bn):
        pids = _pids(body.pids)
        claims = _expanded(body.claims, len(pids))
        return Bn(body.bid, body.gen, body.unext, pids, claims)
    return body


def _runs(pids: Sequence[bytes]) -> _Runs:
    runs: list[_PidRun] = []
    slot = seq = index = step = -1
    count = 0
    for pid in pids:
        birth = birth_of(pid)
        if birth is None:
            if count:
                runs.append((slot, seq, index, count, max(step, 0)))
                count = 0
            runs.append(pid)
            continue
        origin, at = birth[0] & SLOT_MASK, birth[0] >> SLOT_BITS
        if count and origin == slot:
            if step != 1 and at == seq and birth[1] == index + count:
                step = 0
                count += 1
                continue
            if step != 0 and birth[1] == index and at == seq + count:
                step = 1
                count += 1
                continue
        if count:
            runs.append((slot, seq, index, count, max(step, 0)))
        slot, seq, index, step, count = origin, at, birth[1], -1, 1
    if count:
        runs.append((slot, seq, index, count, max(step, 0)))
    return tuple(runs)


def _pids(runs: _Runs, most: int = MESSAGES_MAX) -> tuple[bytes, ...]:
    pids: list[bytes] = []
    for run in runs:
        if isinstance(run, bytes):
            if len(run) != MOVED_OCTETS or not is_pid(run):
                raise ValueError("a message of no such name")
            pids.append(run)
        else:
            slot, seq, index, count, step = run
            if not (0 <= slot < SLOTS_MAX and 0 < count <= most - len(pids) and 0 <= step <= 1):
                raise ValueError("a run of messages that is none")
            if not (0 < seq <= PID_SEQ_MAX - count and 0 <= index <= _INDEX_MAX - count):
                raise ValueError("a run of messages out of range")
            if step:
                pids += [birth_pid(make_dot(slot, seq + i), index) for i in range(count)]
            else:
                dot = make_dot(slot, seq)
                pids += [birth_pid(dot, index + i) for i in range(count)]
        if len(pids) > most:
            raise ValueError("an operation that names too many messages")
    return tuple(pids)


def _numbers(numbers: Sequence[int]) -> _Numbers:
    flat: list[int] = []
    end = 0
    for number in numbers:
        if flat and number == end + 1:
            flat[-1] += 1
        else:
            flat += (number - end, 0)
        end = number
    return tuple(flat)


def _expanded(flat: _Numbers, count: int) -> tuple[int, ...]:
    if len(flat) % 2:
        raise ValueError("numbers that are none")
    numbers: list[int] = []
    end = 0
    for distance, more in zip(flat[::2], flat[1::2], strict=True):
        start = end + distance
        if not (0 <= more < count - len(numbers) and 0 < start < 2**63 - more):
            raise ValueError("numbers out of range")
        numbers.extend(range(start, start + more + 1))
        end = start + more
    if len(numbers) != count:
        raise ValueError("another number of numbers than of messages")
    return tuple(numbers)


def _flag_runs(flags: Sequence[tuple[str, ...]]) -> tuple[tuple[int, tuple[str, ...]], ...]:
    runs: list[tuple[int, tuple[str, ...]]] = []
    for these in flags:
        if runs and runs[-1][1] == these:
            runs[-1] = runs[-1][0] + 1, these
        else:
            runs.append((1, these))
    return tuple(runs)


def _flags(
    runs: tuple[tuple[int, tuple[str, ...]], ...], count: int
) -> tuple[tuple[str, ...], ...]:
    flags: list[tuple[str, ...]] = []
    for times, these in runs:
        if not 0 < times <= count - len(flags):
            raise ValueError("flags of no message")
        flags.extend([these] * times)
    if len(flags) != count:
        raise ValueError("messages without flags")
    return tuple(flags)
