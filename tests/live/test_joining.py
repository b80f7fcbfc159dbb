# SPDX-License-Identifier: GPL-3.0-or-later
"""
A subnet that grows and shrinks while it serves: real processes, which replicate over mutual TLS.

The third replica is started as an operator does it: its certificate and configuration, its Name
among the Peers of the others and a SIGHUP there, then its start.
"""

import json
import socket
import tempfile
import time
from collections.abc import Iterator, Mapping
from io import StringIO
from pathlib import Path
from threading import Event
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from imapclient import IMAPClient
from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.admin.commands import run
from tests.live.process import PROCESS_SECONDS_MAX, Worker
from tests.live.server import CLIENT_SECONDS_MAX
from tests.live.test_replication import free_ports
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
"""

#: What is appended, and what it becomes by copies.
APPENDED = 100
MESSAGES = 10_000

#: Between two questions to a process that is busy: nothing tells when another one is done.
LOOK_SECONDS = 0.1


class Cluster:
    """Workers by Name, each with the files of an operator in a directory of its own."""

    def __init__(self, directory: Path, *names: str) -> None:
        self._ports = dict(zip(names, free_ports(len(names)), strict=True))
        self.workers: dict[str, Worker] = {}
        for name in names:
            worker = self.workers[name] = Worker(directory / name)
            pair = authority().pair("worker", name)
            files = {
                "root.pem": authority().certificate.public_bytes(Encoding.PEM),
                "internal.pem": pair.certificate.public_bytes(Encoding.PEM),
                "internal.key": pair.key.private_bytes(
                    Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
                ),
            }
            for file, octets in files.items():
                (worker.directory / file).write_bytes(octets)

    def port(self, name: str) -> int:
        """Where the worker *name* listens for replicas."""
        return self._ports[name]

    def configure(self, name: str, *peers: str) -> Worker:
        """Writes the configuration of the worker *name*, which has *peers*."""
        worker = self.workers[name]
        lines = [f'    {peer} = "127.0.0.1:{self._ports[peer]}"\n' for peer in peers]
        text = CONFIGURATION.format(name=name, port=self._ports[name]) + "".join(lines)
        worker.config.write_text(text)
        return worker

    def start(self, *names: str) -> None:
        """At once: each waits for the others."""
        for name in names:
            self.workers[name].begin()
        for name in names:
            worker = self.workers[name]
            worker.port = int(worker.event("ready")["listening"].rpartition(":")[2])

    def end(self) -> None:
        for worker in self.workers.values():
            worker.end()


def ask(worker: Worker, question: Mapping[str, Any]) -> dict[str, Any]:
    """What *worker* answers on its admin socket."""
    with socket.socket(socket.AF_UNIX) as asking:
        asking.settimeout(CLIENT_SECONDS_MAX)
        asking.connect(str(worker.directory / "mail" / "admin"))
        with asking.makefile("rwb") as lines:
            lines.write(json.dumps(question).encode() + b"\n")
            lines.flush()
            answer: dict[str, Any] = json.loads(lines.readline())
    return answer


def fill(client: IMAPClient) -> None:
    """Fills INBOX with 10,000 small messages."""
    for number in range(APPENDED):
        client.append("INBOX", b"Subject: %d\r\n\r\n" % number)
    client.use_uid = False
    client.select_folder("INBOX")
    known = APPENDED
    while known < MESSAGES:
        more = min(known, MESSAGES - known)
        client.copy(f"1:{more}", "INBOX")
        known += more


class GrowthTests(SynchronousTestCase):
    def cluster(self, *names: str) -> Cluster:
        # Names of sockets are short, and the tests' own directories are not.
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        cluster = Cluster(Path(directory.name), *names)
        self.addCleanup(cluster.end)
        return cluster

    def client(self, worker: Worker) -> IMAPClient:
        client = IMAPClient(
            "127.0.0.1", worker.port, ssl_context=worker.client_tls, timeout=CLIENT_SECONDS_MAX
        )
        self.addCleanup(client.shutdown)
        client.login("user1", "secret1")
        return client

    def until(self, what: str) -> Iterator[None]:
        """A turn now and then, for as long as it may take until *what*."""
        end = time.monotonic() + PROCESS_SECONDS_MAX
        pause = Event().wait
        while True:
            self.assertLess(time.monotonic(), end, what)
            yield
            pause(LOOK_SECONDS)

    def assert_equal(self, *workers: Worker) -> None:
        """Their views of the account become equal."""
        for _ in self.until("they are equal"):
            digests = [ask(worker, {"ask": "digest", "key": "user1"}) for worker in workers]
            told = [(d["ok"]["vector"], d["ok"]["digest"]) for d in digests if "ok" in d]
            if len(told) == len(workers) and told.count(told[0]) == len(told):
                return

    def test_third_replica_joins_a_pair_that_serves(self) -> None:
        cluster = self.cluster("a", "b", "c")
        a, b = cluster.configure("a", "b"), cluster.configure("b", "a")
        cluster.start("a", "b")
        fill(self.client(a))
        c = cluster.configure("c", "a", "b")
        # It is there before the others were told of it: it waits, and founds nothing.
        c.begin()
        refused = c.event("join-refused")
        self.assertIn("must stand among its Peers", refused["reason"])
        ready = c.event("ready")
        self.assertEqual(ready["joining"], ["subnet-1"])
        c.port = int(ready["listening"].rpartition(":")[2])
        [subnet] = ask(c, {"ask": "status"})["ok"]["subnets"]
        self.assertEqual((subnet["state"], subnet["slot"]), ("joining", None))
        with self.assertRaisesRegex(IMAPClient.Error, "joining"):
            self.client(c)
        for name, others in (("a", ("b", "c")), ("b", ("a", "c"))):
            cluster.configure(name, *others)
            cluster.workers[name].hang_up()
        self.assertEqual(c.event("admitted")["slot"], 2)
        c.event("joined")
        self.assert_equal(a, b, c)
        views = []
        for worker in (a, b, c):
            client = self.client(worker)
            client.select_folder("INBOX")
            views.append(client.search("ALL"))
        self.assertEqual(len(views[0]), MESSAGES)
        self.assertEqual(views[1:], views[:1] * 2)

    def test_founding_member_that_was_away_from_the_start_gets_everything(self) -> None:
        """'A pair, with storage configured but never started, serves.'"""
        cluster = self.cluster("a", "storage")
        a, storage = cluster.configure("a", "storage"), cluster.configure("storage", "a")
        cluster.start("a")
        client = self.client(a)
        client.append("INBOX", b"Subject: early\r\n\r\n")
        cluster.start("storage")
        self.assert_equal(a, storage)
        later = self.client(storage)
        later.select_folder("INBOX")
        self.assertEqual(len(later.search("ALL")), 1)

    def test_planned_removal_loses_nothing(self) -> None:
        cluster = self.cluster("a", "b")
        a, b = cluster.configure("a", "b"), cluster.configure("b", "a")
        cluster.start("a", "b")
        client = self.client(b)
        client.append("INBOX", b"Subject: last\r\n\r\n")
        out, errors = StringIO(), StringIO()
        status = run(["member", "remove", "b", "--config", str(b.config)], out, errors)
        self.assertEqual((status, errors.getvalue()), (0, ""), out.getvalue())
        self.assertIn("b is removed. Stop it", out.getvalue())
        left = self.client(a)
        left.select_folder("INBOX")
        self.assertEqual(len(left.search("ALL")), 1)
        with self.assertRaisesRegex(IMAPClient.Error, "removed from its subnet"):
            self.client(b)
        members = ask(a, {"ask": "members"})["ok"]["members"]
        self.assertEqual([row["state"] for row in members], ["live", "removed"])
        b.stop()
        # Nor does it serve when somebody starts it again.
        cluster.start("b")
        with self.assertRaisesRegex(IMAPClient.Error, "removed from its subnet"):
            self.client(b)
