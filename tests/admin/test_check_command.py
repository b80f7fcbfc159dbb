# SPDX-License-Identifier: GPL-3.0-or-later
"""`pluto check`, on replicas that tell what the test wants."""

import json
import os
from collections.abc import Mapping
from typing import Any

from pluto_tw.admin import check_command
from pluto_tw.admin.checking import PAUSES_SECONDS
from tests.admin.nodes import Accounts, NodesCase, told
from tests.admin.running import Ran, pluto


class CheckCommandTests(NodesCase):
    def setUp(self) -> None:
        super().setUp()
        self.pauses: list[float] = []
        self.patch(check_command, "_wait", self.pauses.append)
        self.eu, self.us, self.storage = (
            Accounts(name, fred=told((3, 1)), wilma=told((1,))) for name in ("eu", "us", "storage")
        )
        self.eu.others = {"us": self.us, "storage": self.storage}
        self.storage.others = {"us": self.us, "eu": self.eu}
        self.nodes["/run/eu"] = self.eu
        self.nodes["/mail/storage/admin"] = self.storage

    def check(self, *arguments: str) -> Ran:
        return pluto("check", "--config", self.config, *arguments)

    def test_all_are_equal(self) -> None:
        """Replicas on other machines are asked by way of one on this machine."""
        found = self.check()
        self.assertEqual((found.status, found.errors), (0, ""))
        self.assertEqual(
            found.lines(),
            [
                "fred: equal, 4 messages",
                "wilma: equal, 1 message",
                "subnet: 2 accounts at eu, storage, us: 2 equal, 0 behind, 0 different",
            ],
        )
        self.assertEqual(self.pauses, [])
        self.assertEqual(len(self.check("--quiet").lines()), 1)

    def test_one_is_behind(self) -> None:
        self.us.accounts["fred"] = told((1, 1), "bb")
        found = self.check("--quiet")
        self.assertEqual(found.status, 1)
        self.assertEqual(
            found.lines(),
            [
                "fred: us is behind by 2",
                "subnet: 2 accounts at eu, storage, us: 1 equal, 1 behind, 0 different",
            ],
        )

    def test_who_comes_up_while_asked_is_equal(self) -> None:
        """Vectors that move while asking: asked again a few times."""
        self.us.accounts["fred"] = told((1, 1), "bb")

        def wait(seconds: float) -> None:
            self.us.accounts["fred"] = told((3, 1))

        self.patch(check_command, "_wait", wait)
        self.assertEqual(self.check().status, 0)

    def test_an_end_comes_also_while_all_moves(self) -> None:
        count = 0
        self.us.accounts["fred"] = told((3, 0, 1), "other")

        def wait(seconds: float) -> None:
            nonlocal count
            count += 1
            self.us.accounts["fred"] = told((3, 1 + count), str(count))

        self.patch(check_command, "_wait", wait)
        self.assertEqual(self.check().status, 1)
        self.assertEqual(count, len(PAUSES_SECONDS))

    def test_different_and_where(self) -> None:
        self.us.accounts["fred"] = told((3, 1), "bb")
        found = self.check("--quiet")
        self.assertEqual(found.status, 2)
        self.assertEqual(found.lines()[0], "fred: different at eu, storage and us, in INBOX")

    def test_a_lost_body(self) -> None:
        places = [{"mailbox": "INBOX", "uid": 7}]
        self.us.accounts["fred"] = told((3, 1), unfit=1, places=places)
        found = self.check("--bodies", "--quiet")
        self.assertEqual(found.status, 2)
        self.assertEqual(found.lines()[0], "fred: 1 body missing or damaged at us: INBOX 7")
        asked = [question for question in self.us.asked if question["ask"] == "digest"]
        self.assertTrue(all(question["bodies"] for question in asked))

    def test_who_is_away_is_said_once(self) -> None:
        self.eu.others.clear()
        self.storage.others.clear()
        found = self.check()
        self.assertEqual(found.status, 1)
        self.assertEqual(
            found.lines(),
            [
                "fred: equal, 4 messages; not asked: us",
                "wilma: equal, 1 message; not asked: us",
                "us cannot be asked: us is away",
                "subnet: 2 accounts at eu, storage: 2 equal, 0 behind, 0 different",
            ],
        )
        self.assertEqual([q["ask"] for q in self.us.asked], [])

    def test_another_replica_asks_where_one_has_no_link(self) -> None:
        del self.eu.others["us"]
        self.assertEqual(self.check().status, 0)

    def test_a_node_that_is_down_here_is_asked_by_nobody(self) -> None:
        del self.nodes["/run/eu"]
        self.storage.others.pop("eu")
        found = self.check()
        self.assertEqual(found.status, 1)
        self.assertIn("eu cannot be asked: /run/eu: Connection refused; eu is away", found.lines())

    def test_an_account_that_a_replica_does_not_serve(self) -> None:
        self.us.accounts["fred"] = {"error": "its operator must look into it"}
        found = self.check("--quiet")
        self.assertEqual(found.status, 1)
        self.assertEqual(
            found.lines()[0], "fred: us does not answer: its operator must look into it"
        )

    def test_accounts_that_one_replica_alone_has(self) -> None:
        self.us.accounts["zoe"] = told((0, 5))
        found = self.check("--quiet")
        self.assertEqual(found.lines()[0], "zoe: eu is behind by 5; storage is behind by 5")

    def test_one_user(self) -> None:
        """What a login name gives: NFC and case-folded."""
        found = self.check("--user", "FRED")
        self.assertEqual((found.status, len(found.lines())), (0, 2))
        found = self.check("--user", "nobody")
        self.assertEqual((found.status, found.out), (2, ""))
        self.assertIn("has an account 'nobody'", found.errors)
        self.assertEqual(self.check("--user", "").status, 2)

    def test_nobody_can_be_asked(self) -> None:
        self.nodes.clear()
        found = self.check()
        self.assertEqual((found.status, found.out), (2, ""))
        self.assertIn("nobody could be asked: eu: /run/eu: Connection refused", found.errors)

    def test_a_peer_that_is_no_member(self) -> None:
        members = [{"name": "eu", "state": "live"}, {"name": "storage", "state": "removed"}]

        def eu(question: Mapping[str, Any]) -> Mapping[str, Any]:
            return {"members": members} if question["ask"] == "members" else self.eu(question)

        self.nodes["/run/eu"] = eu
        found = self.check()
        self.assertEqual(found.status, 1)
        self.assertIn("us is configured, and no member yet", found.lines())
        self.assertIn("subnet: 2 accounts at eu: 2 equal, 0 behind, 0 different", found.lines())

    def test_json(self) -> None:
        self.us.accounts["fred"] = told((3, 1), "bb")
        found = self.check("--json")
        [subnet] = json.loads(found.out)["subnets"]
        self.assertEqual((found.status, subnet["verdict"]), (2, "different"))
        self.assertEqual(subnet["counts"], {"equal": 1, "behind": 0, "different": 1})
        ways = {row["name"]: row["asked_by"] for row in subnet["replicas"]}
        self.assertEqual(ways, {"eu": "eu", "us": "eu", "storage": "storage"})
        [fred, _] = subnet["accounts"]
        self.assertEqual((fred["key"], fred["mailboxes"]), ("fred", ["INBOX"]))

    def test_the_demo(self) -> None:
        """`--demo`, or DEMO_DIR alone, means the nodes of `make run`."""
        demo = self.config.parent / "demo"
        (demo / "eu").mkdir(parents=True)
        self.config.rename(demo / "eu" / "config.toml")
        self.patch(os, "environ", {**os.environ, "DEMO_DIR": str(demo)})
        self.assertEqual(pluto("check", "--demo").status, 0)
        self.assertEqual(pluto("check").status, 0)
        self.assertEqual(pluto("check", "--demo", "--config", "x").status, 2)
        os.environ["DEMO_DIR"] = str(demo / "none")
        self.assertIn("there is no demo", pluto("check", "--demo").errors)
