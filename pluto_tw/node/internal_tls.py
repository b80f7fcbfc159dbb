# SPDX-License-Identifier: GPL-3.0-or-later
"""
TLS between the nodes of a cluster: both sides show a certificate of the cluster's own authority.

A certificate says who its node is by a URI among its names (`pluto_tw.net.nodes`); addresses mean
nothing, as nodes move and are reached through relays. Decides which certificates are good, and who
showed them; whom a listener or a dialler expects is for `replication` and `net`. TLS 1.3 alone:
there is no older node to speak to, and in it certificates do not travel in the clear.

Contexts are made once and replaced as a whole; connections keep those that they began with. There
are no lists of revoked certificates: a node that is no longer expected is refused by its Name.
"""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from cryptography import x509
from OpenSSL import SSL, crypto
from twisted.internet.interfaces import (
    IOpenSSLClientConnectionCreator,
    IOpenSSLServerConnectionCreator,
)
from twisted.internet.ssl import CertificateOptions, TLSVersion
from twisted.protocols.tls import TLSMemoryBIOProtocol
from zope.interface import implementer

from pluto_tw.net.nodes import UNREADABLE_TEXT, Unreadable, node_of, node_uri, told
from pluto_tw.net.tls import KeyPair
from pluto_tw.node.problems import Problems
from pluto_tw.node.tls import read_pair

#: Certificates between a node's and the authority's. `pluto pki` makes none; an authority of an
#: organisation has one or two.
CHAIN_LENGTH_MAX: Final = 4

#: Why OpenSSL does not accept a certificate, by its X509_V_ERR numbers: those that happen, in
#: words that lead to what is to be done.
_TROUBLES: Final = {
    7: "comes from another authority: both nodes need the same RootCertLoc",
    9: "is not valid yet: compare the clocks of both machines",
    10: "has expired: renew it with `pluto pki --renew`, then reload that node",
    18: "is signed by itself: give the node one of the authority of RootCertLoc",
    19: "comes from another authority: both nodes need the same RootCertLoc",
    20: "comes from another authority: both nodes need the same RootCertLoc",
    21: "comes from another authority: both nodes need the same RootCertLoc",
    26: "is not for this use: it needs the extended key usages of servers and of clients",
}


@dataclass(frozen=True, slots=True)
class Shown:
    """
    What the other side of a connection showed: the *role* and *name* of its certificate.

    Both are empty if it showed none, or one that says neither; *text* tells of it in any case.
    *trouble*, unless empty, says why the certificate is no good.
    """

    role: str
    name: str
    text: str
    trouble: str


@dataclass(frozen=True, slots=True)
class Internal:
    """What a node shows to other nodes, and the authorities whose certificates it accepts."""

    pair: KeyPair
    authorities: tuple[x509.Certificate, ...]

    @property
    def not_after(self) -> datetime:
        """When the first of these certificates expires, in UTC."""
        certificates = (self.pair.certificate, *self.pair.chain, *self.authorities)
        return min(certificate.not_valid_after_utc for certificate in certificates)


def read_internal(
    problems: Problems, root: Path, certificates: Path, key: Path, now: float
) -> Internal | None:
    """
    The files of a node; None and a problem if they cannot be used.

    What is not valid at *now*, POSIX seconds, is warned of; the other nodes will refuse it.
    """
    pair = read_pair(problems, certificates, key, now)
    try:
        authorities = tuple(x509.load_pem_x509_certificates(root.read_bytes()))
    except OSError as error:
        problems.unusable(error.filename, [error.strerror or str(error)])
        return None
    except ValueError as error:
        problems.errors.append(f"{root}: no certificate in PEM form: {error}")
        return None
    return None if pair is None else Internal(pair, authorities)


def check_node(problems: Problems, certificates: Path, pair: KeyPair, role: str, name: str) -> None:
    """A problem unless *pair*, read from the file *certificates*, is of this *role* and *name*."""
    try:
        node, text = node_of(pair.certificate), told(pair.certificate)
    except Unreadable:
        node, text = None, UNREADABLE_TEXT
    wanted = node_uri(role, name)
    if node is None or node.uri != wanted:
        problems.errors.append(
            f"{certificates}: {text}, and this node is {wanted}: "
            "make its certificate with `pluto pki`"
        )


@implementer(IOpenSSLServerConnectionCreator, IOpenSSLClientConnectionCreator)
class InternalContexts:
    """
    The TLS of one node towards all others: for listeners and for diallers.

    Whoever shows no good certificate does not get through the handshake. `shown` tells of each
    connection that was made here, whether its handshake is over, has failed or goes on.
    """

    def __init__(self, internal: Internal) -> None:
        self._context = _context(internal)

    def replace(self, internal: Internal) -> None:
        """New connections get these. Those that are there keep what they have."""
        self._context = _context(internal)

    def serverConnectionForTLS(self, protocol: TLSMemoryBIOProtocol) -> SSL.Connection:
        """Called by Twisted as TLS begins on a connection that was accepted."""
        return _Connection(self._context)

    def clientConnectionForTLS(self, protocol: TLSMemoryBIOProtocol) -> SSL.Connection:
        """Called by Twisted as TLS begins on a connection that was dialled."""
        return _Connection(self._context)

    def shown(self, connection: SSL.Connection) -> Shown:
        """What the other side of *connection* has shown so far."""
        assert isinstance(connection, _Connection), "made here"
        presented = connection.refused or connection.get_peer_certificate()
        if presented is None:
            return Shown("", "", "no certificate", "")
        try:
            certificate = presented.to_cryptography()
            node, text = node_of(certificate), told(certificate)
        except (Unreadable, ValueError):
            return Shown("", "", UNREADABLE_TEXT, connection.trouble)
        role, name = ("", "") if node is None else (node.role.value, node.name)
        return Shown(role, name, text, connection.trouble)


class _Connection(SSL.Connection):
    """Keeps what OpenSSL did not accept of the other side: the certificate, and why."""

    refused: crypto.X509 | None = None
    trouble: str = ""


def _context(internal: Internal) -> SSL.Context:
    # Without sessions and tickets: each connection shows its certificates anew.
    context = CertificateOptions(raiseMinimumTo=TLSVersion.TLSv1_3).getContext()
    context.use_certificate(internal.pair.certificate)
    for certificate in internal.pair.chain:
        context.add_extra_chain_cert(certificate)
    context.use_privatekey(internal.pair.key)
    store = context.get_cert_store()
    assert store is not None, "every context has one"
    for authority in internal.authorities:
        store.add_cert(crypto.X509.from_cryptography(authority))
    context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, _verify)
    context.set_verify_depth(CHAIN_LENGTH_MAX)
    return context


def _verify(
    connection: SSL.Connection, certificate: crypto.X509, error: int, depth: int, good: int
) -> bool:
    """Called by OpenSSL for each certificate of a chain; agrees, and keeps what was wrong."""
    if not good and isinstance(connection, _Connection) and not connection.trouble:
        connection.refused = certificate
        connection.trouble = _TROUBLES.get(error, f"is not accepted: OpenSSL's X509_V_ERR {error}")
    return bool(good)
