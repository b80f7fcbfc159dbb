# SPDX-License-Identifier: GPL-3.0-or-later
"""Facts are read from what is kept, and made again after a change of their version."""

from hashlib import blake2b

from pluto_tw.account import facts as facts_module
from pluto_tw.account.facts import KeptFacts
from pluto_tw.account.failures import ShardFailed
from pluto_tw.account.work import Work
from pluto_tw.mime.facts import FACTS_VERSION
from pluto_tw.mime.scanner import scan
from tests.account.case import BodiesTestCase

SMALL = b"Subject: small\r\n\r\nHello.\r\n"
LARGE = b"Subject: large\r\n\r\n" + b"0123456789abcde\n" * 20_000


class FactsTests(BodiesTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.facts = KeptFacts(self.bodies)
        self.wanted = [(self.stored(octets), len(octets)) for octets in (SMALL, LARGE)]

    def outdate(self) -> None:
        """As if another release had derived all facts."""
        self.database.connection.execute("UPDATE facts SET version = version - 1, data = x'00'")

    def test_they_are_those_of_the_message(self) -> None:
        self.assertEqual(self.ran(self.facts.read(self.wanted)), [scan(SMALL), scan(LARGE)])
        self.assertEqual(self.facts.derived, 0)

    def test_they_come_in_the_order_asked_for(self) -> None:
        first, second = self.ran(self.facts.read([*reversed(self.wanted)]))
        self.assertEqual([first, second], [scan(LARGE), scan(SMALL)])

    def test_none_are_asked_for(self) -> None:
        self.assertEqual(self.ran(self.facts.read([])), [])

    def test_those_of_another_version_are_made_again_once(self) -> None:
        self.outdate()
        for _ in range(2):
            self.assertEqual(self.ran(self.facts.read(self.wanted)), [scan(SMALL), scan(LARGE)])
        self.assertEqual(self.facts.derived, 2)
        self.assertEqual(self.rows("SELECT DISTINCT version FROM facts"), [(FACTS_VERSION,)])

    def test_spoilt_ones_are_made_again(self) -> None:
        self.database.connection.execute("UPDATE facts SET data = x'c1'")
        self.assertEqual(self.ran(self.facts.read(self.wanted)), [scan(SMALL), scan(LARGE)])

    def test_of_a_body_that_is_not_here_there_are_none(self) -> None:
        work = Work()
        self.bodies.refer(work, [(blake2b(b"x", digest_size=32).digest(), 1)])
        self.commit(self.shard, work)
        ((missing, *_),) = self.bodies.unfit(0, 9)
        small, none = self.ran(self.facts.read([self.wanted[0], (missing, 1)]))
        self.assertEqual((small, none), (scan(SMALL), None))

    def test_of_a_damaged_body_those_that_are_kept_still_count(self) -> None:
        number, _ = self.wanted[0]
        self.ran(self.bodies.mark(number, number, fits=False))
        self.assertEqual(self.ran(self.facts.read(self.wanted)), [scan(SMALL), scan(LARGE)])

    def test_a_full_disk_does_not_keep_them_from_who_asks(self) -> None:
        self.outdate()

        def refuse(lane: object, work: object, done: object) -> None:
            raise ShardFailed("full")

        self.patch(self.shard, "queue", refuse)
        self.assertEqual(self.ran(self.facts.read(self.wanted)), [scan(SMALL), scan(LARGE)])

    def test_a_store_that_fails_is_not_taken_for_missing_mail(self) -> None:
        self.outdate()
        body_of = self.bodies.body

        class Failing:
            def read(self, start: int, length: int) -> object:
                raise ShardFailed("gone")

        self.patch(self.bodies, "body", lambda number, size: Failing())
        self.failed(self.facts.read(self.wanted), ShardFailed)
        self.patch(self.bodies, "body", body_of)

    def test_the_limit_is_that_of_a_session_s_call(self) -> None:
        """`ports.FACTS_MAX`, which `account` may not import."""
        from pluto_tw.imap import ports

        self.assertGreaterEqual(facts_module.FACTS_MAX, ports.FACTS_MAX)
