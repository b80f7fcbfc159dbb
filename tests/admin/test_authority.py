# SPDX-License-Identifier: GPL-3.0-or-later
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID
from cryptography.x509.verification import PolicyBuilder, Store
from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.admin.authority import (
    ROOT_DAYS,
    Authority,
    has_signed,
    lacking,
    new_key,
    refusal,
    self_signed,
)
from pluto_tw.admin.nodes import Node
from pluto_tw.net.nodes import Role
from pluto_tw.net.tls import KeyPair, PrivateKey

NOW = datetime(2026, 1, 5, 8, 0, tzinfo=UTC)
WORKER = Node(Role.WORKER, "eu-worker-1", ("192.0.2.7", "mx.example.org"))


def alternatives(certificate: x509.Certificate) -> x509.SubjectAlternativeName:
    return certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value


def foreign_root(key: PrivateKey, identifier: bytes, *, ca: bool = True) -> x509.Certificate:
    """A root of another make, whose key identifier is derived in a way of its own."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "another")])
    builder = (
        x509.CertificateBuilder(name, name, key.public_key(), 7)
        .not_valid_before(NOW)
        .not_valid_after(NOW + timedelta(days=20))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier(identifier), critical=False)
    )
    algorithm = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return builder.sign(key, algorithm)


class NodeCertificateTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.root = Authority.new(NOW)
        self.key = new_key()
        self.certificate = self.root.issue(WORKER, self.key.public_key(), NOW, 825)

    def test_names(self) -> None:
        """Name as a DNS name, role and Name as a URI, hosts by name and number."""
        names = alternatives(self.certificate)
        self.assertEqual(names.get_values_for_type(x509.DNSName), ["eu-worker-1", "mx.example.org"])
        self.assertEqual(
            names.get_values_for_type(x509.UniformResourceIdentifier), ["pluto:worker:eu-worker-1"]
        )
        self.assertEqual(
            [str(address) for address in names.get_values_for_type(x509.IPAddress)], ["192.0.2.7"]
        )

    def test_both_usages(self) -> None:
        usage = self.certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        self.assertIn(ExtendedKeyUsageOID.SERVER_AUTH, usage)
        self.assertIn(ExtendedKeyUsageOID.CLIENT_AUTH, usage)

    def test_an_independent_verifier_takes_it_from_both_sides(self) -> None:
        policy = PolicyBuilder().store(Store([self.root.certificate])).time(NOW)
        policy.build_server_verifier(x509.DNSName("eu-worker-1")).verify(self.certificate, [])
        policy.build_client_verifier().verify(self.certificate, [])

    def test_it_is_valid_a_little_before_now(self) -> None:
        self.assertEqual(self.certificate.not_valid_before_utc, NOW - timedelta(hours=1))
        self.assertEqual(self.certificate.not_valid_after_utc, NOW + timedelta(days=825))

    def test_it_ends_with_its_authority(self) -> None:
        certificate = self.root.issue(WORKER, self.key.public_key(), NOW, ROOT_DAYS + 9)
        self.assertEqual(certificate.not_valid_after_utc, self.root.certificate.not_valid_after_utc)

    def test_it_lacks_nothing_for_its_node(self) -> None:
        self.assertEqual(list(lacking(self.certificate, WORKER)), [])

    def test_it_lacks_name_and_role_for_another(self) -> None:
        other = Node(Role.DISTRIBUTOR, "eu-distributor")
        self.assertEqual(
            list(lacking(self.certificate, other)),
            ["eu-distributor", "pluto:distributor:eu-distributor"],
        )

    def test_the_hosts_are_not_missed(self) -> None:
        moved = Node(Role.WORKER, "eu-worker-1", ("192.0.2.99",))
        self.assertEqual(list(lacking(self.certificate, moved)), [])


class AuthorityTests(SynchronousTestCase):
    def test_a_renewed_one_and_the_old_one_are_good_for_the_same_certificates(self) -> None:
        old = Authority.of(KeyPair(foreign_root(key := new_key(), b"odd"), (), key))
        new = old.renewed(NOW)
        before = old.issue(WORKER, new_key().public_key(), NOW, 9)
        after = new.issue(WORKER, new_key().public_key(), NOW, 9)
        for root in (old, new):
            for certificate in (before, after):
                self.assertTrue(has_signed(root.certificate, certificate))
                identifier = certificate.extensions.get_extension_for_class(
                    x509.AuthorityKeyIdentifier
                ).value.key_identifier
                self.assertEqual(identifier, b"odd")

    def test_keys_of_other_kinds_sign_too(self) -> None:
        keys: list[PrivateKey] = [
            ed25519.Ed25519PrivateKey.generate(),
            rsa.generate_private_key(65537, 2048),
        ]
        for key in keys:
            authority = Authority.of(KeyPair(foreign_root(key, b"odd"), (), key))
            certificate = authority.issue(WORKER, new_key().public_key(), NOW, 9)
            self.assertTrue(has_signed(authority.certificate, certificate))

    def test_another_authority_did_not_sign(self) -> None:
        certificate = Authority.new(NOW).issue(WORKER, new_key().public_key(), NOW, 9)
        self.assertFalse(has_signed(Authority.new(NOW).certificate, certificate))

    def test_what_is_no_authority_may_not_sign(self) -> None:
        key = new_key()
        certificate = foreign_root(key, b"odd", ca=False)
        with self.assertRaisesRegex(ValueError, "CA:FALSE"):
            Authority.of(KeyPair(certificate, (), key))
        leaf = Authority.new(NOW).issue(WORKER, key.public_key(), NOW, 9)
        self.assertIn("CA:FALSE", refusal(leaf) or "")


class SelfSignedTests(SynchronousTestCase):
    def test_hosts(self) -> None:
        certificate = self_signed(["localhost", "::1"], new_key(), NOW, 90)
        names = alternatives(certificate)
        self.assertEqual(names.get_values_for_type(x509.DNSName), ["localhost"])
        self.assertEqual(str(names.get_values_for_type(x509.IPAddress)[0]), "::1")
        self.assertTrue(has_signed(certificate, certificate))
