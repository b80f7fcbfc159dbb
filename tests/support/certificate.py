# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificates for tests, signed by themselves, made when asked for."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from pluto_tw.net.tls import KeyPair


@dataclass(frozen=True)
class SelfSigned:
    """A certificate and its key in PEM form."""

    certificate: bytes
    key: bytes

    def save(self, directory: Path, name: str = "server") -> tuple[Path, Path]:
        """Writes both to files in *directory*; their paths."""
        directory.mkdir(parents=True, exist_ok=True)
        certificate, key = directory / f"{name}.pem", directory / f"{name}.key"
        certificate.write_bytes(self.certificate)
        key.write_bytes(self.key)
        return certificate, key

    def key_pair(self, directory: Path, name: str = "server") -> KeyPair:
        """Read from files in *directory*, as a server does it."""
        return KeyPair.from_files(*self.save(directory, name))


def self_signed(
    names: Sequence[str] = ("localhost",),
    key: ec.EllipticCurvePrivateKey | dsa.DSAPrivateKey | None = None,
) -> SelfSigned:
    """
    A certificate good for a day, for DNS *names* and for 127.0.0.1; without names, for nothing.

    The *key* is a new one unless it is given.
    """
    key = key or ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    )
    if names:
        alternatives = [*map(x509.DNSName, names), x509.IPAddress(ip_address("127.0.0.1"))]
        builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
    certificate = builder.sign(key, hashes.SHA256())
    return SelfSigned(
        certificate.public_bytes(Encoding.PEM),
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
    )
