# SPDX-License-Identifier: GPL-3.0-or-later
"""
The one place where an event becomes a transaction.

A `Replica` is one account at one replica. Each method takes the records as of now, committed or
staged, and the moment, and gives the transaction that the event amounts to, with everything that
follows from it: claims, bounces, what is exposed, mod-sequences. The caller commits it whole and
tells nobody before; or drops it, with all that were computed on it.

What stands in `Replica` itself is volatile: who announced what, and since when something is
outstanding. It is rebuilt from nothing after a crash. Call `committed` for each transaction that is
durable.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Final, TypeVar

from msgspec import Struct

from pluto_tw.crdt import clock, exposure, joining, resync, stability
from pluto_tw.crdt.dots import (
    SLOT_BITS,
    SLOT_MASK,
    Vector,
    is_below,
    seq_of,
)
from pluto_tw.crdt.exposure import Situation
from pluto_tw.crdt.log import apply, emit
from pluto_tw.crdt.mailboxes import SLICE, regroup
from pluto_tw.crdt.ops import Ep, Op
from pluto_tw.crdt.records import (
    ACCOUNT,
    INBOX_BID,
    NOWHERE,
    PEER,
    PENDING,
    PLACEMENT,
    AccountRecord,
    Records,
)
from pluto_tw.crdt.resync import Checkpoint
from pluto_tw.crdt.rules import Rules
from pluto_tw.crdt.snapshot import Header, Piece, Trailer
from pluto_tw.crdt.transaction import Transaction
from pluto_tw.mail.codes import UNAVAILABLE
from pluto_tw.mail.errors import No

T = TypeVar("T")

#: How long what a peer announced makes the sequencer wait for it, and how long it waits after its
#: start: three heartbeats.
RECENT_SECONDS: Final = 3.0

#: After this many waits in vain a replica gives provisional claims at once, until a claim of the
#: sequencer comes in time again.
VAIN_WAITS_MAX: Final = 3

#: A claim of the sequencer that comes within this would have been worth waiting for.
ANSWER_SECONDS: Final = 0.4

#: How long something is outstanding before somebody takes the sequencing over.
TAKE_OVER_SECONDS: Final = 5.0


class Moment(Struct, frozen=True):
    """
    When an event happens: the wall clock in POSIX milliseconds, a clock that never goes back in
    seconds, and the slots whose nodes were heard within three heartbeats.
    """

    unix_ms: int
    seconds: float
    heard: frozenset[int] = frozenset()


class Replica:
    """
    One account at the replica *slot*.

    *members* are the slots of all others that count for stability; the caller changes it, and
    `pins`, while nothing of the account is staged: what is staged may fold by the old ones. *rank*
    and *jitter* (seconds) tell replicas apart that would take over sequencing at once.
    """

    def __init__(
        self,
        slot: int,
        members: Iterable[int],
        rules: Rules | None = None,
        *,
        started: float = -RECENT_SECONDS,
        rank: int | None = None,
        jitter: float = 0.0,
    ) -> None:
        self.slot = slot
        self.members = frozenset(members) - {slot}
        self.rules = rules or Rules()
        #: What was stable when a snapshot began, for each slot that takes one: `stability.fold`.
        self.pins: dict[int, Vector] = {}
        #: How many members take the sequencing over before this one does.
        self.rank = slot if rank is None else rank
        self._started = started
        self._jitter = jitter
        self._announced: dict[int, tuple[Vector, float]] = {}
        self._since: dict[bytes, float] = {}
        self._waiting: set[bytes] = set()
        self._vain_waits = 0
        #: When this replica's own messages got provisional claims at once; no older than
        #: `ANSWER_SECONDS`.
        self._unwaited: dict[bytes, float] = {}

    # Events.

    def command(
        self, records: Records, now: Moment, run: Callable[[Rules, Transaction], T]
    ) -> tuple[Transaction, T]:
        """
        A client's command, or mail that arrives: *run* is one of `commands.py` with its arguments.

        Raises `No`; UNAVAILABLE while the replica loads a snapshot.
        """
        tx = self._begin(records, now)
        if not self.rules.serves(tx.account()):
            raise No(UNAVAILABLE, "this account is being copied to this replica")
        result = run(self.rules, tx)
        tx.mine = dict(tx.created)
        self._finish(tx, now)
        return tx, result

    def receive(
        self, records: Records, now: Moment, ops: Sequence[Op], checkpoint: Checkpoint | None = None
    ) -> Transaction:
        """
        Operations from a peer, and what it states of itself.

        Taken is each that is the next of its origin and whose context is here; the others are
        left for when they are sent again. Nothing is taken from the first on that is stamped more
        than an hour ahead: `Transaction.ahead`. Raises `Missing` for what no replica may send.
        """
        latest = clock.stamp_of(now.unix_ms + clock.AHEAD_MS_MAX)
        above = max((op.hlc for op in ops if op.hlc <= latest), default=0)
        tx = self._begin(records, now, above)
        left = list(ops)
        progress = True
        while left and progress:
            progress = False
            waiting: list[Op] = []
            for op in left:
                if op.hlc > latest:
                    tx.ahead = True
                    waiting.clear()
                    progress = False
                    break
                verdict = self._is_next(tx, op)
                if verdict is None:
                    waiting.append(op)
                elif verdict:
                    apply(self.rules, tx, op)
                    tx.taken += 1
                    progress = True
            left = waiting
        if checkpoint is not None:
            self._announced[checkpoint.slot] = checkpoint.vector, now.seconds
        self._finish(tx, now)
        if checkpoint is not None and tx.account().gate is None:
            resync.note_checkpoint(self.rules, tx, checkpoint)
            self._note_stable(tx)
        return tx

    def wait_ended(self, records: Records, now: Moment, pids: Iterable[bytes]) -> Transaction:
        """
        The wait of placements made here is over: those without a claim get a provisional one.

        Others are left alone. See `Transaction.waits` and `unclaimed`.
        """
        tx = self._begin(records, now)
        self._finish(tx, now, expired=frozenset(pids))
        return tx

    def tick(self, records: Records, now: Moment) -> Transaction:
        """
        Goes on with what is left: boxes to be walked, sequencing, taking it over, opening after a
        snapshot. To be called each second while `is_busy`, and at once after `Transaction.more`.
        """
        tx = self._begin(records, now)
        account = tx.account()
        for pending in records.pending(0, SLICE):
            # After a start the times begin again.
            self._since.setdefault(pending.pid, now.seconds)
        if account.gate is None and self._is_take_over_due(account, now):
            counter = (account.sequencer >> SLOT_BITS) + 1
            emit(self.rules, tx, Ep(counter << SLOT_BITS | self.slot))
        self._finish(tx, now, walk=True)
        return tx

    def hand_over(self, records: Records, now: Moment, successor: int) -> Transaction:
        """Makes *successor* the sequencer; it should be where most mail arrives."""
        tx = self._begin(records, now)
        counter = (tx.account().sequencer >> SLOT_BITS) + 1
        emit(self.rules, tx, Ep(counter << SLOT_BITS | successor))
        self._finish(tx, now)
        return tx

    def forget_peer(self, records: Records, now: Moment, slot: int) -> Transaction:
        """
        After the forced removal of *slot*: what it told is worth nothing, since clients may have
        seen operations that died with it. They get full answers.
        """
        tx = self._begin(records, now)
        tx.delete(PEER, slot)
        self._announced.pop(slot, None)
        return tx

    def fold(
        self,
        records: Records,
        now: Moment,
        pinned: Callable[[bytes], bool] = lambda pid: False,
        limit: int = stability.FOLD_MAX,
    ) -> Transaction:
        """
        Folds a slice of what has become stable; see `stability.fold`.

        Where sessions show messages, *records* are the committed ones, with nothing staged above
        them: what vanishes in what is staged is still shown, and would be gone with it.
        """
        tx = self._begin(records, now)
        if tx.account().gate is None:
            self._note_stable(tx)
            stability.fold(tx, self.pins.values(), pinned, limit)
        return tx

    def prune(self, records: Records, now: Moment, margin_ms: int) -> Transaction:
        """Drops from the log what is stable and was applied more than *margin_ms* ago."""
        tx = self._begin(records, now)
        if tx.account().gate is None:
            before = clock.stamp_of(now.unix_ms - margin_ms)
            stability.prune(tx, self.pins.values(), self.members, before)
        return tx

    def load(
        self, records: Records, now: Moment, parts: Sequence[Header | Piece | Trailer]
    ) -> Transaction:
        """
        A slice of a snapshot, into an account that was just provisioned: the header first, then
        pieces, then header and trailer together. Then operations are received as usual, and
        `tick` opens the gate. A trailer whose stamp `clock.is_ahead` is to be held, as operations
        are.
        """
        ends = [part.m for part in parts if isinstance(part, Trailer)]
        tx = self._begin(records, now, max(ends, default=0))
        first = None
        for part in parts:
            match part:
                case Header():
                    first = part
                    if tx.account().gate is None:
                        joining.begin_load(tx, part)
                case Piece():
                    joining.take_piece(self.rules, tx, part)
                case Trailer():
                    assert first is not None, "the trailer comes with the header"
                    joining.end_load(self.rules, tx, first, part)
        self._finish(tx, now)
        return tx

    def merge(
        self, records: Records, now: Moment, first: Header, pieces: Iterable[Piece], last: Trailer
    ) -> Transaction:
        """
        The whole state of a peer, read at one moment, into an account that serves.

        Nothing changes if all of it is here.
        """
        tx = self._begin(records, now, last.m)
        if not is_below(first.vector, tx.account().vv):
            for piece in pieces:
                joining.take_piece(self.rules, tx, piece)
            joining.end_merge(self.rules, tx, first, last)
            self._finish(tx, now)
        return tx

    def committed(self, tx: Transaction, now: Moment) -> None:
        """*tx* is durable."""
        for pid, pending in tx.staged(PENDING).items():
            if pending is None:
                self._since.pop(pid, None)
            else:
                self._since.setdefault(pid, now.seconds)
        self._note_waits(tx, now)

    def _note_waits(self, tx: Transaction, now: Moment) -> None:
        """Counts waits that ended without the sequencer; one that it answers in time ends that."""
        self._waiting.update(tx.waits)
        in_vain = answered = False
        for pid, placement in tx.staged(PLACEMENT).items():
            claim = 0 if placement is None else placement.claim
            claimed, provisional = claim != 0, 0 < claim < 1 << 32
            if pid in self._waiting and (placement is None or claimed):
                self._waiting.discard(pid)
                in_vain = in_vain or provisional
                answered = answered or (claimed and not provisional)
            elif pid in tx.mine and provisional:
                # Claimed at once, without waiting: how soon would the answer have come?
                self._unwaited[pid] = now.seconds
            elif pid in self._unwaited and not provisional:
                since = now.seconds - self._unwaited.pop(pid)
                answered = answered or (claimed and since <= ANSWER_SECONDS)
        for pid, since in list(self._unwaited.items()):
            if now.seconds - since <= ANSWER_SECONDS:
                break
            del self._unwaited[pid]
        self._vain_waits = 0 if answered else self._vain_waits + in_vain

    # Questions.

    @property
    def is_patient(self) -> bool:
        """Whether its own messages wait for the sequencer, as long as that is heard."""
        return self._vain_waits < VAIN_WAITS_MAX

    def checkpoint(self, records: Records) -> Checkpoint:
        """What to state to peers; *records* must be committed."""
        account = self._account(records)
        return Checkpoint(self.slot, account.m, account.vv, account.sequencer)

    def is_holder(self, records: Records) -> bool:
        """Whether this replica believes that it is the sequencer."""
        return self._account(records).sequencer & SLOT_MASK == self.slot

    def is_busy(self, records: Records) -> bool:
        """Whether `tick` has something to do, now or when time has passed."""
        return bool(
            records.pending(0, 1) or records.walking(1) or self._account(records).gate is not None
        )

    def unclaimed(self, records: Records, after_row: int = 0) -> tuple[list[bytes], int]:
        """
        After a start: placements made here that nobody has claimed, whose wait begins again; and
        from which row to ask on, 0 at the end.
        """
        found = []
        slice_ = records.pending(after_row, SLICE)
        for pending in slice_:
            placement = records.get(PLACEMENT, pending.pid)
            if (
                placement is not None
                and placement.claim == 0
                and placement.order[1] & SLOT_MASK == self.slot
            ):
                found.append(pending.pid)
        return found, slice_[-1].row if len(slice_) == SLICE else 0

    # Leaves.

    def _account(self, records: Records) -> AccountRecord:
        found = records.get(ACCOUNT, 0)
        assert found is not None, "an account has been provisioned"
        return found

    def _begin(self, records: Records, now: Moment, above: int = 0) -> Transaction:
        account = self._account(records)
        m = clock.next_stamp(max(account.m, above), now.unix_ms, self.slot)
        return Transaction(records, self.slot, m, now.unix_ms // 1000)

    def _finish(
        self,
        tx: Transaction,
        now: Moment,
        expired: frozenset[bytes] = frozenset(),
        walk: bool = False,
    ) -> None:
        """What follows from the operations that were applied, and the account's scalars."""
        account = tx.account()
        if account.gate is not None:
            self._open(tx, account)
        else:
            situation = self._situation(account, now)
            situation.expired = expired
            situation.walk = walk
            if situation.holder:
                exposure.restart_uids(self.rules, tx)
            regroup(self.rules, tx)
            exposure.show(self.rules, tx, situation)
        if tx.keys:
            for key in tx.keys:
                tx.edit_view(key).hm = tx.m
        if tx.taken or tx.ops or tx.keys:
            tx.edit_account().m = tx.m
        tx.stage_folds()

    def _situation(self, account: AccountRecord, now: Moment) -> Situation:
        holder = self.rules.sequences(account.sequencer, self.slot)
        deferring = False
        if holder and self.members:
            recent = [
                vector
                for vector, at in self._announced.values()
                if now.seconds - at <= RECENT_SECONDS
            ]
            deferring = (
                self.rules.defers(account.vv, recent)
                or now.seconds - self._started < RECENT_SECONDS
            )
        impatient = not holder and (
            account.sequencer & SLOT_MASK not in now.heard or not self.is_patient
        )
        return Situation(holder, deferring, impatient)

    def _open(self, tx: Transaction, account: AccountRecord) -> None:
        """
        Loading a snapshot: nothing is shown before all that the sender had at its end is here,
        then everything at once, in slices and in any order, and then the gate opens.
        """
        assert account.gate is not None
        if not is_below(account.gate, account.vv):
            tx.boxes.clear()
            tx.names.clear()
            return
        if tx.box(INBOX_BID).home == NOWHERE:
            bid = -1
            while found := tx.boxes_after(bid, SLICE):
                bid = found[-1].bid
                tx.boxes.update(dict.fromkeys(box.bid for box in found))
        regroup(self.rules, tx)
        exposure.show(self.rules, tx, Situation(opening=True, walk=True))
        if tx.walking(1):
            tx.more = True
        else:
            tx.edit_account().gate = None

    def _is_next(self, tx: Transaction, op: Op) -> bool | None:
        """True: apply it; False: it is here; None: something before it is not."""
        vv = tx.account().vv
        slot, seq = op.dot & SLOT_MASK, op.dot >> SLOT_BITS
        known = seq_of(vv, slot)
        if seq <= known:
            return False
        return True if seq == known + 1 and is_below(op.vector, vv) else None

    def _is_take_over_due(self, account: AccountRecord, now: Moment) -> bool:
        if account.sequencer & SLOT_MASK == self.slot or not self._since:
            return False
        patience = TAKE_OVER_SECONDS * (1 + self.rank / 2) + self._jitter
        return now.seconds - next(iter(self._since.values())) >= patience

    def _note_stable(self, tx: Transaction) -> None:
        stability.note_stable(tx, self.members)
