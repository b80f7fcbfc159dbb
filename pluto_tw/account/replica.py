# SPDX-License-Identifier: GPL-3.0-or-later
"""
One account at this replica: the one path that every write takes.

Commands, mail that arrives, operations of peers and timers are *events*. Each is computed at once,
on what is staged, by `pluto_tw.crdt`; what it changes goes into a commit (`commits.py`). When that
is durable, in this order: columns and logs change and sessions are woken (`mailboxes.py`), peers
are woken, and who awaits goes on. This file decides which events there are, and which of them
follow by themselves: claims after a wait, work in slices, folding.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeVar

from pluto_tw.account.bugs import attempt
from pluto_tw.account.commits import Commits
from pluto_tw.account.departed import Departed
from pluto_tw.account.mailboxes import Mailboxes
from pluto_tw.account.schema import HALTED, SERVED
from pluto_tw.account.site import Ground, Site
from pluto_tw.account.staging import Staged
from pluto_tw.account.timers import Timers, quietly
from pluto_tw.account.transfers import Way
from pluto_tw.account.upload import Received
from pluto_tw.account.waits import Waits
from pluto_tw.account.work import Work
from pluto_tw.crdt.commands import uids_of
from pluto_tw.crdt.dots import is_below
from pluto_tw.crdt.joining import LOADING
from pluto_tw.crdt.members import State
from pluto_tw.crdt.ops import Op
from pluto_tw.crdt.records import FOLD, PEER, Records
from pluto_tw.crdt.replica import Moment, Replica
from pluto_tw.crdt.resync import Checkpoint
from pluto_tw.crdt.rules import Rules
from pluto_tw.crdt.snapshot import Header, Piece, Trailer, decode_header, decode_trailer
from pluto_tw.crdt.transaction import Missing, Transaction
from pluto_tw.mail.codes import UNAVAILABLE
from pluto_tw.mail.errors import No

T = TypeVar("T")

#: How often what waits for others, or for time to pass, is looked at again.
TICK_SECONDS: Final = 1.0

#: A snapshot that is not taken within a day is forgotten: as long as it is kept, expunged messages
#: and their bodies are.
SNAPSHOT_SECONDS_MAX: Final = 24 * 3600.0

#: What a session still shows is left, and looked at again after this long.
PINNED_SECONDS: Final = 60.0

#: Forgetting waits for a moment in which nothing is on its way to the disk; one that is written to
#: without a pause is looked at again after this long, so that waiting costs nothing.
PAUSE_SECONDS: Final = 1.0

#: What is taken up again after trouble waits at least this long: a disk that is still full would be
#: asked without a pause by who does not wait for UIDs.
AGAIN_SECONDS: Final = 0.25

#: Nobody waits longer than this for UIDs, also where this replica gives them itself, in slices.
UIDS_SECONDS_MAX: Final = 20.0

_HALTED_TEXT: Final = "this account needs its operator"
_SPOILED_TEXT: Final = "the mailbox must be read again, log in again"
_STATE: Final = "UPDATE account SET state = ? WHERE identity = ?"


@dataclass(frozen=True, slots=True)
class Halted:
    """
    The account *identity* is not served any more. *slot* is the member whose statement has shown
    *reason*; None: it was found here.
    """

    identity: bytes
    reason: str
    slot: int | None


class AccountReplica:
    """
    The account *identity* (16 octets), called *name*, on *ground* at *site*.

    *peers_woken* is called after each commit that changed what is stated to peers, *halted* when
    the account stops being served. Raises `ShardFailed`.
    """

    def __init__(
        self,
        ground: Ground,
        site: Site,
        identity: bytes,
        name: str,
        peers_woken: Callable[[], None] = lambda: None,
        halted: Callable[[Halted], None] = lambda halted: None,
    ) -> None:
        self.ground = ground
        self.site = site
        self.identity = identity
        self.name = name
        #: Why it is not served until an operator has looked into it; empty while it is.
        self.halted = ""
        self.peers_woken = peers_woken
        self._tell_halted = halted
        self._departed = Departed(site.members)
        #: Commands that were done here and made operations, since it is in memory.
        self.commands = 0
        self._closed = False
        self._waits = Waits(site.waiting)
        self._timers = Timers(site.waiting)
        self.mailboxes = Mailboxes(ground, site, lambda: self.commits)
        self.commits = Commits(ground, site, identity, name, self._tell, self._lost)
        #: Up to where peers were woken; what a commit in doubt turns out to have done is above it.
        self._position = self.commits.stored.position
        self._begin()

    def _begin(self) -> None:
        """Takes up what was left when the account was last in memory."""
        self.rules = Replica(
            self.site.slot,
            (),
            self.site.rules,
            started=self.site.waiting.seconds(),
            jitter=self.site.jitter_seconds,
        )
        stored = self.commits.stored
        if stored.state == HALTED and not self.halted:
            self.halted = "it was halted before this process began"
        self.follow_pins()
        self.follow_members()
        if not stored.exists:
            return
        row = -1
        while row:
            found, row = self.rules.unclaimed(stored, max(row, 0))
            self._wait_for_claims(found, at_least=AGAIN_SECONDS)
        self._look_again()
        self._timers.start("fold", self.site.pace.fold_seconds, self._fold)

    # Events.

    def now(self) -> Moment:
        """The moment that it is."""
        waiting = self.site.waiting
        return Moment(int(waiting.now() * 1000), waiting.seconds(), self.site.heard())

    async def command(
        self,
        run: Callable[[Rules, Transaction], T],
        received: Sequence[Received] = (),
        *,
        in_spite_of: str = "",
    ) -> tuple[Transaction, T]:
        """
        Does *run*, one command, and returns when it is durable; *received*: bodies that it refers
        to and that came to this replica for it.

        *in_spite_of*: a reason for which this replica serves no clients, and yet does this.

        Raises the `No` of *run*, when all that it was told from is durable; No(UNAVAILABLE).
        """
        tx, result = await self._compute(run, in_spite_of)
        self.commands += bool(tx.ops)
        await self.commits.commit(tx, received)
        # Of a command that named thousands, and changed none of them.
        self.commits.stored.forget()
        return tx, result

    async def command_uids(
        self,
        run: Callable[[Rules, Transaction], T],
        made: Callable[[T], Sequence[bytes]],
        received: Sequence[Received] = (),
    ) -> tuple[T, list[int]]:
        """
        As `command`, of one that makes messages, whose pids *made* tells; with their UIDs.

        Waits until all of them are exposed, as long as that is worth it; then there are none.
        """
        tx, result = await self._compute(run)
        self.commands += bool(tx.ops)
        pids = made(result)
        uids = uids_of(tx, pids)
        if all(uids):
            await self.commits.commit(tx, received)
            return result, uids
        wait = self._waits.add(pids)
        try:
            await self.commits.commit(tx, received)
            cancel = self.site.waiting.later(UIDS_SECONDS_MAX, partial(self._waits.give_up, pids))
            is_exposed = await wait.promise
            cancel()
        finally:
            self._waits.withdraw(wait)
        uids = uids_of(self.commits.stored, pids) if is_exposed else []
        return result, uids if all(uids) else []

    async def _compute(
        self, run: Callable[[Rules, Transaction], T], in_spite_of: str = ""
    ) -> tuple[Transaction, T]:
        await self.ground.shard.room()
        self.require()
        self._require_member(in_spite_of)
        try:
            return self._guarded(lambda records: self.rules.command(records, self.now(), run))
        except No:
            await self.commits.settled()
            raise

    def _guarded(self, compute: Callable[[Records], T]) -> T:
        """What *compute* makes of the records; an operation that names what is not here halts."""
        try:
            return compute(self.commits.records)
        except Missing as missing:
            self.halt(f"an operation names what is not here: {missing}")
            raise No(UNAVAILABLE, _HALTED_TEXT) from missing

    async def receive(self, ops: Sequence[Op], checkpoint: Checkpoint | None) -> Transaction:
        """
        Operations of a peer, in any order, and what it states; the operations are durable on
        return. What it states alone is written with the next commit: the newest of it may be lost.
        """
        await self.ground.shard.room()
        self.require()
        if self.commits.staged.records.account().gate == LOADING:
            # It was begun while this waited. What was folded at its sender would come back.
            ops = ()
        tx = self._guarded(lambda records: self.rules.receive(records, self.now(), ops, checkpoint))
        if checkpoint is not None:
            if self._departed.waited_for:
                self._departed.note(checkpoint)
                self._leave_out()
            self._note_reached(checkpoint)
        if tx.taken or tx.ops:
            await self.commits.commit(tx)
        elif not tx.is_empty:
            self.commits.stage(tx)
            self._timers.start("fold", self.site.pace.fold_seconds, self._fold)
        return tx

    # Snapshots.

    def stage_load(self, parts: Sequence[Header | Piece | Trailer]) -> None:
        """As `Replica.load`, for the next commit. Raises No(UNAVAILABLE)."""
        self.require()
        self.commits.stage(
            self._guarded(lambda records: self.rules.load(records, self.now(), parts))
        )

    async def end_transfer(self, slot: int) -> None:
        """The snapshot for *slot* has been taken, or was given up. Raises `ShardFailed`."""
        if Way(slot, incoming=False) in self.commits.stored.transfers:
            await self.commits.keep(Way(slot, incoming=False), None)
            self.follow_pins()

    def _note_reached(self, checkpoint: Checkpoint) -> None:
        """Ends the snapshot for a member that has all of it."""
        found = self.commits.stored.transfers.get(Way(checkpoint.slot, incoming=False))
        if found is None or not found.trailer:
            return
        if is_below(decode_trailer(found.trailer).vector, checkpoint.vector):
            self.site.waiting.start(quietly(self.end_transfer(checkpoint.slot)))

    async def hand_over(self, successor: int) -> None:
        """Makes the slot *successor* the sequencer."""
        self.require()
        await self.commits.commit(self.rules.hand_over(self.commits.records, self.now(), successor))

    def require(self) -> None:
        """Raises No(UNAVAILABLE) if the account cannot be served; reads it again after trouble."""
        if self.halted:
            raise No(UNAVAILABLE, _HALTED_TEXT)
        if self._closed:
            raise No(UNAVAILABLE, "this account is being closed")
        if not self.commits.is_readable:
            self.commits.read_again()

    def require_serving(self) -> None:
        """As `require`, and raises No(UNAVAILABLE) while clients cannot be served here."""
        self.require()
        self._require_member()
        if not self.site.rules.serves(self.commits.stored.scalars):
            raise No(UNAVAILABLE, "this account is being copied to this replica")

    def _require_member(self, in_spite_of: str = "") -> None:
        why = self.site.members.why
        if why and why != in_spite_of:
            raise No(UNAVAILABLE, why)

    # What an operator must look into.

    def halt(self, reason: str, slot: int | None = None) -> None:
        """
        Serves the account no more, also after a restart, until `resume`.

        *slot*: the member that has shown why.
        """
        if self.halted:
            return
        self.halted = reason
        self._timers.cancel_all()
        self._tell_halted(Halted(self.identity, reason, slot))
        self.site.waiting.start(quietly(self._set_state(HALTED)))

    async def resume(self) -> None:
        """The operator has acted: the account is served again. Raises `ShardFailed`."""
        await quietly(self.commits.settled())
        await self._set_state(SERVED)
        self.halted = ""
        self.commits.read_again()

    async def _set_state(self, state: int) -> None:
        work = Work()
        work.add(_STATE, (state, self.identity))
        await self.ground.shard.lane().commit(work)
        self.commits.stored.state = state

    # Members.

    def follow_members(self) -> None:
        """Who counts for stability, and who takes over sequencing first, as of now."""
        members = self.site.members
        self._departed.follow()
        self.rules.rank = members.rank
        self._leave_out()
        for slot in members.removed:
            member = members.of_slot(slot)
            is_forced = member is not None and member.state is State.FORCED
            if is_forced and self.commits.staged.records.get(PEER, slot) is not None:
                # What it told may have died with it; of the acknowledgement nothing is lost.
                records = self.commits.records
                self.commits.stage(self.rules.forget_peer(records, self.now(), slot))

    def _leave_out(self) -> None:
        """Stability goes on without those removed members that it need not wait for."""
        if self._departed.leave_out(self.commits.stored.scalars.vv):
            self._timers.start("fold", self.site.pace.fold_seconds, self._fold)
        self.rules.members = self.site.members.others | self._departed.waited_for

    def follow_pins(self) -> None:
        """What the snapshots that are sent keep from being folded, as of what is committed."""
        oldest = self.site.waiting.now() - SNAPSHOT_SECONDS_MAX
        self.rules.pins = {
            way.slot: decode_header(transfer.header).stable
            for way, transfer in self.commits.stored.transfers.items()
            if not way.incoming and transfer.began >= oldest
        }

    def claim_recent(self, key: int, uid_next: int) -> int:
        """From which UID on messages are `\\Recent` to who asks; then from *uid_next* on."""
        staged = self.commits.staged
        claimed = staged.recent_from(key)
        if claimed != uid_next:
            staged.claim_recent(key, uid_next, self.commits.uncommitted())
        return claimed

    # What was committed.

    def _tell(self, staged: Staged) -> None:
        now = self.now()
        for news in staged.news:
            self.rules.committed(news.transaction, now)
        self.mailboxes.tell(staged)
        transactions = [news.transaction for news in staged.news]
        if self.commits.stored.position != self._position:
            self._position = self.commits.stored.position
            attempt(self.site.waiting, self.peers_woken)
        if self._waits:
            for news in staged.news:
                for placements in news.shown.values():
                    for placement in placements:
                        self._waits.exposed(placement.pid)
        self._wait_for_claims([pid for tx in transactions for pid in tx.waits])
        if any(tx.more for tx in transactions):
            self._timers.start("tick", 0, self._tick)
        else:
            self._look_again()
        # What folding itself leaves is for later, see `_fold`.
        if staged.records.staged(PEER) or any(
            tx.staged(FOLD) for tx in transactions if tx.ops or tx.taken
        ):
            self._timers.start("fold", self.site.pace.fold_seconds, self._fold)

    def _lost(self, spoiled: bool) -> None:
        self._timers.cancel_all()
        self._waits.give_up_all()
        if spoiled:
            self.mailboxes.end_all(_SPOILED_TEXT)
        self.mailboxes.lost()
        if self.commits.is_readable:
            self._begin()

    # What follows by itself.

    def _wait_for_claims(self, pids: Sequence[bytes], at_least: float = 0) -> None:
        """Messages made here get provisional claims, unless the sequencer's come in time."""
        if pids:
            self._timers.start(
                f"claims {pids[0].hex()}",
                max(self.site.uid_wait_seconds, at_least),
                partial(self._wait_ended, tuple(pids)),
            )

    async def _wait_ended(self, pids: Iterable[bytes]) -> None:
        await self._event(lambda records: self.rules.wait_ended(records, self.now(), pids))
        self._waits.give_up(pids)

    def _look_again(self) -> None:
        if self.rules.is_busy(self.commits.stored):
            self._timers.start("tick", TICK_SECONDS, self._tick)

    async def _tick(self) -> None:
        await self._event(lambda records: self.rules.tick(records, self.now()))
        self._look_again()

    async def _fold(self) -> None:
        """Folds what is stable, one slice after the other."""
        pinned, most = self.mailboxes.is_pinned, self.site.pace.fold_max
        tx = await self._at_rest(lambda records: self.rules.fold(records, self.now(), pinned, most))
        if tx is None:
            self._timers.start("fold", PAUSE_SECONDS, self._fold)
            return
        if tx.more and not tx.is_empty:
            self._timers.start("fold", 0, self._fold)
            return
        self._timers.start("prune", self.site.pace.prune_seconds, self._prune)
        if any(tx.staged(FOLD).values()):
            self._timers.start("fold", PINNED_SECONDS, self._fold)

    async def _prune(self) -> None:
        margin = int(self.site.pace.log_margin_seconds * 1000)
        tx = await self._at_rest(lambda records: self.rules.prune(records, self.now(), margin))
        if tx is None:
            self._timers.start("prune", PAUSE_SECONDS, self._prune)
        elif tx.more and not tx.is_empty:
            self._timers.start("prune", 0, self._prune)

    async def _at_rest(self, compute: Callable[[Records], Transaction]) -> Transaction | None:
        """
        As `_event`, on what is committed, with nothing staged above it; None if there is always
        something.

        What vanishes in what is staged is still shown by sessions, or will be, and would be gone
        with the same commit; and a snapshot, or a member, may have come meanwhile.
        """
        await self.ground.shard.room()
        self.require()
        await self.commits.settled()
        if not self.commits.is_idle:
            return None
        self.follow_pins()
        return await self._commit(compute)

    async def _event(self, compute: Callable[[Records], Transaction]) -> Transaction:
        """An event that nobody waits for; when it is durable."""
        await self.ground.shard.room()
        return await self._commit(compute)

    async def _commit(self, compute: Callable[[Records], Transaction]) -> Transaction:
        self.require()
        tx = self._guarded(compute)
        await self.commits.commit(tx)
        return tx

    # The end.

    @property
    def is_idle(self) -> bool:
        """Whether it can be closed with nothing lost: nobody has it open, nothing is to be done."""
        names = self._timers.names - {"fold", "prune"}
        halting = bool(self.halted) and self.commits.stored.state != HALTED
        return not (self.mailboxes.in_use or names or halting) and self.commits.is_idle

    async def rest(self) -> None:
        """Nobody has it open: commits what was left for the next commit."""
        await quietly(self.commits.settled())

    async def close(self) -> None:
        """Finishes what is staged; later events are refused."""
        if self._closed:
            return
        self._closed = True
        self._timers.close()
        self._waits.give_up_all()
        if self.commits.is_readable:
            await self.commits.settled()
        self.mailboxes.unload_all()
