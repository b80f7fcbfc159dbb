# SPDX-License-Identifier: GPL-3.0-or-later
"""What a service manager is told."""

import os
import socket
import tempfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.node.notify import notify


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
