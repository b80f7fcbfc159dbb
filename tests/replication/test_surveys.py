# SPDX-License-Identifier: GPL-3.0-or-later
"""What one replica asks another for an operator: surveys and accounts, over the channel."""

from pluto_tw.account.survey import survey
from pluto_tw.mail.names import INBOX
from pluto_tw.replication import codec, messages, relay, surveys
from pluto_tw.replication.relay import NotRelayed, Relay
from pluto_tw.replication.surveys import page_of_accounts
from tests.replication.cluster import KEY, ClusterCase, Replica


class RelayCase(ClusterCase):
    def setUp(self) -> None:
        super().setUp()
        self.a, self.b = self.replicas(2)
        self.append(self.a, b"one")
        self.append(self.b, b"two")
        self.run_for(5)

    def relay(self) -> Relay:
        """What a asks b by."""
        found = self.a.replication.relay(self.b.name)
        assert found is not None
        return found

    def refused(self, seconds: float = 30) -> NotRelayed:
        asking = self.begun(self.relay().survey(KEY, bodies=False, mailboxes=False))
        self.run_for(seconds)
        why = self.failureResultOf(asking, NotRelayed).value
        assert isinstance(why, NotRelayed)
        return why

    def answer(self, kind: str, question: messages.Question) -> object:
        """What a is answered by b without a relay."""
        octets = self.done(self.b.replication.answer(self.a.name, kind, codec.encode(question)))
        wanted = messages.Surveyed if kind == messages.SURVEY else messages.Listed
        return codec.decode_answer(wanted, octets)


class SurveyTests(RelayCase):
    def test_it_is_the_survey_there(self) -> None:
        with self.b.node.store.lease(KEY) as account:
            there = self.done(survey(account))
        found = self.done(self.relay().survey(KEY, bodies=False, mailboxes=True))
        self.assertEqual(found, there)
        self.assertEqual([part.name for part in found.mailboxes], [INBOX, ""])
        self.same(self.a, self.b)
        short = self.done(self.relay().survey(KEY, bodies=False, mailboxes=False))
        self.assertEqual((short.digest, short.mailboxes), (there.digest, ()))

    def test_pages_of_mailboxes(self) -> None:
        self.patch(messages, "MAILBOXES_MAX", 1)
        found = self.done(self.relay().survey(KEY, bodies=False, mailboxes=True))
        self.assertEqual([part.name for part in found.mailboxes], [INBOX, ""])

    def test_lost_bodies(self) -> None:
        self.b.node.shard.read("UPDATE body SET state = 2 WHERE size = 3")
        found = self.done(self.relay().survey(KEY, bodies=True, mailboxes=False))
        self.assertEqual(found.unfit, 2)
        self.assertEqual([place.uid for place in found.places], [1, 2])

    def test_a_long_survey_is_asked_about_again(self) -> None:
        """It is not *done* after the time that an answer may take: to be asked again."""
        self.patch(surveys, "ANSWER_SECONDS", -1.0)
        asks = self.network.asks[messages.SURVEY]
        found = self.done(self.relay().survey(KEY, bodies=False, mailboxes=True))
        self.assertEqual(found.messages, 2)
        self.assertGreater(self.network.asks[messages.SURVEY] - asks, 1)

    def test_one_that_nobody_asks_for_any_more_is_forgotten(self) -> None:
        self.patch(surveys, "ANSWER_SECONDS", -1.0)
        self.patch(surveys, "ASKED_SECONDS", -1.0)
        found = self.answer(messages.SURVEY, messages.Survey(KEY))
        self.assertEqual(found, messages.Surveyed(False, 0))
        self.run_for(1)
        self.patch(surveys, "ANSWER_SECONDS", 5.0)
        self.patch(surveys, "ASKED_SECONDS", 30.0)
        found = self.answer(messages.SURVEY, messages.Survey(KEY))
        assert isinstance(found, messages.Surveyed)
        self.assertTrue(found.done)

    def test_few_at_a_time(self) -> None:
        """Those that ended and whose result nobody fetches make room."""
        self.patch(messages, "MAILBOXES_MAX", 1)
        for number in range(surveys.SURVEYS_MAX):
            self.append(self.b, b"one", key=f"user{number}")
            found = self.answer(messages.SURVEY, messages.Survey(f"user{number}", False, 0))
            assert isinstance(found, messages.Surveyed)
            self.assertEqual(found.following, 1)
        found = self.answer(messages.SURVEY, messages.Survey(KEY))
        assert isinstance(found, messages.Refusal)
        self.assertEqual(found.code, messages.UNAVAILABLE)
        why = self.refused()
        self.assertFalse(why.is_away)
        self.run_for(surveys.ASKED_SECONDS + 1)
        self.assertIsInstance(self.answer(messages.SURVEY, messages.Survey(KEY)), messages.Surveyed)

    def test_away_without_a_link(self) -> None:
        self.network.cut(self.a, self.b)
        self.run_for(10)
        why = self.refused(0)
        self.assertTrue(why.is_away)
        self.assertIn("node-1 is away", str(why))

    def test_no_answer_in_time_costs_no_link(self) -> None:
        self.patch(relay, "ASK_SECONDS", 0.001)
        why = self.refused()
        self.assertTrue(why.is_away)
        self.assertEqual(self.a.replication.status().peers[0].state.value, "live")

    def test_an_older_release_cannot_answer(self) -> None:
        """A kind that is not known is refused by value."""
        decode = codec.decode_question

        def old(kind: str, data: bytes) -> messages.Question | None:
            return None if kind == messages.SURVEY else decode(kind, data)

        self.patch(codec, "decode_question", old)
        why = self.refused()
        self.assertTrue(why.is_away)
        self.assertIn("its release is older", str(why))

    def test_an_end(self) -> None:
        self.patch(surveys, "ANSWER_SECONDS", -1.0)
        self.patch(relay, "SURVEY_SECONDS_MAX", 0.0)
        self.assertIn("did not end", str(self.refused()))

    def test_who_is_no_peer(self) -> None:
        self.assertIsNone(self.a.replication.relay("nobody"))


class AccountsTests(RelayCase):
    def all(self, replica: Replica, limit: int) -> list[str]:
        keys, cursor = page_of_accounts(replica.node.store, "", limit)
        while cursor:
            more, cursor = page_of_accounts(replica.node.store, cursor, limit)
            keys += more
        return keys

    def test_page_by_page(self) -> None:
        for number in range(3):
            self.append(self.b, b"one", key=f"user{number}")
        keys = self.all(self.b, 1000)
        self.assertEqual(sorted(keys), [KEY, "user0", "user1", "user2"])
        self.assertEqual(self.all(self.b, 2), keys)
        found, cursor = self.done(self.relay().accounts("", 3))
        self.assertEqual(found, keys[:3])
        self.assertEqual(self.done(self.relay().accounts(cursor, 3)), (keys[3:], ""))

    def test_a_cursor_of_somebody_else(self) -> None:
        for cursor in ("x", "7:", ":", "0", "²:"):
            self.assertRaises(ValueError, page_of_accounts, self.b.node.store, cursor, 3)
        found = self.answer(messages.ACCOUNTS, messages.Accounts("x"))
        assert isinstance(found, messages.Refusal)
