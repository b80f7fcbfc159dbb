# SPDX-License-Identifier: GPL-3.0-or-later
"""`pluto demo run`, as a newcomer has it: two regions, and plugs that are pulled."""

import os
import re
import signal
import socket
import subprocess
import time
from functools import partial
from pathlib import Path

from imapclient import IMAPClient
from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.admin.demo.plan import NODES
from tests.live.demo import PLUTO, SECONDS_MAX, TLS, Demo, DemoCase, close, wait_until
from tests.live.mailbox import everything, message

README = Path(__file__).resolve().parents[2] / "README.md"


class DemoTests(DemoCase):
    def names(self, client: IMAPClient) -> list[str]:
        return sorted(everything(client)["INBOX"].names())

    def wait_until_both_show(self, one: IMAPClient, other: IMAPClient, *wanted: str) -> None:
        wait_until(lambda: self.names(one) == self.names(other) == sorted(wanted), "not equal")
        self.assertEqual(everything(one), everything(other))

    def test_plugs_are_pulled_and_put_back(self) -> None:
        eu, us = self.client("eu", "user2"), self.client("us", "user2")
        eu.append("INBOX", message("from-eu"))
        self.wait_until_both_show(eu, us, "from-eu")

        # The regions are cut off from each other and from storage: both go on.
        self.demo.pluto("demo", "cut")
        eu.append("INBOX", message("eu-alone"))
        us.append("INBOX", message("us-alone"))
        self.assertNotIn("us-alone", self.names(eu))
        self.demo.pluto("demo", "heal")
        all_of_them = ["from-eu", "eu-alone", "us-alone"]
        self.wait_until_both_show(eu, us, *all_of_them)

        # The region's worker dies: the next login comes to another replica, with all mail.
        self.demo.pluto("demo", "kill", "eu-worker-1")
        elsewhere = self.client("eu", "user2")
        self.assertEqual(self.names(elsewhere), sorted(all_of_them))
        elsewhere.append("INBOX", message("while-it-was-down"))
        self.demo.pluto("demo", "start", "eu-worker-1")
        all_of_them.append("while-it-was-down")
        self.wait_until_both_show(elsewhere, us, *all_of_them)

        # Every node dies at once, and comes back by itself.
        for name in NODES:
            self.demo.crash(name)
        self.wait_until_both_show(
            self.client("eu", "user2"), self.client("us", "user2"), *all_of_them
        )

    def test_a_far_region_is_told_later_and_not_waited_for(self) -> None:
        eu, us = self.client("eu", "user3"), self.client("us", "user3")
        # The first message makes eu the one that gives UIDs, as where an account is written.
        eu.append("INBOX", message("near"))
        self.wait_until_both_show(eu, us, "near")
        us.select_folder("INBOX")
        seconds = 1.0
        self.demo.pluto("demo", "delay", f"{seconds}s")
        self.addCleanup(self.demo.pluto, "demo", "heal")
        us.idle()
        begun = time.monotonic()
        eu.append("INBOX", message("far"))
        answered = time.monotonic() - begun
        told: list[object] = []
        while (2, b"EXISTS") not in told:
            told += us.idle_check(SECONDS_MAX)
            self.assertTrue(told, "nothing was told")
        arrived = time.monotonic() - begun
        us.idle_done()
        self.assertGreaterEqual(arrived, seconds)
        self.assertLess(answered, seconds)

    def test_the_minute_of_the_readme(self) -> None:
        page = README.read_text(encoding="utf-8")
        found = re.search(r"(?m)^## A minute with it\n[\s\S]*?((?:^    \S.*\n)+)", page)
        assert found is not None, "README.md has its commands"
        lines = [line.strip() for line in found[1].splitlines()]
        aliases = [line for line in lines if line.startswith("alias")]
        hello = self.demo.directory / "hello"
        put = {
            "10993": str(self.demo.base + TLS["eu"]),
            "11993": str(self.demo.base + TLS["us"]),
            "/tmp/hello": str(hello),
            ".venv/bin/pluto": PLUTO,
        }

        def shell(line: str) -> "subprocess.CompletedProcess[str]":
            text = "\n".join(["shopt -s expand_aliases", *aliases, line])
            for written, instead in put.items():
                text = text.replace(written, instead)
            return subprocess.run(
                ["/bin/bash", "-c", text],
                env=self.demo.environment,
                capture_output=True,
                check=False,
                text=True,
                timeout=SECONDS_MAX,
            )

        def says(line: str, wanted: str) -> bool:
            return wanted in shell(line).stdout

        # What a person reads a moment later than a program would.
        readings = {
            "us -X 'FETCH": "hello",
            "us -X 'STATUS": "(MESSAGES 3 ",
            "eu -X 'STATUS": "(MESSAGES 3)",
            ".venv/bin/pluto check": " 0 different",
            ".venv/bin/pluto status": "eu-worker-1: worker, serving",
        }
        for line in lines:
            wanted = next((told for words, told in readings.items() if line.startswith(words)), "")
            if wanted:
                wait_until(partial(says, line, wanted), line)
            elif line not in aliases:
                done = shell(line)
                self.assertEqual(done.returncode, 0, f"{line}: {done.stderr}")

    def test_a_second_one_is_refused_in_the_same_directory_and_on_the_same_ports(self) -> None:
        same = self.demo.try_pluto("demo", "run")
        self.assertEqual(same.returncode, 2)
        self.assertIn("a demo runs here already (process ", same.stderr)
        other = subprocess.run(
            [PLUTO, "demo", "run"],
            env={**self.demo.environment, "DEMO_DIR": str(self.demo.directory / "second")},
            capture_output=True,
            check=False,
            text=True,
            timeout=SECONDS_MAX,
        )
        self.assertEqual(other.returncode, 2)
        self.assertIn(
            f"port {self.demo.base + TLS['eu']} (eu, for mail programs, TLS)", other.stderr
        )


class LifeTests(SynchronousTestCase):
    """From the start to the end, and what is left."""

    def test_ctrl_c_leaves_no_process_and_mail_stays(self) -> None:
        demo = Demo(DEMO_RESTART="0")
        self.addCleanup(demo.clean_up)
        nobody = demo.try_pluto("demo", "cut")
        self.assertEqual(nobody.returncode, 2)
        self.assertIn("no demo runs here", nobody.stderr)
        demo.begin()
        client = demo.client("eu")
        client.append("INBOX", message("stays"))
        close(client)
        # A node that dies stays down, as DEMO_RESTART=0 says, until it is started.
        demo.crash("us-worker-1")
        pid_file = demo.directory / "run" / "us-worker-1.pid"
        wait_until(lambda: not pid_file.exists(), "it was killed")
        pids = [demo.pid(name) for name in NODES if name != "us-worker-1"]
        self.assertIn("us-worker-1: down", demo.pluto("demo", "status"))
        # As a terminal does it: the signal goes to the whole group, nodes included.
        self.assertEqual(demo.end(signal.SIGINT, group=True), 0)
        for pid in pids:
            self.assertRaises(ProcessLookupError, os.kill, pid, 0)
        self.assertEqual(list((demo.directory / "run").glob("*.pid")), [])
        with socket.socket() as tried:
            self.assertNotEqual(tried.connect_ex(("127.0.0.1", demo.base + TLS["eu"])), 0)

        begun = time.monotonic()
        demo.begin()
        print(f"ready the second time after {time.monotonic() - begun:.1f} s")
        client = demo.client("us")
        wait_until(lambda: everything(client)["INBOX"].names() == ["stays"], "it came to us")
        close(client)
        self.assertEqual(demo.end(), 0)
