# SPDX-License-Identifier: GPL-3.0-or-later
"""
What was computed and is not durable yet: events of one account, one on the other, for one commit.

A `Staged` lies over what is committed, or over another one whose commit is in flight. Events are
computed on it, and each is added to it whole. When its commit succeeds, `news` says event by event
what sessions are to be told; when it fails, it is dropped with all that lies above it.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from msgspec import Struct

from pluto_tw.account.records import StoredRecords
from pluto_tw.account.tally import Tally, count
from pluto_tw.account.transfers import Transfer, Way
from pluto_tw.account.upload import Received
from pluto_tw.crdt.predicates import is_exposed
from pluto_tw.crdt.records import BOX, PLACEMENT, TABLES, Placement, Records, Table
from pluto_tw.crdt.transaction import Transaction
from pluto_tw.mail.changes import Change


class News(Struct, frozen=True, eq=False):
    """One event: the mod-sequence, what to tell in each mailbox, what is shown there after it."""

    m: int
    changes: Mapping[int, Sequence[Change]]
    shown: Mapping[int, Sequence[Placement]]
    transaction: Transaction

    def of(self, key: int) -> Sequence[Change]:
        """What to tell in the mailbox *key*."""
        return self.changes.get(key, ())


class Overlay(Transaction):
    """The records of several transactions over *below*, one after the other."""

    def __init__(self, below: Records) -> None:
        super().__init__(below, 0, 0, 0)

    def merge(self, tx: Transaction) -> None:
        """Adds what *tx* staged, which was computed on this as it is."""
        for table, mine, theirs in zip(TABLES, self._staged, tx._staged, strict=True):
            if theirs:
                mine.update(theirs)
                for key in [key for key, record in theirs.items() if record is None]:
                    self.delete(cast("Table[Any, Any]", table), key)

    def changed(self) -> Iterator[tuple[int, Mapping[Any, Any]]]:
        """The tables, by number, in which something is staged, and what."""
        for number, records in enumerate(self._staged):
            if records:
                yield number, records


class Staged:
    """What goes into one commit, over *stored* and, if given, over *below*."""

    def __init__(self, stored: StoredRecords, below: "Staged | None" = None) -> None:
        self._stored = stored
        self._below = below
        under: Records = stored if below is None else below.records
        #: The records, to compute the next event on.
        self.records: Overlay = Overlay(under)
        self.tallies: dict[int, Tally] = {}
        #: By key, as `StoredRecords.recents`.
        self.recents: dict[int, int] = {}
        #: Snapshots on their way, as they are then; None: no longer.
        self.transfers: dict[Way, Transfer | None] = {}
        #: Bodies that came with messages appended here.
        self.received: list[Received] = []
        self.news: list[News] = []
        quota = stored if below is None else below
        #: What the account's quota counts, all that is staged included.
        self.quota_messages: int = quota.quota_messages
        self.quota_octets: int = quota.quota_octets

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to commit."""
        return (
            self.records.is_empty and not self.recents and not self.received and not self.transfers
        )

    def tally(self, bid: int) -> Tally:
        """The counts of a box, all that is staged included."""
        found = self.tallies.get(bid)
        if found is not None:
            return found
        return self._stored.tally(bid) if self._below is None else self._below.tally(bid)

    def recent_from(self, key: int) -> int:
        """From which UID on messages are `\\Recent` to the next session."""
        found = self.recents.get(key)
        if found is not None:
            return found
        if self._below is not None:
            return self._below.recent_from(key)
        return self._stored.recent_from(key)

    def add(self, tx: Transaction, received: Sequence[Received] = ()) -> None:
        """Adds the event *tx*, which was computed on `records` as they are."""
        counted = count(tx, self.tally, self.recent_from)
        self.records.merge(tx)
        self.tallies.update(counted.tallies)
        self.quota_messages += counted.messages
        self.quota_octets += counted.octets
        self.received.extend(received)
        self.news.append(News(tx.m, tx.changes, counted.shown, tx))

    def claim_recent(self, key: int, uid_next: int, uncommitted: Sequence["Staged"]) -> None:
        r"""
        Whoever comes next has no `\Recent` below *uid_next* in the mailbox *key*.

        What is staged (*uncommitted*) may already be above it, and stays recent.
        """
        self.recents[key] = uid_next
        above: dict[int, int] = {}
        for pid in {pid for staged in uncommitted for pid in staged.records.staged(PLACEMENT)}:
            placement = self.records.get(PLACEMENT, pid)
            if placement is not None and placement.uid >= uid_next:
                box = self.records.get(BOX, placement.box)
                if box is not None and box.home == key and is_exposed(placement, box):
                    above[placement.box] = above.get(placement.box, 0) + 1
        for box in self._stored.boxes_at(key):
            bid = box.bid
            self.tallies[bid] = self.tally(bid).with_recent(above.get(bid, 0))
            for staged in uncommitted:
                if bid in staged.tallies:
                    staged.tallies[bid] = staged.tallies[bid].with_recent(above.get(bid, 0))
        self._stored.claim_recent(key, uid_next)

    def rebase(self) -> None:
        """What lay below is durable, and in the records that were stored."""
        self._below = None
        self.records.below = self._stored
