# SPDX-License-Identifier: GPL-3.0-or-later
"""What a replica answers on its admin socket."""

import secrets
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from twisted.internet.defer import Deferred

from pluto_tw.account.store import identity_of
from pluto_tw.mail.names import INBOX
from pluto_tw.node.admin import Refused
from pluto_tw.node.answers import ReplicaAnswers
from pluto_tw.node.identity import Identity, found
from pluto_tw.replication.relay import Relay
from pluto_tw.replication.status import Status
from tests.replication.cluster import KEY, SUBNET, ClusterCase, Replica


class Stored:
    """`answers.Stored`, of a replica of the cluster."""

    def __init__(self, replica: Replica) -> None:
        self.members = replica.node.site.members
        self.store = replica.node.store
        self.shards = [replica.node.shard]


class Replicated:
    """`answers.Replicated`."""

    def __init__(self, replica: Replica) -> None:
        self._replication = replica.replication

    def status(self) -> Status:
        return self._replication.status()

    def relay(self, name: str) -> Relay | None:
        return self._replication.relay(name)


class AnswersCase(ClusterCase):
    def setUp(self) -> None:
        super().setUp()
        self.a, self.b = self.replicas(2)
        self.append(self.a, b"one")
        self.append(self.b, b"two", key="wilma")
        self.run_for(3)
        own = found("node-0", SUBNET, {"node-1": None}, 1, secrets.token_bytes)
        self.identities: list[Identity] = [own]
        self.stores = {SUBNET: Stored(self.a)}
        self.replicated = {SUBNET: Replicated(self.a)}
        self.answers = ReplicaAnswers(
            lambda: {"name": "node-0"}, lambda: self.identities, self.stores, self.replicated
        ).by_question()

    def asked(self, ask: str, **more: object) -> Mapping[str, Any]:
        return self.done(self.answers[ask](more))

    def refused(self, ask: str, **more: object) -> Refused:
        asking = self.begun(self.answers[ask](more))
        self.run_for(20)
        refused = self.failureResultOf(asking, Refused).value
        assert isinstance(refused, Refused)
        return refused


class StatusTests(AnswersCase):
    def test_a_subnet_and_its_peers(self) -> None:
        found = self.asked("status")
        self.assertEqual(found["name"], "node-0")
        [subnet] = found["subnets"]
        self.assertEqual((subnet["subnet"], subnet["state"]), (SUBNET, "serving"))
        self.assertEqual([shard["state"] for shard in subnet["shards"]], ["open"])
        [peer] = subnet["peers"]
        self.assertEqual((peer["name"], peer["state"], peer["error"]), ("node-1", "live", ""))
        self.assertEqual((peer["lag_operations"], peer["backlog_accounts"]), (0, 0))

    def test_who_waits_to_be_admitted(self) -> None:
        self.stores.clear()
        self.replicated.clear()
        self.identities = [replace(self.identities[0], slot=None)]
        [subnet] = self.asked("status")["subnets"]
        self.assertEqual((subnet["state"], subnet["shards"], subnet["peers"]), ("joining", [], []))
        self.assertIn("here are none yet", str(self.refused("accounts")))


