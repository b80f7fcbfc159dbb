# SPDX-License-Identifier: GPL-3.0-or-later
"""Listening: a manager's sockets, addresses, UNIX sockets."""

import os
import socket
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError
from twisted.internet.protocol import Factory
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase, TestCase

from pluto_tw.node.activation import passed
from pluto_tw.node.addresses import Address
from pluto_tw.node.listening import Listening, OpenPort
from tests.live.server import the_reactor

ANY = Address("127.0.0.1", 0)


class PassedTests(SynchronousTestCase):
    def test_nothing(self) -> None:
        self.assertEqual(passed({}, 7), {})

    def test_those_of_another_process_are_not_ours(self) -> None:
        environment = {"LISTEN_PID": "8", "LISTEN_FDS": "1", "LISTEN_FDNAMES": "imap"}
        self.assertEqual(passed(environment, 7), {})

    def test_nonsense(self) -> None:
        for count in ("", "x", "-1", "1000000", "¹"):
            self.assertEqual(passed({"LISTEN_PID": "7", "LISTEN_FDS": count}, 7), {})

    def test_none(self) -> None:
        self.assertEqual(passed({"LISTEN_PID": "7", "LISTEN_FDS": "0"}, 7), {})


class ListeningTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor: Any = MemoryReactorClock()
        self.factory = Factory()

    def test_an_address(self) -> None:
        listening = Listening(self.reactor, {})
        listening.listen("eu-worker-1", "imaps", Address("127.0.0.1", 993), self.factory)
        self.assertEqual(self.reactor.tcpServers[0][:2], (993, self.factory))
        self.assertEqual(self.reactor.tcpServers[0][3], "127.0.0.1")

    def test_neither(self) -> None:
        self.assertEqual(Listening(self.reactor, {}).listen("a", "imap", None, self.factory), [])

    def test_what_was_passed_goes_before_the_address(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            listening = Listening(self.reactor, {"imaps": [os.dup(listener.fileno())]})
            listening.listen("eu-worker-1", "imaps", ANY, self.factory)
        self.assertEqual(self.reactor.tcpServers, [])
        self.assertEqual(len(self.reactor.adoptedPorts), 1)
        self.assertEqual(listening.close_rest(), [])

    def test_a_nodes_own_goes_before_that(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            given = {"imaps": [os.dup(listener.fileno())], "b.imaps": [os.dup(listener.fileno())]}
        listening = Listening(self.reactor, given)
        listening.listen("b", "imaps", ANY, self.factory)
        self.assertEqual(listening.close_rest(), ["imaps"])


class UnixTests(TestCase):
    def setUp(self) -> None:
        # Longer than what the kernel takes.
        self.directory = Path(self.mktemp()).absolute() / ("x" * 120)
        self.directory.mkdir(parents=True)
        self.path = self.directory / "admin"
        self.listening = Listening(the_reactor(), {})

    def listen(self) -> OpenPort:
        port = self.listening.listen_unix(self.path, Factory())
        self.addCleanup(lambda: Deferred.fromCoroutine(port.stop()))
        return port

    def test_only_this_user_can_connect(self) -> None:
        self.assertEqual(self.listen().place, str(self.path))
        self.assertEqual(self.path.stat().st_mode & 0o777, 0o600)

    def test_what_a_process_has_left_is_replaced(self) -> None:
        directory = os.open(self.directory, os.O_RDONLY)
        self.addCleanup(os.close, directory)
        with socket.socket(socket.AF_UNIX) as left:
            left.bind(f"/proc/self/fd/{directory}/admin")
        self.listen()

    def test_where_somebody_listens_nobody_else_does(self) -> None:
        self.listen()
        with self.assertRaises(CannotListenError):
            self.listen()
        self.assertTrue(self.path.is_socket())

    def test_a_file_is_not_replaced(self) -> None:
        self.path.write_text("x")
        with self.assertRaisesRegex(CannotListenError, "in use"):
            self.listen()
        self.assertEqual(self.path.read_text(), "x")

    def test_a_directory_that_is_not_there(self) -> None:
        self.path = self.directory / "none" / "admin"
        with self.assertRaisesRegex(CannotListenError, "No such file"):
            self.listen()

    def test_it_goes_with_its_listener(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self._goes())

    async def _goes(self) -> None:
        await self.listening.listen_unix(self.path, Factory()).stop()
        self.assertFalse(self.path.exists())
