# SPDX-License-Identifier: GPL-3.0-or-later
"""Two workers as processes, which replicate over mutual TLS: what is written at one is at both."""

import socket
import tempfile
import time
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from imapclient import IMAPClient
from twisted.trial.unittest import SynchronousTestCase

from tests.live.process import PROCESS_SECONDS_MAX, Worker
from tests.live.server import CLIENT_SECONDS_MAX
from tests.support.nodes import authority

CONFIGURATION = """\
RootCertLoc = "root.pem"

[Workers.worker-1]
Name = "{name}"
ListenMailAddr = "127.0.0.1:0"
ListenSyncAddr = "127.0.0.1:{port}"
CertLoc = "internal.pem"
KeyLoc = "internal.key"
StoreRoot = "mail"
Shards = 2
AuthAdapter = "AuthFile"
PublicCertLoc = "public.pem"
PublicKeyLoc = "public.key"

    [Workers.worker-1.AuthFile]
    File = "users.txt"
    Separator = ";"

    [Workers.worker-1.Peers.subnet-1]
    {peer} = "127.0.0.1:{peer_port}"
"""

BODY = b"Subject: %d\r\n\r\n" + b"x" * 100_000


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on now."""
    with_sockets = [socket.socket() for _ in range(count)]
    try:
        for each in with_sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in with_sockets]
    finally:
        for each in with_sockets:
            each.close()


class ReplicationTests(SynchronousTestCase):
    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        ports = free_ports(2)
        names = ["eu-worker-1", "us-worker-1"]
        self.workers = []
        for own, other in ((0, 1), (1, 0)):
            worker = Worker(Path(directory.name, names[own]))
            worker.config.write_text(
                CONFIGURATION.format(
                    name=names[own], port=ports[own], peer=names[other], peer_port=ports[other]
                )
            )
            self.certify(worker, names[own])
            self.addCleanup(worker.end)
            self.workers.append(worker)

    def certify(self, worker: Worker, name: str) -> None:
        pair = authority().pair("worker", name)
        root = authority().certificate.public_bytes(Encoding.PEM)
        (worker.directory / "root.pem").write_bytes(root)
        octets = pair.certificate.public_bytes(Encoding.PEM)
        (worker.directory / "internal.pem").write_bytes(octets)
        key = pair.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (worker.directory / "internal.key").write_bytes(key)

    def start(self, *workers: Worker) -> None:
        """At once: each waits for the other."""
        for worker in workers:
            worker.begin()
        for worker in workers:
            worker.port = int(worker.event("ready")["listening"].rpartition(":")[2])

    def client(self, worker: Worker) -> IMAPClient:
        client = IMAPClient(
            "127.0.0.1", worker.port, ssl_context=worker.client_tls, timeout=CLIENT_SECONDS_MAX
        )
        self.addCleanup(client.shutdown)
        client.login("user1", "secret1")
        return client

    def wait_for(self, client: IMAPClient, count: int) -> None:
        """Idles until the selected mailbox has *count* messages."""
        client.idle()
        known = 0
        while known < count:
            told = client.idle_check(PROCESS_SECONDS_MAX)
            self.assertTrue(told, f"{known} of {count} messages came")
            known = max([known, *(number for number, what in told if what == b"EXISTS")])
        client.idle_done()

    def test_what_is_written_at_one_wakes_who_idles_at_the_other(self) -> None:
        eu, us = self.workers
        self.start(eu, us)
        reader = self.client(us)
        reader.select_folder("INBOX")
        writer = self.client(eu)
        for number in range(3):
            writer.append("INBOX", BODY % number)
        self.wait_for(reader, 3)
        found = reader.fetch(reader.search("ALL"), ["BODY.PEEK[]"])
        self.assertEqual(
            sorted(item[b"BODY[]"] for item in found.values()), [BODY % n for n in range(3)]
        )
        writer.select_folder("INBOX")
        self.assertEqual(writer.search("ALL"), reader.search("ALL"))

    def test_both_are_equal_after_one_was_killed_and_came_back(self) -> None:
        eu, us = self.workers
        self.start(eu, us)
        first = self.client(eu)
        first.append("INBOX", BODY % 0)
        eu.kill()
        second = self.client(us)
        for number in range(1, 4):
            second.append("INBOX", BODY % number)
        self.start(eu)
        again = self.client(eu)
        again.select_folder("INBOX")
        second.select_folder("INBOX")
        # UIDs that both gave while apart are given anew, once: that is no change of the count.
        until = time.monotonic() + PROCESS_SECONDS_MAX
        while (found := again.search("ALL")) != second.search("ALL") or len(found) < 4:
            self.assertLess(time.monotonic(), until, "they are not equal")
            again.noop()
            second.noop()
        self.assertEqual(len(found), 4)
