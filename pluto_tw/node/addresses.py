# SPDX-License-Identifier: GPL-3.0-or-later
"""Addresses as the configuration writes them: `host:port`, IPv6 in brackets."""

from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final

PORT_MAX: Final = 65535


@dataclass(frozen=True, slots=True)
class Address:
    """A *host*, by name or number, and a *port*. An empty host is all of ours, in IPv4."""

    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether nobody outside of this machine gets there."""
        return _is_number(self.host) and ip_address(self.host).is_loopback


def read_address(text: str) -> Address:
    """Where to connect to. ValueError if *text* has another form, or port 0."""
    address = _split(text)
    if not address.host or not address.port:
        raise ValueError(text)
    return address


def read_listening_address(text: str) -> Address:
    """
    Where to listen: a number, `localhost`, or nothing for all IPv4 addresses; port 0 is any that
    is free. ValueError if *text* has another form.
    """
    address = _split(text)
    if address.host == "localhost":
        return Address("127.0.0.1", address.port)
    if address.host and not _is_number(address.host):
        raise ValueError(text)
    return address


def _split(text: str) -> Address:
    host, colon, port = text.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise ValueError(text)
    if not colon or not port.isascii() or not port.isdecimal() or int(port) > PORT_MAX:
        raise ValueError(text)
    return Address(host, int(port))


def _is_number(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
