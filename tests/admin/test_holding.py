# SPDX-License-Identifier: GPL-3.0-or-later
"""`pluto user add` asks whether an earlier user of the name has left mail."""

import io
import sys
from collections.abc import Mapping
from typing import Any

from pluto_tw.admin import holding
from pluto_tw.admin.asking import AskFailed
from tests.admin.nodes import FakeAsking, NodesCase
from tests.admin.running import Ran, pluto

ADAPTER = """
AuthAdapter = "AuthFile"
  [Distributor.AuthFile]
  File = "users.txt"
  Separator = ";"
"""


class HoldingTests(NodesCase):
    def setUp(self) -> None:
        super().setUp()
        self.patch(holding, "Asking", FakeAsking)
        text = self.config.read_text()
        socket = 'AdminSocket = "/run/eu-distributor"\n'
        self.config.write_text(text.replace(socket, ADAPTER, 1))
        self.users = self.config.parent / "users.txt"
        self.users.write_text("")
        self.asked: list[Mapping[str, Any]] = []
        self.messages = 0

    def node(self, question: Mapping[str, Any]) -> Mapping[str, Any]:
        self.asked.append(question)
        return {"messages": self.messages}

    def add(self, name: str, *arguments: str) -> Ran:
        self.patch(sys, "stdin", io.StringIO("{PLAIN}x"))
        given = ("--stdin", "--hashed", "--config", self.config, *arguments)
        return pluto("user", "add", name, *given)

    def test_an_empty_account(self) -> None:
        self.nodes["/run/eu"] = self.node
        found = self.add("Fred")
        self.assertEqual((found.status, found.out), (0, "user Fred has ID 1\n"))
        self.assertEqual(self.asked, [{"ask": "account", "subnet": "subnet", "key": "fred"}])

    def test_mail_of_an_earlier_user(self) -> None:
        """It "refuses a key whose account holds mail unless `--keep-mail`"."""
        self.nodes["/mail/storage/admin"] = self.node
        self.messages = 12
        found = self.add("Fred")
        self.assertEqual((found.status, self.users.read_text()), (1, ""))
        self.assertIn("'fred' holds 12 messages of an earlier user: --keep-mail", found.errors)
        self.assertEqual(self.add("Fred", "--keep-mail").status, 0)
        # Who is there already is refused as such.
        self.assertIn("there is a user of that name: FRED", self.add("FRED").errors)

    def test_nobody_can_be_asked(self) -> None:
        found = self.add("Fred")
        self.assertEqual(found.status, 0)
        self.assertIn(
            "no replica could be asked for mail of an earlier user: eu: /run/eu: Connection",
            found.out,
        )

    def test_a_replica_that_refuses(self) -> None:
        def refuse(question: Mapping[str, Any]) -> Mapping[str, Any]:
            raise AskFailed("this replica is joining")

        self.nodes["/run/eu"] = refuse
        self.assertIn("eu: this replica is joining", self.add("Fred").out)
