# SPDX-License-Identifier: GPL-3.0-or-later
"""Who owns which octets: once by hash, counted, and gone when nobody needs them."""

from collections.abc import Coroutine
from hashlib import blake2b
from typing import Any, TypeVar

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from pluto_tw.account import bodies as bodies_module
from pluto_tw.account.bodies import BODY_OF_HASH, Bodies
from pluto_tw.account.database import MemoryDatabase
from pluto_tw.account.failures import ShardFailed, WorkRefused
from pluto_tw.account.schema import CHUNK_BITS, CHUNK_OCTETS, DAMAGED, MISSING, WHOLE
from pluto_tw.account.shard import Shard
from pluto_tw.account.work import Work
from pluto_tw.mail.codes import UNAVAILABLE
from pluto_tw.mail.errors import No
from pluto_tw.net.waiting import ReactorWaiting
from tests.account.case import IDENTITY, BodiesTestCase, listed, pages_max
from tests.support.hop import HeldHop, SynchronousHop

T = TypeVar("T")

SMALL = b"Subject: small\r\n\r\nHello.\r\n"
LARGE = b"Subject: large\r\n\r\n" + b"0123456789abcde\n" * 20_000

BODIES = "SELECT id, size, refs, state, content FROM body ORDER BY id"
CHUNKS = f"SELECT id >> {CHUNK_BITS}, count(*), sum(length(data)) FROM chunk GROUP BY 1"
UPLOADS = "SELECT content FROM upload"


def hash_of(octets: bytes) -> bytes:
    return blake2b(octets, digest_size=32).digest()


