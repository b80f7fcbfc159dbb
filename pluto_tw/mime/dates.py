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
    value = b" ".join(without_comments(value).split())
    for form in _FORMS:
        if match := form.match(value):
            return _sent_date(match)
    return None


def _sent_date(match: re.Match[bytes]) -> SentDate | None:
    year, month = int(match["year"]), match["month"]
    number = int(month) if month.isdigit() else _MONTHS.get(month.lower(), 0)
    if len(match["year"]) < 4:
        year += 2000 if len(match["year"]) == 2 and year < 50 else 1900
    try:
        day = datetime.date(year, number, int(match["day"])).toordinal()
    except ValueError:
        return None
    hour, minute = int(match["hour"] or 0), int(match["minute"] or 0)
    second = int(match["second"] or 0)
    if hour > 23 or minute > 59 or second > 60:
        return SentDate((day - _EPOCH_DAY) * 86_400, day)
    seconds = (day - _EPOCH_DAY) * 86_400 + hour * 3_600 + minute * 60 + min(second, 59)
    return SentDate(seconds - 60 * _zone_minutes(match), day)


def _zone_minutes(match: re.Match[bytes]) -> int:
    """Minutes east of UTC."""
    behind = match["behind"] if "behind" in match.re.groupindex else None
    offset = behind or match["offset"]
    if not offset:
        return _ZONES.get((match["zone"] or b"").lower(), 0)
    offset = offset.strip().replace(b":", b"")
    hours, minutes = int(offset[1:3]), int(offset[3:])
    if minutes > 59:
        return 0
    return (-1 if offset.startswith(b"-") else 1) * (60 * hours + minutes)
