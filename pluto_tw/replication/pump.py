# SPDX-License-Identifier: GPL-3.0-or-later
"""
Which accounts go to one peer now: those that commit, and those that it missed while it was away.

A pump lives as long as one link. It begins at the positions that the peer had acknowledged and asks
it, page by page, what it has of the accounts that changed since (`ledger.py`); for each account of
which it lacks something there is a shipment (`shipping.py`) until it has everything. What commits
meanwhile goes at once.

All that is remembered here is bounded: `SHIPMENTS_MAX` accounts with something to ship, of which
`AT_WORK_MAX` are at work. What commits beyond that is not noted but found again by its position.
So a peer that was away while a million messages came costs as much memory as one that lags by a
second, and a peer that is dead costs nothing at all.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Final, assert_never

from twisted.logger import Logger

from pluto_tw.account import statements
from pluto_tw.account.positions import Changed
from pluto_tw.account.store import Store
from pluto_tw.crdt.dots import Vector, is_below
from pluto_tw.mail.errors import No
from pluto_tw.mail.waiting import Promise, Waiting
from pluto_tw.replication import messages
from pluto_tw.replication.channel import ChannelLost
from pluto_tw.replication.ledger import Ledger, Mark
from pluto_tw.replication.link import Link, Refused
from pluto_tw.replication.progress import Pause, Progress, Rest, Stop, Wait
from pluto_tw.replication.shipping import Shipment
from pluto_tw.replication.window import Window

log = Logger()

#: Accounts of which a peer lacks something, that are remembered one by one: some 2 KiB each.
SHIPMENTS_MAX: Final = 4096

#: Of these, accounts found while walking: two pages, so that the walk leaves room for commits.
WALKED_MAX: Final = 2 * messages.PAGE_ACCOUNTS

#: Accounts that are read for one peer at a time. Each holds a lease, so stays in memory; the window
#: has room for far fewer questions.
AT_WORK_MAX: Final = 64

#: Accounts that are not shipped since one of the databases was put back. Of more the oldest
#: are looked at again when they commit.
STOPPED_MAX: Final = 1024

#: What a peer last stated of accounts at rest: a write to one of them goes without asking first.
RESTED_MAX: Final = 4096

#: An account whose knowledge of the peer is older than so many operations is asked for first:
#: sending what the peer has costs more than a round trip.
UNASKED_OPERATIONS_MAX: Final = 256

#: How often what the peer has acknowledged is written down.
ACKNOWLEDGE_SECONDS: Final = 5.0


@dataclass(slots=True, eq=False)
class _Entry:
    """An account of which the peer lacks something, since *since* on the clock that never falls."""

    shipment: Shipment
    since: float
    #: Its newest commit.
    newest: Mark
    walked: bool
    at_work: bool = False
    queued: bool = False
    cancel: Callable[[], None] | None = None


class Pump:
    """
    From *store*, the replica *slot*, to the peer of *link*.

    *stated* is called with what the peer states of an account.
    """

    def __init__(
        self,
        store: Store,
        slot: int,
        link: Link,
        waiting: Waiting,
        stated: Callable[[messages.Stated], None],
    ) -> None:
        self.link = link
        #: Why some account is not shipped, for people; empty if all are.
        self.error = ""
        self._store = store
        self._slot = slot
        self._waiting = waiting
        self._stated = stated
        self._window = Window(waiting)
        self._noted = list(store.acknowledged(link.slot))
        self._ledger = Ledger(tuple(self._noted))
        self._entries: dict[str, _Entry] = {}
        self._walked = 0
        self._ready: deque[_Entry] = deque()
        self._at_work = 0
        self._is_taking_up = False
        #: Accounts that the peer lacks of those it had missed; None while they are looked for.
        self._missed: set[str] | None = None
        self._rested: dict[str, Vector] = {}
        self._stopped: dict[str, str] = {}
        self._ended = False
        self._walking = False
        self._room: Promise[None] | None = None
        self._drained: Promise[None] | None = None
        self._cancel_acknowledging: Callable[[], None] = lambda: None

    def start(self) -> None:
        """Asks for what the peer has missed."""
        self._acknowledge()
        self._walk_again()

    def stop(self) -> None:
        """The link has ended."""
        if self._ended:
            return
        self._ended = True
        self._cancel_acknowledging()
        self._note_acknowledged()
        self._window.close(ChannelLost(self.link.ended or "the link has ended"))
        for entry in list(self._entries.values()):
            if entry.cancel is not None:
                entry.cancel()
            entry.shipment.wake()
        self._entries.clear()
        self._ready.clear()
        self._make_room()
        self._check_drained()

    # What happens.

    def committed(self, key: str, vector: Vector, mark: Mark) -> None:
        """The account *key* has committed: it has *vector* now, at the position of *mark*."""
        entry = self._entries.get(key)
        if entry is not None:
            entry.shipment.progress.committed(vector)
            self._ledger.mark(key, mark)
            entry.newest = mark
            self._go_on(entry)
            return
        if key in self._stopped:
            self._ledger.mark(key, mark)
            return
        known = self._rested.pop(key, None)
        if known is not None and is_below(vector, known):
            # It is the peer's own, and the peer has told of it already.
            self._rest(key, known)
            self._ledger.mark(key, mark)
            self._ledger.clean(key)
            return
        if len(self._entries) >= SHIPMENTS_MAX:
            self._ledger.missed(mark.shard)
            self._walk_again()
            return
        self._ledger.mark(key, mark)
        if known is None:
            known = self._acknowledged_vector(key, vector)
        self._add(key, Progress(self._slot, vector, known), mark, walked=False)

    def states(self, stated: messages.Stated) -> None:
        """The peer states what it has of an account."""
        key, vector = stated.key, stated.vector
        entry = self._entries.get(key)
        if entry is None:
            if key in self._rested:
                self._rest(key, vector)
            return
        entry.shipment.progress.states(vector)
        self._reached(entry, vector)
        self._go_on(entry)

    def _acknowledged_vector(self, key: str, vector: Vector) -> Vector | None:
        """What the peer is known to have; None if asking is cheaper than sending it all."""
        try:
            with self._store.lease(key) as account:
                known = statements.acknowledged(account, self.link.slot)
        except No:
            return None
        lacking = sum(vector) - sum(known)
        return known if lacking <= UNASKED_OPERATIONS_MAX else None

    # Accounts at work.

    def _add(self, key: str, progress: Progress, mark: Mark, *, walked: bool) -> None:
        shipment = Shipment(
            self._store, self.link, self._window, self._waiting, key, progress, self._heard
        )
        entry = _Entry(shipment, self._waiting.seconds(), mark, walked)
        self._walked += walked
        self._entries[key] = entry
        self._go_on(entry)

    def _go_on(self, entry: _Entry) -> None:
        if entry.at_work:
            entry.shipment.wake()
            return
        if entry.queued or self._ended:
            return
        if self._at_work >= AT_WORK_MAX:
            entry.queued = True
            self._ready.append(entry)
            return
        entry.at_work = True
        self._at_work += 1
        self._waiting.start(self._work(entry))

    async def _work(self, entry: _Entry) -> None:
        """One turn of an account: as far as it can go now."""
        if entry.cancel is not None:
            entry.cancel()
            entry.cancel = None
        shipment = entry.shipment
        try:
            left = await shipment.run()
        except (ChannelLost, No) as error:
            # The account or its shard is in trouble here or there, which is told elsewhere; or it
            # is the link's end, and then nothing is left of this.
            self.error = str(error)
            shipment.progress.interrupted()
            left = Wait(Pause.UNABLE)
        entry.at_work = False
        self._at_work -= 1
        if self._ended:
            return
        match left:
            case Rest():
                self._end(entry)
            case Stop(why):
                self._stop_account(entry, why)
            case Wait(pause):
                self._pause(entry, pause)
            case _:
                assert_never(left)
        self._take_up()

    def _take_up(self) -> None:
        """Accounts that waited for their turn begin."""
        if self._is_taking_up:
            # One that was taken up has ended at once: no recursion.
            return
        self._is_taking_up = True
        while self._ready and self._at_work < AT_WORK_MAX:
            following = self._ready.popleft()
            following.queued = False
            self._go_on(following)
        self._is_taking_up = False

    def _pause(self, entry: _Entry, pause: Pause) -> None:
        def over() -> None:
            entry.cancel = None
            entry.shipment.progress.overdue()
            self._go_on(entry)

        if entry.cancel is not None:
            entry.cancel()
        entry.cancel = self._waiting.later(pause.value, over)
        self._check_drained()

    def _end(self, entry: _Entry) -> None:
        """The peer has everything of the account."""
        key = entry.shipment.key
        del self._entries[key]
        self._ledger.clean(key)
        stated = entry.shipment.progress.stated
        assert stated is not None, "who has everything has said so"
        self._rest(key, stated)
        self._forget(entry)

    def _stop_account(self, entry: _Entry, why: str) -> None:
        """Nothing of the account goes to the peer any more; its mark stays."""
        key = entry.shipment.key
        del self._entries[key]
        self._stopped[key] = why
        if len(self._stopped) > STOPPED_MAX:
            first = next(iter(self._stopped))
            del self._stopped[first]
            self._ledger.clean(first)
        self.error = why
        log.error(
            "{account} is not sent to {peer} any more: {reason}. One of the two databases was put "
            "back to an older state: see docs/how-to/restore-a-node.md",
            event="account-not-sent",
            account=self._store.identity_of(key).hex(),
            peer=self.link.name,
            reason=why,
        )
        self._forget(entry)

    def _forget(self, entry: _Entry) -> None:
        if entry.walked:
            self._walked -= 1
        if self._missed is not None:
            self._missed.discard(entry.shipment.key)
        self._make_room()
        self._check_drained()

    def _rest(self, key: str, vector: Vector) -> None:
        """The peer has *vector* of an account of which it lacks nothing."""
        self._rested.pop(key, None)
        self._rested[key] = vector
        if len(self._rested) > RESTED_MAX:
            del self._rested[next(iter(self._rested))]

    def _heard(self, stated: messages.Stated) -> None:
        """An answer states what the peer has of an account that is being shipped."""
        entry = self._entries.get(stated.key)
        if entry is not None:
            self._reached(entry, stated.vector)
        self._stated(stated)

    def _reached(self, entry: _Entry, vector: Vector) -> None:
        if self._ledger.reached(entry.shipment.key, vector, entry.newest):
            entry.since = self._waiting.seconds()

    # What was missed.

    def _walk_again(self) -> None:
        if not self._walking and not self._ended:
            self._walking = True
            self._waiting.start(self._walk())

    async def _walk(self) -> None:
        """Looks at all accounts above the frontiers, shard by shard, page by page."""
        try:
            while self._ledger.walking and not self._ended:
                for shard in sorted(self._ledger.walking):
                    await self._has_room()
                    after = self._ledger.frontier(shard)
                    page = self._store.changed_after(shard, after, messages.PAGE_ACCOUNTS)
                    if page:
                        await self._look_at(shard, page)
                        self._ledger.walked(shard, page[-1].position)
                    else:
                        self._ledger.arrived(shard)
        except (ChannelLost, No, Refused) as error:
            self.error = str(error)
            self._waiting.later(Pause.UNABLE.value, self._walk_again)
        finally:
            self._walking = False
            if self._missed is None and not self._ledger.walking:
                self._missed = set(self._entries)
            self._check_drained()

    async def _look_at(self, shard: int, page: Sequence[Changed]) -> None:
        """Asks the peer what it has of the accounts of a page."""
        question = messages.Sync(
            tuple(messages.Stated(c.key, c.x, c.vector, c.sequencer) for c in page)
        )
        await self._window.enter()
        try:
            answer = await self.link.ask(messages.SYNC, question, messages.Synced)
        finally:
            self._window.leave()
        for changed, found in zip_longest(page, answer.accounts[: len(page)]):
            self._found(changed, Mark(shard, changed.position, changed.vector), found)

    def _found(self, changed: Changed, mark: Mark, found: messages.Stated | None) -> None:
        key = changed.key
        if found is not None:
            # This may lead to a commit, and to the end of what was being shipped.
            self._stated(found)
        entry = self._entries.get(key)
        if entry is not None:
            if found is not None:
                entry.shipment.progress.states(found.vector)
                self._go_on(entry)
        elif key not in self._stopped:
            if found is None or found.loading or not is_below(changed.vector, found.vector):
                self._ledger.mark(key, mark)
                progress = Progress(self._slot, changed.vector)
                if found is not None:
                    progress.probed(found.vector, loading=found.loading)
                    # All of it, whoever made it: operations of several origins that build on each
                    # other come in one order then, not in as many turns as there are.
                    progress.overdue()
                self._add(key, progress, mark, walked=True)
            else:
                self._rest(key, found.vector)

    async def _has_room(self) -> None:
        """Returns when a page more can be remembered. Raises `ChannelLost`."""
        page = messages.PAGE_ACCOUNTS
        while self._walked > WALKED_MAX - page or len(self._entries) > SHIPMENTS_MAX - page:
            if self._ended:
                raise ChannelLost("the link has ended")
            self._room = self._waiting.promise()
            await self._room
        if self._ended:
            raise ChannelLost("the link has ended")

    def _make_room(self) -> None:
        room, self._room = self._room, None
        if room is not None:
            room.fire(None)

    # What the peer has.

    def _acknowledge(self) -> None:
        self._cancel_acknowledging = self._waiting.later(ACKNOWLEDGE_SECONDS, self._acknowledge)
        self._note_acknowledged()

    def _note_acknowledged(self) -> None:
        for shard, position in enumerate(self._ledger.acknowledged()):
            if position > self._noted[shard]:
                self._noted[shard] = position
                self._store.acknowledge(self.link.slot, shard, position)

    # How it stands.

    @property
    def backlog_accounts(self) -> int:
        """Accounts of which the peer lacks something, as far as is known."""
        return len(self._entries)

    @property
    def is_walking(self) -> bool:
        """Whether accounts that changed while the peer was away are still looked for."""
        return bool(self._ledger.walking)

    @property
    def is_complete(self) -> bool:
        """Whether the peer has, or has refused, all that it had missed when the link began."""
        return self._missed is not None and not self._missed

    def lag_seconds(self) -> float:
        """For how long the peer has lacked something."""
        since = min((entry.since for entry in self._entries.values()), default=None)
        return 0.0 if since is None else self._waiting.seconds() - since

    def lag_operations(self) -> int:
        """How many operations the peer lacks, as far as is known."""
        return sum(e.shipment.progress.operations_lacking for e in self._entries.values())

    def snapshots_running(self) -> int:
        """How many accounts the peer takes as a snapshot."""
        return sum(e.shipment.progress.takes_snapshot for e in self._entries.values())

    async def drained(self) -> None:
        """Returns when nothing more can be sent now, or the link has ended."""
        if not self._is_drained():
            self._drained = self._waiting.promise()
            await self._drained

    def _is_drained(self) -> bool:
        busy = self._walking or any(e.at_work or e.queued for e in self._entries.values())
        return self._ended or not busy

    def _check_drained(self) -> None:
        if self._drained is not None and self._is_drained():
            drained, self._drained = self._drained, None
            drained.fire(None)
