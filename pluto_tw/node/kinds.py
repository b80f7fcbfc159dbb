# SPDX-License-Identifier: GPL-3.0-or-later
"""
The kinds of values that a key of the configuration can have, and how each is read.

A kind says what it expects in words that fit behind "expected"; the reference page of the
configuration and its errors are made of them.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Final, Generic, TypeVar

from pluto_tw.node.addresses import Address, read_address, read_listening_address

T = TypeVar("T")

Network = IPv4Network | IPv6Network

#: What can stand in a certificate as the name of a host: one label or more, RFC 1123 §2.1, and
#: the underscore, which is as good.
_NODE_NAME: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Kind(Generic[T]):
    """*read* takes what TOML gave and raises ValueError or TypeError if it is not as expected."""

    expected: str
    read: Callable[[object], T]


def _text(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError(value)
    return value


def _line(value: object) -> str:
    text = _text(value)
    if not text.isprintable():
        raise ValueError(value)
    return text


def _truth(value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError(value)
    return value


def _networks(value: object) -> tuple[Network, ...]:
    if not isinstance(value, list):
        raise TypeError(value)
    return tuple(ip_network(_text(one)) for one in value)


def _node_name(value: object) -> str:
    text = _text(value)
    if _NODE_NAME.fullmatch(text) is None:
        raise ValueError(value)
    return text


def _names(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise TypeError(value)
    return tuple(_node_name(one) for one in value)


def whole(minimum: int, maximum: int) -> Kind[int]:
    """A number from *minimum* to *maximum*."""

    def read(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise TypeError(value)
        if not minimum <= value <= maximum:
            raise ValueError(value)
        return value

    return Kind(f"a number from {minimum:,} to {maximum:,}", read)


def choice(options: Sequence[str]) -> Kind[str]:
    """One of *options*."""

    def read(value: object) -> str:
        if value not in options:
            raise ValueError(value)
        return _text(value)

    return Kind(" or ".join(f'"{option}"' for option in options), read)


TEXT: Final = Kind("a text that is not empty", _text)
LINE: Final = Kind("a text of one line that is not empty", _line)
TRUTH: Final = Kind("true or false", _truth)
ADAPTER: Final = Kind('the name of an adapter, such as "AuthFile"', _line)
#: As written; one that is not absolute begins at the directory of the configuration.
FILE: Final = Kind("the path of a file", lambda value: Path(_text(value)))
DIRECTORY: Final = Kind("the path of a directory", lambda value: Path(_text(value)))
ADDRESS: Final[Kind[Address]] = Kind(
    '"host:port", such as "192.0.2.1:993"', lambda value: read_address(_text(value))
)
LISTENING_ADDRESS: Final[Kind[Address]] = Kind(
    '"number:port", such as "127.0.0.1:993", "[::1]:993" or ":993"',
    lambda value: read_listening_address(_text(value)),
)
SOCKET: Final = Kind("the path of a UNIX socket", lambda value: Path(_text(value)))
NODE_NAME: Final = Kind("up to 63 letters, digits and - . _, as in names of hosts", _node_name)
NAMES: Final = Kind('a list of Names, such as ["eu-distributor"]', _names)
NETWORKS: Final = Kind('a list of networks, such as ["192.0.2.0/24"]', _networks)
