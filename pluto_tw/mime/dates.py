# SPDX-License-Identifier: GPL-3.0-or-later
"""
The Date field: RFC 5322 §3.3 and §4.3, the forms that senders really use, RFC 5256 §2.2.

Time is counted in whole seconds since 1970-01-01 00:00 UTC; days as `datetime.date.toordinal`.
"""

import datetime
import re
from typing import NamedTuple

from pluto_tw.mime.comments import without_comments

_MONTHS = {
    name: number
    for number, name in enumerate(
        b"jan feb mar apr may jun jul aug sep oct nov dec".split(), start=1
    )
}

#: RFC 5322 §4.3, in minutes. All other names, the military letters among them, count as UTC.
_ZONES = {
    b"est": -300,
    b"edt": -240,
    b"cst": -360,
    b"cdt": -300,
    b"mst": -420,
    b"mdt": -360,
    b"pst": -480,
    b"pdt": -420,
}

_EPOCH_DAY = datetime.date(1970, 1, 1).toordinal()

_TIME = (
    rb"(?P<hour>[0-9]{1,2}) ?[:.] ?(?P<minute>[0-9]{1,2})"
    rb"(?: ?[:.] ?(?P<second>[0-9]{1,2}))?"
)
_ZONE = (
    rb"(?: ?(?:UTC?|GMT)? ?(?P<offset>[+-][0-9]{2}:?[0-9]{2})"
    rb"| (?P<zone>[A-Za-z]{1,9}))?"
)

# What nearly all senders write, RFC 5322 §3.3 to the letter: read in a third of the time.
_STRICT = re.compile(
    rb"(?:[A-Z][a-z][a-z], )?([0-9]{1,2}) ([A-Z][a-z][a-z]) ([0-9]{4})"
    rb" ([0-9]{2}):([0-9]{2}):([0-9]{2}) ([+-])([0-9]{2})([0-9]{2})"
)

# For values whose white space is one space each. All that may repeat is bounded, so that no form
# takes long to fail.
_FORMS = (
    # 31 Dec 2000 16:01:33 -0800, with or without "Sun,", with "-" between; RFC 5322, 850.
    re.compile(
        rb"(?:[A-Za-z]{1,9}[.]? ?,? ?|, ?)?"
        rb"(?P<day>[0-9]{1,2})[ -]{1,3}(?P<month>[A-Za-z]{3})[A-Za-z]{0,6}[.]?,?[ -]{1,3}"
        rb"(?P<year>[0-9]{2,4})(?:,? " + _TIME + _ZONE + rb")?"
    ),
    # Sun Dec 31 16:01:33 2000, with a zone before or behind the year: the C library's asctime.
    re.compile(
        rb"(?:[A-Za-z]{1,9} ?,? )?(?P<month>[A-Za-z]{3})[A-Za-z]{0,6} (?P<day>[0-9]{1,2}),? "
        + _TIME
        + _ZONE
        + rb",? (?P<year>[0-9]{4})(?P<behind> [+-][0-9]{4})?"
    ),
    # 2000-12-31T16:01:33-08:00 and 2000-12-31 16:01:33 -0800: ISO 8601, RFC 3339.
    re.compile(
        rb"(?P<year>[0-9]{4})-(?P<month>[0-9]{2})-(?P<day>[0-9]{2})"
        rb"(?:[T ]" + _TIME + rb"(?:[.][0-9]{1,9})?" + _ZONE + rb")?"
    ),
)


class SentDate(NamedTuple):
    """A Date field: *seconds* since 1970 in UTC, and its *day* as written, the zone disregarded."""

    seconds: int
    day: int


def sent_date(value: bytes) -> SentDate | None:
    """
    The date that an unfolded Date value means, None if it means none. Never raises.

    An invalid zone counts as UTC, an invalid time as 00:00:00 (RFC 5256 §2.2), a leap second as
    the second before it. Years of two and three digits: RFC 5322 §4.3. The name of the weekday is
    not looked at. What follows the date is not looked at either.
    """
    if strict := _STRICT.fullmatch(value):
        day, month, year, hour, minute, second, sign, hours, minutes = strict.groups()
        offset = _offset_minutes(sign, int(hours), int(minutes))
        number = _MONTHS.get(month.lower(), 0)
        time = int(hour), int(minute), int(second)
        return _sent_date(int(year), number, int(day), time, offset)
    value = b" ".join(without_comments(value).split())
    for form in _FORMS:
        if match := form.match(value):
            return _read(match)
    return None


def _read(match: re.Match[bytes]) -> SentDate | None:
    """What a match of one of `_FORMS` says."""
    year, month = int(match["year"]), match["month"]
    number = int(month) if month.isdigit() else _MONTHS.get(month.lower(), 0)
    if len(match["year"]) < 4:
        year += 2000 if len(match["year"]) == 2 and year < 50 else 1900
    time = int(match["hour"] or 0), int(match["minute"] or 0), int(match["second"] or 0)
    return _sent_date(year, number, int(match["day"]), time, _zone_minutes(match))


def _sent_date(
    year: int, month: int, day: int, time: tuple[int, int, int], zone_minutes: int
) -> SentDate | None:
    try:
        ordinal = datetime.date(year, month, day).toordinal()
    except ValueError:
        return None
    seconds = (ordinal - _EPOCH_DAY) * 86_400
    hour, minute, second = time
    if hour <= 23 and minute <= 59 and second <= 60:
        seconds += hour * 3_600 + minute * 60 + min(second, 59) - 60 * zone_minutes
    return SentDate(seconds, ordinal)


def _zone_minutes(match: re.Match[bytes]) -> int:
    """Minutes east of UTC."""
    behind = match["behind"] if "behind" in match.re.groupindex else None
    offset = behind or match["offset"]
    if not offset:
        return _ZONES.get((match["zone"] or b"").lower(), 0)
    offset = offset.strip().replace(b":", b"")
    return _offset_minutes(offset[:1], int(offset[1:3]), int(offset[3:]))


def _offset_minutes(sign: bytes, hours: int, minutes: int) -> int:
    if minutes > 59:
        return 0
    return (-1 if sign == b"-" else 1) * (60 * hours + minutes)
