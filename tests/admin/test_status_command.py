# SPDX-License-Identifier: GPL-3.0-or-later
"""`pluto status`, on nodes that tell what the test wants."""

import json
from collections.abc import Mapping
from typing import Any

from tests.admin.nodes import NodesCase
from tests.admin.running import Ran, pluto


class StatusCommandTests(NodesCase):
    def setUp(self) -> None:
        super().setUp()
        self.peer: dict[str, Any] = {
            "name": "us",
            "state": "live",
            "heard_seconds": 0.44,
            "lag_seconds": 1.25,
            "lag_operations": 3,
            "backlog_accounts": 2,
            "error": "",
        }
        self.subnet = {"subnet": "subnet", "state": "serving", "shards": [], "peers": [self.peer]}
        self.replica = {
            "state": "serving",
            "sessions": 1,
            "up_seconds": 200.0,
            "subnets": [self.subnet],
        }
        self.distributor: dict[str, Any] = {
            "state": "serving",
            "sessions": 7,
            "up_seconds": 100_000,
            "replicas": [{"name": "eu", "state": "up"}],
        }
        self.nodes["/run/eu"] = lambda question: self.replica
        self.nodes["/mail/storage/admin"] = lambda question: {**self.replica, "subnets": []}
        self.nodes["/run/eu-distributor"] = lambda question: self.distributor

    def status(self, *arguments: str) -> Ran:
        return pluto("status", "--config", self.config, *arguments)

    def test_a_line_each(self) -> None:
        found = self.status()
        self.assertEqual((found.status, found.errors), (0, ""))
        self.assertEqual(
            found.lines(),
            [
                "eu: worker, serving, 1 session, up 3 min",
                "  to us of subnet: live, heard 0.4 s ago, lag 3 operations, 1.2 s, "
                "backlog 2 accounts",
                "storage: storage, serving, 1 session, up 3 min",
                "eu-distributor: distributor, serving, 7 sessions, up 28 h",
                "  to eu: up",
            ],
        )

    def test_who_does_not_answer_is_a_line(self) -> None:
        del self.nodes["/mail/storage/admin"]
        found = self.status()
        self.assertEqual(found.status, 1)
        expected = "storage: storage, does not answer: /mail/storage/admin: Connection refused"
        self.assertIn(expected, found.lines())

    def test_nobody_answers(self) -> None:
        self.nodes.clear()
        found = self.status()
        self.assertEqual((found.status, found.out), (2, ""))
        self.assertEqual(len(found.errors.splitlines()), 3)
        self.assertEqual(self.status("--json").status, 2)

    def test_a_distributor_without_a_socket(self) -> None:
        text = self.config.read_text().replace('AdminSocket = "/run/eu-distributor"\n', "")
        self.config.write_text(text)
        found = self.status()
        self.assertIn(
            "eu-distributor: distributor, cannot be asked: write AdminSocket", found.lines()
        )

    def test_what_is_not_well(self) -> None:
        """Each of these alone gives 1."""

        def found(node: dict[str, Any], **changed: object) -> Ran:
            before = dict(node)
            node.update(changed)
            ran = self.status()
            node.clear()
            node.update(before)
            return ran

        shard = {"name": "shard-0.db", "state": "failed", "reason": "disk"}
        for ran, line in (
            (
                found(self.peer, state="away", heard_seconds=None, error="no route"),
                "  to us of subnet: away, never heard, lag 3 operations, 1.2 s, "
                "backlog 2 accounts, no route",
            ),
            (found(self.subnet, state="joining"), "  subnet: joining"),
            (found(self.subnet, shards=[shard]), "  shard-0.db: failed: disk"),
            (found(self.distributor, replicas=[{"name": "eu", "state": "down"}]), "  to eu: down"),
            (found(self.replica, state="stopping"), "eu: worker, stopping, 1 session, up 3 min"),
        ):
            self.assertEqual(ran.status, 1)
            self.assertIn(line, ran.lines())
        self.assertEqual(self.status().status, 0)

    def test_json(self) -> None:
        del self.nodes["/mail/storage/admin"]
        found = self.status("--json")
        self.assertEqual(found.status, 1)
        nodes: list[Mapping[str, Any]] = json.loads(found.out)["nodes"]
        self.assertEqual([node["name"] for node in nodes], ["eu", "storage", "eu-distributor"])
        self.assertEqual(nodes[0]["subnets"], [self.subnet])
        self.assertIn("Connection refused", nodes[1]["error"])
