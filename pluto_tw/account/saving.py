# SPDX-License-Identifier: GPL-3.0-or-later
"""
What is staged, as the rows that its commit writes.

Each record is written once, as it is after the last of the events, whichever of them changed it.
Rows that others refer to come first; a row goes after those that refer to it.
"""

from collections.abc import Iterable
from typing import Any, Final

from pluto_tw.account.bodies import Bodies
from pluto_tw.account.keyed import save_keyed
from pluto_tw.account.numbers import Numbers
from pluto_tw.account.records import StoredRecords
from pluto_tw.account.rows import account_state, box_state, parts_of, placement_state
from pluto_tw.account.staging import Staged
from pluto_tw.account.tally import Tally
from pluto_tw.account.work import Row, Work
from pluto_tw.crdt.records import (
    BOX,
    FLOOR,
    INBOX_BID,
    PLACEMENT,
    VIEW,
    Box,
    Placement,
)
from pluto_tw.mail.changes import Vanished
from pluto_tw.mail.names import INBOX

#: Ranges of UIDs that vanished, kept for each mailbox; for older ones a client is told all that
#: is not there. At 30 octets each this is as much as a mailbox of some thousand messages.
VANISHED_RANGES_MAX: Final = 4096

_NEW_ACCOUNT: Final = """
    INSERT INTO account (id, name, identity, slot, vv, heads, sequencer, m, maxv, stable, base,
        gate, messages, octets, position)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_FLOOR: Final = "INSERT INTO floor (account, name, v) VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
_ACCOUNT: Final = """
    UPDATE account SET vv = ?, heads = ?, sequencer = ?, m = ?, maxv = ?, stable = ?, base = ?,
        gate = ?, messages = ?, octets = ?, position = ?
    WHERE id = ?
"""
_BOX: Final = """
    INSERT INTO box (id, account, bid, name, stamp, dot, v, gen, special_use, bmsq, home_bid,
        home_gen, era, walk, tags, extra, messages, octets, unseen, deleted, recent, keywords)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (id) DO UPDATE SET name = excluded.name, stamp = excluded.stamp,
        dot = excluded.dot, v = excluded.v, gen = excluded.gen, special_use = excluded.special_use,
        bmsq = excluded.bmsq, home_bid = excluded.home_bid, home_gen = excluded.home_gen,
        era = excluded.era, walk = excluded.walk, tags = excluded.tags, extra = excluded.extra,
        messages = excluded.messages, octets = excluded.octets, unseen = excluded.unseen,
        deleted = excluded.deleted, recent = excluded.recent, keywords = excluded.keywords
"""
_DROP_BOX: Final = "DELETE FROM box WHERE id = ?"
_NEW_VIEW: Final = """
    INSERT INTO view (unext, maxuid, hm, id, account, bid, gen) VALUES (?, ?, ?, ?, ?, ?, ?)
"""
_VIEW: Final = "UPDATE view SET unext = ?, maxuid = ?, hm = ? WHERE id = ?"
_DROP_VANISHED: Final = "DELETE FROM vanished WHERE view = ?"
_DROP_VIEW: Final = "DELETE FROM view WHERE id = ?"
_RECENT: Final = "UPDATE view SET recent_from = ? WHERE id = ?"
_NEW_MESSAGE: Final = """
    INSERT INTO message (id, account, pid, box, body, size, date, zone, stamp, dot, place, email)
    VALUES (?, ?, ?, ?, (SELECT id FROM body WHERE hash = ?), ?, ?, ?, ?, ?, ?, ?)
"""
_ORDER: Final = "UPDATE message SET stamp = ?, dot = ?, place = ? WHERE id = ?"
_UNREFER: Final = """
    UPDATE body SET refs = refs - 1 WHERE id = (SELECT body FROM message WHERE id = ?)
