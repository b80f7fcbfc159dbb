# SPDX-License-Identifier: GPL-3.0-or-later
"""
The records of one account as the database has them: `pluto_tw.crdt.records.Records` on SQLite.

What is small and asked for by every event is kept in memory as long as the account is: the
scalars, boxes, views, tallies, peers. All else is read by key, on this thread, as committed, and
remembered for a while. `adopt` brings what is kept up to date after each commit; `saving.py` says
what is written, `staging.py` what lies above until then.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from pluto_tw.account import queries
from pluto_tw.account.numbers import Numbers
from pluto_tw.account.rows import (
    account_from,
    box_from,
    fold_from,
    key_from,
    numbers_of,
    peer_from,
    placement_from,
    vector_of,
)
from pluto_tw.account.schema import SERVED
from pluto_tw.account.shard import Shard
from pluto_tw.account.tally import NOTHING, Tally
from pluto_tw.account.transfers import Transfer, Way
from pluto_tw.crdt.dots import SLOT_BITS, SLOT_MASK, Vector, covers
from pluto_tw.crdt.pids import birth_of
from pluto_tw.crdt.provision import first_account, first_box, first_floor
from pluto_tw.crdt.records import (
    ACCOUNT,
    BOX,
    CONTEXT,
    FLOOR,
    FOLD,
    HEAD,
    LOG,
    MEMBER,
    META,
    PEER,
    PENDING,
    PLACEMENT,
    SUBSCRIPTION,
    TABLES,
    VIEW,
    WALKED,
    AccountRecord,
    Box,
    Context,
    Floor,
    Fold,
    Head,
    K,
    Logged,
    Member,
    Meta,
    Pending,
    Placement,
    R,
    Subscription,
    Table,
    View,
)
from pluto_tw.mail.flags import Flag
from pluto_tw.mail.names import INBOX
from pluto_tw.mail.sets import EMPTY, NumberSet

#: Records remembered of each table that is read by key, some 0.5 KiB each. An event asks for each
#: of its records two to five times.
REMEMBERED_MAX: Final = 256

#: Ranges of UIDs that vanished are trimmed when so many have come since the last time: what is over
#: the limit is always few.
TRIM_EVERY: Final = 256

#: Placements that one query of `prefetch` reads.
_PREFETCH = 500


class StoredRecords:
    """
    The account *identity* (16 octets) in *shard*; one that is not there is as when provisioned.

    *lowest_slot* of the members is a new account's first sequencer. Raises `ShardFailed`, as
    every method does that reads.
    """

    def __init__(
        self, shard: Shard, numbers: Numbers, identity: bytes, lowest_slot: int = 0
    ) -> None:
        self._shard = shard
        self._numbers = numbers
        self.identity = identity
        #: Its number in the database; 0 before its first commit.
        self.account = 0
        #: The shard's position of the last commit that changed what is stated to peers; 0: none.
        self.position = 0
        #: `SERVED` or `HALTED`.
        self.state = SERVED
        #: The snapshots that are on their way.
        self.transfers: dict[Way, Transfer] = {}
        self.quota_messages = 0
        self.quota_octets = 0
        #: Numbers in the database of boxes, by bid, and of views, by key.
        self.box_numbers: dict[int, int] = {}
        self.view_numbers: dict[int, int] = {}
        #: From which UID on messages are `\\Recent` to the next session, by key.
        self.recents: dict[int, int] = {}
        self._bids: dict[int, int] = {}
        self._tallies: dict[int, Tally] = {}
        self._named: dict[str, list[int]] = {}
        self._walking: set[int] = set()
        self._pending_count = 0
        self._vanished: dict[int, int] = {}
        self._kept: list[dict[Any, Any]] = [{} for _ in TABLES]
        self._load(lowest_slot)

    def _load(self, lowest_slot: int) -> None:
        read = self._shard.read
        rows = read(queries.ACCOUNT, (self.identity,))
        if not rows:
            self._kept[ACCOUNT.number][0] = first_account(lowest_slot)
            self._keep_box(first_box(), NOTHING)
            self._kept[FLOOR.number][INBOX] = first_floor()
            return
        ((self.account, self.position, self.state, *scalars),) = rows
        *scalars, self.quota_messages, self.quota_octets = scalars
        self._kept[ACCOUNT.number][0] = account_from(tuple(scalars))
        for slot, incoming, *transfer in read(queries.TRANSFERS, (self.account,)):
            self.transfers[Way(slot, bool(incoming))] = Transfer(*transfer)
        for number, *columns in read(queries.BOXES, (self.account,)):
            box = box_from(tuple(columns[:-6]))
            *counts, words = columns[-6:]
            keywords = tuple(Flag(word) for word in words.split(" ")) if words else ()
            self._keep_box(box, _tally(counts, keywords))
            self.box_numbers[box.bid] = number
            self._bids[number] = box.bid
        for number, bid, gen, unext, maxuid, hm, recent in read(queries.VIEWS, (self.account,)):
            key = key_from(bid, gen)
            self._kept[VIEW.number][key] = View(key, unext, maxuid, hm)
            self.view_numbers[key] = number
            self.recents[key] = recent
        for row in read(queries.PEERS, (self.account,)):
            peer = peer_from(row)
            self._kept[PEER.number][peer.slot] = peer
        for row in read(queries.MEMBERS, (self.account,)):
            self._kept[MEMBER.number][row[0]] = Member(*row)
        ((self._pending_count,),) = read(queries.PENDING_COUNT, (self.account,))

    def _keep_box(self, box: Box, tally: Tally) -> None:
        self._kept[BOX.number][box.bid] = box
        self._tallies[box.bid] = tally
        self._named.setdefault(box.name, []).append(box.bid)
        if box.walk != WALKED:
            self._walking.add(box.bid)

    # What was committed.

    def adopt(
        self,
        changed: Iterable[tuple[int, Mapping[Any, Any]]],
        tallies: Mapping[int, Tally],
        recents: Mapping[int, int],
        outstanding: int,
    ) -> None:
        """
        What *changed*, by the table's number, with these tallies and `recents`, was committed.

        *outstanding*: how many placements are pending more than before.
        """
        for number, records in changed:
            kept = self._kept[number]
            if number == BOX.number:
                for bid, box in records.items():
                    self._adopt_box(bid, box)
            elif number in _WHOLE:
                kept.update(records)
                for key in [key for key, record in records.items() if record is None]:
                    del kept[key]
                    if number == VIEW.number:
                        self.view_numbers.pop(key, None)
                        self.recents.pop(key, None)
            else:
                for key in records:
                    kept.pop(key, None)
                if len(kept) > REMEMBERED_MAX:
                    kept.clear()
        self._pending_count += outstanding
        boxes = self._kept[BOX.number]
        self._tallies.update((bid, tally) for bid, tally in tallies.items() if bid in boxes)
        self.recents.update(recents)

    def _adopt_box(self, bid: int, box: Box | None) -> None:
        boxes = self._kept[BOX.number]
        before = boxes.get(bid)
        if before and box and (before.name, before.walk) == (box.name, box.walk):
            boxes[bid] = box
            return
        if before is not None:
            del boxes[bid]
            named = self._named[before.name]
            named.remove(bid)
            if not named:
                del self._named[before.name]
            self._walking.discard(bid)
        if box is None:
            self._tallies.pop(bid, None)
            self._bids.pop(self.box_numbers.pop(bid, 0), None)
        else:
            self._keep_box(box, self._tallies.get(bid, NOTHING))

    def number_box(self, bid: int) -> int:
        """The number of a box, a new one if it has none."""
        number = self.box_numbers.get(bid)
        if number is None:
            number = self.box_numbers[bid] = self._numbers.next_box()
            self._bids[number] = bid
        return number

    def number_view(self, key: int) -> tuple[int, bool]:
        """The number of a view, and whether it is a new one."""
        number = self.view_numbers.get(key)
        if number is not None:
            return number, False
        number = self.view_numbers[key] = self._numbers.next_view()
        return number, True

    def is_trim_due(self, view: int, ranges: int) -> bool:
        """Whether what vanished in a view is to be trimmed, now that *ranges* more come to it."""
        count = self._vanished.get(view, TRIM_EVERY) + ranges
        is_due = count >= TRIM_EVERY
        self._vanished[view] = 0 if is_due else count
        return is_due

    def forget(self) -> None:
        """Remembers no more than `REMEMBERED_MAX` of what can be read again."""
        for number, kept in enumerate(self._kept):
            if number not in _WHOLE and len(kept) > REMEMBERED_MAX:
                kept.clear()

    # Beside the records.

    @property
    def scalars(self) -> AccountRecord:
        """The account's scalars, to read."""
        found: AccountRecord = self._kept[ACCOUNT.number][0]
        return found

    @property
    def exists(self) -> bool:
        """Whether the account is in the database at all."""
        return self.account != 0

    def tally(self, bid: int) -> Tally:
        """The counts of a box."""
        return self._tallies.get(bid, NOTHING)

    def recent_from(self, key: int) -> int:
        """From which UID on messages of the mailbox *key* are `\\Recent` to the next session."""
        return self.recents.get(key, 1)

    def claim_recent(self, key: int, uid_next: int) -> None:
        """All that is exposed in the mailbox *key* is `\\Recent` to nobody who comes next."""
        self.recents[key] = uid_next
        for box in self.boxes_at(key):
            self._tallies[box.bid] = self.tally(box.bid).with_recent(0)

    def names(self) -> Iterator[str]:
        """The names of all boxes, dead ones included."""
        return iter(self._named)

    @property
    def box_count(self) -> int:
        """How many boxes there are, dead ones that are not folded yet included."""
        return len(self._kept[BOX.number])

    def boxes_at(self, key: int) -> list[Box]:
        """The boxes that are shown in the mailbox *key*."""
        primary = self.get(BOX, key >> 32)
        if primary is None:
            return []
        found = [self.get(BOX, bid) for bid in self._named.get(primary.name, ())]
        return [box for box in found if box is not None and box.home == key]

    def bid_of(self, number: int) -> int:
        """The bid of the box that has *number*."""
        return self._bids[number]

    def prefetch(self, bid: int, rows: Sequence[int]) -> None:
        """
        Reads placements of a box, by ascending *rows*, so that `get` has them.

        Worth its while where many are named at once: a tenth of what reading each one costs.
        """
        number = self.box_numbers.get(bid)
        if number is None:
            return
        kept = self._kept[PLACEMENT.number]
        at = 0
        while at < len(rows):
            end = min(at + _PREFETCH, len(rows))
            # A range may hold others as well: of few among many, each one is read by itself.
            while end - at > 1 and rows[end - 1] - rows[at] > 4 * (end - at):
                end = at + (end - at) // 2
            if end - at > 1:
                for row in self._shard.read(
                    queries.PLACEMENTS_OF, (number, rows[at], rows[end - 1])
                ):
                    kept[row[0]] = placement_from(row, bid)
            at = end

    # `Records`.

    def get(self, table: Table[K, R], key: K) -> R | None:
        number = table.number
        kept = self._kept[number]
        found: R | None
        if key in kept:
            found = kept[key]
        elif number in _WHOLE:
            found = None
        else:
            found = kept[key] = self._read(number, key) if self.account else None
        return found

    def _read(self, number: int, key: Any) -> Any:
        read = self._shard.read
        account = self.account
        if number == PLACEMENT.number:
            birth = birth_of(key)
            scalars = self._kept[ACCOUNT.number][0]
            if birth is not None and scalars.gate is None and not covers(scalars.vv, birth[0]):
                # Its operation has not been here.
                return None
            for row in read(queries.PLACEMENT, (account, key)):
                return placement_from(row[1:], self._bids[row[0]])
        elif number == CONTEXT.number:
            for (vector,) in read(queries.CONTEXT, (account, key & SLOT_MASK, key >> SLOT_BITS)):
                return Context(key, vector_of(vector))
        elif number == PENDING.number:
            if self._pending_count:
                for row in read(queries.PENDING_OF, (account, key)):
                    return self._pending(row)
        elif number == LOG.number:
            for data, msq, head in read(
                queries.LOGGED, (account, key & SLOT_MASK, key >> SLOT_BITS)
            ):
                return Logged(key, data, msq, head)
        elif number == FOLD.number:
            dot, bid = key
            for row in read(queries.FOLD, (account, dot & SLOT_MASK, dot >> SLOT_BITS, bid)):
                return fold_from(row)
        elif number == FLOOR.number:
            for (v,) in read(queries.FLOOR, (account, key)):
                return Floor(key, v)
        elif number == SUBSCRIPTION.number:
            for (entries,) in read(queries.SUBSCRIPTION, (account, key)):
                return Subscription(key, vector_of(entries))
        elif number == META.number:
            for value, stamp, dot in read(queries.META, (account, *key)):
                return Meta(key[0], key[1], value, (stamp, dot))
        elif number == HEAD.number:
            for (head,) in read(queries.HEAD, (account, key & SLOT_MASK, key >> SLOT_BITS)):
                return Head(key, head)
        return None

    def _pending(self, row: tuple[Any, ...]) -> Pending:
        pid, box, number = row
        return Pending(pid, self._bids[box], number)

    def new_row(self) -> int:
        return self._numbers.next_message()

    def boxes_named(self, name: str) -> Sequence[int]:
        return sorted(self._named.get(name, ()))

    def boxes_below(self, prefix: str) -> Sequence[int]:
        return sorted(
            bid for name, bids in self._named.items() if name.startswith(prefix) for bid in bids
        )

    def boxes_after(self, bid: int, limit: int) -> Sequence[Box]:
        boxes: Iterable[Box] = self._kept[BOX.number].values()
        return sorted((b for b in boxes if b.bid > bid), key=lambda box: box.bid)[:limit]

    def walking(self, limit: int) -> Sequence[int]:
        return sorted(self._walking)[:limit] if self._walking else ()

    def placements_in(self, bid: int, after_row: int, limit: int) -> Sequence[Placement]:
        number = self.box_numbers.get(bid)
        if number is None:
            return ()
        rows = self._shard.read(queries.PLACEMENTS_IN, (number, after_row, limit))
        return [placement_from(row, bid) for row in rows]

    def exposed(self, key: int, bid: int) -> NumberSet:
        box = self.get(BOX, bid)
        number = self.box_numbers.get(bid)
        if box is None or box.home != key or number is None:
            return EMPTY
        parts = (None, None) if key == bid << 32 else (key >> 32, key & 0xFFFFFFFF)
        ((uids,),) = self._shard.read(queries.EXPOSED, (number, box.era, *parts))
        return NumberSet.of(numbers_of(uids))

    def pending(self, after_row: int, limit: int) -> Sequence[Pending]:
        if not self._pending_count:
            return ()
        return [
            self._pending(row)
            for row in self._shard.read(queries.PENDING, (self.account, after_row, limit))
        ]

    def pending_in(self, bid: int, after_row: int, limit: int) -> Sequence[Pending]:
        number = self.box_numbers.get(bid)
        if not self._pending_count or number is None:
            return ()
        return [
            self._pending(row)
            for row in self._shard.read(queries.PENDING_IN, (number, after_row, limit))
        ]

    def log_after(self, slot: int, seq: int, limit: int) -> Sequence[Logged]:
        rows = self._shard.read(queries.LOG_AFTER, (self.account, slot, seq, limit))
        return [Logged(at << SLOT_BITS | slot, data, msq, head) for at, data, msq, head in rows]

    def folds(self, stable: Vector, limit: int) -> Sequence[Fold]:
        found: list[Fold] = []
        for slot, seq in enumerate(stable):
            if seq and len(found) < limit:
                row = (self.account, slot, seq, limit - len(found))
                found += [fold_from(fold) for fold in self._shard.read(queries.FOLDS, row)]
        return found

    def folds_of(self, dot: int) -> Sequence[Fold]:
        row = (self.account, dot & SLOT_MASK, dot >> SLOT_BITS)
        return [fold_from(fold) for fold in self._shard.read(queries.FOLDS_OF, row)]

    def subscriptions_after(self, name: str, limit: int) -> Sequence[Subscription]:
        rows = self._shard.read(queries.SUBSCRIPTIONS, (self.account, name, limit))
        return [Subscription(found, vector_of(entries)) for found, entries in rows]

    def metas_after(self, bid: int, entry: str, limit: int) -> Sequence[Meta]:
        rows = self._shard.read(queries.METAS, (self.account, bid, entry, limit))
        return [Meta(b, e, value, (stamp, dot)) for b, e, value, stamp, dot in rows]

    def members(self) -> Sequence[Member]:
        found: Mapping[int, Member] = self._kept[MEMBER.number]
        return [found[slot] for slot in sorted(found)]


def _tally(counts: Sequence[int], keywords: tuple[Flag, ...]) -> Tally:
    messages, octets, unseen, deleted, recent = counts
    return Tally(messages, octets, unseen, deleted, recent, keywords)


#: Tables all of whose records are in memory.
_WHOLE: Final = frozenset({ACCOUNT.number, BOX.number, VIEW.number, PEER.number, MEMBER.number})
