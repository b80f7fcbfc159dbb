# SPDX-License-Identifier: GPL-3.0-or-later
"""
The cluster's own certificate authority, and what the certificates of nodes look like.

Decides names, usages and times (RFC 5280); where certificates lie is for `pairs.py`. Every node is
a server to some nodes and a client of others, so each certificate is for both. Time is an argument;
keys and serial numbers come from the operating system's randomness.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_address
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from pluto_tw.admin.nodes import Node, is_number
from pluto_tw.net.tls import KeyPair, PrivateKey

#: Longer than a node's machine lives. Its end is the end of every certificate it has signed.
ROOT_DAYS: Final = 3650

#: Two years and a quarter, what public authorities allowed until 2020: seldom enough to be planned.
NODE_DAYS: Final = 825

#: As the original's `make test-public`.
PUBLIC_DAYS: Final = 90

#: A node whose clock is behind must not find a new certificate to be of the future.
CLOCK_SKEW: Final = timedelta(hours=1)

_BOTH: Final = (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH)

#: RFC 5280, upper bound of a common name.
_COMMON_NAME_MAX: Final = 64


def new_key() -> ec.EllipticCurvePrivateKey:
    """A key on P-256, which every TLS library knows and which signs fast."""
    return ec.generate_private_key(ec.SECP256R1())


@dataclass(frozen=True, slots=True)
class Authority:
    """A certificate that may sign others, with its key."""

    certificate: x509.Certificate
    key: PrivateKey

    @classmethod
    def new(cls, now: datetime) -> "Authority":
        """A new one, valid for `ROOT_DAYS`."""
        key = new_key()
        # The serial number keeps two clusters' authorities apart for the eyes of an operator.
        serial = x509.random_serial_number()
        subject = _name(f"pluto_tw internal authority {serial:x}"[:_COMMON_NAME_MAX])
        own = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
        return cls(_root(subject, own, key, now), key)

    @classmethod
    def of(cls, pair: KeyPair) -> "Authority":
        """The one of *pair*. ValueError if its certificate may not sign."""
        problem = refusal(pair.certificate)
        if problem is not None:
            raise ValueError(problem)
        return cls(pair.certificate, pair.key)

    def renewed(self, now: datetime) -> "Authority":
        """
        The same key and name for another `ROOT_DAYS`.

        What it has signed stays good under either certificate, so nodes change in any order.
        """
        return Authority(
            _root(self.certificate.subject, self._identifier(), self.key, now), self.key
        )

    def issue(
        self, node: Node, public: CertificatePublicKeyTypes, now: datetime, days: int
    ) -> x509.Certificate:
        """The certificate of *node* for *days*, or up to the authority's own end."""
        end = min(now + timedelta(days=days), self.certificate.not_valid_after_utc)
        builder = (
            _builder(_name(node.name), self.certificate.subject, public, now, end)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage(_BOTH), critical=False)
            .add_extension(x509.SubjectAlternativeName(names_of(node)), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(self._identifier()),
                critical=False,
            )
        )
        return builder.sign(self.key, _hash(self.key))

    def _identifier(self) -> x509.SubjectKeyIdentifier:
        """As its certificate has it: who made it may have derived it in another way than we."""
        try:
            return self.certificate.extensions.get_extension_for_class(
                x509.SubjectKeyIdentifier
            ).value
        except x509.ExtensionNotFound:
            return x509.SubjectKeyIdentifier.from_public_key(self.key.public_key())


def refusal(certificate: x509.Certificate) -> str | None:
    """Why *certificate* cannot be an authority's; None if it can. RFC 5280 §4.2.1.9, §4.2.1.3."""
    try:
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    except x509.ExtensionNotFound:
        return "not an authority's certificate: it has no basic constraints"
    if not constraints.ca:
        return "not an authority's certificate: its basic constraints say CA:FALSE"
    try:
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        return None
    return None if usage.key_cert_sign else "its key usage does not allow signing certificates"


def has_signed(root: x509.Certificate, certificate: x509.Certificate) -> bool:
    """Whether the key of *root* signed *certificate*."""
    try:
        certificate.verify_directly_issued_by(root)
    except (InvalidSignature, ValueError, TypeError):
        return False
    return True


def names_of(node: Node) -> tuple[x509.GeneralName, ...]:
    """The alternative names of the certificate of *node*."""
    hosts = tuple(_host(host) for host in node.hosts if host != node.name)
    return (x509.DNSName(node.name), x509.UniformResourceIdentifier(node.uri), *hosts)


def lacking(certificate: x509.Certificate, node: Node) -> Iterator[str]:
    """
    What peers of *node* look for in a certificate and is not in this one.

    The hosts are not among it: an address that has changed is no reason to renew.
    """
    extensions = certificate.extensions
    try:
        names = list(extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
    except x509.ExtensionNotFound:
        names = []
    for name in (x509.DNSName(node.name), x509.UniformResourceIdentifier(node.uri)):
        if name not in names:
            yield name.value
    try:
        usages = list(extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)
    except x509.ExtensionNotFound:
        usages = []
    for usage, text in zip(_BOTH, ("server authentication", "client authentication"), strict=True):
        if usage not in usages:
            yield text


def self_signed(
    hosts: Sequence[str], key: PrivateKey, now: datetime, days: int
) -> x509.Certificate:
    """
    A certificate for *hosts* that vouches for itself, for tests.

    It says CA:TRUE, since some programs take no other as an anchor of trust.
    """
    name = _name(hosts[0][:_COMMON_NAME_MAX])
    builder = (
        _builder(name, name, key.public_key(), now, now + timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.ExtendedKeyUsage(_BOTH[:1]), critical=False)
        .add_extension(x509.SubjectAlternativeName(map(_host, hosts)), critical=False)
    )
    return builder.sign(key, _hash(key))


def _root(
    subject: x509.Name, identifier: x509.SubjectKeyIdentifier, key: PrivateKey, now: datetime
) -> x509.Certificate:
    builder = (
        _builder(subject, subject, key.public_key(), now, now + timedelta(days=ROOT_DAYS))
        .add_extension(identifier, critical=False)
        # It signs nodes, and no other authorities.
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
    )
    return builder.sign(key, _hash(key))


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    public: CertificatePublicKeyTypes,
    now: datetime,
    end: datetime,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_SKEW)
        .not_valid_after(end)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _host(host: str) -> x509.GeneralName:
    return x509.IPAddress(ip_address(host)) if is_number(host) else x509.DNSName(host)


def _hash(key: PrivateKey) -> hashes.SHA256 | None:
    """Ed25519 brings its own."""
    return None if isinstance(key, Ed25519PrivateKey) else hashes.SHA256()
