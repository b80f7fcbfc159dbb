# SPDX-License-Identifier: GPL-3.0-or-later
"""`pluto demo run`, as a newcomer does it: two regions, and plugs that are pulled."""

import contextlib
import os
import signal
import ssl
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from imapclient import IMAPClient
from imapclient.exceptions import IMAPClientError
from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.admin.demo.plan import NODES, OFFSET_MAX
from tests.live.server import CLIENT_SECONDS_MAX
from tests.live.test_replication import free_ports

#: Each thing that is waited for, on a busy machine.
SECONDS_MAX = 60.0

MESSAGE = b"Subject: %s\r\n\r\nbody\r\n"


class DemoTests(SynchronousTestCase):
    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = Path(directory.name)
        self.base = min(free_ports(1)[0], 65535 - OFFSET_MAX)
        self.environment = {
            **os.environ,
            "DEMO_DIR": directory.name,
            "DEMO_PORT_BASE": str(self.base),
        }
        self.tls = ssl.create_default_context()
        self.tls.check_hostname = False
        self.tls.verify_mode = ssl.CERT_NONE
        self.begin()
        self.addCleanup(self.end)

    def begin(self) -> None:
        pluto = str(Path(sys.executable).with_name("pluto"))
        self.demo = subprocess.Popen(
            [pluto, "demo", "run"], env=self.environment, stdout=subprocess.PIPE, text=True
        )
        assert self.demo.stdout is not None
        for line in self.demo.stdout:
            if line.startswith("pluto: ready"):
                return
        self.fail(f"it ended with {self.demo.wait()}")

    def end(self) -> None:
        self.demo.send_signal(signal.SIGTERM)
        self.assertEqual(self.demo.wait(SECONDS_MAX), 0)
        assert self.demo.stdout is not None
        self.demo.stdout.close()
        self.assertEqual(list((self.directory / "run").glob("*.pid")), [])

    def pluto(self, *words: str) -> None:
        pluto = str(Path(sys.executable).with_name("pluto"))
        subprocess.run(
            [pluto, "demo", *words],
            env=self.environment,
            check=True,
            stdout=subprocess.DEVNULL,
            timeout=SECONDS_MAX,
        )

    def client(self, offset: int) -> IMAPClient:
        """A session at the region with that port; logs in until that is possible."""
        until = time.monotonic() + SECONDS_MAX
        while True:
            with contextlib.suppress(IMAPClientError, OSError):
                client = IMAPClient(
                    *("127.0.0.1", self.base + offset),
                    ssl_context=self.tls,
                    timeout=CLIENT_SECONDS_MAX,
                )
                self.addCleanup(self.close, client)
                client.login("user1", "secret1")
                client.select_folder("INBOX")
                return client
            self.assertLess(time.monotonic(), until)

    def close(self, client: IMAPClient) -> None:
        with contextlib.suppress(OSError):
            client.shutdown()

    def subjects(self, client: IMAPClient) -> dict[int, bytes]:
        client.noop()
        found = client.fetch(client.search("ALL"), ["BODY.PEEK[HEADER.FIELDS (SUBJECT)]"])
        return {
            uid: next(value for key, value in item.items() if key.startswith(b"BODY["))
            .removeprefix(b"Subject: ")
            .strip()
            for uid, item in found.items()
        }

    def wait_until_equal(self, one: IMAPClient, other: IMAPClient, wanted: set[bytes]) -> None:
        until = time.monotonic() + SECONDS_MAX
        while (found := self.subjects(one)) != self.subjects(other) or not wanted <= set(
            found.values()
        ):
            self.assertLess(time.monotonic(), until, f"not equal: {found}")
        self.assertEqual(sorted(found.values()), sorted(wanted), "each message is there once")

    def test_plugs_are_pulled_and_put_back(self) -> None:
        eu, us = self.client(993), self.client(1993)
        eu.append("INBOX", MESSAGE % b"from eu")
        self.wait_until_equal(eu, us, {b"from eu"})

        # The regions are cut off from each other and from storage: both go on.
        self.pluto("cut")
        eu.append("INBOX", MESSAGE % b"eu alone")
        us.append("INBOX", MESSAGE % b"us alone")
        self.assertNotIn(b"us alone", self.subjects(eu).values())
        self.pluto("heal")
        all_of_them = {b"from eu", b"eu alone", b"us alone"}
        self.wait_until_equal(eu, us, all_of_them)

        # The region's worker dies: the next login comes to another replica, with all mail.
        self.pluto("kill", "eu-worker-1")
        elsewhere = self.client(993)
        self.assertEqual(set(self.subjects(elsewhere).values()), all_of_them)
        elsewhere.append("INBOX", MESSAGE % b"while it was down")
        self.pluto("start", "eu-worker-1")
        all_of_them.add(b"while it was down")
        self.wait_until_equal(elsewhere, us, all_of_them)

        # Every node dies at once, and comes back by itself.
        for name in NODES:
            os.kill(int((self.directory / "run" / f"{name}.pid").read_text()), signal.SIGKILL)
        self.wait_until_equal(self.client(993), self.client(1993), all_of_them)
