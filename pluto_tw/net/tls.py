# SPDX-License-Identifier: GPL-3.0-or-later
"""
TLS as a server: which certificate a client is shown, and how to change certificates while serving.

Decides nothing about where certificates are kept or made. TLS 1.2 and 1.3 only, with the ciphers
that Twisted holds for secure, without compression, tickets or renegotiation (RFC 9325 §3).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from OpenSSL import SSL
from twisted.internet.interfaces import (
    IAddress,
    IOpenSSLServerConnectionCreator,
    IProtocolFactory,
    IReactorTime,
)
from twisted.internet.ssl import CertificateOptions, TLSVersion
from twisted.protocols.tls import TLSMemoryBIOFactory, TLSMemoryBIOProtocol
from zope.interface import implementer

PrivateKey = RSAPrivateKey | EllipticCurvePrivateKey | Ed25519PrivateKey


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A certificate with its private key, and the certificates that lead to a known authority."""

    certificate: x509.Certificate
    chain: tuple[x509.Certificate, ...]
    key: PrivateKey

    @classmethod
    def from_files(cls, certificates: Path, key: Path) -> "KeyPair":
        """
        Reads PEM files: the server's own certificate first, then the chain; a key without password.

        ValueError names the file and what is wrong with it; OSError if it cannot be read.
        """
        try:
            own, *chain = x509.load_pem_x509_certificates(certificates.read_bytes())
        except ValueError as error:
            raise ValueError(f"{certificates}: no certificate in PEM form: {error}") from None
        try:
            private = load_pem_private_key(key.read_bytes(), password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise ValueError(f"{key}: no private key in PEM form, or encrypted: {error}") from None
        if private.public_key() != own.public_key():
            raise ValueError(f"{key}: not the key of the certificate in {certificates}")
        if not isinstance(private, PrivateKey):
            raise ValueError(f"{key}: a server's key is RSA, ECDSA or Ed25519")
        return cls(own, tuple(chain), private)

    def names(self) -> Sequence[str]:
        """The DNS names that the certificate is for, lower case; `*.` may lead. RFC 6125 §6.4."""
        try:
            extension = self.certificate.extensions.get_extension_for_class(
                x509.SubjectAlternativeName
            )
        except x509.ExtensionNotFound:
            return ()
        return [name.lower() for name in extension.value.get_values_for_type(x509.DNSName)]


@implementer(IOpenSSLServerConnectionCreator)
class ServerContexts:
    """
    The certificates of a listener. The first is shown to clients that name no server, or one that
    no certificate is for.
    """

    def __init__(self, key_pairs: Sequence[KeyPair]) -> None:
        self._default = _contexts(key_pairs)

    def replace(self, key_pairs: Sequence[KeyPair]) -> None:
        """New connections get these. Those that are there keep what they have."""
        self._default = _contexts(key_pairs)

    def serverConnectionForTLS(self, protocol: TLSMemoryBIOProtocol) -> SSL.Connection:
        """Called by Twisted as TLS begins on a connection."""
        return SSL.Connection(self._default)


class TlsFactory(TLSMemoryBIOFactory):
    """
    What a listener is given whose connections begin with TLS; *behind* has their protocols.

    A connection for which *behind* has none is closed, as without TLS; Twisted's own factory fails
    there. RFC 8314 §3.2.
    """

    def __init__(
        self,
        contexts: IOpenSSLServerConnectionCreator,
        behind: IProtocolFactory,
        reactor: IReactorTime,
    ) -> None:
        super().__init__(contexts, False, behind, reactor)

    def buildProtocol(self, addr: IAddress | None) -> Any:
        """The protocol of *behind* within TLS; None if there is none."""
        behind = self.wrappedFactory.buildProtocol(addr)
        return None if behind is None else self.protocol(self, behind)


def _contexts(key_pairs: Sequence[KeyPair]) -> SSL.Context:
    """The context of the first of *key_pairs*, which turns to another by the name asked for."""
    if not key_pairs:
        raise ValueError("TLS needs a certificate")
    by_name: dict[str, SSL.Context] = {}
    contexts = [_context(pair) for pair in key_pairs]
    for pair, context in zip(key_pairs, contexts, strict=True):
        for name in pair.names():
            by_name.setdefault(name, context)

    def choose(connection: SSL.Connection) -> None:
        context = _for_name(by_name, connection.get_servername())
        if context is not None:
            connection.set_context(context)

    contexts[0].set_tlsext_servername_callback(choose)
    return contexts[0]


def _for_name(contexts: Mapping[str, SSL.Context], asked: bytes | None) -> SSL.Context | None:
    """RFC 6066 §3: the name is ASCII; a wildcard stands for one label."""
    if asked is None:
        return None
    name = asked.decode("ascii", "replace").lower()
    return contexts.get(name) or contexts.get("*." + name.partition(".")[2])


def _context(pair: KeyPair) -> SSL.Context:
    context = CertificateOptions(raiseMinimumTo=TLSVersion.TLSv1_2).getContext()
    context.use_certificate(pair.certificate)
    for certificate in pair.chain:
        context.add_extra_chain_cert(certificate)
    context.use_privatekey(pair.key)
    # TLS 1.2 lets a client ask for handshakes without end, each a hundred times as dear for us.
    context.set_options(SSL.OP_NO_RENEGOTIATION)
    return context


def error_text(error: SSL.Error) -> str:
    """What OpenSSL says, for the log: a list of (library, function, reason), or other things."""
    queue = error.args[0] if error.args else None
    if not isinstance(queue, list):
        return repr(error)
    return "; ".join(text for _, _, text in queue)
