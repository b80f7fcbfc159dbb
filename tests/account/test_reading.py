# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading bodies: any part, in chunks, and never octets that do not fit the hash as if whole."""

from hypothesis import given
from hypothesis import strategies as st

from pluto_tw.account.bodies import Bodies
from pluto_tw.account.reading import StoredBody
from pluto_tw.account.schema import CHUNK_BITS, CHUNK_OCTETS, DAMAGED
from pluto_tw.imap import ports
from pluto_tw.mail import messages
from pluto_tw.mail.codes import UNAVAILABLE
from pluto_tw.mail.errors import No
from tests.account.case import BodiesTestCase, listed

LARGE = b"".join(b"%015d\n" % n for n in range(20_000))
SMALL = LARGE[:1000]


class ReadingTestCase(BodiesTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.small, self.large = self.stored(SMALL), self.stored(LARGE)

    def part(self, number: int, size: int, start: int, length: int) -> list[bytes]:
        return self.ran(listed(self.bodies.body(number, size).read(start, length)))

    def flip(self, number: int, index: int) -> None:
        """One bit of a chunk changes on the disk."""
        chunk = (number << CHUNK_BITS) + index
        connection = self.database.connection
        ((data,),) = connection.execute("SELECT data FROM chunk WHERE id = ?", (chunk,))
        wrong = data[:7] + bytes([data[7] ^ 1]) + data[8:]
        connection.execute("UPDATE chunk SET data = ? WHERE id = ?", (wrong, chunk))

    def given_before_error(self, body: StoredBody, start: int, length: int) -> bytes:
        """What is read before No(UNAVAILABLE) is raised."""
        given: list[bytes] = []

        async def read() -> None:
            async for chunk in body.read(start, length):
                given.append(chunk)

        error = self.failed(read(), No)
        assert isinstance(error, No)
        self.assertEqual(error.code, UNAVAILABLE)
        return b"".join(given)


class ReadTests(ReadingTestCase):
    def test_it_is_what_a_session_asks_for(self) -> None:
        """The types say it; mypy checks them."""
        body: ports.Body = self.bodies.body(self.small, len(SMALL))
        upload: messages.Upload = self.bodies.upload(body.size)
        upload.abandon()

    @given(st.data())
    def test_any_part_is_what_was_stored(self, data: st.DataObject) -> None:
        start = data.draw(st.integers(0, len(LARGE)))
        length = data.draw(st.integers(0, len(LARGE) - start))
        chunks = self.part(self.large, len(LARGE), start, length)
        self.assertEqual(b"".join(chunks), LARGE[start : start + length])
        self.assertLessEqual(max(map(len, chunks), default=0), CHUNK_OCTETS)
        self.assertNotIn(b"", chunks)

    def test_parts_of_a_small_body(self) -> None:
        for start, length in ((0, 1000), (0, 0), (1000, 0), (999, 1), (10, 500)):
            chunks = self.part(self.small, len(SMALL), start, length)
            self.assertEqual(b"".join(chunks), SMALL[start : start + length])

    def test_parts_that_end_where_chunks_end(self) -> None:
        for start, length in ((CHUNK_OCTETS, CHUNK_OCTETS), (0, CHUNK_OCTETS), (1, CHUNK_OCTETS)):
            chunks = self.part(self.large, len(LARGE), start, length)
            self.assertEqual(b"".join(chunks), LARGE[start : start + length])

    def test_nothing_is_held_between_two_chunks(self) -> None:
        """The log can be emptied while a client does not take its mail."""
        database = self.on_disk()
        self.shard = self.started(database)
        self.bodies = Bodies(self.shard)
        number = self.stored(LARGE)

        async def read() -> tuple[bytes, list[tuple[int, int, int]]]:
            chunks = self.bodies.body(number, len(LARGE)).read(0, len(LARGE))
            first = await anext(chunks)
            other = database.reader()
            result = other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            other.close()
            return first + b"".join([chunk async for chunk in chunks]), result

        octets, checkpoint = self.ran(read())
        self.assertEqual(octets, LARGE)
        # Not busy, and no page is left in the log.
        self.assertEqual(checkpoint, [(0, 0, 0)])
        self.ran(self.shard.close())


class DamageTests(ReadingTestCase):
    def test_a_small_body_that_does_not_fit_is_not_given(self) -> None:
        self.flip(self.small, 0)
        body = self.bodies.body(self.small, len(SMALL))
        self.assertEqual(self.given_before_error(body, 0, len(SMALL)), b"")

    def test_nor_a_part_of_it(self) -> None:
        self.flip(self.small, 0)
        body = self.bodies.body(self.small, len(SMALL))
        self.assertEqual(self.given_before_error(body, 500, 10), b"")

    def test_a_large_body_that_does_not_fit_is_not_given_to_its_end(self) -> None:
        for index in (0, 2, 4):
            number = self.stored(LARGE + b"%d" % index)
            self.flip(number, index)
            body = self.bodies.body(number, len(LARGE) + 1)
            given = self.given_before_error(body, 0, len(LARGE) + 1)
            self.assertEqual(len(given), 4 * CHUNK_OCTETS)

    def test_it_is_noted_and_then_not_given_at_all(self) -> None:
        self.flip(self.large, 1)
        body = self.bodies.body(self.large, len(LARGE))
        self.given_before_error(body, 0, len(LARGE))
        self.assertEqual(
            [(number, state) for number, _, _, state in self.bodies.unfit(0, 9)],
            [(self.large, DAMAGED)],
        )
        self.assertEqual(self.given_before_error(body, 0, 10), b"")

    def test_a_lost_chunk_is_damage(self) -> None:
        self.database.connection.execute(
            "DELETE FROM chunk WHERE id = ?", ((self.large << CHUNK_BITS) + 1,)
        )
        body = self.bodies.body(self.large, len(LARGE))
        given = self.given_before_error(body, 10, len(LARGE) - 10)
        self.assertEqual(given, LARGE[10:CHUNK_OCTETS])
        self.assertEqual(len(self.bodies.unfit(0, 9)), 1)

    def test_a_chunk_of_another_length_is_damage(self) -> None:
        self.database.connection.execute(
            "UPDATE chunk SET data = x'00' WHERE id = ?", (self.large << CHUNK_BITS,)
        )
        body = self.bodies.body(self.large, len(LARGE))
        self.assertEqual(self.given_before_error(body, 0, 10), b"")

    def test_a_body_that_went_is_unavailable(self) -> None:
        body = self.bodies.body(self.bodies.new_number(), 10)
        self.assertEqual(self.given_before_error(body, 0, 10), b"")

    def test_damage_is_told_although_it_cannot_be_noted(self) -> None:
        self.flip(self.small, 0)
        self.database.connection.execute("PRAGMA query_only = ON")
        body = self.bodies.body(self.small, len(SMALL))
        self.assertEqual(self.given_before_error(body, 0, len(SMALL)), b"")
