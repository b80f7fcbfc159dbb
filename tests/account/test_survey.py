# SPDX-License-Identifier: GPL-3.0-or-later
"""Surveys: digests that can be judged, and bodies that are read again."""

from twisted.internet.defer import Deferred

from pluto_tw.account import survey as surveying
from pluto_tw.account.survey import Survey, Unfit, survey
from pluto_tw.mail.codes import NONEXISTENT, UNAVAILABLE
from pluto_tw.mail.errors import No
from pluto_tw.mail.names import INBOX, MailboxName
from tests.account.pair import KEY, SubnetCase


class SurveyTests(SubnetCase):
    def setUp(self) -> None:
        super().setUp()
        self.a = self.node(0, [])
        self.clock.advance(10)
        session = self.a.store.session(KEY, KEY)
        self.now(session.create(MailboxName("Work"), frozenset()))
        session.close()
        self.append(self.a, b"one", b"two", b"three")
        self.append(self.a, b"four", b"two", name="Work")

    def survey(self, *, bodies: bool = False) -> Survey:
        return self.now(survey(self.account(self.a), bodies=bodies))

    def test_it_is_the_digest(self) -> None:
        found, digest = self.survey(), self.digest(self.a)
        self.assertEqual(
            (found.vector, found.outstanding, found.digest),
            (digest.vector, digest.outstanding, digest.digest),
        )
        self.assertEqual((found.steady, found.messages), (True, 5))
        self.assertEqual([part.name for part in found.mailboxes], [INBOX, "Work", ""])

    def test_an_account_that_nobody_has(self) -> None:
        found = self.now(survey(self.a.store.account("nobody")))
        self.assertEqual((found.vector, found.messages, found.steady), ((), 0, True))

    def test_what_comes_meanwhile_is_told(self) -> None:
        """A survey with mail that came between two slices begins anew, and says so if it must."""
        slices = 0

        def looked_at(messages: int) -> None:
            nonlocal slices
            slices += 1
            self.append(self.a, b"more")

        found = self.now(survey(self.account(self.a), looked_at=looked_at))
        self.assertFalse(found.steady)
        self.assertEqual(slices, 2 * surveying.ATTEMPTS)
        self.assertTrue(self.survey().steady)

    def test_a_mailbox_that_goes_meanwhile(self) -> None:
        async def gone(*given: object) -> None:
            raise No(NONEXISTENT, "there is no such mailbox")

        self.patch(surveying, "digests", gone)
        running = Deferred.fromCoroutine(survey(self.account(self.a)))
        no = self.failureResultOf(running, No).value
        self.assertEqual(no.code, UNAVAILABLE)

    def test_whole_bodies(self) -> None:
        looks: list[int] = []
        found = self.now(survey(self.account(self.a), bodies=True, looked_at=looks.append))
        self.assertEqual((found.unfit, found.places), (0, ()))
        self.assertEqual(sum(looks), 10)

    def test_damaged_bodies_are_found_and_noted(self) -> None:
        shard = self.a.ground.shard
        shard.read("UPDATE chunk SET data = ? WHERE data = ?", (b"tow", b"two"))
        self.assertEqual(self.survey().unfit, 0)
        found = self.survey(bodies=True)
        self.assertEqual((found.unfit, found.places), (2, (Unfit(INBOX, 2), Unfit("Work", 2))))
        self.assertEqual([size for _, _, size, _ in self.a.ground.bodies.unfit(0, 9)], [3])

    def test_the_first_are_named(self) -> None:
        self.patch(surveying, "PLACES_MAX", 1)
        self.a.ground.shard.read("UPDATE body SET state = 2")
        found = self.survey(bodies=True)
        self.assertEqual((found.unfit, found.places), (5, (Unfit(INBOX, 1),)))
