# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is at the other end of a link between nodes."""

import os
import socket
import struct
from collections.abc import Sequence

from cryptography import x509
from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.net.nodes import (
    TOLD_MAX,
    Distributors,
    Node,
    Role,
    is_replica,
    node_of,
    nodes_of,
    same_user,
    told,
)
from tests.support.nodes import authority


class Showing:
    """A transport whose peer has shown *certificate*, or runs as *user*."""

    def __init__(self, certificate: x509.Certificate | None = None, user: int = 0) -> None:
        self._certificate = certificate
        self._user = user

    def getHandle(self) -> "Showing":
        return self

    def get_peer_certificate(self, *, as_cryptography: bool) -> x509.Certificate | None:
        assert as_cryptography
        return self._certificate

    def getsockopt(self, level: int, option: int, octets: int) -> bytes:
        assert (level, option) == (socket.SOL_SOCKET, socket.SO_PEERCRED)
        return struct.pack("3i", 4711, self._user, 0)


def certificate(*uris: str) -> x509.Certificate:
    return authority().pair(uris=uris).certificate


class CertificateTests(SynchronousTestCase):
    def assert_nodes(self, uris: Sequence[str], *nodes: Node) -> None:
        self.assertEqual(list(nodes_of(certificate(*uris))), list(nodes))

    def test_its_uri_names_a_node(self) -> None:
        self.assert_nodes(["pluto:worker:eu-worker-1"], Node(Role.WORKER, "eu-worker-1"))
        self.assertEqual(Node(Role.WORKER, "eu-worker-1").uri, "pluto:worker:eu-worker-1")

    def test_other_uris_name_nobody(self) -> None:
        self.assert_nodes(["https://example.org", "pluto:worker:", "pluto:king:x", "pluto:storage"])

    def test_a_certificate_of_two_is_nobody(self) -> None:
        """It would pass for either."""
        both = certificate("pluto:distributor:eu", "pluto:worker:eu")
        self.assertEqual(len(nodes_of(both)), 2)
        self.assertIsNone(node_of(both))

    def test_what_is_told_is_bounded(self) -> None:
        """A certificate of a broken authority may hold anything."""
        text = told(certificate("pluto:worker:" + "x" * 10_000))
        self.assertLess(len(text), TOLD_MAX + 100)
        self.assertIn("without a name pluto:<role>:<Name>", told(certificate("urn:x")))


class DistributorsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.distributors = Distributors(["eu", "us"])

    def judge(self, *uris: str) -> str | None:
        return self.distributors.by_certificate(Showing(certificate(*uris)))

    def test_those_who_are_listed_may_act_for_users(self) -> None:
        self.assertIsNone(self.judge("pluto:distributor:us"))

    def test_nobody_else_may(self) -> None:
        for uris in (
            ["pluto:distributor:asia"],
            ["pluto:worker:eu"],
            ["pluto:storage:eu"],
            ["pluto:distributor:eu", "pluto:worker:eu"],
            [],
        ):
            wrong = self.judge(*uris)
            assert wrong is not None, uris
            self.assertIn("a distributor among eu, us: see Distributors in [IMAP]", wrong)
        self.assertIn("no certificate", self.distributors.by_certificate(Showing()) or "")

    def test_the_list_may_change(self) -> None:
        self.distributors.names = ["asia"]
        self.assertIsNotNone(self.judge("pluto:distributor:eu"))
        self.assertIsNone(self.judge("pluto:distributor:asia"))


class ReplicaTests(SynchronousTestCase):
    def test_a_replica_of_that_name(self) -> None:
        for uri in ("pluto:worker:a", "pluto:storage:a"):
            self.assertIsNone(is_replica(Showing(certificate(uri)), "a"))

    def test_somebody_else_in_its_place(self) -> None:
        for uri in ("pluto:worker:b", "pluto:distributor:a", "urn:a"):
            wrong = is_replica(Showing(certificate(uri)), "a")
            self.assertIn("expected is that of the replica 'a'", wrong or "")


class ProcessTests(SynchronousTestCase):
    def test_the_same_user_and_root(self) -> None:
        for user in (os.geteuid(), 0):
            self.assertIsNone(same_user(Showing(user=user)))
            self.assertIsNone(Distributors([]).by_process(Showing(user=user)))

    def test_another_user(self) -> None:
        other = os.geteuid() + 1
        wrong = same_user(Showing(user=other))
        self.assertIn(f"process 4711 runs as user {other}, expected is {os.geteuid()}", wrong or "")
