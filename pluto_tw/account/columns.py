# SPDX-License-Identifier: GPL-3.0-or-later
"""
The messages of a loaded mailbox: a column for each fact, an entry for each UID, in their order.

Some 80 octets a message, where an object each would take 700. Flags are numbers of sets that are
held once. An entry that vanished stays where it is, hidden, as sessions may still show it; `drop`
lets go of it, and the columns are packed when enough of them is of no use.
"""

import sqlite3
from array import array
from base64 import urlsafe_b64encode
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from itertools import islice
from operator import gt
from typing import Final, NamedTuple

import msgspec

from pluto_tw.account.rows import SYSTEM_FLAG_SETS, keywords_of, numbers_of
from pluto_tw.crdt.pids import BIRTH, BIRTH_OCTETS, MOVED_OCTETS
from pluto_tw.mail.flags import Flag, Flags, flag_key
from pluto_tw.mail.sets import NumberSet

#: Entries of no use are packed away when they are more than this, and more than an eighth.
IDLE_MAX: Final = 64

#: Messages that one query gives, as a text for each column: some 2 MiB for a moment.
_LOADED: Final = 16_384

_MESSAGES: Final = """
    FROM (
        SELECT p.uid, p.id, p.flags, p.keywords, p.msq, m.size, m.date, m.zone, m.body, m.pid,
            m.email
        FROM placement p JOIN message m ON m.id = p.id
        WHERE p.box = ? AND p.id > ? AND p.uid > 0 AND p.era = ?
        AND p.key_bid IS ? AND p.key_gen IS ?
        ORDER BY p.id LIMIT ?
    )
"""
# One row of texts takes half the time of a row for each message, and nearly all of it outside of
# Python: the event loop goes on meanwhile.
_LOAD: Final = f"""
    SELECT json_group_array(uid), json_group_array(id), json_group_array(flags),
        json_group_array(keywords), json_group_array(msq), json_group_array(size),
        json_group_array(date), json_group_array(body),
        group_concat(substr(hex(pid) || '00000000', 1, 32), ''),
        min(zone), max(zone), max(email IS NOT NULL OR length(pid) <> {BIRTH_OCTETS})
    {_MESSAGES}
"""
# What mostly needs no column: all dates are of one zone, no message is from another mailbox.
_ZONES: Final = f"SELECT json_group_array(zone) {_MESSAGES}"
_EMAILS: Final = f"SELECT group_concat(hex(coalesce(email, pid)), '') {_MESSAGES}"

_words = msgspec.json.Decoder(list[str | None]).decode


class Shown(NamedTuple):
    """A box that is shown in the mailbox: its number in the database, and what its rows have."""

    number: int
    bid: int
    era: int
    key_bid: int | None
    key_gen: int | None


class Entry(NamedTuple):
    """What a message has in the columns; *body* 0: its number is not known yet."""

    uid: int
    row: int
    bid: int
    bits: int
    keywords: str | None
    msq: int
    size: int
    date: int
    zone: int
    body: int
    pid: bytes
    email: bytes


