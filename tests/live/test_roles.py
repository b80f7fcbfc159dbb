# SPDX-License-Identifier: GPL-3.0-or-later
"""Each role as a process of `twistd`, under each reactor: a login through the distributor."""

import imaplib
import tempfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.live.process import Worker
from tests.live.server import CLIENT_SECONDS_MAX
from tests.live.tours import ok

CONFIGURATION = """\
[IMAP]
Distributors = ["eu-distributor"]

[Distributor]
Name = "eu-distributor"
ListenMailAddr = "127.0.0.1:0"
PublicCertLoc = "public.pem"
PublicKeyLoc = "public.key"
AuthAdapter = "AuthFile"

    [Distributor.AuthFile]
    File = "users.txt"

[Workers.worker-1]
Name = "eu-worker-1"
MailSocket = "mail.sock"
StoreRoot = "mail"
Shards = 1

    [Workers.worker-1.Peers.subnet-1]
"""


class RoleTests(SynchronousTestCase):
    def tour(self, reactor: str) -> None:
        # Names of sockets are short, and the tests' own directories are not.
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        worker = self.node(Path(directory.name))
        worker.begin(reactor=reactor)
        worker.event("ready")
        distributor = self.node(Path(directory.name))
        distributor.client_tls = worker.client_tls
        distributor.begin(reactor=reactor, command="pluto-distributor")
        port = int(distributor.event("ready")["listening"].rpartition(":")[2])
        client = imaplib.IMAP4_SSL(
            "127.0.0.1", port, ssl_context=distributor.client_tls, timeout=CLIENT_SECONDS_MAX
        )
        ok(client.login("user1", "secret1"))
        ok(client.append("INBOX", "", "", b"Subject: x\r\n\r\n"))
        self.assertEqual(client.select()[1], [b"1"])
        client.logout()
        distributor.stop()
        worker.stop()

    def node(self, directory: Path) -> Worker:
        renew = not (directory / "public.pem").exists()
        node = Worker(directory, renew=renew)
        node.config.write_text(CONFIGURATION)
        self.addCleanup(node.end)
        return node

    def test_epoll(self) -> None:
        self.tour("epoll")

    def test_poll(self) -> None:
        self.tour("poll")

    def test_select(self) -> None:
        self.tour("select")

    def test_asyncio(self) -> None:
        self.tour("asyncio")
