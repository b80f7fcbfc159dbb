# SPDX-License-Identifier: GPL-3.0-or-later
"""Which certificate a client is shown, and which clients are refused: handshakes in memory."""

import contextlib
from pathlib import Path
from typing import Any, cast

from cryptography.hazmat.primitives.asymmetric import dsa
from OpenSSL import SSL
from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.net.tls import KeyPair, ServerContexts
from tests.support.certificate import self_signed


def handshake(
    contexts: ServerContexts, name: bytes | None = None, version_max: int | None = None
) -> SSL.Connection:
    """The client's end after a handshake with *contexts*. SSL.Error if it fails."""
    context = SSL.Context(SSL.TLS_METHOD)
    if version_max is not None:
        context.set_min_proto_version(version_max)
        context.set_max_proto_version(version_max)
        # OpenSSL as distributions configure it refuses old versions by itself.
        context.set_cipher_list(b"ALL:@SECLEVEL=0")
    client = SSL.Connection(context, None)
    client.set_connect_state()
    if name is not None:
        client.set_tlsext_host_name(name)
    server = contexts.serverConnectionForTLS(cast(Any, None))
    server.set_accept_state()
    done: set[SSL.Connection] = set()
    for _ in range(10):
        for end, other in ((client, server), (server, client)):
            with contextlib.suppress(SSL.WantReadError):
                end.do_handshake()
                done.add(end)
            with contextlib.suppress(SSL.WantReadError):
                other.bio_write(end.bio_read(2**16))
        if len(done) == 2:
            return client
    raise AssertionError("the handshake does not end")


def subject_names(client: SSL.Connection) -> list[str]:
    """The names in the certificate that *client* was shown."""
    certificate = client.get_peer_certificate(as_cryptography=True)
    assert certificate is not None
    return list(KeyPair(certificate, (), cast(Any, None)).names())


class TlsTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.directory = Path(self.mktemp())

    def pair(self, *names: str) -> KeyPair:
        return self_signed(names).key_pair(self.directory, names[0].replace("*", "any"))


class NameTests(TlsTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.contexts = ServerContexts(
            [self.pair("mail.example"), self.pair("imap.example", "*.imap.example")]
        )

    def test_without_a_name_the_first(self) -> None:
        self.assertEqual(subject_names(handshake(self.contexts)), ["mail.example"])

    def test_by_name(self) -> None:
        """RFC 6066 §3: a client names the server that it wants to reach."""
        shown = subject_names(handshake(self.contexts, b"IMAP.example"))
        self.assertEqual(shown, ["imap.example", "*.imap.example"])

    def test_by_wildcard(self) -> None:
        """RFC 6125 §6.4.3: it stands for one label."""
        shown = subject_names(handshake(self.contexts, b"eu.imap.example"))
        self.assertEqual(shown[0], "imap.example")
        shown = subject_names(handshake(self.contexts, b"a.eu.imap.example"))
        self.assertEqual(shown[0], "mail.example")

    def test_unknown_name_gets_the_first(self) -> None:
        """A client that asks for an alias can tell its user what is wrong."""
        self.assertEqual(subject_names(handshake(self.contexts, b"pop.example")), ["mail.example"])


class ReplaceTests(TlsTestCase):
    def test_new_connections_get_the_new_certificate(self) -> None:
        contexts = ServerContexts([self.pair("old.example")])
        before = handshake(contexts)
        contexts.replace([self.pair("new.example")])
        self.assertEqual(subject_names(handshake(contexts)), ["new.example"])
        self.assertEqual(subject_names(before), ["old.example"])

    def test_bad_certificates_leave_the_old_in_place(self) -> None:
        contexts = ServerContexts([self.pair("old.example")])
        self.assertRaises(ValueError, contexts.replace, [])
        self.assertEqual(subject_names(handshake(contexts)), ["old.example"])


class VersionTests(TlsTestCase):
    def test_two_versions(self) -> None:
        contexts = ServerContexts([self.pair("mail.example")])
        for version, name in ((SSL.TLS1_2_VERSION, "TLSv1.2"), (SSL.TLS1_3_VERSION, "TLSv1.3")):
            client = handshake(contexts, version_max=version)
            self.assertEqual(client.get_protocol_version_name(), name)

    def test_older_versions_are_refused(self) -> None:
        """RFC 8996: "TLS 1.0 MUST NOT be used", nor 1.1."""
        contexts = ServerContexts([self.pair("mail.example")])
        for version in (SSL.TLS1_VERSION, SSL.TLS1_1_VERSION):
            self.assertRaises(SSL.Error, handshake, contexts, version_max=version)

    def test_ciphers_have_forward_secrecy(self) -> None:
        """RFC 9325 §4.1: "MUST NOT negotiate" RSA key transport's cipher suites, nor CBC's."""
        client = handshake(
            ServerContexts([self.pair("mail.example")]), version_max=SSL.TLS1_2_VERSION
        )
        self.assertRegex(client.get_cipher_name() or "", r"\AECDHE-ECDSA-.*(GCM|CHACHA20)")


class FileTests(TlsTestCase):
    def test_chain_is_sent(self) -> None:
        own, authority = self_signed(("mail.example",)), self_signed(("authority.example",))
        certificates, key = own.save(self.directory)
        certificates.write_bytes(own.certificate + authority.certificate)
        client = handshake(ServerContexts([KeyPair.from_files(certificates, key)]))
        chain = client.get_peer_cert_chain(as_cryptography=True)
        self.assertEqual(len(chain or ()), 2)

    def test_errors_name_the_file(self) -> None:
        """`KeyPair.from_files`: "ValueError names the file and what is wrong with it"."""
        certificates, key = self_signed().save(self.directory)
        _, foreign = self_signed().save(self.directory, "foreign")
        empty = self.directory / "empty.pem"
        empty.write_bytes(b"")
        for paths, words in (
            ((empty, key), "empty.pem: no certificate"),
            ((certificates, empty), "empty.pem: no private key"),
            ((certificates, foreign), "foreign.key: not the key of the certificate"),
        ):
            error = self.assertRaises(ValueError, KeyPair.from_files, *paths)
            self.assertIn(words, str(error))

    def test_key_of_another_kind_is_refused(self) -> None:
        """Clients of TLS 1.3 know no signatures by DSA. RFC 8446 §4.2.3."""
        certificates, key = self_signed(key=dsa.generate_private_key(2048)).save(self.directory)
        error = self.assertRaises(ValueError, KeyPair.from_files, certificates, key)
        self.assertIn("RSA, ECDSA or Ed25519", str(error))

    def test_certificate_without_names_is_for_none(self) -> None:
        """RFC 6125 §6.4.4: the common name counts no more."""
        self.assertEqual(self_signed(()).key_pair(self.directory).names(), ())

    def test_missing_file_is_an_os_error(self) -> None:
        missing = self.directory / "missing.pem"
        self.assertRaises(FileNotFoundError, KeyPair.from_files, missing, missing)
