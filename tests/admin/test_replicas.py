# SPDX-License-Identifier: GPL-3.0-or-later
"""Which way a question to a replica takes."""

from pluto_tw.admin.asking import AskFailed
from pluto_tw.admin.replicas import Failure, Replicas
from pluto_tw.admin.sockets import answering
from tests.admin.nodes import Accounts, NodesCase, told

QUESTION = {"ask": "digest", "key": "fred"}


class ReplicasTests(NodesCase):
    def setUp(self) -> None:
        super().setUp()
        self.eu, self.us, self.storage = (
            Accounts(name, fred=told((3,))) for name in ("eu", "us", "storage")
        )
        self.eu.others = {"us": self.us, "storage": self.storage}
        self.storage.others = {"us": self.us, "eu": self.eu}
        self.nodes["/run/eu"] = self.eu
        self.nodes["/mail/storage/admin"] = self.storage
        self.replicas = Replicas("subnet", answering([self.config]))
        self.replicas.__enter__()
        self.addCleanup(self.replicas.__exit__, None, None, None)

    def ways(self) -> dict[str, str | None]:
        return {name: self.replicas.way(name) for name in self.replicas.names}

    def test_own_sockets_first(self) -> None:
        self.replicas.find()
        self.assertEqual(self.replicas.names, ["eu", "storage", "us"])
        answers = self.replicas.ask(QUESTION)
        self.assertEqual(answers, dict.fromkeys(self.replicas.names, told((3,))))
        self.assertEqual(self.ways(), {"eu": "eu", "storage": "storage", "us": "eu"})
        self.assertEqual(self.us.asked, [{**QUESTION, "subnet": "subnet", "replica": "us"}])

    def test_a_node_that_goes_is_asked_by_way_of_others(self) -> None:
        """Also who was asked by way of it."""
        self.replicas.find()
        self.replicas.ask(QUESTION)
        del self.nodes["/run/eu"]
        answers = self.replicas.ask(QUESTION)
        self.assertEqual(answers, dict.fromkeys(self.replicas.names, told((3,))))
        self.assertEqual(self.ways(), {"eu": "storage", "storage": "storage", "us": "storage"})

    def test_who_is_away_is_not_tried_before_a_retry(self) -> None:
        self.replicas.find()
        del self.eu.others["us"], self.storage.others["us"]
        expected = Failure("us is away")
        self.assertEqual(self.replicas.ask(QUESTION, ["us"]), {"us": expected})
        self.eu.others["us"] = self.us
        asked = len(self.eu.asked)
        self.assertEqual(self.replicas.ask(QUESTION, ["us"]), {"us": expected})
        self.assertEqual(len(self.eu.asked), asked)
        self.replicas.retry()
        self.assertEqual(self.replicas.ask(QUESTION, ["us"]), {"us": told((3,))})
        self.assertEqual(self.replicas.away, {})

    def test_what_one_does_not_answer_is_no_absence(self) -> None:
        self.replicas.find()
        for one in (self.us, self.eu):
            one.accounts["fred"] = {"error": "halted"}
        answers = self.replicas.ask(QUESTION)
        self.assertEqual((answers["us"], answers["eu"]), (Failure("halted"), Failure("halted")))
        self.assertEqual(self.replicas.away, {})

    def test_nobody_here(self) -> None:
        self.nodes.clear()
        failed = self.assertRaises(AskFailed, self.replicas.find)
        self.assertIn("eu: /run/eu: Connection refused; storage: ", str(failed))