"""
_DROP_MESSAGE: Final = "DELETE FROM message WHERE id = ?"
_NEW_PLACEMENT: Final = """
    INSERT INTO placement (uid, era, claim, bounced, msq, flags, keywords, key_bid, key_gen, extra,
        box, id)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_PLACEMENT: Final = """
    UPDATE placement SET uid = ?, era = ?, claim = ?, bounced = ?, msq = ?, flags = ?,
        keywords = ?, key_bid = ?, key_gen = ?, extra = ?
    WHERE box = ? AND id = ?
"""
_DROP_PLACEMENT: Final = "DELETE FROM placement WHERE box = ? AND id = ?"
_TRANSFER: Final = """
    INSERT OR REPLACE INTO snapshot (account, slot, incoming, header, trailer, cursor, began)
    VALUES (?, ?, ?, ?, ?, ?, ?)
"""
_DROP_TRANSFER: Final = "DELETE FROM snapshot WHERE account = ? AND slot = ? AND incoming = ?"
_VANISHED: Final = "INSERT OR REPLACE INTO vanished (view, msq, low, high) VALUES (?, ?, ?, ?)"
_TRIM_FLOOR: Final = """
    UPDATE view SET vanished_floor = max(vanished_floor, coalesce((
        SELECT msq FROM vanished WHERE view = :view
        ORDER BY msq DESC, low DESC LIMIT 1 OFFSET :most), 0))
    WHERE id = :view
"""
_TRIM: Final = """
    DELETE FROM vanished
    WHERE view = :view AND msq <= (SELECT vanished_floor FROM view WHERE id = :view)
"""


