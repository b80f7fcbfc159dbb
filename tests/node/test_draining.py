# SPDX-License-Identifier: GPL-3.0-or-later
"""The question `member-drain`: it begins what it then tells of."""

from collections.abc import Mapping
from typing import Any, cast

from twisted.internet.defer import Deferred

from pluto_tw.node import admin
from pluto_tw.node.accounts import StoredAccounts
from pluto_tw.node.draining import Draining
from tests.replication.cluster import SUBNET, ClusterCase, Replica


class Stored:
    """What the answers use of `StoredAccounts`."""

    def __init__(self, replica: Replica) -> None:
        self.store = replica.node.store
        self.members = replica.node.site.members
        self.heard = replica.replication.heard


class DrainingTests(ClusterCase):
    def draining(self, replica: Replica) -> Draining:
        self.changes = 0

        def changed() -> None:
            self.changes += 1

        stores = {SUBNET: cast(StoredAccounts, Stored(replica))}
        waiting = cast(Any, replica.node.site.waiting)
        draining = Draining(replica.name, waiting, stores, lambda: 0, changed)
        self.addCleanup(draining.stop)
        return draining

    def asked(self, draining: Draining, **question: object) -> Deferred[Mapping[str, Any]]:
        async def asked() -> Mapping[str, Any]:
            return await draining.by_question()["member-drain"](question)

        return Deferred.fromCoroutine(asked())

    def ask(self, draining: Draining, **question: object) -> Mapping[str, Any]:
        return self.successResultOf(self.asked(draining, **question))

    def refused(self, draining: Draining, **question: object) -> str:
        failure = self.failureResultOf(self.asked(draining, **question), admin.Refused)
        return str(failure.value)

    def test_first_question_begins_and_others_tell(self) -> None:
        a, b = self.replicas(2)
        draining = self.draining(b)
        self.network.cut(a, b)
        self.run_for(5)
        self.append(b, b"x")
        self.ask(draining)
        self.run_for(3)
        told = self.ask(draining, subnet=SUBNET)
        self.assertEqual(told["stage"], "sending")
        self.assertEqual(told["lacking"], [{"name": a.name, "heard": False}])
        self.assertEqual(self.changes, 1)
        self.network.heal()
        self.run_for(20)
        told = self.ask(draining)
        self.assertEqual((told["stage"], told["lacking"]), ("left", []))

    def test_cancelled_it_can_be_begun_again(self) -> None:
        a, b = self.replicas(2)
        draining = self.draining(b)
        self.network.cut(a, b)
        self.run_for(5)
        self.append(b, b"x")
        self.assertIn("nothing to cancel", self.refused(draining, cancel=True))
        self.ask(draining)
        self.assertEqual(self.ask(draining, cancel=True)["stage"], "cancelled")
        self.assertTrue(b.node.site.members.serves)
        self.run_for(1)
        self.assertEqual(self.ask(draining)["stage"], "sending")
        self.assertFalse(b.node.site.members.serves)

    def test_only_member_does_not_leave(self) -> None:
        [alone] = self.replicas(1)
        self.assertIn("its mail would be with nobody", self.refused(self.draining(alone)))

    def test_who_serves_nobody_as_it_is_does_not_leave(self) -> None:
        _, b = self.replicas(2)
        b.node.site.members.withhold("it is joining")
        self.assertIn("it is joining", self.refused(self.draining(b)))

    def test_unknown_subnet(self) -> None:
        _, b = self.replicas(2)
        self.assertIn(f"here are {SUBNET}", self.refused(self.draining(b), subnet="other"))
