# SPDX-License-Identifier: GPL-3.0-or-later
"""The certificates of nodes: read, checked, and told of. Handshakes are in tests/replication."""

import contextlib
import time
from datetime import UTC, datetime
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from OpenSSL import SSL
from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.net.nodes import node_uri
from pluto_tw.net.tls import KeyPair
from pluto_tw.node.internal_tls import (
    InternalContexts,
    Shown,
    check_node,
    read_internal,
)
from pluto_tw.node.problems import Problems
from tests.support.nodes import Authority, authority


def save(directory: Path, pair: KeyPair, issuer: Authority) -> tuple[Path, Path, Path]:
    """The files of a node: of the authority, its certificate, its key."""
    directory.mkdir()
    root, certificate, key = (directory / name for name in ("root.pem", "own.pem", "own.key"))
    root.write_bytes(issuer.certificate.public_bytes(Encoding.PEM))
    certificate.write_bytes(pair.certificate.public_bytes(Encoding.PEM))
    key.write_bytes(pair.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return root, certificate, key


class ReadInternalTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.pair = authority().pair("storage", "storage")
        self.files = save(Path(self.mktemp()), self.pair, authority())
        self.problems = Problems()

    def test_the_files_of_a_node(self) -> None:
        internal = read_internal(self.problems, *self.files, time.time())
        assert internal is not None
        self.assertEqual(internal.pair.certificate, self.pair.certificate)
        self.assertEqual(internal.authorities, (authority().certificate,))
        self.assertGreater(internal.not_after, datetime.now(UTC))
        self.assertEqual(self.problems.errors, [])

    def test_what_cannot_be_read_is_a_problem(self) -> None:
        root = self.files[0]
        root.write_bytes(b"nonsense")
        self.assertIsNone(read_internal(self.problems, *self.files, time.time()))
        root.unlink()
        self.assertIsNone(read_internal(self.problems, *self.files, time.time()))
        self.assertEqual(len(self.problems.errors), 2)
        for error in self.problems.errors:
            self.assertTrue(error.startswith(str(root)), error)

    def test_a_certificate_of_another_node_is_a_problem(self) -> None:
        check_node(self.problems, self.files[1], self.pair, "storage", "storage")
        self.assertEqual(self.problems.errors, [])
        check_node(self.problems, self.files[1], self.pair, "worker", "storage")
        [error] = self.problems.errors
        self.assertIn("a certificate of pluto:storage:storage", error)
        self.assertIn(node_uri("worker", "storage"), error)
        self.assertIn("pluto pki", error)


class ShownTests(SynchronousTestCase):
    def handshake(self, server: InternalContexts, client: InternalContexts) -> tuple[Shown, Shown]:
        """What the server and the client saw of each other."""
        at_server, at_client = (
            contexts.serverConnectionForTLS(None)  # type: ignore[arg-type]
            for contexts in (server, client)
        )
        at_server.set_accept_state()
        at_client.set_connect_state()
        for _ in range(4):
            for here, there in ((at_client, at_server), (at_server, at_client)):
                with contextlib.suppress(SSL.Error):
                    here.do_handshake()
                with contextlib.suppress(SSL.Error):
                    there.bio_write(here.bio_read(2**16))
        return server.shown(at_server), client.shown(at_client)

    def test_both_see_role_and_name(self) -> None:
        server = authority().contexts("storage", "storage")
        seen = self.handshake(server, authority().contexts("distributor", "eu"))
        self.assertEqual(
            [(shown.role, shown.name) for shown in seen],
            [
                ("distributor", "eu"),
                ("storage", "storage"),
            ],
        )
        self.assertEqual({shown.trouble for shown in seen}, {""})

    def test_tls_before_1_3_is_refused(self) -> None:
        contexts = authority().contexts()
        old = SSL.Context(SSL.TLS_METHOD)
        old.set_max_proto_version(SSL.TLS1_2_VERSION)
        client = SSL.Connection(old)
        client.set_connect_state()
        self.assertRaises(SSL.WantReadError, client.do_handshake)
        server = contexts.serverConnectionForTLS(None)  # type: ignore[arg-type]
        server.set_accept_state()
        server.bio_write(client.bio_read(2**16))
        error = self.assertRaises(SSL.Error, server.do_handshake)
        self.assertIn("unsupported protocol", str(error))

    def test_nothing_was_shown(self) -> None:
        contexts = authority().contexts()
        connection = contexts.clientConnectionForTLS(None)  # type: ignore[arg-type]
        self.assertEqual(contexts.shown(connection), Shown("", "", "no certificate", ""))
