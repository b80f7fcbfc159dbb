# SPDX-License-Identifier: GPL-3.0-or-later
"""The admin socket: questions and answers, a line each."""

import json
from collections.abc import Mapping
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.mail.codes import UNAVAILABLE
from pluto_tw.mail.errors import No
from pluto_tw.node import admin
from pluto_tw.node.admin import CONNECTIONS_MAX, QUESTIONS_MAX, AdminFactory, Refused


class AdminTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.waited: list[Deferred[None]] = []
        self.factory = AdminFactory(
            {
                "echo": self.echo,
                "wait": self.wait,
                "refuse": self.refuse,
                "away": self.away,
                "fail": self.fail_,
            }
        )
        self.protocol, self.transport = self.connect()

    def connect(self) -> tuple[Any, StringTransport]:
        protocol = self.factory.buildProtocol(None)
        assert protocol is not None
        transport = StringTransport()
        protocol.makeConnection(transport)
        return protocol, transport

    async def echo(self, question: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"said": admin.text(question, "say"), "times": admin.number(question, "times", 1, 9)}

    async def wait(self, question: Mapping[str, Any]) -> Mapping[str, Any]:
        self.waited.append(Deferred())
        await self.waited[-1]
        return {}

    async def refuse(self, question: Mapping[str, Any]) -> Mapping[str, Any]:
        raise Refused("no such account")

    async def away(self, question: Mapping[str, Any]) -> Mapping[str, Any]:
        raise No(UNAVAILABLE, "the disk is away")

    async def fail_(self, question: Mapping[str, Any]) -> Mapping[str, Any]:
        raise ZeroDivisionError

    def ask(self, *questions: object) -> None:
        lines = [json.dumps(question).encode("ascii") + b"\n" for question in questions]
        self.protocol.dataReceived(b"".join(lines))

    def answers(self) -> list[Any]:
        told = [json.loads(line) for line in self.transport.value().splitlines()]
        self.transport.clear()
        return told

    def test_an_answer(self) -> None:
        self.ask({"ask": "echo", "say": "ä", "other": 1})
        self.assertEqual(self.answers(), [{"ok": {"said": "ä", "times": 1}}])

    def test_refusals_are_answers(self) -> None:
        self.ask({"ask": "refuse"}, {"ask": "away"})
        told = [answer["error"] for answer in self.answers()]
        self.assertEqual(told[0], "no such account")
        self.assertIn("the disk is away", told[1])

    def test_nonsense(self) -> None:
        self.protocol.dataReceived(b"\xff\n[]\n{}\n")
        self.ask({"ask": 1}, {"ask": "other"}, {"ask": "echo"})
        self.ask(
            {"ask": "echo", "say": "x", "times": 10}, {"ask": "echo", "say": "x", "times": True}
        )
        self.assertTrue(all(list(answer) == ["error"] for answer in self.answers()))

    def test_a_fault_of_ours_is_logged_and_not_told(self) -> None:
        self.ask({"ask": "fail"})
        self.assertEqual(self.answers(), [{"error": "internal error, it was logged"}])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_answers_come_in_order(self) -> None:
        self.ask({"ask": "wait"}, {"ask": "echo", "say": "x"})
        self.assertEqual(self.answers(), [])
        self.waited[0].callback(None)
        self.assertEqual([list(answer) for answer in self.answers()], [["ok"], ["ok"]])

    def test_who_asks_too_much_is_gone(self) -> None:
        self.ask(*[{"ask": "wait"}] * (QUESTIONS_MAX + 2))
        self.assertTrue(self.transport.disconnected)

    def test_a_line_has_an_end(self) -> None:
        self.protocol.dataReceived(b"x" * (admin.QUESTION_OCTETS_MAX + 1))
        self.assertTrue(self.transport.disconnecting or self.transport.disconnected)

    def test_who_is_gone_is_not_answered(self) -> None:
        self.ask({"ask": "wait"})
        self.protocol.connectionLost()
        self.waited[0].callback(None)
        self.assertEqual(self.answers(), [])

    def test_there_is_a_limit(self) -> None:
        for _ in range(CONNECTIONS_MAX - 1):
            self.connect()
        self.assertIsNone(self.factory.buildProtocol(None))
        self.protocol.connectionLost()
        self.connect()

    def test_a_stop_ends_all(self) -> None:
        self.factory.stop()
        self.assertTrue(self.transport.disconnected)
