# SPDX-License-Identifier: GPL-3.0-or-later
"""The scrub: it reads all bodies in slices, notes what does not fit, and can go on later."""

from pluto_tw.account.schema import CHUNK_BITS, DAMAGED, MISSING, WHOLE
from pluto_tw.account.scrub import SLICE_OCTETS, Finding, Progress, scrub
from pluto_tw.account.work import Work
from tests.account.case import BodiesTestCase, listed

LARGE = b"".join(b"%015d\n" % n for n in range(200_000))


class ScrubTests(BodiesTestCase):
    def scrubbed(self, after: int = 0) -> list[Progress]:
        return self.ran(listed(scrub(self.bodies, after)))

    def findings(self, after: int = 0) -> list[Finding]:
        return [finding for progress in self.scrubbed(after) for finding in progress.findings]

    def spoil(self, number: int, data: bytes) -> bytes:
        """Other octets in the first chunk; returns what was there."""
        chunk = number << CHUNK_BITS
        connection = self.database.connection
        ((before,),) = connection.execute("SELECT data FROM chunk WHERE id = ?", (chunk,))
        connection.execute("UPDATE chunk SET data = ? WHERE id = ?", (data, chunk))
        assert isinstance(before, bytes)
        return before

    def test_nothing_is_found_where_all_fits(self) -> None:
        for octets in (b"a", b"", LARGE):
            self.stored(octets)
        progress = self.scrubbed()[-1]
        self.assertEqual(self.findings(), [])
        self.assertEqual((progress.bodies, progress.octets), (3, 1 + len(LARGE)))

    def test_an_empty_shard_has_no_bodies(self) -> None:
        self.assertEqual(self.scrubbed(), [Progress(0, 0, 0, ())])

    def test_damaged_bodies_are_found_and_noted(self) -> None:
        small, large = self.stored(b"abc"), self.stored(LARGE)
        self.spoil(small, b"abd")
        self.spoil(large, b"short")
        self.assertEqual(
            [(finding.number, finding.state) for finding in self.findings()],
            [(small, DAMAGED), (large, DAMAGED)],
        )
        self.assertEqual([number for number, *_ in self.bodies.unfit(0, 9)], [small, large])

    def test_missing_bodies_are_found(self) -> None:
        work = Work()
        self.bodies.refer(work, [(b"h" * 32, 5)])
        self.commit(self.shard, work)
        ((number, *_),) = self.bodies.unfit(0, 9)
        self.assertEqual(self.findings(), [Finding(number, b"h" * 32, 5, MISSING)])

    def test_what_can_be_read_again_is_whole_again(self) -> None:
        number = self.stored(b"abc")
        before = self.spoil(number, b"abd")
        self.findings()
        self.spoil(number, before)
        self.assertEqual([finding.state for finding in self.findings()], [WHOLE])
        self.assertEqual(self.bodies.unfit(0, 9), [])
        self.assertEqual(self.findings(), [])

    def test_a_slice_is_bounded(self) -> None:
        """`SLICE_OCTETS`; a large body goes through several."""
        self.stored(LARGE)
        slices = [progress.octets for progress in self.scrubbed()]
        self.assertGreater(len(slices), 3)
        self.assertEqual(slices[0], SLICE_OCTETS)

    def test_it_goes_on_where_it_was_left(self) -> None:
        numbers = [self.stored(b"%d" % n) for n in range(10)]
        self.spoil(numbers[2], b"x")
        self.spoil(numbers[7], b"x")
        self.assertEqual([f.number for f in self.findings(numbers[4])], [numbers[7]])
