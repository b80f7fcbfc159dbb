# SPDX-License-Identifier: GPL-3.0-or-later
"""Dates as they are written, in all the ways that there are."""

from datetime import UTC, date, datetime, timedelta, timezone
from email.utils import format_datetime

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.mime.dates import SentDate, sent_date

MOMENT = int(datetime(2024, 6, 10, 10, 11, 9, tzinfo=UTC).timestamp())
DAY = date(2024, 6, 10).toordinal()


class SentDateTests(SynchronousTestCase):
    def test_forms(self) -> None:
        for written in (
            b"Mon, 10 Jun 2024 10:11:09 +0000",
            b"10 Jun 2024 10:11:09 +0000",
            b"Mon, 10 Jun 2024 12:11:09 +0200 (CEST)",
            b"Mon (day), 10 (of) Jun 2024 (this year) 10:11:09 (sharp) -0000",
            b"  Mon  ,  10   Jun  2024   10 : 11 : 09   GMT",
            b"Mon, 10 Jun 24 10:11:09 UT",
            b"Mon, 10 June 2024 10:11:09 Z",
            b"Monday, 10-Jun-24 10:11:09 GMT",
            b"mon, 10 jun 2024 06:11:09 edt",
            b"Mon, 10 Jun 2024 10:11:09",
            b"Mon, 10 Jun 2024 10:11:09 XYZ",
            b"Mon, 10 Jun 2024 10:11:09 +0299",
            b"Mon, 10 Jun 2024 12:11:09 GMT+0200",
            b"Mon, 10 Jun 2024 12:11:09 +02:00",
            b"Mon Jun 10 10:11:09 2024",
            b"Mon Jun 10 03:11:09 PDT 2024",
            b"Mon Jun 10 12:11:09 2024 +0200",
            b"2024-06-10T10:11:09Z",
            b"2024-06-10 12:11:09.123 +02:00",
        ):
            self.assertEqual(sent_date(written), SentDate(MOMENT, DAY), written)

    def test_day_is_the_one_written(self) -> None:
        """RFC 9051 §6.4.4, SENTON: "disregarding time and timezone"."""
        found = sent_date(b"31 Dec 2000 16:01:33 -0800")
        assert found is not None
        self.assertEqual(found.day, date(2000, 12, 31).toordinal())
        self.assertEqual(datetime.fromtimestamp(found.seconds, UTC).year, 2001)

    def test_years_of_two_and_three_digits(self) -> None:
        """RFC 5322 §4.3."""
        for written, year in ((b"49", 2049), (b"50", 1950), (b"099", 1999), (b"100", 2000)):
            found = sent_date(b"1 Jan " + written)
            assert found is not None
            self.assertEqual(found.day, date(year, 1, 1).toordinal())

    def test_invalid_time_is_midnight(self) -> None:
        """RFC 5256 §2.2: "If the time is also invalid, the time SHOULD be treated as 00:00:00"."""
        midnight = SentDate(MOMENT - 10 * 3600 - 11 * 60 - 9, DAY)
        for written in (b"10 Jun 2024", b"10 Jun 2024 24:00:00 +0200", b"10 Jun 2024 noon"):
            self.assertEqual(sent_date(written), midnight, written)

    def test_leap_second(self) -> None:
        """RFC 5322 §3.3 allows 60; it stays within its minute."""
        self.assertEqual(
            sent_date(b"31 Dec 2016 23:59:60 +0000"), sent_date(b"31 Dec 2016 23:59:59 +0000")
        )

    def test_no_date(self) -> None:
        for written in (
            b"",
            b"yesterday",
            b"31 Feb 2024",
            b"10 Foo 2024",
            b"0 Jan 2024",
            b"1 Jan 0000",
        ):
            self.assertIsNone(sent_date(written), written)

    @given(
        st.datetimes(datetime(1900, 1, 1), datetime(9999, 12, 30)),  # noqa: DTZ001
        st.integers(-1439, 1439),
    )
    def test_all_dates_of_rfc_5322(self, naive: datetime, minutes: int) -> None:
        moment = naive.replace(microsecond=0, tzinfo=timezone(timedelta(minutes=minutes)))
        found = sent_date(format_datetime(moment).encode())
        assert found is not None
        self.assertEqual(found, SentDate(int(moment.timestamp()), naive.toordinal()))

    @given(
        st.from_regex(rb"[0-9]{2}:[0-9]{2}:[0-9]{2} [+-][0-9]{4}", fullmatch=True),
        st.from_regex(rb"([A-Z][a-z]{2}, )?[0-9]{1,2} (Jan|Feb|Xyz) [0-9]{4}", fullmatch=True),
    )
    def test_white_space_changes_nothing(self, time: bytes, day: bytes) -> None:
        """RFC 5322 §3.3 to the letter is read by itself, and as everything else is."""
        written = day + b" " + time
        self.assertEqual(sent_date(written), sent_date(b" " + written), written)

    @given(st.text(alphabet="0123456789 :-+,()JanFebT.GMT", max_size=60))
    def test_anything_is_read(self, written: str) -> None:
        sent_date(written.encode())
