# SPDX-License-Identifier: GPL-3.0-or-later
"""The channel to one peer, over real TLS in memory, and how it is dialled again."""

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionAborted
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.replication.channel import (
    ASKS_MAX,
    KIND_OCTETS_MAX,
    VALUE_OCTETS_MAX,
    AnswerFailed,
    ChannelLost,
)
from pluto_tw.replication.client import RETRY_SECONDS_MAX, STEADY_SECONDS
from tests.replication.wires import Capture, Pair
from tests.support.nodes import authority


class ChannelTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.pair = Pair()
        self.channel = self.pair.connect()

    def test_a_question_is_answered(self) -> None:
        self.assertEqual(self.channel.name, "us-worker-1")
        self.assertEqual(self.successResultOf(self.pair.ask("batch", b"abc")), b"cba")
        self.assertEqual(self.pair.replica.events, [("ask", "eu-worker-1", "batch", b"abc")])

    def test_questions_arrive_in_order_and_are_answered_in_any(self) -> None:
        waiting: list[Deferred[bytes]] = []

        def reply(kind: str, question: bytes) -> Deferred[bytes]:
            waiting.append(Deferred())
            return waiting[-1]

        self.pair.replica.reply = reply
        answers = [self.pair.ask(question=b"%d" % n) for n in range(3)]
        questions = [event[3] for event in self.pair.replica.events]
        self.assertEqual(questions, [b"0", b"1", b"2"])
        for n in (2, 0, 1):
            waiting[n].callback(b"answer %d" % n)
            self.pair.wire.settle()
            self.assertEqual(self.successResultOf(answers[n]), b"answer %d" % n)

    def test_octets_pass_as_they_are(self) -> None:
        """Words that Perspective Broker sends as numbers too, and the longest that there may be."""
        for question in (b"", b"list", b"None", bytes(range(256)), bytes(VALUE_OCTETS_MAX)):
            self.assertEqual(self.successResultOf(self.pair.ask("k", question)), question[::-1])

    def test_what_is_too_long_is_not_sent(self) -> None:
        self.failureResultOf(self.pair.ask("k", bytes(VALUE_OCTETS_MAX + 1)), ValueError)
        self.failureResultOf(self.pair.ask("k" * (KIND_OCTETS_MAX + 1)), ValueError)
        self.assertEqual(self.pair.replica.events, [])

    def test_more_questions_than_may_wait_are_a_bug(self) -> None:
        self.pair.replica.reply = lambda kind, question: Deferred()
        waiting = [self.pair.ask() for _ in range(ASKS_MAX)]
        self.failureResultOf(self.pair.ask(), RuntimeError)
        for deferred in waiting:
            self.assertNoResult(deferred)
        self.channel.abort("the test is over")
        self.pair.wire.settle()
        for deferred in waiting:
            self.failureResultOf(deferred, ChannelLost)

    def test_a_fault_of_the_peer_costs_one_question(self) -> None:
        def reply(kind: str, question: bytes) -> bytes:
            raise KeyError("what nobody but the log should know")

        with Capture() as log:
            self.pair.replica.reply = reply
            failed = self.failureResultOf(self.pair.ask("batch"), AnswerFailed)
        self.assertNotIn("nobody", str(failed.value))
        self.assertEqual(log.names, ["answer-failed"])
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 1)
        self.pair.replica.reply = lambda kind, question: b"yes"
        self.assertEqual(self.successResultOf(self.pair.ask()), b"yes")

    def test_an_answer_that_is_too_long_is_a_fault(self) -> None:
        self.pair.replica.reply = lambda kind, question: bytes(VALUE_OCTETS_MAX + 1)
        self.failureResultOf(self.pair.ask(), AnswerFailed)
        self.assertEqual(len(self.flushLoggedErrors(AssertionError)), 1)

    def test_who_stops_waiting_harms_nobody(self) -> None:
        later: Deferred[bytes] = Deferred()
        self.pair.replica.reply = lambda kind, question: later
        asked = self.pair.ask()
        asked.addErrback(lambda failure: None)
        asked.cancel()
        later.callback(b"late")
        self.pair.wire.settle()
        self.pair.replica.reply = lambda kind, question: b"yes"
        self.assertEqual(self.successResultOf(self.pair.ask()), b"yes")


class LossTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.pair = Pair()
        self.channel = self.pair.connect()
        self.pair.events.clear()

    def test_what_is_in_flight_has_an_unknown_outcome(self) -> None:
        self.pair.replica.reply = lambda kind, question: Deferred()
        asked = self.pair.ask()
        self.pair.wire.pumps[0].serverIO.abortConnection()
        self.pair.wire.settle()
        error = self.failureResultOf(asked, ChannelLost).value
        self.assertEqual(str(error), "the other side closed the connection")
        self.assertEqual(self.pair.events, [("lost", str(error))])

    def test_nothing_is_asked_over_a_lost_channel(self) -> None:
        self.channel.abort("enough")
        self.failureResultOf(self.pair.ask(), ChannelLost)
        self.assertEqual(self.pair.events, [("lost", "enough")])
        self.failureResultOf(self.pair.ask(), ChannelLost)
        self.assertEqual(self.pair.replica.events, [("lost", "eu-worker-1")])

    def test_an_answer_that_does_not_come_costs_the_channel(self) -> None:
        """The oldest question counts, and each has its own time."""
        self.pair.replica.reply = lambda kind, question: b"" if question == b"1" else Deferred()
        first = self.pair.ask(question=b"1")
        self.assertEqual(self.successResultOf(first), b"")
        self.pair.advance(6)
        second = self.pair.ask(question=b"2")
        self.pair.advance(9.9)
        self.assertNoResult(second)
        self.pair.advance(0.2)
        self.assertIn("no answer for 10 s", str(self.failureResultOf(second, ChannelLost).value))
        self.assertEqual(self.pair.events[0], ("lost", "no answer for 10 s"))

    def test_a_lost_channel_is_dialled_again(self) -> None:
        self.pair.advance(STEADY_SECONDS)
        self.channel.abort("enough")
        self.pair.wire.settle()
        self.pair.advance(0.1)
        self.assertEqual(self.pair.events[1:], [("connected", "us-worker-1")])
        self.assertEqual(self.successResultOf(self.pair.ask("k", b"ab")), b"ba")

    def test_a_peer_that_hangs_up_at_once_is_dialled_slowly(self) -> None:
        for _ in range(20):
            self.pair.channels[-1].abort("refused")
            self.pair.advance(RETRY_SECONDS_MAX)
        self.assertLess(self.pair.wire.attempts, 22)
        before = self.pair.wire.attempts
        self.pair.channels[-1].abort("refused")
        self.pair.advance(RETRY_SECONDS_MAX - 0.2)
        self.assertEqual(self.pair.wire.attempts, before)

    def test_stop_ends_the_connection_and_dials_no_more(self) -> None:
        stopped = self.pair.dialler.stop()
        self.assertNoResult(stopped)
        self.pair.wire.settle()
        self.successResultOf(stopped)
        self.pair.advance(20)
        self.assertEqual(self.pair.wire.attempts, 1)
        self.assertEqual(self.pair.clock.getDelayedCalls(), [])


class DialTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.pair = Pair()

    def test_never_gives_up(self) -> None:
        """0.1 s, 0.2 s and so on up to 5 s."""
        self.pair.wire.refuses = True
        with Capture() as log:
            self.pair.dialler.start()
            self.pair.advance(3.1)
            self.assertEqual(self.pair.wire.attempts, 6)
            self.pair.advance(3600)
        self.assertLess(self.pair.wire.attempts, 6 + 3600 / 5 + 2)
        self.assertGreater(self.pair.wire.attempts, 6 + 3600 / 5 - 2)
        self.assertEqual(log.names, ["peer-unreachable"])
        self.assertEqual(self.pair.dialler.trouble, log.fields("reason")[0])
        self.pair.wire.refuses = False
        with Capture() as log:
            self.pair.advance(5)
        self.assertEqual(log.names, ["peer-reached"])
        self.assertEqual(self.pair.dialler.trouble, "")
        self.assertEqual(self.pair.events, [("connected", "us-worker-1")])

    def test_packets_that_vanish(self) -> None:
        self.pair.wire.swallows = True
        self.pair.dialler.start()
        self.pair.advance(5.2)
        self.assertEqual(self.pair.wire.attempts, 2)
        self.assertEqual(self.pair.dialler.trouble, "no connection in 5 s")

    def test_a_peer_that_accepts_and_says_nothing(self) -> None:
        self.pair.dialler.start()
        self.pair.clock.advance(10)
        self.pair.wire.settle()
        self.assertEqual(self.pair.dialler.trouble, "no TLS and greeting in 10 s")
        self.assertEqual(self.pair.events, [])

    def test_hurry(self) -> None:
        self.pair.wire.refuses = True
        self.pair.dialler.start()
        self.pair.advance(100)
        attempts = self.pair.wire.attempts
        self.pair.dialler.hurry()
        self.assertEqual(self.pair.wire.attempts, attempts + 1)
        self.pair.advance(6)
        self.assertEqual(self.pair.wire.attempts, attempts + 2)

    def test_stop_while_it_dials_or_waits(self) -> None:
        self.pair.wire.swallows = True
        self.pair.dialler.start()
        self.successResultOf(self.pair.dialler.stop())
        self.assertEqual(self.pair.clock.getDelayedCalls(), [])
        self.pair = Pair()
        self.pair.wire.refuses = True
        self.pair.dialler.start()
        self.successResultOf(self.pair.dialler.stop())
        self.assertEqual(self.pair.clock.getDelayedCalls(), [])

    def test_a_lost_connection_before_the_handshake(self) -> None:
        self.pair.dialler.start()
        connection: Any = self.pair.wire.pumps.pop()
        connection.client.connectionLost(Failure(ConnectionAborted()))
        self.assertEqual(self.pair.dialler.trouble, "the other side closed the connection")
        self.assertEqual(self.pair.events, [])


class FoundTests(SynchronousTestCase):
    def test_peer_that_lets_nobody_in_is_found_all_the_same(self) -> None:
        """A replica at its first start must not take it for one that is away."""
        pair = Pair()
        pair.expected.clear()
        pair.dialler.start()
        pair.wire.settle()
        self.assertEqual(pair.channels, [])
        self.assertTrue(pair.dialler.was_found)

    def test_somebody_else_at_its_address_is_not_the_peer(self) -> None:
        pair = Pair(listening=authority().contexts("worker", "another"))
        pair.dialler.start()
        pair.wire.settle()
        self.assertFalse(pair.dialler.was_found)
