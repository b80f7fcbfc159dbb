# SPDX-License-Identifier: GPL-3.0-or-later
"""
The nodes that need a certificate of their own, as the command line or a configuration names them.

A node's certificate says who it is, not where: peers check role and name, whatever the address.
The hosts are for tools that know only addresses, such as `openssl s_client`.
"""

import re
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final

from pluto_tw.net.nodes import Role, node_uri
from pluto_tw.node.kinds import NODE_NAME

#: RFC 5280 §4.2.1.6 with RFC 1034 §3.5: letters, digits and hyphens between dots.
_HOST: Final = re.compile(
    r"(?=.{1,253}\Z)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*",
    re.IGNORECASE,
)

#: Addresses that stand for all of a machine's, and for none.
_ANY: Final = frozenset({"", "0.0.0.0", "::"})  # noqa: S104 - they are left out


@dataclass(frozen=True, slots=True)
class Node:
    """One node: its *role*, its Name, and the *hosts* it has addresses at, by name or number."""

    role: Role
    name: str
    hosts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Raises ValueError if the name cannot stand in a certificate."""
        try:
            NODE_NAME.read(self.name)
        except ValueError:
            raise ValueError(f"the name is {self.name!r}: expected {NODE_NAME.expected}") from None

    @property
    def uri(self) -> str:
        """Who it is, for other nodes."""
        return node_uri(self.role.value, self.name)


def is_host_name(text: str) -> bool:
    """Whether *text* may be a DNS name in a certificate. RFC 5280 §4.2.1.6."""
    return _HOST.fullmatch(text) is not None


def is_number(host: str) -> bool:
    """Whether *host* is an IP address."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def hosts_of(given: list[str]) -> tuple[str, ...]:
    """
    *given* without what stands for all addresses, each once, in their order.

    ValueError names one that is neither an IP address nor a host's name.
    """
    found = tuple(dict.fromkeys(host for host in given if host not in _ANY))
    for host in found:
        if not is_number(host) and not is_host_name(host):
            raise ValueError(f"{host!r} is no host: expected a name or an IP address")
    return found


def read_node(text: str) -> Node:
    """
    The node of `role:Name` or `role:Name:host,host`. ValueError if *text* has another form.

    Example: `worker:eu-worker-1:192.0.2.7,2001:db8::7,eu1.example.org`.
    """
    role, _, rest = text.partition(":")
    name, _, hosts = rest.partition(":")
    if role not in (known.value for known in Role):
        expected = ", ".join(known.value for known in Role)
        raise ValueError(f"{role!r} is no role: expected one of {expected}")
    return Node(Role(role), name, hosts_of(hosts.split(",")))