class Columns:
    """The columns of one mailbox, which knows the *keywords* from before, in their spelling."""

    def __init__(self, keywords: Iterable[Flag] = ()) -> None:
        self._uids = array("I")
        self._rows = array("q")
        self._boxes = array("H")
        self._flags = array("I")
        self._msqs = array("q")
        self._sizes = array("q")
        self._dates = array("q")
        self._zones = array("h")
        self._bodies = array("q")
        self._pids = bytearray()
        self._emails = bytearray()
        #: The bids that `_boxes` counts.
        self._bids: list[int] = []
        #: The sets of flags that `_flags` counts.
        self._sets: list[Flags] = []
        self._set_numbers: dict[Flags, int] = {}
        self._pairs: dict[tuple[int, str | None], int] = {}
        #: The keywords in their spelling, by `flag_key`; not to be changed.
        self.spelling = {flag_key(keyword): keyword for keyword in keywords}
        self.keywords: Flags = frozenset(self.spelling.values())
        #: Entries that are not exposed any more; True: of no use to anybody.
        self._hidden: dict[int, bool] = {}
        self._idle = 0

    # Loading.

    def read(self, connection: sqlite3.Connection, boxes: Sequence[Shown]) -> None:
        """Reads all that is exposed of *boxes*; on any thread, before anybody else has this."""
        for box in boxes:
            number = self._bid_number(box.bid)
            row = 0
            while count := self._take(connection, box, number, row):
                row = self._rows[-1]
                if count < _LOADED:
                    break
        uids = self._uids
        if any(map(gt, uids, islice(uids, 1, None))):
            self._sort()

    def _take(self, connection: sqlite3.Connection, box: Shown, number: int, row: int) -> int:
        """Reads a stretch of *box*, from above *row* on; how many messages there were."""
        query = (box.number, row, box.era, box.key_bid, box.key_gen, _LOADED)
        ((uids, rows, bits, keywords, msqs, sizes, dates, bodies, pids, *rest),) = (
            connection.execute(_LOAD, query).fetchall()
        )
        # An array of a list, and not `extend`: that asks an iterator for each number.
        numbers = array("I", numbers_of(uids))
        count = len(numbers)
        if not count:
            return 0
        west, east, moved = rest
        zones = array("h", (west,)) * count
        if west != east:
            ((found,),) = connection.execute(_ZONES, query).fetchall()
            zones = array("h", numbers_of(found))
        octets = bytes.fromhex(pids)
        emails: bytes | bytearray
        if moved:
            ((found,),) = connection.execute(_EMAILS, query).fetchall()
            emails = bytes.fromhex(found)
        else:
            emails = bytearray(BIRTH_OCTETS * count)
            for place in range(BIRTH_OCTETS):
                emails[place::BIRTH_OCTETS] = octets[place::MOVED_OCTETS]
        self._uids += numbers
        self._rows += array("q", numbers_of(rows))
        self._boxes += array("H", (number,)) * count
        pairs = list(zip(numbers_of(bits), _words(keywords), strict=True))
        for pair in set(pairs).difference(self._pairs):
            self._number_pair(pair)
        self._flags += array("I", list(map(self._pairs.__getitem__, pairs)))
        self._msqs += array("q", numbers_of(msqs))
        self._sizes += array("q", numbers_of(sizes))
        self._dates += array("q", numbers_of(dates))
        self._zones += zones
        self._bodies += array("q", numbers_of(bodies))
        self._pids += octets
        self._emails += emails
        return count

    def _sort(self) -> None:
        """Brings all columns into the order of the UIDs."""
        uids = self._uids
        order = sorted(range(len(uids)), key=uids.__getitem__)
        for name in _ARRAYS:
            column = getattr(self, name)
            setattr(self, name, array(column.typecode, [column[at] for at in order]))
        self._pids = bytearray().join(
            [self._pids[at * MOVED_OCTETS : (at + 1) * MOVED_OCTETS] for at in order]
        )
        self._emails = bytearray().join(
            [self._emails[at * BIRTH_OCTETS : (at + 1) * BIRTH_OCTETS] for at in order]
        )

    def _bid_number(self, bid: int) -> int:
        if self._bids and self._bids[0] == bid:
            return 0
        if bid not in self._bids:
            self._bids.append(bid)
        return self._bids.index(bid)

    def _number_pair(self, pair: tuple[int, str | None]) -> int:
        """The number of the set of flags that two columns of the database stand for."""
        bits, words = pair
        flags = SYSTEM_FLAG_SETS[bits]
        if words:
            flags |= {self.spelled(keyword) for keyword in keywords_of(words)}
        number = self._set_numbers.get(flags)
        if number is None:
            number = self._set_numbers[flags] = len(self._sets)
            self._sets.append(flags)
        self._pairs[pair] = number
        return number

    def spelled(self, keyword: Flag) -> Flag:
        """*keyword* in the spelling of this mailbox, which takes it on if it is a new one."""
        known = self.spelling.get(flag_key(keyword))
        if known is not None:
            return known
        self.spelling[flag_key(keyword)] = keyword
        self.keywords = frozenset(self.spelling.values())
        return keyword

    # Changing.

    def put(self, entry: Entry) -> None:
        """A message that is exposed: a new one above all others, or one that has changed."""
        at = self._find(entry.uid)
        pair = (entry.bits, entry.keywords)
        flags = self._pairs.get(pair)
        if flags is None:
            flags = self._number_pair(pair)
        if at >= 0:
            self._flags[at] = flags
            self._msqs[at] = entry.msq
            return
        assert not self._uids or entry.uid > self._uids[-1], "UIDs are exposed in ascending order"
        self._uids.append(entry.uid)
        self._rows.append(entry.row)
        self._boxes.append(self._bid_number(entry.bid))
        self._flags.append(flags)
        self._msqs.append(entry.msq)
        self._sizes.append(entry.size)
        self._dates.append(entry.date)
        self._zones.append(entry.zone)
        self._bodies.append(entry.body)
        self._pids += entry.pid.ljust(MOVED_OCTETS, b"\0")
        self._emails += entry.email

    def know_body(self, uid: int, body: int) -> None:
        """The number of the body of *uid* is *body*."""
        self._bodies[self._at(uid)] = body

    def hide(self, uids: NumberSet) -> list[int]:
        """*uids* are not exposed any more; those of them that were."""
        hidden = [uid for uid in uids.select(self._uids) if uid not in self._hidden]
        self._hidden.update(dict.fromkeys(hidden, False))
        return hidden

    def drop(self, uids: Iterable[int]) -> None:
        """Nobody needs the hidden *uids* any more."""
        for uid in uids:
            if self._hidden.get(uid) is False:
                self._hidden[uid] = True
                self._idle += 1
        if self._idle > IDLE_MAX and self._idle * 8 > len(self._uids):
            self._pack()

    def _pack(self) -> None:
        idle = sorted(self._at(uid) for uid, is_idle in self._hidden.items() if is_idle)
        kept: list[tuple[int, int]] = []
        start = 0
        for at in idle:
            if at > start:
                kept.append((start, at))
            start = at + 1
        kept.append((start, len(self._uids)))
        for name in _ARRAYS:
            column = getattr(self, name)
            packed = array(column.typecode)
            for low, high in kept:
                packed.extend(column[low:high])
            setattr(self, name, packed)
        self._pids = _packed(self._pids, kept, MOVED_OCTETS)
        self._emails = _packed(self._emails, kept, BIRTH_OCTETS)
        self._hidden = {uid: False for uid, is_idle in self._hidden.items() if not is_idle}
        self._idle = 0

    # Asking. A UID that is not there is a KeyError.

    def __len__(self) -> int:
        """How many messages are exposed."""
        return len(self._uids) - len(self._hidden)

    @property
    def octets(self) -> int:
        """About what all this takes in memory."""
        arrays = sum(len(column) * column.itemsize for column in map(self._array, _ARRAYS))
        return arrays + len(self._pids) + len(self._emails) + 100 * len(self._hidden)

    @property
    def boxes(self) -> Sequence[int]:
        """The bids of the boxes that messages are or were in."""
        return self._bids

    def uids(self) -> "array[int]":
        """The UIDs that are exposed, ascending; the caller's own."""
        if not self._hidden:
            return self._uids[:]
        found = array("I")
        start = 0
        for at in sorted(map(self._at, self._hidden)):
            found.extend(self._uids[start:at])
            start = at + 1
        found.extend(self._uids[start:])
        return found

    def among(self, uids: NumberSet) -> list[int]:
        """Those of *uids* that are here, exposed or hidden."""
        found = uids.select(self._uids)
        if self._idle:
            return [uid for uid in found if not self._hidden.get(uid)]
        return found

    def is_exposed(self, uid: int) -> bool:
        """Whether *uid* is here and not hidden."""
        return uid not in self._hidden and self._find(uid) >= 0

    def flags(self, uids: Sequence[int]) -> list[Flags]:
        """The same object for equal sets."""
        sets, flags = self._sets, self._flags
        return [sets[flags[at]] for at in self._places(uids)]

    def msqs(self, uids: Sequence[int]) -> list[tuple[int, int]]:
        """The mod-sequence of each message itself, and the bid of its box."""
        bids, boxes, msqs = self._bids, self._boxes, self._msqs
        return [(msqs[at], bids[boxes[at]]) for at in self._places(uids)]

    def above(self, msq: int, bids: frozenset[int]) -> list[int]:
        """The exposed UIDs of messages with a mod-sequence above *msq*, or in one of *bids*."""
        found = [uid for uid, own in zip(self._uids, self._msqs, strict=True) if own > msq]
        numbers = {number for number, bid in enumerate(self._bids) if bid in bids}
        if numbers:
            boxes = zip(self._uids, self._boxes, strict=True)
            found = sorted({*found, *(uid for uid, number in boxes if number in numbers)})
        if self._hidden:
            return [uid for uid in found if uid not in self._hidden]
        return found

    def sizes(self, uids: Sequence[int]) -> list[int]:
        """Octets."""
        return [self._sizes[at] for at in self._places(uids)]

    def dates(self, uids: Sequence[int]) -> list[tuple[int, int]]:
        """POSIX seconds and zone in minutes."""
        return [(self._dates[at], self._zones[at]) for at in self._places(uids)]

    def rows(self, uids: Sequence[int]) -> list[int]:
        """The numbers of the messages in the database."""
        return [self._rows[at] for at in self._places(uids)]

    def bodies(self, uids: Sequence[int]) -> list[int]:
        """The numbers of the bodies in the database; 0 where it is not known yet."""
        return [self._bodies[at] for at in self._places(uids)]

    def pids(self, uids: Sequence[int]) -> list[bytes]:
        """The pids of the placements."""
        found = []
        for at in self._places(uids):
            start = at * MOVED_OCTETS
            length = BIRTH_OCTETS if self._pids[start] == BIRTH else MOVED_OCTETS
            found.append(bytes(self._pids[start : start + length]))
        return found

    def bids(self, uids: Sequence[int]) -> list[int]:
        """The bids of the boxes that the messages are in."""
        return [self._bids[self._boxes[at]] for at in self._places(uids)]

    def email_ids(self, uids: Sequence[int]) -> list[str]:
        """The EMAILIDs."""
        octets = BIRTH_OCTETS
        emails = (bytes(self._emails[at * octets : (at + 1) * octets]) for at in self._places(uids))
        return [email_id(email) for email in emails]

    def _places(self, uids: Sequence[int]) -> Sequence[int]:
        count = len(uids)
        if count > 1:
            first, last = self._find(uids[0]), self._find(uids[-1])
            # Mostly all are asked for, or a stretch of them.
            if (
                first >= 0
                and last - first == count - 1
                and self._uids[first : last + 1] == array("I", uids)
            ):
                return range(first, last + 1)
        return [self._at(uid) for uid in uids]

    def _find(self, uid: int) -> int:
        at = bisect_left(self._uids, uid)
        return at if at < len(self._uids) and self._uids[at] == uid else -1

    def _at(self, uid: int) -> int:
        at = self._find(uid)
        if at < 0:
            raise KeyError(uid)
        return at

    def _array(self, name: str) -> "array[int]":
        column: array[int] = getattr(self, name)
        return column


_ARRAYS: Final = (
    "_uids",
    "_rows",
    "_boxes",
    "_flags",
    "_msqs",
    "_sizes",
    "_dates",
    "_zones",
    "_bodies",
)


def email_id(email: bytes) -> str:
    """The EMAILID of the message whose first pid is *email*. RFC 8474 §5.1."""
    return "M" + urlsafe_b64encode(email).decode("ascii")


def _packed(column: bytearray, kept: list[tuple[int, int]], width: int) -> bytearray:
    return bytearray().join([column[low * width : high * width] for low, high in kept])
