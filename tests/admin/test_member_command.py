# SPDX-License-Identifier: GPL-3.0-or-later
"""`pluto member`, on nodes that answer what the test wants."""

from collections.abc import Mapping
from typing import Any

from pluto_tw.admin import member_command
from pluto_tw.admin.asking import AskFailed
from tests.admin.nodes import FakeAsking, NodesCase
from tests.admin.running import Ran, pluto


def stage(stage: str, text: str, *lacking: str, error: str = "") -> Mapping[str, Any]:
    """An answer to `member-drain`; names in capitals are not heard."""
    rows = [{"name": name.lower(), "heard": not name.isupper()} for name in lacking]
    return {"stage": stage, "text": text, "error": error, "lacking": rows}


class MemberCommandTests(NodesCase):
    def setUp(self) -> None:
        super().setUp()
        self.patch(member_command, "Asking", FakeAsking)
        self.patch(member_command, "LOOK_SECONDS", 0)
        self.asked: list[Mapping[str, Any]] = []
        self.progress: list[Mapping[str, Any]] = []
        self.nodes["/run/eu"] = self.answer

    def answer(self, question: Mapping[str, Any]) -> Mapping[str, Any]:
        self.asked.append(question)
        match question["ask"]:
            case "members":
                rows = [(0, "eu", "live", "aa" * 16), (1, "us", "forced", "")]
                keys = ("slot", "name", "state", "replica")
                return {"members": [dict(zip(keys, row, strict=True)) for row in rows]}
            case "status":
                peers = [{"name": "us", "heard_seconds": 61.4}]
                return {"subnets": [{"subnet": "subnet", "peers": peers}]}
            case "member-drain" if self.progress:
                return self.progress.pop(0) if len(self.progress) > 1 else self.progress[0]
            case "member-remove" if question["name"] == "us":
                return {"removed": "us"}
            case _:
                raise AskFailed("no such member")

    def member(self, *arguments: str) -> Ran:
        command, *rest = arguments
        return pluto("member", command, "--config", self.config, *rest)

    def test_list_tells_slots_that_are_burned_too(self) -> None:
        found = self.member("list")
        self.assertEqual(found.status, 0)
        first, eu, us = found.lines()
        self.assertEqual(first, "subnet, by eu:")
        self.assertEqual(eu.split(), ["0", "eu", "live", "aa" * 16])
        self.assertEqual(us.split(), ["1", "us", "forced", "not", "met", "yet"])

    def test_list_where_nobody_answers(self) -> None:
        self.nodes.clear()
        found = self.member("list")
        self.assertEqual(found.status, 2)
        self.assertIn("eu: /run/eu: Connection refused", found.errors)

    def test_planned_removal_tells_each_step_once(self) -> None:
        sending = stage("sending", "waits for the others to have all", "us", "STORAGE")
        self.progress = [sending, sending, stage("left", "has left")]
        found = self.member("remove", "eu")
        self.assertEqual((found.status, found.errors), (0, ""))
        lines = found.lines()
        self.assertEqual(
            lines[:2],
            [
                "subnet: eu waits for the others to have all: us, storage (not heard)",
                "subnet: eu has left",
            ],
        )
        self.assertIn("Stop it", lines[2])
        self.assertEqual(len(self.asked), 3)

    def test_what_takes_too_long_is_taken_back(self) -> None:
        """The node serves again: nobody finds out in the night that it does not."""
        self.patch(member_command, "monotonic", iter(range(0, 100, 2)).__next__)
        self.progress = [stage("sending", "waits", "us", error="disk full")]
        found = self.member("remove", "eu", "--timeout", "3")
        self.assertEqual(found.status, 1)
        self.assertIn("waits: us (disk full)", found.out)
        self.assertIn("not removed, and serves again", found.out)
        self.assertEqual(self.asked[-1].get("cancel"), True)

    def test_planned_removal_is_for_the_node_itself(self) -> None:
        found = self.member("remove", "us")
        self.assertEqual(found.status, 2)
        self.assertIn("run this where us runs", found.errors)
        self.assertEqual(self.asked, [])

    def test_node_that_refuses(self) -> None:
        found = self.member("remove", "eu")
        self.assertEqual((found.status, found.out), (2, ""))
        self.assertIn("eu: no such member", found.errors)

    def test_node_that_does_not_run(self) -> None:
        self.nodes.clear()
        found = self.member("remove", "eu")
        self.assertEqual(found.status, 2)
        self.assertIn("--forced removes it without it", found.errors)

    def test_forced_removal_says_what_it_costs(self) -> None:
        found = self.member("remove", "us", "--forced")
        self.assertEqual((found.status, found.errors), (0, ""))
        [line] = found.lines()
        self.assertIn("eu heard it last 61 s ago", line)
        self.assertIn("What it had sent to nobody is lost to the others", line)

    def test_forced_removal_is_never_asked_of_the_node_itself(self) -> None:
        found = self.member("remove", "eu", "--forced")
        self.assertEqual(found.status, 2)
        self.assertNotIn("eu:", found.errors.partition("storage")[0].removeprefix("pluto: "))
        self.assertEqual(self.asked, [])

    def test_unknown_subnet(self) -> None:
        found = self.member("remove", "eu", "--subnet", "other")
        self.assertEqual(found.status, 2)
        self.assertIn("eu has no subnet other", found.errors)
