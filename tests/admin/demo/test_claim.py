# SPDX-License-Identifier: GPL-3.0-or-later
"""What a demo asks for before it begins: its directory and its ports, for itself."""

import os
import socket
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.admin.demo.claim import check_ports, claim
from pluto_tw.admin.demo.plan import MAIL_OFFSETS, OFFSET_MAX, Plan
from pluto_tw.admin.failures import CommandFailed


class ClaimTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.directory = Path(self.mktemp())

    def test_who_comes_second_is_told_who_is_there(self) -> None:
        text = f"a demo runs here already .process {os.getpid()}."
        with claim(self.directory):
            self.assertRaisesRegex(CommandFailed, text, claim(self.directory).__enter__)

    def test_a_claim_ends_with_its_owner_and_not_with_its_file(self) -> None:
        for _ in range(2):
            with claim(self.directory):
                pass
        self.assertTrue((self.directory / "run" / "lock").exists())

    def test_what_cannot_be_a_directory_is_named(self) -> None:
        self.directory.write_text("")
        text = f"{self.directory}.*: (Not a directory|File exists)"
        self.assertRaisesRegex(CommandFailed, text, claim(self.directory).__enter__)


class PortTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.listening = socket.socket()
        self.addCleanup(self.listening.close)
        self.listening.bind(("127.0.0.1", 0))
        self.listening.listen()
        self.port = self.listening.getsockname()[1]

    def test_a_port_that_somebody_has_is_named_with_its_purpose(self) -> None:
        plan = Plan(Path("/demo"), self.port - MAIL_OFFSETS["eu"][0])
        with self.assertRaises(CommandFailed) as refused:
            check_ports(plan)
        self.assertIn(f"port {self.port} (eu, for mail programs, TLS): ", str(refused.exception))

    def test_all_ports_are_known(self) -> None:
        ports = Plan(Path("/demo"), 10_000).ports()
        self.assertEqual(ports[10_993], "eu, for mail programs, TLS")
        self.assertEqual(ports[11_143], "us, for mail programs, STARTTLS")
        self.assertIn("the relay from eu-worker-1 to us-worker-1", ports.values())
        # 4 for mail programs; 3 replicas with 2 ports; 5 pages of metrics; 6 + 4 of the relay.
        self.assertEqual(len(ports), 25)
        self.assertLess(max(ports), 10_000 + OFFSET_MAX)
