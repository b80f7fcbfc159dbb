# SPDX-License-Identifier: GPL-3.0-or-later
"""What a running distributor takes up at a reload, and what it leaves for a restart."""

import time
from pathlib import Path
from typing import Any

from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.net.waiting import ReactorWaiting
from pluto_tw.node.distributor import DistributorNode
from pluto_tw.node.listening import Listening
from pluto_tw.node.preparation import PreparedDistributor, distributor, prepare
from pluto_tw.node.surroundings import Surroundings
from tests.support.certificate import self_signed

CONFIGURATION = """\
[Distributor]
Name = "eu-distributor"
ListenMailAddr = "127.0.0.1:0"
PublicCertLoc = "public.pem"
PublicKeyLoc = "public.key"
AuthAdapter = "AuthFile"
{distributor}
    [Distributor.AuthFile]
    File = "users.txt"

[Workers.worker-1]
Name = "eu-worker-1"
MailSocket = "{socket}"
StoreRoot = "mail"
{worker}
    [Workers.worker-1.Peers.subnet-1]
"""


class ReloadTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.directory = Path(self.mktemp()).absolute()
        self.directory.mkdir()
        self_signed().save(self.directory, "public")
        (self.directory / "users.txt").write_text("fred;secret\n")

    def prepared(
        self, distributor_keys: str = "", worker: str = "", socket: str = "mail.sock"
    ) -> PreparedDistributor:
        text = CONFIGURATION.format(distributor=distributor_keys, worker=worker, socket=socket)
        (self.directory / "config.toml").write_text(text)
        prepared = prepare(self.directory / "config.toml", distributor, time.time())
        [found] = prepared.nodes
        assert isinstance(found, PreparedDistributor)
        return found

    def node(self, prepared: PreparedDistributor) -> DistributorNode:
        reactor: Any = MemoryReactorClock()
        around = Surroundings(
            reactor, ReactorWaiting(reactor), Listening(reactor, {}), lambda failure: None
        )
        return DistributorNode(around, prepared)

    def test_where_replicas_are(self) -> None:
        """A replica that joins is told to distributors by a reload."""
        node = self.node(self.prepared())
        self.assertFalse(node.reload(self.prepared(socket="other.sock")))

    def test_networks_of_load_balancers_change(self) -> None:
        node = self.node(self.prepared('ProxyNetworks = ["192.0.2.0/24"]'))
        self.assertFalse(node.reload(self.prepared('ProxyNetworks = ["198.51.100.0/24"]')))
        self.assertFalse(node.reload(self.prepared()))

    def test_first_network_needs_a_restart(self) -> None:
        node = self.node(self.prepared())
        self.assertTrue(node.reload(self.prepared('ProxyNetworks = ["192.0.2.0/24"]')))
        # It is said again, as it is still not so.
        self.assertTrue(node.reload(self.prepared('ProxyNetworks = ["192.0.2.0/24"]')))

    def test_whose_mail_is_where_needs_a_restart(self) -> None:
        node = self.node(self.prepared(worker="UserStart = 1\nUserEnd = 10"))
        self.assertTrue(node.reload(self.prepared(worker="UserStart = 1\nUserEnd = 9")))
