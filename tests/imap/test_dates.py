# SPDX-License-Identifier: GPL-3.0-or-later
"""date and date-time of RFC 9051 §9, both ways."""

from datetime import UTC, date, datetime, timedelta, timezone

from hypothesis import example, given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.imap.dates import format_date_time, parse_date, parse_date_time

#: Moments that are in the years 1 to 9999 in every zone.
moments = st.integers(
    int(datetime(1, 1, 3, tzinfo=UTC).timestamp()),
    int(datetime(9999, 12, 29, tzinfo=UTC).timestamp()),
)
zones = st.integers(-1439, 1439)


class DateTests(SynchronousTestCase):
    def test_rfc_example(self) -> None:
        """RFC 9051 §6.4.4: SINCE 1-Feb-1994."""
        self.assertEqual(parse_date(b"1-Feb-1994"), date(1994, 2, 1))

    def test_day_has_one_or_two_digits(self) -> None:
        """date-day = 1*2DIGIT."""
        self.assertEqual(parse_date(b"01-Feb-1994"), parse_date(b"1-Feb-1994"))
        self.assertEqual(parse_date(b"28-Feb-1994"), date(1994, 2, 28))

    def test_month_in_any_case(self) -> None:
        """RFC 9051 §9 note 1: "all alphabetic characters are case insensitive"."""
        self.assertEqual(parse_date(b"1-fEB-1994"), date(1994, 2, 1))

    def test_leap_day(self) -> None:
        self.assertEqual(parse_date(b"29-Feb-2000"), date(2000, 2, 29))

    def test_refused(self) -> None:
        for text in (
            *(b"", b"31-Feb-2000", b"29-Feb-1900", b"0-Jan-2000", b"32-Jan-2000", b"1-Foo-2000"),
            *(b"1-Jan-0000", b"1-Jan-94", b"1-Jan-12000", b"001-Jan-2000", b" 1-Jan-2000"),
            *(b"1-January-2000", b"1 Jan 2000", b"1-Jan-2000 ", b"2000-01-01", b"1-Jan-2000\n"),
        ):
            self.assertRaises(ValueError, parse_date, text)


class DateTimeTests(SynchronousTestCase):
    def test_rfc_example(self) -> None:
        """RFC 9051 §7.5.2: INTERNALDATE "17-Jul-1996 02:44:25 -0700"."""
        parsed = parse_date_time(b"17-Jul-1996 02:44:25 -0700")
        self.assertEqual(parsed, datetime(1996, 7, 17, 9, 44, 25, tzinfo=UTC))
        self.assertEqual(parsed.utcoffset(), timedelta(hours=-7))
        self.assertEqual(
            format_date_time(int(parsed.timestamp()), -420), b'"17-Jul-1996 02:44:25 -0700"'
        )

    def test_day_has_two_places(self) -> None:
        """date-day-fixed = (SP DIGIT) / 2DIGIT."""
        expected = datetime(2020, 1, 1, tzinfo=UTC)
        self.assertEqual(parse_date_time(b" 1-Jan-2020 00:00:00 +0000"), expected)
        self.assertEqual(parse_date_time(b"01-Jan-2020 00:00:00 -0000"), expected)
        self.assertEqual(format_date_time(1577836800, 0), b'"01-Jan-2020 00:00:00 +0000"')

    def test_zone_with_minutes(self) -> None:
        self.assertEqual(format_date_time(0, 345), b'"01-Jan-1970 05:45:00 +0545"')
        self.assertEqual(format_date_time(0, -570), b'"31-Dec-1969 14:30:00 -0930"')

    def test_leap_second_is_the_second_before(self) -> None:
        self.assertEqual(
            parse_date_time(b"31-Dec-2016 23:59:60 +0000"),
            datetime(2016, 12, 31, 23, 59, 59, tzinfo=UTC),
        )

    def test_refused(self) -> None:
        for text in (
            *(b"", b"1-Jan-2020 00:00:00 +0000", b"001-Jan-2020 00:00:00 +0000"),
            *(b"31-Feb-2020 00:00:00 +0000", b"00-Jan-2020 00:00:00 +0000"),
            *(b"01-Jan-0000 00:00:00 +0000", b"01-Jan-2020 24:00:00 +0000"),
            *(b"01-Jan-2020 00:60:00 +0000", b"01-Jan-2020 00:00:61 +0000"),
            *(b"01-Jan-2020 00:00:00 +2400", b"01-Jan-2020 00:00:00 +0060"),
            *(b"01-Jan-2020 00:00:00 +000", b"01-Jan-2020 00:00:00 UT", b"01-Jan-2020 00:00:00"),
            *(b"01-Jan-2020 0:00:00 +0000", b"  -Jan-2020 00:00:00 +0000"),
            *(b"01-Jan-2020  00:00:00 +0000", b"01-Jan-2020 00:00:00 +0000\n"),
        ):
            self.assertRaises(ValueError, parse_date_time, text)

    @given(moments, zones)
    @example(0, -1439)
    def test_inverse(self, moment: int, zone: int) -> None:
        written = format_date_time(moment, zone)
        self.assertEqual(len(written), 28)
        parsed = parse_date_time(written[1:-1])
        self.assertEqual(parsed, datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=moment))
        self.assertEqual(parsed.utcoffset(), timedelta(minutes=zone))

    @given(st.datetimes(timezones=st.builds(timezone, st.builds(timedelta, minutes=zones))))
    def test_every_parsed_value_can_be_written(self, there: datetime) -> None:
        """At both ends of the years too, where the moment in UTC is in the year 0 or 10000."""
        there = there.replace(microsecond=0, fold=0)
        offset = there.utcoffset()
        assert offset is not None
        moment = there - datetime(1970, 1, 1, tzinfo=UTC)
        written = format_date_time(
            moment.days * 86400 + moment.seconds, offset // timedelta(minutes=1)
        )
        self.assertEqual(parse_date_time(written[1:-1]), there)

    def test_a_year_of_five_digits_cannot_be_written(self) -> None:
        self.assertRaises(OverflowError, format_date_time, 2**40, 0)
        self.assertRaises(OverflowError, format_date_time, -(2**40), 0)
