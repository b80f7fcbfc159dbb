# SPDX-License-Identifier: GPL-3.0-or-later
"""
Who may be at the other end: what is asked of the TLS that a node passes in, and what is refused.

Decides whom a certificate must name. Which certificates are good at all is for the node's TLS;
names of hosts and addresses mean nothing.
"""

from collections.abc import Callable
from typing import Final, Protocol

from OpenSSL import SSL
from twisted.protocols.tls import TLSMemoryBIOProtocol

#: The roles whose nodes hold mail. A distributor has a certificate too, and no business here.
REPLICA_ROLES: Final = ("worker", "storage")


class Shown(Protocol):
    """What the other side of a connection showed."""

    @property
    def role(self) -> str:
        """The role in its certificate; empty if it says none."""

    @property
    def name(self) -> str:
        """The Name in its certificate; empty if it says none."""

    @property
    def text(self) -> str:
        """What it showed, in words."""

    @property
    def trouble(self) -> str:
        """Why its certificate is not accepted; empty if it is."""


class Trust(Protocol):
    """A node's TLS towards other nodes: certificates on both sides, of one authority."""

    def serverConnectionForTLS(self, protocol: TLSMemoryBIOProtocol) -> SSL.Connection:
        """As `IOpenSSLServerConnectionCreator`."""

    def clientConnectionForTLS(self, protocol: TLSMemoryBIOProtocol) -> SSL.Connection:
        """As `IOpenSSLClientConnectionCreator`."""

    def shown(self, connection: SSL.Connection) -> Shown:
        """What the other side of *connection*, made here, has shown so far."""


def objection(shown: Shown, expects: Callable[[str], bool], expected: str) -> str:
    """
    Why who showed this is not let in; empty if it is a replica whose Name *expects* is true of.

    *expected* are those Names in words.
    """
    if shown.role in REPLICA_ROLES and shown.name and expects(shown.name):
        return ""
    return f"it showed {shown.text}, and expected is {' or '.join(REPLICA_ROLES)} {expected}"
