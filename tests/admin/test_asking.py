# SPDX-License-Identifier: GPL-3.0-or-later
"""Asking a node over its admin socket."""

import socket
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.admin import asking
from pluto_tw.admin.asking import AskFailed, Asking, NobodyThere, ReplicaAway


class AskingTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.path = Path(self.mktemp()).absolute() / "admin"
        self.path.parent.mkdir()
        self.listening = socket.socket(socket.AF_UNIX)
        self.addCleanup(self.listening.close)

    def connect(self) -> tuple[Asking, socket.socket]:
        """One that asks, and the node's end. The kernel lets in before anybody accepts."""
        short = self.path.relative_to(Path.cwd())
        self.listening.bind(str(short))
        self.listening.listen()
        found = Asking(self.path)
        self.addCleanup(found.close)
        node, _ = self.listening.accept()
        self.addCleanup(node.close)
        return found, node

    def test_an_answer(self) -> None:
        found, node = self.connect()
        found.send({"ask": "status", "name": "ä"})
        self.assertEqual(node.recv(100), b'{"ask": "status", "name": "\\u00e4"}\n')
        node.sendall(b'{"ok": {"a": 1}}\n{"ok": ')
        self.assertEqual(found.receive(), {"a": 1})
        node.sendall(b'{"b": 2}}\n')
        self.assertEqual(found.receive(), {"b": 2})

    def test_refusals(self) -> None:
        found, node = self.connect()
        node.sendall(b'{"error": "no"}\n{"error": "no link", "away": true}\n')
        self.assertEqual(str(self.assertRaises(AskFailed, found.receive)), "no")
        self.assertRaises(ReplicaAway, found.receive)

    def test_the_node_goes(self) -> None:
        found, node = self.connect()
        node.sendall(b'{"ok": ')
        node.close()
        self.assertIn("ended", str(self.assertRaises(NobodyThere, found.receive)))
        self.assertRaises(NobodyThere, found.send, {"ask": "status"})

    def test_no_answer_in_time(self) -> None:
        found, _ = self.connect()
        failed = self.assertRaises(NobodyThere, found.receive, 0.001)
        self.assertIn("no answer in time", str(failed))

    def test_what_is_no_node(self) -> None:
        found, node = self.connect()
        node.sendall(b"HTTP/1.1 400\n[1]\n")
        self.assertIn("no node", str(self.assertRaises(NobodyThere, found.receive)))
        self.assertIn("no node", str(self.assertRaises(NobodyThere, found.receive)))
        self.patch(asking, "ANSWER_OCTETS_MAX", 100)
        node.sendall(b"x" * 200)
        self.assertRaises(NobodyThere, found.receive)

    def test_nobody_listens(self) -> None:
        for path in (self.path, self.path.parent / "none" / "admin"):
            failed = self.assertRaises(NobodyThere, Asking, path)
            self.assertIn("No such file", str(failed))
