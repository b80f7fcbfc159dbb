# SPDX-License-Identifier: GPL-3.0-or-later
"""
Batches of operations that come to an account from a peer, and what the peer states.

What comes is checked first: against the chain of each origin (`statements.py`), for origins that
are not known yet, and for bodies that are not here. The rest is taken in transactions of a bounded
size, between which others run. What comes is never trusted to be well formed, and never raises.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from pluto_tw.account.incoming import BodyLink
from pluto_tw.account.replica import AccountReplica
from pluto_tw.account.statements import Trouble, check
from pluto_tw.crdt.codec import decode_batch
from pluto_tw.crdt.dots import SLOT_MASK, covers
from pluto_tw.crdt.joining import LOADING
from pluto_tw.crdt.ops import Add, Op, pids_of
from pluto_tw.crdt.resync import Checkpoint
from pluto_tw.crdt.validate import check_vector

#: Operations that one transaction takes, and messages that they name: 10-20 ms of the event loop.
TAKEN_MAX: Final = 64
NAMED_MAX: Final = 512

#: Missing bodies that one answer names: enough for many seconds of sending, and 20 KiB.
MISSING_MAX: Final = 512


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
    refusal = check(account, segments, stated)
    if refusal is not None:
        return Taken(refused=refusal.trouble, slot=refusal.slot)
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
        account.ground.bodies.unpin(pinned)
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