class LinkTests(BodiesTestCase):
    def test_a_small_body_is_one_row(self) -> None:
        number = self.stored(SMALL)
        self.assertEqual(self.rows(BODIES), [(number, len(SMALL), 1, WHOLE, number)])
        self.assertEqual(self.rows(CHUNKS), [(number, 1, len(SMALL))])
        self.assertEqual(self.rows(UPLOADS), [])

    def test_a_large_body_is_rows_of_a_chunk_s_size(self) -> None:
        number = self.stored(LARGE)
        count = -(-len(LARGE) // CHUNK_OCTETS)
        self.assertEqual(self.rows(CHUNKS), [(number, count, len(LARGE))])
        self.assertEqual(self.rows("SELECT max(length(data)) FROM chunk"), [(CHUNK_OCTETS,)])
        self.assertEqual(self.rows(UPLOADS), [])
        self.assertEqual(self.octets_of(number, len(LARGE)), LARGE)

    def test_the_hash_is_blake2b_256(self) -> None:
        self.stored(LARGE)
        self.assertEqual(self.rows("SELECT hash FROM body"), [(hash_of(LARGE),)])

    def test_a_body_of_just_one_chunk_is_not_sent_ahead(self) -> None:
        octets = b"x" * CHUNK_OCTETS
        self.received(octets)
        self.assertEqual(self.rows(CHUNKS), [])
        self.assertEqual(self.octets_of(self.stored(octets), len(octets)), octets)

    def test_an_empty_body_has_no_chunks(self) -> None:
        number = self.stored(b"")
        self.assertEqual(self.octets_of(number, 0), b"")
        self.assertEqual(self.rows(CHUNKS), [])

    def test_the_same_octets_are_kept_once(self) -> None:
        for octets in (SMALL, LARGE):
            number = self.stored(octets)
            self.assertEqual(self.stored(octets, 2), number)
            self.assertEqual(self.rows(f"SELECT refs FROM body WHERE id = {number}"), [(3,)])
        self.assertEqual(len(self.rows(CHUNKS)), 2)

    def test_the_same_octets_twice_in_one_work_are_kept_once(self) -> None:
        work = Work()
        for octets in (SMALL, LARGE, SMALL, LARGE):
            self.bodies.link(work, self.received(octets), 1)
        self.commit(self.shard, work)
        self.assertEqual(self.rows("SELECT refs FROM body"), [(2,), (2,)])

    def test_a_work_that_fails_leaves_the_others_a_whole_body(self) -> None:
        """The first one to have a body is taken back; the second one's octets are kept then."""
        hop = HeldHop()
        shard = self.started(writer=hop)
        bodies = Bodies(shard)
        first, second = self.received(SMALL, bodies), self.received(SMALL, bodies)
        outcomes: list[Exception | None] = []
        wrong, right = Work(), Work()
        bodies.link(wrong, first, 1)
        wrong.add("INSERT INTO upload VALUES ('no number')")
        bodies.link(right, second, 1)
        blocker = Work()
        blocker.add("DELETE FROM upload")
        shard.lane().submit(blocker, outcomes.append)
        shard.lane().submit(wrong, outcomes.append)
        shard.lane().submit(right, outcomes.append)
        hop.finish()
        self.assertIsInstance(outcomes[1], WorkRefused)
        self.assertEqual(self.rows(BODIES), [(second.content, len(SMALL), 1, 0, second.content)])
        self.assertEqual(self.rows(CHUNKS), [(second.content, 1, len(SMALL))])

    def test_a_message_finds_its_body_in_the_same_work(self) -> None:
        work = Work()
        received = self.received(SMALL)
        self.bodies.link(work, received, 1)
        work.add(f"INSERT INTO upload SELECT 1000 + {BODY_OF_HASH}", (received.hash,))
        self.commit(self.shard, work)
        self.assertEqual(self.rows(UPLOADS), [(1000 + received.content,)])

    def test_facts_are_kept_with_it(self) -> None:
        number = self.stored(SMALL)
        ((body, data),) = self.rows("SELECT body, data FROM facts")
        self.assertEqual(body, number)
        self.assertEqual(data, self.received(SMALL).facts)


class UploadTests(BodiesTestCase):
    def test_what_is_written_is_nobody_s(self) -> None:
        received = self.received(LARGE)
        self.assertEqual(self.rows(UPLOADS), [(received.content,)])
        self.assertEqual(self.rows(BODIES), [])
        self.assertGreater(received.chunks_written, 2)

    def test_an_abandoned_one_is_deleted(self) -> None:
        upload = self.uploaded(LARGE)
        self.assertNotEqual(self.rows(CHUNKS), [])
        upload.abandon()
        upload.abandon()
        self.assertEqual(self.rows(CHUNKS), [])
        self.assertEqual(self.rows(UPLOADS), [])

    def test_abandoned_after_it_was_linked_it_stays(self) -> None:
        number = self.stored(LARGE)
        self.bodies.sweep()
        self.assertEqual(self.octets_of(number, len(LARGE)), LARGE)

    def test_one_that_was_there_already_is_deleted_when_abandoned(self) -> None:
        number = self.stored(LARGE)
        upload = self.uploaded(LARGE)
        work = Work()
        self.bodies.link(work, self.ran(upload.finish()), 1)
        self.commit(self.shard, work)
        self.assertEqual(len(self.rows(CHUNKS)), 2)
        upload.abandon()
        self.assertEqual([content for content, _, _ in self.rows(CHUNKS)], [number])
        self.assertEqual(self.rows(UPLOADS), [])
        self.assertEqual(self.octets_of(number, len(LARGE)), LARGE)

    def test_abandoned_with_chunks_in_flight_none_is_left(self) -> None:
        """Deleting begins when the last one is there, or it would be missed."""
        hop = HeldHop()
        shard = self.started(writer=hop)
        bodies = Bodies(shard)
        upload = bodies.upload(None)
        writing = Deferred.fromCoroutine(upload.write(LARGE[: 3 * CHUNK_OCTETS]))
        upload.abandon()
        hop.finish()
        self.successResultOf(writing)
        self.assertEqual(self.rows(CHUNKS), [])
        self.assertEqual(self.rows(UPLOADS), [])

    def test_those_of_a_process_that_ended_go_at_the_start(self) -> None:
        number = self.stored(SMALL)
        self.received(LARGE)
        self.assertEqual(len(self.rows(CHUNKS)), 2)
        Bodies(self.started())
        self.assertEqual([content for content, _, _ in self.rows(CHUNKS)], [number])
        self.assertEqual(self.rows(UPLOADS), [])

    def test_one_on_its_way_is_not_swept(self) -> None:
        upload = self.uploaded(LARGE)
        self.bodies.sweep()
        work = Work()
        self.bodies.link(work, self.ran(upload.finish()), 1)
        self.commit(self.shard, work)
        ((number, *_),) = self.rows(BODIES)
        self.assertEqual(self.octets_of(number, len(LARGE)), LARGE)

    def test_numbers_are_not_given_twice(self) -> None:
        numbers = [self.stored(SMALL), self.stored(LARGE)]
        again = Bodies(self.started())
        self.assertGreater(again.new_number(), max(numbers))


class ReferenceTests(BodiesTestCase):
    def test_a_body_without_references_goes(self) -> None:
        number = self.stored(LARGE)
        self.drop(number)
        self.assertEqual(self.rows(BODIES), [])
        self.assertEqual(self.rows(CHUNKS), [])
        self.assertEqual(self.rows("SELECT * FROM facts"), [])
        self.assertEqual(self.rows(UPLOADS), [])

    def test_a_body_with_references_stays(self) -> None:
        number = self.stored(LARGE, 2)
        self.drop(number)
        self.assertEqual(self.octets_of(number, len(LARGE)), LARGE)

    def test_a_copy_is_one_more_reference(self) -> None:
        number = self.stored(SMALL)
        work = Work()
        self.bodies.refer(work, [(hash_of(SMALL), len(SMALL))])
        self.commit(self.shard, work)
        self.drop(number)
        self.assertEqual(self.octets_of(number, len(SMALL)), SMALL)

    def test_large_bodies_go_in_slices(self) -> None:
        number = self.stored(LARGE)
        self.patch(bodies_module, "CHUNKS_A_SLICE", 2)
        before = self.shard.count.transactions
        self.drop(number)
        self.assertEqual(self.rows(CHUNKS), [])
        # The reference; the body; three slices of five chunks; the content.
        self.assertEqual(self.shard.count.transactions - before, 6)

    def test_many_bodies_go_in_slices(self) -> None:
        self.patch(bodies_module, "BODIES_A_SLICE", 2)
        numbers = [self.stored(SMALL + bytes([n])) for n in range(5)]
        self.drop(*numbers)
        self.assertEqual(self.rows(BODIES), [])
        self.assertEqual(self.rows(CHUNKS), [])

    def test_what_a_full_disk_stopped_is_done_by_the_next_sweep(self) -> None:
        number = self.stored(SMALL)
        work = Work()
        self.bodies.unrefer(work, [number])
        self.commit(self.shard, work)

        def refuse(lane: object, work: object, done: object) -> None:
            raise ShardFailed("full")

        with_patch = self.patch(self.shard, "queue", refuse)
        self.bodies.sweep()
        with_patch.restore()
        self.assertEqual(len(self.rows(BODIES)), 1)
        self.bodies.sweep()
        self.assertEqual(self.rows(BODIES), [])

    def drop(self, *numbers: int) -> None:
        work = Work()
        self.bodies.unrefer(work, numbers)
        self.commit(self.shard, work)
        self.bodies.sweep()


class ReplicaTests(BodiesTestCase):
    """Bodies that come before the operations that need them, after them, or never."""

    def test_a_kept_body_stays_while_it_is_pinned(self) -> None:
        self.ran(self.bodies.keep(self.received(LARGE)))
        self.bodies.sweep()
        self.assertEqual(len(self.rows(BODIES)), 1)
        self.bodies.unpin([hash_of(LARGE)])
        self.assertEqual(self.rows(BODIES), [])

    def test_a_body_that_could_not_be_kept_is_not_pinned(self) -> None:
        received = self.received(SMALL)
        pages_max(self.database.connection, 0)
        self.database.connection.execute("PRAGMA query_only = ON")
        self.failed(self.bodies.keep(received), WorkRefused, ShardFailed)
        self.database.connection.execute("PRAGMA query_only = OFF")
        self.assertEqual(self.rows(BODIES), [])
        self.assertFalse(self.bodies.pin(hash_of(SMALL)))

    def test_pins_are_counted(self) -> None:
        self.ran(self.bodies.keep(self.received(SMALL)))
        self.assertTrue(self.bodies.pin(hash_of(SMALL)))
        self.bodies.unpin([hash_of(SMALL)])
        self.assertEqual(len(self.rows(BODIES)), 1)
        self.bodies.unpin([hash_of(SMALL)])
        self.assertEqual(self.rows(BODIES), [])

    def test_a_pin_that_ends_with_a_reference_sweeps_nothing(self) -> None:
        """A sweep looks at all that waits, pinned: one for each body would take squares of time."""
        sweeps = []
        self.patch(self.bodies, "sweep", lambda: sweeps.append(1))
        self.ran(self.bodies.keep(self.received(SMALL)))
        work = Work()
        self.bodies.refer(work, [(hash_of(SMALL), len(SMALL))])
        self.commit(self.shard, work)
        self.bodies.unpin([hash_of(SMALL)])
        self.assertEqual(sweeps, [])

    def test_pins_that_end_together_sweep_once(self) -> None:
        sweeps = []
        self.patch(self.bodies, "sweep", lambda: sweeps.append(1))
        for octets in (SMALL, LARGE):
            self.ran(self.bodies.keep(self.received(octets)))
        self.bodies.unpin([hash_of(SMALL), hash_of(LARGE)])
        self.assertEqual(sweeps, [1])

    def test_a_body_that_is_not_here_is_not_pinned(self) -> None:
        self.assertFalse(self.bodies.pin(hash_of(SMALL)))

    def test_a_body_that_is_about_to_go_is_not_pinned(self) -> None:
        """Who is told "I have it" does not send it."""
        self.stored(SMALL, 0)
        hop = HeldHop()
        bodies = Bodies(self.started(writer=hop))
        self.assertFalse(bodies.pin(hash_of(SMALL)))
        hop.finish()
        self.assertEqual(self.rows(BODIES), [])

    def test_a_missing_body_is_noted_and_filled_later(self) -> None:
        for octets in (SMALL, LARGE):
            work = Work()
            self.bodies.refer(work, [(hash_of(octets), len(octets))] * 2)
            self.commit(self.shard, work)
            ((number, hash, size, state),) = self.bodies.unfit(0, 10)
            self.assertEqual((hash, size, state), (hash_of(octets), len(octets), MISSING))
            self.assertFalse(self.bodies.pin(hash))
            error = self.failed(listed(self.bodies.body(number, size).read(0, size)), No)
            assert isinstance(error, No)
            self.assertEqual(error.code, UNAVAILABLE)
            self.ran(self.bodies.keep(self.received(octets)))
            self.bodies.unpin([hash])
            self.assertEqual(self.bodies.unfit(0, 10), [])
            self.assertEqual(self.octets_of(number, size), octets)

    def test_a_missing_body_without_references_goes(self) -> None:
        work = Work()
        self.bodies.refer(work, [(hash_of(SMALL), len(SMALL))])
        self.commit(self.shard, work)
        ((number, *_),) = self.rows(BODIES)
        work = Work()
        self.bodies.unrefer(work, [number])
        self.commit(self.shard, work)
        self.bodies.sweep()
        self.assertEqual(self.rows(BODIES), [])

    def test_a_damaged_body_gets_new_octets(self) -> None:
        for octets in (SMALL, LARGE):
            number = self.stored(octets)
            self.ran(self.bodies.mark(number, number, fits=False))
            self.assertEqual([row[3] for row in self.bodies.unfit(0, 9)], [DAMAGED])
            self.assertEqual(self.stored(octets), number)
            self.assertEqual(self.bodies.unfit(0, 9), [])
            self.bodies.sweep()
            self.assertEqual(self.octets_of(number, len(octets)), octets)
            self.assertNotIn(number, [content for content, _, _ in self.rows(CHUNKS)])

    def test_a_mark_of_octets_that_were_replaced_is_void(self) -> None:
        number = self.stored(SMALL)
        self.ran(self.bodies.mark(number, number + 100, fits=False))
        self.assertEqual(self.bodies.unfit(0, 9), [])


class SpaceTests(BodiesTestCase):
    def test_what_fits_is_admitted(self) -> None:
        self.bodies.admit(10_000)

    def test_mail_leaves_space_to_all_else(self) -> None:
        """Flags and expunges still work when there is no room for messages."""
        pages_max(self.database.connection, bodies_module.RESERVED_OCTETS // 4096 - 1)
        with self.assertRaises(No) as raised:
            self.bodies.admit(1)
        self.assertEqual(raised.exception.code, UNAVAILABLE)


class OwnershipMachine(RuleBasedStateMachine):
    """Bodies come, are referred to, damaged, dropped and swept in any order, across crashes."""

    OCTETS = (SMALL, b"", LARGE[: CHUNK_OCTETS + 1], b"x" * CHUNK_OCTETS, LARGE[: 3 * CHUNK_OCTETS])

    def __init__(self) -> None:
        super().__init__()
        self.database = MemoryDatabase("memory", IDENTITY)
        self.waiting = ReactorWaiting(Clock())
        self.expected: dict[bytes, int] = {}
        self.crash()

    def teardown(self) -> None:
        self.database.destroy()

    def run_now(self, coroutine: Coroutine[Any, Any, T]) -> T:
        results: list[T] = []
        Deferred.fromCoroutine(coroutine).addCallback(results.append)
        return results[0]

    @rule()
    def crash(self) -> None:
        hop = SynchronousHop()
        self.shard = Shard(self.database, self.waiting, hop, [hop])
        self.run_now(self.shard.start())
        self.bodies = Bodies(self.shard)

    def commit(self, work: Work) -> None:
        errors: list[Exception | None] = []
        self.shard.lane().submit(work, errors.append)
        assert errors == [None]

    @rule(octets=st.sampled_from(OCTETS), refs=st.integers(0, 2), abandoned=st.booleans())
    def store(self, octets: bytes, refs: int, abandoned: bool) -> None:
        upload = self.bodies.upload(len(octets))
        self.run_now(upload.write(octets))
        received = self.run_now(upload.finish())
        work = Work()
        self.bodies.link(work, received, refs)
        self.commit(work)
        if abandoned:
            upload.abandon()
        self.expected[octets] = self.expected.get(octets, 0) + refs

    @rule(octets=st.sampled_from(OCTETS))
    def write_and_abandon(self, octets: bytes) -> None:
        upload = self.bodies.upload(None)
        self.run_now(upload.write(octets))
        upload.abandon()

    @rule(octets=st.sampled_from(OCTETS))
    def unrefer(self, octets: bytes) -> None:
        if self.expected.get(octets):
            work = Work()
            rows = self.shard.read("SELECT id FROM body WHERE hash = ?", (hash_of(octets),))
            self.bodies.unrefer(work, [rows[0][0]])
            self.commit(work)
            self.expected[octets] -= 1

    @rule(octets=st.sampled_from(OCTETS))
    def damage_and_mend(self, octets: bytes) -> None:
        if self.expected.get(octets) and octets:
            ((number, content),) = self.shard.read(
                "SELECT id, content FROM body WHERE hash = ?", (hash_of(octets),)
            )
            self.run_now(self.bodies.mark(number, content, fits=False))
            self.store(octets, 0, True)

    @rule()
    def sweep(self) -> None:
        self.bodies.sweep()

    @invariant()
    def every_body_referred_to_is_whole(self) -> None:
        for octets, refs in self.expected.items():
            rows = self.shard.read("SELECT id, refs FROM body WHERE hash = ?", (hash_of(octets),))
            if not rows:
                assert refs == 0
                continue
            assert rows[0][1] == refs
            body = self.bodies.body(rows[0][0], len(octets))
            chunks = self.run_now(listed(body.read(0, len(octets))))
            assert b"".join(chunks) == octets

    @invariant()
    def every_chunk_is_of_a_body_or_an_upload(self) -> None:
        strays = self.shard.read(
            f"SELECT id FROM chunk WHERE id >> {CHUNK_BITS} NOT IN (SELECT content FROM upload"
            " UNION ALL SELECT content FROM body WHERE content IS NOT NULL)"
        )
        assert strays == []


class OwnershipTests(BodiesTestCase):
    def test_nothing_is_lost_and_nothing_is_left(self) -> None:
        run_state_machine_as_test(
            OwnershipMachine, settings=settings(max_examples=40, stateful_step_count=20)
        )

    @given(size=st.integers(0, 3 * CHUNK_OCTETS + 1))
    def test_any_size_is_stored_whole(self, size: int) -> None:
        octets = LARGE[:size]
        self.assertEqual(self.octets_of(self.stored(octets), size), octets)
