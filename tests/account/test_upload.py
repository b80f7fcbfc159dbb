# SPDX-License-Identifier: GPL-3.0-or-later
"""Uploads: they wait for the disk, hold little memory, and tell what failed."""

import tracemalloc
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred

from pluto_tw.account import queue as queue_module
from pluto_tw.account import shard as shard_module
from pluto_tw.account.bodies import Bodies
from pluto_tw.account.failures import ShardFailed
from pluto_tw.account.schema import CHUNK_OCTETS
from pluto_tw.account.upload import CHUNKS_IN_FLIGHT_MAX
from pluto_tw.mime.facts import decode
from pluto_tw.mime.scanner import scan
from tests.account.case import BodiesTestCase, pages_max
from tests.support.hop import HeldHop

MESSAGE = b"Subject: large\r\n\r\n" + b"0123456789abcde\n" * 20_000

#: "APPEND of a large literal streams (memory stays under 2 MiB for 50 MB)".
MEMORY_OCTETS_MAX = 2 * 1024 * 1024


class WriteTests(BodiesTestCase):
    @given(st.lists(st.integers(0, 3 * CHUNK_OCTETS), max_size=6))
    def test_the_result_does_not_depend_on_the_cuts(self, cuts: list[int]) -> None:
        upload = self.bodies.upload(len(MESSAGE))
        edges = [0, *sorted(min(cut, len(MESSAGE)) for cut in cuts), len(MESSAGE)]
        for low, high in pairwise(edges):
            self.ran(upload.write(MESSAGE[low:high]))
        received = self.ran(upload.finish())
        self.assertEqual(received.hash, self.received(MESSAGE).hash)
        self.assertEqual(decode(received.facts), scan(MESSAGE))
        self.assertEqual(received.size, len(MESSAGE))
        upload.abandon()

    def test_the_size_need_not_be_known(self) -> None:
        upload = self.bodies.upload(None)
        self.ran(upload.write(b"Subject: x\r\n\r\n"))
        self.assertEqual(self.ran(upload.finish()).size, 14)


class BackPressureTests(BodiesTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.hop = HeldHop()
        self.shard = self.started(writer=self.hop)
        self.bodies = Bodies(self.shard)
        self.upload = self.bodies.upload(None)
        self.addCleanup(self.upload.abandon)

    def test_it_waits_for_the_disk(self) -> None:
        octets = b"x" * (CHUNK_OCTETS * CHUNKS_IN_FLIGHT_MAX)
        self.successResultOf(Deferred.fromCoroutine(self.upload.write(octets)))
        writing = Deferred.fromCoroutine(self.upload.write(octets))
        self.assertNoResult(writing)
        self.hop.finish()
        self.successResultOf(writing)

    def test_it_waits_for_others(self) -> None:
        self.patch(queue_module, "QUEUED_OCTETS_ROOM", 1)
        other = self.bodies.upload(None)
        self.addCleanup(other.abandon)
        one = Deferred.fromCoroutine(other.write(b"x" * 3 * CHUNK_OCTETS))
        writing = Deferred.fromCoroutine(self.upload.write(b"x" * 2 * CHUNK_OCTETS))
        self.assertNoResult(writing)
        self.hop.finish()
        self.successResultOf(writing)
        self.successResultOf(one)

    def test_it_is_finished_when_all_of_it_is_durable(self) -> None:
        self.successResultOf(Deferred.fromCoroutine(self.upload.write(b"x" * 2 * CHUNK_OCTETS)))
        finishing = Deferred.fromCoroutine(self.upload.finish())
        self.assertNoResult(finishing)
        self.hop.finish()
        self.assertEqual(self.successResultOf(finishing).chunks_written, 1)

    def test_abandoned_while_it_waits_it_ends(self) -> None:
        octets = b"x" * (CHUNK_OCTETS * (CHUNKS_IN_FLIGHT_MAX + 2))
        writing = Deferred.fromCoroutine(self.upload.write(octets))
        self.upload.abandon()
        self.hop.finish()
        self.successResultOf(writing)
        self.assertEqual(self.rows("SELECT count(*) FROM chunk"), [(0,)])


class FailureTests(BodiesTestCase):
    def test_a_full_disk_is_told_to_who_writes(self) -> None:
        pages_max(self.database.connection, 40)
        upload = self.bodies.upload(len(MESSAGE))

        async def send() -> None:
            for _ in range(4):
                await upload.write(MESSAGE[: len(MESSAGE) // 4])

        self.failed(send(), ShardFailed)
        self.failed(upload.finish(), ShardFailed, AssertionError)
        pages_max(self.database.connection, 1000)
        self.clock.advance(shard_module.RETRY_SECONDS_MAX)
        upload.abandon()
        self.bodies.sweep()
        self.assertEqual(self.rows("SELECT count(*) FROM chunk"), [(0,)])

    def test_a_full_disk_is_told_at_the_end_at_the_latest(self) -> None:
        pages_max(self.database.connection, 10)
        upload = self.bodies.upload(None)
        self.ran(upload.write(MESSAGE[: 2 * CHUNK_OCTETS]))
        self.failed(upload.finish(), ShardFailed)
        upload.abandon()


class MemoryTests(BodiesTestCase):
    def test_fifty_megabytes_need_less_than_two(self) -> None:
        """Without SQLite's own memory, which its caches bound."""
        upload = self.bodies.upload(None)
        chunk = b"0123456789abcde\n" * 1024

        async def send() -> None:
            for _ in range(50 * 1024 * 1024 // len(chunk)):
                await upload.write(chunk)
            await upload.finish()

        self.ran(upload.write(b"Subject: large\r\n\r\n"))
        tracemalloc.start()
        try:
            self.ran(send())
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        upload.abandon()
        self.assertLess(peak, MEMORY_OCTETS_MAX)