class Saving:
    """Turns one `Staged` of the account named *name* at the replica *slot* into a work."""

    def __init__(
        self,
        stored: StoredRecords,
        staged: Staged,
        bodies: Bodies,
        numbers: Numbers,
        name: str,
        slot: int,
    ) -> None:
        self._stored = stored
        self._staged = staged
        self._bodies = bodies
        self._numbers = numbers
        self._name = name
        self._slot = slot
        self._work = Work()
        #: The number of the account, which may be a new one.
        self.account = stored.account or numbers.next_account()
        #: Its position: a new one if peers are to hear of this.
        self.position = stored.position
        before, after = stored.scalars, staged.records.account()
        if (after.m, after.gate) != (before.m, before.gate):
            self.position = numbers.next_position()
        #: Whether references to bodies were dropped: then `Bodies.sweep` has something to do.
        self.drops_bodies = False
        #: How many placements are pending more than before.
        self.outstanding = 0

    def work(self) -> Work:
        """All that the commit does."""
        self._save_account()
        self._save_boxes()
        self._save_views()
        self._save_messages()
        self.outstanding = save_keyed(
            self._work, self._staged.records, self.account, self._stored.number_box
        )
        self._save_vanished()
        self._drop_views_and_boxes()
        self._save_transfers()
        return self._work

    def _drop_views_and_boxes(self) -> None:
        stored, records = self._stored, self._staged.records
        keys = [key for key, view in records.staged(VIEW).items() if view is None]
        views = [(number,) for key in keys if (number := stored.view_numbers.get(key))]
        self._work.add_rows(_DROP_VANISHED, views)
        self._work.add_rows(_DROP_VIEW, views)
        bids = [bid for bid, box in records.staged(BOX).items() if box is None]
        boxes = [(number,) for bid in bids if (number := stored.box_numbers.get(bid))]
        self._work.add_rows(_DROP_BOX, boxes)

    def _save_transfers(self) -> None:
        for way, transfer in self._staged.transfers.items():
            key = (self.account, way.slot, int(way.incoming))
            if transfer is None:
                self._work.add(_DROP_TRANSFER, key)
            else:
                row = (transfer.header, transfer.trailer, transfer.cursor, transfer.began)
                self._work.add(_TRANSFER, (*key, *row))

    # The account, its boxes and views.

    def _save_account(self) -> None:
        records = self._staged.records
        state = (
            *account_state(records.account()),
            self._staged.quota_messages,
            self._staged.quota_octets,
            self.position,
        )
        if self._stored.exists:
            self._work.add(_ACCOUNT, (*state, self.account))
            return
        identity = (self.account, self._name, self._stored.identity, self._slot)
        self._work.add(_NEW_ACCOUNT, (*identity, *state))
        floor = records.get(FLOOR, INBOX)
        assert floor is not None, "an account is provisioned with it"
        self._work.add(_FLOOR, (self.account, INBOX, floor.v))

    def _save_boxes(self) -> None:
        changed = dict.fromkeys(self._staged.records.staged(BOX))
        changed.update(dict.fromkeys(self._staged.tallies))
        if not self._stored.exists:
            changed[INBOX_BID] = None
        rows: list[Row] = []
        for bid in changed:
            box = self._staged.records.get(BOX, bid)
            if box is not None:
                rows.append(self._box_row(box, self._staged.tally(bid)))
        self._work.add_rows(_BOX, rows)

    def _box_row(self, box: Box, tally: Tally) -> tuple[Any, ...]:
        return (
            self._stored.number_box(box.bid),
            self.account,
            *box_state(box),
            tally.messages,
            tally.octets,
            tally.unseen,
            tally.deleted,
            tally.recent,
            " ".join(tally.keywords),
        )

    def _save_views(self) -> None:
        fresh: list[Row] = []
        rows: list[Row] = []
        for key, view in self._staged.records.staged(VIEW).items():
            if view is None:
                continue
            number, is_new = self._stored.number_view(key)
            state = (view.unext, view.maxuid, view.hm, number)
            if is_new:
                fresh.append((*state, self.account, *parts_of(key)))
            else:
                rows.append(state)
        self._work.add_rows(_NEW_VIEW, fresh)
        self._work.add_rows(_VIEW, rows)
        numbers = self._stored.view_numbers
        self._work.add_rows(
            _RECENT,
            [(uid, numbers[key]) for key, uid in self._staged.recents.items() if key in numbers],
        )

    # Messages and their bodies.

    def _save_messages(self) -> None:
        below = self._staged.records.below
        made: list[Placement] = []
        changed: list[Row] = []
        orders: list[Row] = []
        gone: list[Placement] = []
        for pid, placement in self._staged.records.staged(PLACEMENT).items():
            before = below.get(PLACEMENT, pid)
            if placement is None:
                if before is not None:
                    gone.append(before)
            elif before is None:
                made.append(placement)
            else:
                place = self._stored.number_box(placement.box), placement.row
                changed.append((*placement_state(placement), *place))
                if placement.order != before.order:
                    orders.append((*placement.order, placement.row))
        self._make(made)
        self._work.add_rows(_PLACEMENT, changed)
        self._work.add_rows(_ORDER, orders)
        if gone:
            self.drops_bodies = True
            rows = [(placement.row,) for placement in gone]
            self._work.add_rows(_UNREFER, rows)
            places = [(self._stored.box_numbers[p.box], p.row) for p in gone]
            self._work.add_rows(_DROP_PLACEMENT, places)
            self._work.add_rows(_DROP_MESSAGE, rows)

    def _make(self, made: Iterable[Placement]) -> None:
        wanted: dict[bytes, int] = {}
        messages: list[Row] = []
        placements: list[Row] = []
        elsewhere: list[tuple[bytes, int]] = []
        for received in self._staged.received:
            wanted[received.hash] = 0
        for placement in made:
            if placement.blob in wanted:
                wanted[placement.blob] += 1
            else:
                elsewhere.append((placement.blob, placement.size))
            box = self._stored.number_box(placement.box)
            row = placement.row
            messages.append(
                (
                    row,
                    self.account,
                    placement.pid,
                    box,
                    placement.blob,
                    placement.size,
                    placement.date,
                    placement.zone,
                    *placement.order,
                    None if placement.email == placement.pid else placement.email,
                )
            )
            placements.append((*placement_state(placement), box, row))
        for received in self._staged.received:
            self._bodies.link(self._work, received, wanted[received.hash])
            # Of two uploads of the same octets the first has all references.
            wanted[received.hash] = 0
        self._bodies.refer(self._work, elsewhere)
        self._work.add_rows(_NEW_MESSAGE, messages)
        self._work.add_rows(_NEW_PLACEMENT, placements)

    # What is gone.

    def _save_vanished(self) -> None:
        rows: list[tuple[int, int, int, int]] = []
        numbers: set[int] = set()
        for news in self._staged.news:
            for key, changes in news.changes.items():
                view = self._stored.view_numbers.get(key)
                if view is None:
                    continue
                for change in changes:
                    if isinstance(change, Vanished):
                        numbers.add(view)
                        rows += [(view, news.m, low, high) for low, high in change.uids.ranges()]
        self._work.add_rows(_VANISHED, rows)
        for view in sorted(numbers):
            if self._stored.is_trim_due(view, sum(row[0] == view for row in rows)):
                self._work.add(_TRIM_FLOOR, {"view": view, "most": VANISHED_RANGES_MAX})
                self._work.add(_TRIM, {"view": view})
