# SPDX-License-Identifier: GPL-3.0-or-later
"""Lines of the log."""

import io
import json
from typing import Any

from twisted.logger import Logger, LogPublisher
from twisted.python import log
from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.node.log import JsonLines, json_lines


class JsonLinesTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.stream = io.StringIO()
        self.lines = JsonLines(self.stream)
        self.log = Logger("a.module", observer=LogPublisher(self.lines))

    def told(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.stream.getvalue().splitlines()]

    def test_an_event(self) -> None:
        self.log.info("{user} came from {address}", event="login", user="René\n", address="::1")
        [event] = self.told()
        self.assertRegex(event.pop("time"), r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$")
        self.assertEqual(
            event,
            {
                "level": "info",
                "source": "a.module",
                "message": "René\n came from ::1",
                "event": "login",
                "user": "René\n",
                "address": "::1",
            },
        )

    def test_levels(self) -> None:
        self.log.debug("a")
        self.lines.level = "debug"
        self.log.debug("b")
        self.lines.level = "error"
        self.log.warn("c")
        self.log.critical("d")
        self.assertEqual([event["message"] for event in self.told()], ["b", "d"])

    def test_a_failure_has_its_traceback(self) -> None:
        try:
            raise KeyError("x")
        except KeyError:
            self.log.failure("it failed")
        [event] = self.told()
        self.assertEqual((event["level"], event["message"]), ("critical", "it failed"))
        self.assertIn("KeyError", event["traceback"])

    def test_fields_that_json_does_not_know(self) -> None:
        class Broken:
            def __str__(self) -> str:
                raise RuntimeError

        self.log.info("x", one=b"\xff", two=Broken(), three="\ud800", four={1: 2}, source="mine")
        [event] = self.told()
        self.assertEqual((event["source"], event["_source"]), ("a.module", "mine"))
        self.assertEqual(event["three"], "\ud800")

    def test_an_event_of_the_older_kind(self) -> None:
        self.lines.level = "debug"
        older = log.LogPublisher(publishPublisher=LogPublisher(self.lines))
        older.msg("it", "is", x=1)
        [event] = self.told()
        self.assertEqual(event["message"], "it is")
        self.assertEqual(set(event), {"time", "level", "source", "message", "x"})

    def test_what_twisted_says_of_its_ports_is_for_debugging(self) -> None:
        """`ready` has them all, under names that an operator knows."""
        older = log.LogPublisher(publishPublisher=LogPublisher(self.lines))
        older.msg("AdminFactory starting on '/proc/self/fd/10/admin'")
        older.msg("it failed", isError=True)
        [event] = self.told()
        self.assertEqual((event["message"], event["level"]), ("it failed", "critical"))

    def test_one_line_an_event(self) -> None:
        self.log.info("a\nb\u2028c")
        self.assertEqual(len(self.stream.getvalue().splitlines()), 1)

    def test_nobody_reads(self) -> None:
        self.stream.close()
        self.log.info("x")

    def test_for_twistd(self) -> None:
        self.assertIsInstance(json_lines(), JsonLines)
