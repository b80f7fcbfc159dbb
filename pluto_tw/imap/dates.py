# SPDX-License-Identifier: GPL-3.0-or-later
"""
The two forms of time in IMAP: `date` of SEARCH and `date-time` of APPEND and INTERNALDATE.

Decides how they are read and written (RFC 9051 §9). What a date is compared with is for SEARCH;
what the quotes around it look like is for `grammar`. The dates inside of messages (RFC 5322)
are another matter and live in `mime`.
"""

import re
from datetime import UTC, date, datetime, timedelta, timezone

_MONTHS = b"Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()
_MONTH_NUMBERS = {name.lower(): number for number, name in enumerate(_MONTHS, 1)}

_DATE = re.compile(rb"([0-9]{1,2})-([A-Za-z]{3})-([0-9]{4})")
_DATE_TIME = re.compile(
    rb"([ 0-9][0-9])-([A-Za-z]{3})-([0-9]{4}) "
    rb"([0-9]{2}):([0-9]{2}):([0-9]{2}) ([+-])([0-9]{2})([0-9]{2})"
)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def parse_date(text: bytes) -> date:
    """
    The day that *text*, a date-text such as b"1-Feb-1994", names.

    Raises `ValueError` if it has another form or there is no such day. RFC 9051 §9 "date-text".
    """
    match = _DATE.fullmatch(text)
    if match is None:
        raise ValueError("a date has the form 1-Feb-1994")
    day, month, year = match.groups()
    return date(int(year), _month_number(month), int(day))


def parse_date_time(text: bytes) -> datetime:
    """
    The moment and zone of *text*, a date-time without its quotes: b" 1-Feb-1994 21:52:25 -0800".

    Second 60 is taken as 59: a clock that knows leap seconds may send it, and no Python or POSIX
    time can hold it. Raises `ValueError` if the text has another form or there is no such moment.
    RFC 9051 §9 "date-time".
    """
    match = _DATE_TIME.fullmatch(text)
    if match is None:
        raise ValueError("a date-time has the form 01-Feb-1994 21:52:25 -0800")
    day, month, year, hour, minute, second, sign, zone_hours, zone_minutes = match.groups()
    if int(zone_minutes) > 59:
        raise ValueError("a zone has at most 59 minutes beside its hours")
    east = timedelta(hours=int(zone_hours), minutes=int(zone_minutes))
    return datetime(
        int(year),
        _month_number(month),
        int(day),
        int(hour),
        int(minute),
        59 if second == b"60" else int(second),
        tzinfo=timezone(-east if sign == b"-" else east),
    )


def format_date_time(utc_seconds: int, zone_minutes: int) -> bytes:
    """
    The date-time, quotes included, of a moment as seen in a zone east of Greenwich.

    *utc_seconds* since 1970; *zone_minutes* between -1439 and 1439. Raises `OverflowError` where
    the year there is not one of 1 to 9999, which no value of `parse_date_time` is.
    RFC 9051 §9 "date-time"; example: (825_000_000, 60) is b'"22-Feb-1996 15:40:00 +0100"'.
    """
    # UTC in name only: these are the digits that a clock in the zone would show.
    there = _EPOCH + timedelta(seconds=utc_seconds + 60 * zone_minutes)
    hours, minutes = divmod(abs(zone_minutes), 60)
    return b'"%02d-%b-%04d %02d:%02d:%02d %c%02d%02d"' % (
        there.day,
        _MONTHS[there.month - 1],
        there.year,
        there.hour,
        there.minute,
        there.second,
        b"-" if zone_minutes < 0 else b"+",
        hours,
        minutes,
    )


def _month_number(name: bytes) -> int:
    number = _MONTH_NUMBERS.get(name.lower())
    if number is None:
        raise ValueError("a month is one of Jan to Dec")
    return number
