# SPDX-License-Identifier: GPL-3.0-or-later
"""
Counts that are kept as messages come and go, so that nobody has to count a mailbox.

Each box has a tally of what is exposed in it; a mailbox's numbers are the sums over its boxes, and
a box that leaves a mailbox takes its own along. The account's quota counts each message that is
exposed or will be (it is outstanding), and nothing else: not what was expunged and waits to be
folded.

`count` looks at what one transaction changed, never at more.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from msgspec import Struct
from msgspec.structs import replace

from pluto_tw.account.rows import DELETED_BIT, SEEN_BIT, flag_columns, keywords_of
from pluto_tw.crdt.predicates import is_exposed
from pluto_tw.crdt.records import BOX, PENDING, PLACEMENT, Box, Placement
from pluto_tw.crdt.transaction import Transaction
from pluto_tw.mail.flags import Flag, flag_key


class Tally(Struct, frozen=True):
    """What is exposed in one box, and the keywords that were ever in use there."""

    messages: int = 0
    octets: int = 0
    unseen: int = 0
    deleted: int = 0
    #: Messages that no session was told of as `\\Recent` yet.
    recent: int = 0
    #: In the order in which they came, each in its first spelling.
    keywords: tuple[Flag, ...] = ()

    def with_recent(self, recent: int) -> "Tally":
        """The same with so many that nobody was told of."""
        return replace(self, recent=recent)


NOTHING = Tally()


@dataclass(slots=True)
class Counted:
    """What a transaction changes in the counts, and what of it is exposed."""

    #: The new tallies of boxes.
    tallies: dict[int, Tally] = field(default_factory=dict)
    #: What the account's quota changes by.
    messages: int = 0
    octets: int = 0
    #: Placements that the transaction changed and that are exposed, for each mailbox's key.
    shown: dict[int, list[Placement]] = field(default_factory=dict)


@dataclass(slots=True)
class _Box:
    """A box before and after, and its tally as it is counted."""

    before: Box | None
    after: Box | None
    #: All that was exposed in it is not, or not any more where it was.
    left: bool
    messages: int
    octets: int
    unseen: int
    deleted: int
    recent: int
    keywords: list[Flag]
    keys: set[str]

    def tally(self) -> Tally:
        return Tally(
            self.messages,
            self.octets,
            self.unseen,
            self.deleted,
            self.recent,
            tuple(self.keywords),
        )


def count(
    tx: Transaction, tally_of: Callable[[int], Tally], recent_from: Callable[[int], int]
) -> Counted:
    """
    What *tx* changes, computed before anything else is staged below it.

    *tally_of* gives the tally of a box before it, *recent_from* for a mailbox's key the first UID
    that is `\\Recent` to whoever comes next.
    """
    return _Count(tx, tally_of, recent_from).count()


class _Count:
    """One run of `count`."""

    def __init__(
        self,
        tx: Transaction,
        tally_of: Callable[[int], Tally],
        recent_from: Callable[[int], int],
    ) -> None:
        self._tx = tx
        self._tally_of = tally_of
        self._recent_from = recent_from
        self._counted = Counted()
        self._boxes: dict[int, _Box] = {}
        self._recents: dict[int, int] = {}
        #: Mostly nothing is outstanding, and nobody has to look.
        self._has_pending = bool(tx.staged(PENDING) or tx.below.pending(0, 1))

    def count(self) -> Counted:
        tx, counted = self._tx, self._counted
        for bid, box in tx.staged(BOX).items():
            before = tx.below.get(BOX, bid)
            if before is not None and (
                box is None or box.home != before.home or box.era != before.era
            ):
                left = self._box(bid)
                counted.messages -= left.messages
                counted.octets -= left.octets
                left.left = True
                left.messages = left.octets = left.unseen = left.deleted = left.recent = 0
        placements = tx.staged(PLACEMENT)
        for pid, after in placements.items():
            self._placement(pid, tx.below.get(PLACEMENT, pid), after)
        for pid in tx.staged(PENDING):
            if pid not in placements:
                found = tx.below.get(PLACEMENT, pid)
                self._placement(pid, found, found)
        for bid, found_box in self._boxes.items():
            tally = found_box.tally()
            if tally != self._tally_of(bid):
                counted.tallies[bid] = tally
        return counted

    def _placement(self, pid: bytes, before: Placement | None, after: Placement | None) -> None:
        placement = after or before
        if placement is None:
            return
        box = self._box(placement.box)
        was = before is not None and box.before is not None and is_exposed(before, box.before)
        was_counted = was and not box.left
        if was_counted and before is not None and box.before is not None:
            _add(box, before, -1, before.uid >= self._recent(box.before.home))
        now = after is not None and box.after is not None and is_exposed(after, box.after)
        if now and after is not None and box.after is not None:
            home = box.after.home
            _add(box, after, 1, after.uid >= self._recent(home))
            self._counted.shown.setdefault(home, []).append(after)
        waited = waits = False
        if self._has_pending:
            waited = before is not None and self._tx.below.get(PENDING, pid) is not None
            waits = after is not None and self._tx.get(PENDING, pid) is not None
        # Of a box that left, what was exposed is gone from the sum already.
        more = (now or waits) - (was_counted or (waited and not was))
        if more:
            self._counted.messages += more
            self._counted.octets += more * placement.size

    def _recent(self, key: int) -> int:
        found = self._recents.get(key)
        if found is None:
            found = self._recents[key] = self._recent_from(key)
        return found

    def _box(self, bid: int) -> _Box:
        found = self._boxes.get(bid)
        if found is None:
            tally = self._tally_of(bid)
            found = self._boxes[bid] = _Box(
                self._tx.below.get(BOX, bid),
                self._tx.get(BOX, bid),
                False,
                tally.messages,
                tally.octets,
                tally.unseen,
                tally.deleted,
                tally.recent,
                list(tally.keywords),
                {flag_key(keyword) for keyword in tally.keywords},
            )
        return found


def _add(box: _Box, placement: Placement, sign: int, recent: bool) -> None:
    box.messages += sign
    box.octets += sign * placement.size
    if recent:
        box.recent += sign
    bits, keywords = flag_columns(placement.entries)
    if not bits & SEEN_BIT:
        box.unseen += sign
    if bits & DELETED_BIT:
        box.deleted += sign
    if keywords is not None and sign > 0:
        for keyword in keywords_of(keywords):
            key = flag_key(keyword)
            if key not in box.keys:
                box.keys.add(key)
                box.keywords.append(keyword)
