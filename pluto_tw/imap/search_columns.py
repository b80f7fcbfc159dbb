# SPDX-License-Identifier: GPL-3.0-or-later
"""
Search keys that a mailbox answers from memory, for many messages at once.

The answer for a run of messages is a *mask*: an integer of one octet a message, the first message
in the lowest, each 1 or 0. "And", "or" and "not" of thousands of messages are then one operation
of the interpreter on a number, and no object is made of any message.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import assert_never

from pluto_tw.imap.ports import OpenMailbox
from pluto_tw.mail.flags import Flag, flag_key
from pluto_tw.mail.search import (
    All,
    ChangedSince,
    Comparison,
    EmailId,
    HasFlag,
    InternalDay,
    Larger,
    Older,
    Recent,
    Smaller,
    ThreadId,
    Uids,
    Younger,
)
from pluto_tw.mail.sets import NumberSet

#: The keys that are answered here.
Column = (
    All
    | Uids
    | HasFlag
    | Recent
    | Larger
    | Smaller
    | InternalDay
    | Older
    | Younger
    | ChangedSince
    | EmailId
    | ThreadId
)

#: `date.toordinal()` of the day of POSIX second 0.
_EPOCH_DAY = 719_163
_DAY_SECONDS = 86_400
_MINUTE_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Moment:
    """What one search takes for given: the time in POSIX seconds, and what it asked before."""

    now: int
    #: UIDs that are `\\Recent` in the session.
    recent: NumberSet
    #: For each `ChangedSince` of the program the UIDs that fit it.
    changed: Mapping[ChangedSince, NumberSet]


def mask(fits: Iterable[bool]) -> int:
    """The mask of messages of which each *fits* or does not, in order."""
    return int.from_bytes(bytes(fits), "little")


def full(messages: int) -> int:
    """The mask of that many messages which all fit."""
    return int.from_bytes(b"\1" * messages, "little")


def matches(compare: Comparison, day: int | None, asked: int) -> bool:
    """Whether *day* stands so to the day *asked*; no day stands anyhow to it."""
    if day is None:
        return False
    match compare:
        case Comparison.BEFORE:
            return day < asked
        case Comparison.ON:
            return day == asked
        case Comparison.SINCE:
            return day >= asked
        case _:
            assert_never(compare)


class Columns:
    """What *mailbox* holds in memory of the messages *uids*, ascending; read when needed."""

    def __init__(self, mailbox: OpenMailbox, uids: Sequence[int], moment: Moment) -> None:
        self.uids = uids
        self._mailbox = mailbox
        self._moment = moment

    @cached_property
    def _seconds(self) -> list[int]:
        return [date.seconds for date in self._mailbox.internal_dates(self.uids)]

    @cached_property
    def _days(self) -> list[int]:
        """The days of INTERNALDATE in the zones that it is told in."""
        return [
            _EPOCH_DAY + (date.seconds + date.zone_minutes * _MINUTE_SECONDS) // _DAY_SECONDS
            for date in self._mailbox.internal_dates(self.uids)
        ]

    @cached_property
    def _sizes(self) -> Sequence[int]:
        return self._mailbox.sizes(self.uids)

    def mask(self, key: Column) -> int:
        """Which of the messages fit *key*."""
        moment = self._moment
        match key:
            case All():
                return full(len(self.uids))
            case Uids(uids):
                return self._members(uids)
            case HasFlag(flag):
                return self._flagged(flag)
            case Recent():
                return self._members(moment.recent)
            case Larger(octets):
                return mask([size > octets for size in self._sizes])
            case Smaller(octets):
                return mask([size < octets for size in self._sizes])
            case InternalDay(comparison, asked):
                return mask([matches(comparison, day, asked) for day in self._days])
            case Older(seconds):
                return self._arrived(lambda arrived: arrived <= moment.now - seconds)
            case Younger(seconds):
                return self._arrived(lambda arrived: arrived >= moment.now - seconds)
            case ChangedSince():
                return self._members(moment.changed[key])
            case EmailId(object_id):
                ids: Sequence[str | None] = self._mailbox.email_ids(self.uids)
                return mask([each == object_id for each in ids])
            case ThreadId(object_id):
                ids = self._mailbox.thread_ids(self.uids)
                return mask([each == object_id for each in ids])
            case _:
                assert_never(key)

    def _members(self, members: NumberSet) -> int:
        result = bytearray(len(self.uids))
        for start, end in members.spans(self.uids):
            result[start:end] = b"\1" * (end - start)
        return int.from_bytes(result, "little")

    def _arrived(self, fits: Callable[[int], bool]) -> int:
        return mask([fits(seconds) for seconds in self._seconds])

    def _flagged(self, flag: Flag) -> int:
        """
        Messages with *flag* in any spelling; keywords are compared once for each set of flags that
        occurs, of which a mailbox has few.
        """
        flags = self._mailbox.flags(self.uids)
        key = flag_key(flag)
        having = {each for each in set(flags) if any(flag_key(f) == key for f in each)}
        return mask([each in having for each in flags])
