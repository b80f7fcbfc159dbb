# SPDX-License-Identifier: GPL-3.0-or-later
"""What a peer with a good certificate can do with octets of its own: end its connection."""

import tracemalloc
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.replication.channel import KIND_OCTETS_MAX, VALUE_OCTETS_MAX, ChannelLost
from pluto_tw.replication.guard import Decoder
from tests.replication.test_guard import EXPRESSIONS, encode
from tests.replication.wires import Pair

ARGUMENTS: list[object] = [b"tuple", b"kind", b"question"]
NO_KEYWORDS: list[object] = [b"dictionary"]


def question(**changes: object) -> list[object]:
    """What a dialler sends, but for *changes*."""
    parts: dict[str, object] = {
        "word": b"message",
        "number": 1,
        "target": b"root",
        "method": b"ask",
        "answer": 1,
        "arguments": ARGUMENTS,
        "keywords": NO_KEYWORDS,
    }
    return list((parts | changes).values())


class BrokerTests(SynchronousTestCase):
    """Expressions of any form, sent over a connection whose certificates are good."""

    def setUp(self) -> None:
        self.pair = Pair()
        self.pair.connect()
        #: TLS of either end: what is written there comes out at the other.
        ends: Any = self.pair.wire.pumps[0]
        self.dialling, self.listening = ends.client, ends.server

    def told(self, expression: object) -> str:
        """What the listener makes of *expression*: why it ends the connection, or empty."""
        broker = self.listening.wrappedProtocol
        self.dialling.write(encode(expression))
        self.pair.wire.settle()
        ended = broker.ended
        assert isinstance(ended, str)
        return ended

    def test_the_form_of_a_question(self) -> None:
        # An answer would be one that the dialler has not asked for.
        self.pair.replica.reply = lambda kind, question: Deferred()
        self.assertEqual(self.told(question()), "")
        self.assertEqual(len(self.pair.replica.events), 1)

    def test_no_other_object_method_or_argument(self) -> None:
        long_kind = [b"tuple", b"k" * (KIND_OCTETS_MAX + 1), b""]
        others: list[list[object]] = [
            question(target=b"other"),
            question(target=1),
            question(method=b"__init__"),
            question(answer=0),
            question(number=b"1"),
            question(arguments=[b"tuple", b"kind"]),
            question(arguments=[b"list", b"kind", b"question"]),
            question(arguments=[b"tuple", b"kind", [b"remote", 1]]),
            question(arguments=[b"tuple", b"kind", [b"unicode", b"question"]]),
            question(arguments=long_kind),
            question(arguments=[b"tuple", b"\xff", b""]),
            question(arguments=[b"tuple", b"k", bytes(VALUE_OCTETS_MAX + 1)]),
            question(keywords=[b"dictionary", [b"a", b"b"]]),
            question(word=b"cachemessage"),
        ]
        for expression in others:
            with self.subTest(expression=str(expression)[:80]):
                self.setUp()
                self.assertIn("does not keep to the protocol", self.told(expression))
                self.assertEqual(self.pair.replica.events, [("lost", "eu-worker-1")])

    def test_no_other_word_of_perspective_broker(self) -> None:
        """Nothing is dereferenced, counted, cached or answered that was not asked."""
        words: list[object] = [
            [b"decref", b"root"],
            [b"decache", 1],
            [b"uncache", 1],
            [b"answer", 1, b""],
            [b"error", 1, [b"None"]],
            [b"didNotUnderstand", b"me"],
            [b"version", 6],
            [b"connectionLost"],
            [],
            b"root",
            7,
        ]
        for word in words:
            with self.subTest(word=word):
                self.setUp()
                self.assertIn("does not keep to the protocol", self.told(word))

    @given(EXPRESSIONS)
    def test_any_expression_is_a_question_or_the_end(self, expression: list[object]) -> None:
        broker = self.listening.wrappedProtocol
        broker.ended = ""
        broker._decoder = Decoder()
        broker.dataReceived(encode(expression))
        self.assertTrue(broker.ended)

    @given(st.binary(max_size=300))
    def test_any_octets_raise_nothing(self, data: bytes) -> None:
        broker = self.listening.wrappedProtocol
        broker.ended = ""
        broker._decoder = Decoder()
        broker.dataReceived(data)

    def test_a_flood_costs_no_memory(self) -> None:
        """10 MB of what costs Twisted's own decoder 667 MB."""
        flood = b"\x01\x80" * 8_000
        tracemalloc.start()
        try:
            before, _ = tracemalloc.get_traced_memory()
            for _ in range(640):
                self.dialling.write(flood)
                self.pair.wire.settle()
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        self.assertLess(peak - before, 1_000_000)
        self.assertEqual(self.pair.factory.peers, ())


class AnswerTests(SynchronousTestCase):
    """The same from a listener that means ill."""

    def setUp(self) -> None:
        self.pair = Pair()
        self.pair.connect()
        ends: Any = self.pair.wire.pumps[0]
        self.listening = ends.server

    def told(self, expression: object) -> str:
        """Why the dialler ends the connection when it is sent *expression*."""
        self.pair.replica.reply = lambda kind, question: Deferred()
        asked = self.pair.ask()
        self.listening.write(encode(expression))
        self.pair.wire.settle()
        return str(self.failureResultOf(asked, ChannelLost).value)

    def test_what_is_no_answer(self) -> None:
        others: list[object] = [
            [b"answer", 2, b""],
            [b"answer", 1, [b"unicode", b"x"]],
            [b"answer", 1, 1],
            [b"answer", 1, bytes(VALUE_OCTETS_MAX + 1)],
            [b"error", 1, [b"None"]],
            question(),
            [b"decref", 1],
            b"",
        ]
        for other in others:
            with self.subTest(other=str(other)[:80]):
                self.setUp()
                self.assertIn("does not keep to the protocol", self.told(other))

    def test_an_answer_twice(self) -> None:
        asked = self.pair.ask()
        self.successResultOf(asked)
        self.listening.write(encode([b"answer", 1, b""]))
        self.pair.wire.settle()
        self.assertIn("an answer to what was not asked", self.pair.events[-1][1])


class GreetingTests(SynchronousTestCase):
    """Before the first question both sides settle the language."""

    def ended(self, *expressions: object) -> str:
        """Why a listener ends a connection that begins with *expressions*."""
        pair = Pair()
        pair.dialler.start()
        ends: Any = pair.wire.pumps[0]
        broker = ends.server.wrappedProtocol
        # The dialler's own greeting stays unsaid.
        ends.client.wrappedProtocol.dataReceived = lambda data: None
        pair.wire.settle()
        for expression in expressions:
            ends.client.write(encode(expression) if expression != b"pb" else b"\x02\x82pb")
            pair.wire.settle()
        ended = broker.ended
        assert isinstance(ended, str)
        return ended

    def test_the_dialect_and_the_version(self) -> None:
        self.assertEqual(self.ended(b"pb", [b"version", 6], question()), "")
        self.assertIn("another dialect", self.ended(b"none"))
        self.assertIn("another dialect", self.ended([b"pb"]))
        self.assertIn("no version", self.ended(b"pb", [b"version", 5]))

    def test_no_question_before_the_version(self) -> None:
        self.assertIn("no version", self.ended(b"pb", question()))
