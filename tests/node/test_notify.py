# SPDX-License-Identifier: GPL-3.0-or-later
"""What a service manager is told."""

import os
import socket
import tempfile
from pathlib import Path

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

import pluto_tw.node.notify
from pluto_tw.node.notify import Watchdog, notify, reloading, watchdog_seconds


class NotifyTests(SynchronousTestCase):
    def listen(self, address: str) -> socket.socket:
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(listener.close)
        listener.bind(address)
        listener.settimeout(10)
        return listener

    def ask(self, address: str) -> None:
        self.patch(os, "environ", {"NOTIFY_SOCKET": address})

    def test_a_path(self) -> None:
        # Names of sockets are short, and the tests' own directories are not.
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        address = str(Path(directory.name, "notify"))
        listener = self.listen(address)
        self.ask(address)
        notify("READY=1")
        self.assertEqual(listener.recv(100), b"READY=1")

    def test_the_abstract_namespace(self) -> None:
        listener = self.listen(f"\0pluto_tw-{os.getpid()}")
        self.ask(f"@pluto_tw-{os.getpid()}")
        notify("STOPPING=1")
        self.assertEqual(listener.recv(100), b"STOPPING=1")

    def test_nobody_asked(self) -> None:
        self.patch(os, "environ", {})
        notify("READY=1")

    def test_nobody_listens(self) -> None:
        self.ask("/nowhere/notify")
        notify("READY=1")

    def test_a_reload_says_since_when(self) -> None:
        self.assertRegex(reloading(), r"\ARELOADING=1\nMONOTONIC_USEC=\d+\Z")


class WatchdogTests(SynchronousTestCase):
    def test_nobody_asked(self) -> None:
        self.assertIsNone(watchdog_seconds({}, 7))

    def test_half_of_the_limit(self) -> None:
        self.assertEqual(watchdog_seconds({"WATCHDOG_USEC": "30000000"}, 7), 15.0)

    def test_another_process_was_meant(self) -> None:
        environment = {"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "8"}
        self.assertIsNone(watchdog_seconds(environment, 7))

    def test_nonsense(self) -> None:
        for limit in ("0", "x", "-1", "1.5"):
            self.assertIsNone(watchdog_seconds({"WATCHDOG_USEC": limit}, 7))

    def test_it_tells_as_long_as_the_reactor_turns(self) -> None:
        told: list[str] = []
        self.patch(pluto_tw.node.notify, "notify", told.append)
        clock = Clock()
        watchdog = Watchdog(clock, 15.0)
        watchdog.start()
        clock.pump([15.0, 15.0])
        self.assertEqual(told, ["WATCHDOG=1"] * 3)
        watchdog.stop()
        watchdog.stop()
        self.assertEqual(clock.getDelayedCalls(), [])

    def test_or_never(self) -> None:
        clock = Clock()
        watchdog = Watchdog(clock, None)
        watchdog.start()
        self.assertEqual(clock.getDelayedCalls(), [])
        watchdog.stop()
