# SPDX-License-Identifier: GPL-3.0-or-later
"""A peer that shows a certificate of another authority, of another node, or of last week."""

import contextlib
import socket
import ssl
import tempfile
import threading
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.net.tls import KeyPair
from tests.live.process import PROCESS_SECONDS_MAX, Worker
from tests.live.test_joining import Cluster
from tests.support.nodes import Authority, authority

#: What is wrong, by the Name of the peer that shows it, and what the log says of it.
WRONG = {
    "b": (Authority().pair("worker", "b"), "pluto:worker:b, .*another authority: .*RootCertLoc"),
    "c": (authority().pair("worker", "x"), "pluto:worker:x"),
    "d": (authority().pair("worker", "d", days=-3), "expired"),
}


class PeerCertificateTests(SynchronousTestCase):
    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = Path(directory.name)
        self.cluster = Cluster(self.directory, "a", *WRONG)
        self.addCleanup(self.cluster.end)
        self.worker = self.cluster.configure("a", *WRONG)

    def context(self, pair: KeyPair, side: int) -> ssl.SSLContext:
        """TLS that shows *pair*, whoever is on the other side."""
        context = ssl.SSLContext(side)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        file = self.directory / "shown.pem"
        key = pair.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        file.write_bytes(key + pair.certificate.public_bytes(Encoding.PEM))
        context.load_cert_chain(file)
        return context

    def listen(self, name: str, pair: KeyPair) -> None:
        """Stands where the peer *name* is dialled, and shows *pair* to each who comes."""
        context = self.context(pair, ssl.PROTOCOL_TLS_SERVER)
        listening = socket.create_server(("127.0.0.1", self.cluster.port(name)))
        self.addCleanup(listening.close)

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listening.accept()
                    with (
                        contextlib.suppress(OSError),
                        context.wrap_socket(connection, server_side=True) as shown,
                    ):
                        shown.recv(1)

        threading.Thread(target=serve, daemon=True).start()

    def refused(self, worker: Worker, event: str, count: int) -> dict[str, str]:
        """The reasons of the next *count* different ones that the log tells of."""
        found: dict[str, str] = {}
        while len(found) < count:
            told = worker.event(event)
            found[told["peer"] if event == "peer-unreachable" else told["address"]] = told["reason"]
        return found

    def test_who_is_dialled_is_refused_and_named(self) -> None:
        for name, (pair, _) in WRONG.items():
            self.listen(name, pair)
        self.worker.begin()
        found = self.refused(self.worker, "peer-unreachable", len(WRONG))
        for name, (_, wanted) in WRONG.items():
            self.assertRegex(found[name], wanted)

    def test_who_dials_in_is_refused_and_named(self) -> None:
        self.worker.begin()
        self.worker.event("peer-unreachable")
        # From an address each: what is wrong in one way at one host is told once a minute.
        for number, (name, (pair, wanted)) in enumerate(WRONG.items()):
            context = self.context(pair, ssl.PROTOCOL_TLS_CLIENT)
            with (
                contextlib.suppress(OSError),
                socket.create_connection(
                    ("127.0.0.1", self.cluster.port("a")),
                    PROCESS_SECONDS_MAX,
                    (f"127.0.0.{number + 2}", 0),
                ) as plain,
                context.wrap_socket(plain) as shown,
            ):
                shown.recv(1)
            told = self.worker.event("peer-refused")
            self.assertRegex(told["reason"], wanted, name)
            self.assertIn(f"127.0.0.{number + 2}", told["address"])
