# SPDX-License-Identifier: GPL-3.0-or-later
"""
Who may be at the other end: what is asked of the TLS that a node passes in, and what is refused.

Decides whom a certificate must name, and how often a refusal is worth a line in the log. Which
certificates are good at all is for the node's TLS; names of hosts and addresses mean nothing.
"""

from collections.abc import Callable
from typing import Final, Protocol

from OpenSSL import SSL
from twisted.protocols.tls import TLSMemoryBIOProtocol

#: The roles whose nodes hold mail. A distributor has a certificate too, and no business here.
REPLICA_ROLES: Final = ("worker", "storage")

#: A refusal is logged once in this time for the same address and the same kind of reason: who is
#: refused comes again every few seconds, and an operator needs to be told once.
REFUSAL_SECONDS: Final = 60.0
#: Lines about refusals in that time, whoever is refused. Subnets have at most some 30 replicas;
#: what is above is a scan of the port, and no line more would tell more of it.
REFUSALS_MAX: Final = 64


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


class Refusals:
    """Which refusals were logged lately; *seconds* is a clock that never goes back."""

    def __init__(self, seconds: Callable[[], float]) -> None:
        self._seconds = seconds
        #: By address and reason, the oldest first: when it was logged, and how many were not since.
        self._told: dict[tuple[str, str], tuple[float, int]] = {}

    def tell(self, address: str, reason: str) -> int | None:
        """
        How often the same was refused without a line since the last line; None for no line now.

        *reason* is one of few: a peer must not be able to choose it.
        """
        now, key = self._seconds(), (address, reason)
        told = self._told.get(key)
        if told is not None:
            since, silent = told
            if now - since < REFUSAL_SECONDS:
                self._told[key] = (since, silent + 1)
                return None
            del self._told[key]
        while self._told:
            oldest = next(iter(self._told))
            if now - self._told[oldest][0] < REFUSAL_SECONDS:
                break
            del self._told[oldest]
        if len(self._told) >= REFUSALS_MAX:
            return None
        self._told[key] = (now, 0)
        return 0 if told is None else told[1]
