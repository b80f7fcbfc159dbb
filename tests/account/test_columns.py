# SPDX-License-Identifier: GPL-3.0-or-later
"""Columns hold what a list of objects would, in a tenth of the memory."""

import sqlite3
import tracemalloc
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.account.columns import IDLE_MAX, Columns, Entry, Shown, email_id
from pluto_tw.crdt.pids import birth_pid, moved_pid
from pluto_tw.mail.flags import flag_set
from pluto_tw.mail.sets import NumberSet


def entry(uid: int, bits: int = 0, keywords: str | None = None, msq: int = 1) -> Entry:
    born = birth_pid(uid << 5, 0)
    pid = born if uid % 2 else moved_pid(born, 7)
    return Entry(uid, uid * 10, uid % 3, bits, keywords, msq, uid * 100, uid - 5, -60, 0, pid, born)


class ColumnsTests(SynchronousTestCase):
    def filled(self, uids: Sequence[int]) -> Columns:
        columns = Columns()
        for uid in uids:
            columns.put(entry(uid))
        return columns

    def test_every_fact_comes_back(self) -> None:
        uids = [1, 2, 5, 9, 4_000_000_000]
        columns = self.filled(uids)
        for asked in (uids, uids[::-1], uids[1:3], [9], []):
            entries = [entry(uid) for uid in asked]
            self.assertEqual(columns.sizes(asked), [e.size for e in entries])
            self.assertEqual(columns.dates(asked), [(e.date, e.zone) for e in entries])
            self.assertEqual(columns.rows(asked), [e.row for e in entries])
            self.assertEqual(columns.pids(asked), [e.pid for e in entries])
            self.assertEqual(columns.bids(asked), [e.bid for e in entries])
            self.assertEqual(columns.msqs(asked), [(e.msq, e.bid) for e in entries])
            self.assertEqual(columns.email_ids(asked), [email_id(e.email) for e in entries])
            self.assertEqual(columns.flags(asked), [frozenset()] * len(asked))

    def test_uid_that_is_not_there_is_a_key_error(self) -> None:
        columns = self.filled([1, 3])
        for uid in (0, 2, 4):
            self.assertRaises(KeyError, columns.sizes, [uid])
            self.assertRaises(KeyError, columns.sizes, [1, uid])

    def test_equal_flags_are_one_object(self) -> None:
        columns = Columns()
        columns.put(entry(1, 8, "$a b"))
        columns.put(entry(2, 8, "B $A"))
        first, second = columns.flags([1, 2])
        self.assertIs(first, second)
        self.assertEqual(first, flag_set(["\\Seen", "$a", "b"]))
        keywords = columns.keywords
        columns.put(entry(2, 0, "$a"))
        self.assertIs(columns.keywords, keywords)
        self.assertEqual(columns.flags([2]), [flag_set(["$a"])])

    def test_above_finds_messages_and_whole_boxes(self) -> None:
        columns = Columns()
        for uid in range(1, 10):
            columns.put(entry(uid, msq=uid))
        self.assertEqual(columns.above(7, frozenset()), [8, 9])
        self.assertEqual(columns.above(7, frozenset({1})), [1, 4, 7, 8, 9])
        columns.hide(NumberSet.of([4, 9]))
        self.assertEqual(columns.above(7, frozenset({1})), [1, 7, 8])

    @given(
        st.integers(0, 400),
        st.lists(st.tuples(st.sampled_from("hdp"), st.integers(1, 450), st.integers(0, 200))),
    )
    def test_hidden_entries_stay_until_they_are_dropped(
        self, count: int, steps: list[tuple[str, int, int]]
    ) -> None:
        columns = self.filled(range(1, count + 1))
        exposed, hidden = set(range(1, count + 1)), set[int]()
        highest = count
        for kind, low, more in steps:
            some = set(range(low, low + more))
            if kind == "h":
                found = columns.hide(NumberSet.of(some))
                self.assertEqual(found, sorted(some & exposed))
                hidden |= some & exposed
                exposed -= some
            elif kind == "d":
                columns.drop(some & hidden)
                hidden -= some
            else:
                highest += 1 + more
                columns.put(entry(highest))
                exposed.add(highest)
            self.assertEqual(list(columns.uids()), sorted(exposed))
            self.assertEqual(len(columns), len(exposed))
            everything = NumberSet.from_ranges([(1, 2**32 - 1)])
            self.assertEqual(columns.among(everything), sorted(exposed | hidden))
            both = sorted(exposed | hidden)
            self.assertEqual(columns.sizes(both), [100 * uid for uid in both])
            self.assertEqual(columns.pids(both), [entry(uid).pid for uid in both])

    def test_idle_entries_are_packed(self) -> None:
        columns = self.filled(range(1, 1001))
        before = columns.octets
        gone = list(range(1, 1001, 2))
        columns.hide(NumberSet.of(gone))
        columns.drop(gone)
        self.assertLess(columns.octets, before * 0.6 + 100 * IDLE_MAX)
        self.assertRaises(KeyError, columns.sizes, [1])

    def test_a_message_takes_less_than_200_octets(self) -> None:
        """The aim of the account: "at most 200 bytes of memory a message"."""
        count = 20_000
        columns = Columns()
        entries = [entry(uid, uid % 32) for uid in range(1, count + 1)]
        tracemalloc.start()
        try:
            for one in entries:
                columns.put(one)
            octets, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        self.assertLess(octets / count, 200)
        self.assertLess(abs(columns.octets / count - 80), 1)


class LoadingTests(SynchronousTestCase):
    """What most mailboxes have no use for is asked for only where it is of use."""

    def loaded(self, entries: Sequence[Entry]) -> Columns:
        connection = sqlite3.connect(":memory:", isolation_level=None)
        self.addCleanup(connection.close)
        connection.execute(
            "CREATE TABLE placement (box, id, uid, flags, keywords, msq, era, key_bid, key_gen)"
        )
        connection.execute("CREATE TABLE message (id, size, date, zone, body, pid, email)")
        for e in entries:
            connection.execute(
                "INSERT INTO placement VALUES (1, ?, ?, ?, ?, ?, 0, NULL, NULL)",
                (e.row, e.uid, e.bits, e.keywords, e.msq),
            )
            connection.execute(
                "INSERT INTO message VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    e.row,
                    e.size,
                    e.date,
                    e.zone,
                    e.body,
                    e.pid,
                    None if e.email == e.pid else e.email,
                ),
            )
        columns = Columns()
        columns.read(connection, [Shown(1, 0, 0, None, None)])
        return columns

    def test_every_fact_comes_back(self) -> None:
        plain = [entry(uid, uid % 4, msq=uid) for uid in (1, 3, 5)]
        for entries in (
            plain,
            [*plain, entry(7, keywords="$Forwarded")._replace(zone=120)],
            [*plain, entry(8)],
            [*plain, entry(9)._replace(email=birth_pid(33, 4))],
            [],
        ):
            columns = self.loaded(entries)
            asked = [e.uid for e in entries]
            self.assertEqual(list(columns.uids()), asked)
            self.assertEqual(columns.dates(asked), [(e.date, e.zone) for e in entries])
            self.assertEqual(columns.pids(asked), [e.pid for e in entries])
            self.assertEqual(columns.email_ids(asked), [email_id(e.email) for e in entries])
            self.assertEqual(columns.msqs(asked), [(e.msq, 0) for e in entries])
            self.assertEqual(
                [len(flags) for flags in columns.flags(asked)],
                [e.bits.bit_count() + bool(e.keywords) for e in entries],
            )