class DigestTests(AnswersCase):
    def test_digest(self) -> None:
        found = self.asked("digest", key=KEY)
        digest = self.digest(self.a)
        self.assertEqual(
            (found["vector"], found["outstanding"], found["digest"]),
            (list(digest.vector), False, digest.digest.hex()),
        )
        self.assertEqual((found["subnet"], found["key"]), (SUBNET, KEY))
        self.assertEqual(found["identity"], identity_of(SUBNET, KEY).hex())
        self.assertEqual([row["name"] for row in found["mailboxes"]], [INBOX, ""])
        self.assertEqual((found["messages"], found["steady"], found["unfit"]), (1, True, 0))
        self.assertEqual(self.asked("digest", key=KEY, mailboxes=False)["mailboxes"], [])

    def test_another_replica_has_the_same(self) -> None:
        own, other = self.asked("digest", key=KEY), self.asked("digest", key=KEY, replica="node-1")
        self.assertEqual(own, other)
        self.assertEqual(self.asked("digest", key=KEY, replica="node-0"), own)

    def test_two_stores_that_differ(self) -> None:
        """The same was applied at both, and one has another body: `different`, and where."""
        self.b.node.shard.read(
            "UPDATE body SET size = size + 1 WHERE hash IN (SELECT hash FROM body)"
        )
        own, other = self.asked("digest", key=KEY), self.asked("digest", key=KEY, replica="node-1")
        self.assertEqual(own["vector"], other["vector"])
        self.assertNotEqual(own["digest"], other["digest"])
        self.assertEqual(
            [a["name"] for a in own["mailboxes"] if a not in other["mailboxes"]], [INBOX]
        )

    def test_bodies(self) -> None:
        self.a.node.shard.read("UPDATE body SET state = 2")
        found = self.asked("digest", key=KEY, bodies=True)
        self.assertEqual((found["unfit"], found["places"]), (1, [{"mailbox": INBOX, "uid": 1}]))

    def test_who_is_away_and_who_is_nobody(self) -> None:
        self.network.cut(self.a, self.b)
        self.run_for(10)
        self.assertTrue(self.refused("digest", key=KEY, replica="node-1").away)
        self.assertTrue(self.refused("accounts", replica="node-1").away)
        nobody = self.refused("digest", key=KEY, replica="nobody")
        self.assertFalse(nobody.away)
        self.assertIn("'nobody' is not among the peers of node-0", str(nobody))

    def test_questions_that_are_none(self) -> None:
        self.assertIn('as "key"', str(self.refused("digest")))
        self.assertIn('as "bodies"', str(self.refused("digest", key=KEY, bodies=1)))
        self.assertIn("no subnet 'x'", str(self.refused("digest", key=KEY, subnet="x")))


class AccountsTests(AnswersCase):
    def test_page_by_page(self) -> None:
        for replica in ("node-0", "node-1"):
            first = self.asked("accounts", limit=1, replica=replica)
            self.assertEqual([row["key"] for row in first["accounts"]], [KEY])
            second = self.asked("accounts", limit=2, after=first["next"], replica=replica)
            self.assertEqual([row["key"] for row in second["accounts"]], ["wilma"])
            self.assertIsNone(second["next"])
            identity = identity_of(SUBNET, KEY).hex()
            self.assertEqual(first["accounts"][0]["identity"], identity)

    def test_how_much_is_in_one(self) -> None:
        self.assertEqual(self.asked("account", key="wilma")["messages"], 1)
        self.assertEqual(self.asked("account", key="nobody")["messages"], 0)

    def test_cursors_that_are_none(self) -> None:
        self.assertIn('as "after"', str(self.refused("accounts", after="x")))
        self.assertIn(
            "does not answer now", str(self.refused("accounts", after="x", replica="node-1"))
        )


class MembersTests(AnswersCase):
    def test_the_table(self) -> None:
        members = self.asked("members")["members"]
        self.assertEqual(
            [(row["name"], row["slot"], row["state"]) for row in members],
            [("node-0", 0, "live"), ("node-1", 1, "live")],
        )

    def test_removal(self) -> None:
        self.assertEqual(self.asked("member-remove", name="node-1")["removed"], "node-1")
        states = [row["state"] for row in self.asked("members")["members"]]
        self.assertEqual(states, ["live", "forced"])
        self.assertIn("no member 'x'", str(self.refused("member-remove", name="x")))


class DeferredTests(AnswersCase):
    def test_local_answers_need_no_time(self) -> None:
        """`status` and `members` are answered from memory."""
        for ask in ("status", "members"):
            self.successResultOf(Deferred.fromCoroutine(self.begun_now(ask)))

    async def begun_now(self, ask: str) -> Mapping[str, Any]:
        return await self.answers[ask]({})
