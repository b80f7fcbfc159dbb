# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificates of nodes for tests, as `pluto pki` makes them: an authority, and what it signs."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from pluto_tw.net.nodes import node_uri
from pluto_tw.net.tls import KeyPair
from pluto_tw.node.internal_tls import Internal, InternalContexts

#: Both uses of a node's certificate.
USES = (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH)

DAY = timedelta(days=1)


class Authority:
    """A certificate authority. `authority()` is the one that tests share."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        builder = self._builder("an authority of tests", self._key, 0)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), True)
        self.certificate = builder.sign(self._key, hashes.SHA256())

    def pair(
        self,
        role: str = "worker",
        name: str = "eu-worker-1",
        *,
        days: float = 0,
        uses: Sequence[x509.ObjectIdentifier] = USES,
        uris: Sequence[str] | None = None,
    ) -> KeyPair:
        """
        A node's certificate, valid for a day before and after *days* from now.

        *uris* stand for what it says of *role* and *name* if they are given.
        """
        if uris is None:
            uris = [node_uri(role, name)]
        key = ec.generate_private_key(ec.SECP256R1())
        names = [x509.DNSName(name), *map(x509.UniformResourceIdentifier, uris)]
        builder = (
            self._builder(name, key, days)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), True)
            .add_extension(x509.SubjectAlternativeName(names), False)
        )
        if uses:
            builder = builder.add_extension(x509.ExtendedKeyUsage(uses), False)
        return KeyPair(builder.sign(self._key, hashes.SHA256()), (), key)

    def internal(self, pair: KeyPair) -> Internal:
        """What a node with that *pair* shows, trusting this authority."""
        return Internal(pair, (self.certificate,))

    def contexts(self, role: str = "worker", name: str = "eu-worker-1") -> InternalContexts:
        """The TLS of a node."""
        return InternalContexts(self.internal(self.pair(role, name)))

    def _builder(
        self, subject: str, key: ec.EllipticCurvePrivateKey, days: float
    ) -> x509.CertificateBuilder:
        now = datetime.now(UTC) + timedelta(days=days)
        return (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)]))
            .issuer_name(
                x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "an authority of tests")])
            )
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - DAY)
            .not_valid_after(now + DAY)
        )


@cache
def authority() -> Authority:
    """Made once, as it is the same for all tests."""
    return Authority()
