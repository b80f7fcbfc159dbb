# SPDX-License-Identifier: GPL-3.0-or-later
"""`pluto check` and `pluto status` on the demo: what they say before, during and after a cut."""

import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.live.demo import Demo, close, wait_until

MESSAGE = b"Subject: hello\r\n\r\nbody\r\n"


class CheckTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.demo = Demo()
        self.addCleanup(self.demo.clean_up)
        self.demo.begin()

    def append(self, region: str, count: int) -> None:
        client = self.demo.client(region)
        for _ in range(count):
            client.append("INBOX", MESSAGE)
        close(client)

    def check(self, *words: str) -> tuple[int, dict[str, Any]]:
        """Its status, and what it says of the subnet."""
        done = self.demo.try_pluto("check", "--json", *words)
        self.assertEqual(done.stderr, "")
        [subnet] = json.loads(done.stdout)["subnets"]
        return done.returncode, subnet

    def test_equal_cut_off_and_equal_again(self) -> None:
        at_eu = ["--config", str(self.demo.directory / "eu" / "config.toml")]
        self.append("eu", 2)
        self.append("us", 1)
        wait_until(lambda: self.check()[0] == 0, "equal after writes")
        done = self.demo.try_pluto("check", "--user", "User1", "--bodies", *at_eu)
        self.assertEqual(
            (done.returncode, done.stdout.splitlines()),
            (
                0,
                [
                    "user1: equal, 3 messages",
                    "subnet-1: 1 account at eu-worker-1, storage, us-worker-1: "
                    "1 equal, 0 behind, 0 different",
                ],
            ),
        )
        self.assertEqual(self.demo.try_pluto("status").returncode, 0)

        # Each site by itself: they differ by what was written meanwhile, and nobody is wrong.
        self.demo.pluto("demo", "cut")
        self.append("eu", 1)
        self.append("us", 1)
        status, subnet = self.check()
        self.assertEqual((status, subnet["counts"]["behind"]), (1, 1))
        wait_until(lambda: self.check(*at_eu)[1]["replicas"][2]["error"], "us is away, as eu says")
        self.assertEqual(self.check(*at_eu)[0], 1)
        status_of = self.demo.try_pluto("status", *at_eu)
        self.assertEqual(status_of.returncode, 1, status_of.stdout)
        self.assertIn("  to us-worker-1 of subnet-1: away, heard ", status_of.stdout)

        self.demo.pluto("demo", "heal")
        wait_until(lambda: self.check(*at_eu)[0] == 0, "equal after the cut")
        [account] = self.check()[1]["accounts"]
        told = account["replicas"].values()
        self.assertEqual([one["messages"] for one in told], [5, 5, 5])
