# SPDX-License-Identifier: GPL-3.0-or-later
"""
The header of the PROXY protocol, version 2: who a connection is passed on for, as octets.

Decides what a header says and which ones are refused; whose headers are believed, and how long one
may take, is for `proxied.py`. Version 1, which is text, is refused. Source: "The PROXY protocol",
HAProxy, 2020-03-05, §2.2.

Besides the address, two of its additions are read: what TLS the client speaks, and two of our own
(in the range for private use) in which a distributor tells a replica the user's subnet and number.
"""

import re
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

SIGNATURE: Final = b"\r\n\r\n\0\r\nQUIT\n"

#: Signature, version and command, family, length of the rest.
FIXED_OCTETS: Final = 16

#: What follows the fixed part: addresses take up to 216 octets, the additions of load balancers a
#: few hundred. The length field would allow 64 KiB, and it is sent by whom nobody knows yet.
REST_OCTETS_MAX: Final = 2048

#: "TLSv1.3" and "TLS_AES_256_GCM_SHA384" are the long ones.
TLS_TEXT_OCTETS_MAX: Final = 64

_LOCAL: Final = 0x20
_PROXY: Final = 0x21
_UNSPECIFIED, _TCP4, _TCP6, _UNIX = 0x00, 0x11, 0x21, 0x31
#: Families with datagrams, which no listener of ours is for.
_KNOWN_FAMILIES: Final = {_UNSPECIFIED, _TCP4, 0x12, _TCP6, 0x22, _UNIX, 0x32}
_ADDRESS_OCTETS: Final = {_TCP4: 12, _TCP6: 36, _UNIX: 216}

_TYPE_SSL: Final = 0x20
_SUBTYPE_SSL_VERSION: Final = 0x21
_SUBTYPE_SSL_CIPHER: Final = 0x23
_CLIENT_SSL: Final = 0x01
#: PP2_TYPE_MIN_CUSTOM and the next: "for application-specific data".
_TYPE_SUBNET: Final = 0xE0
_TYPE_USER_ID: Final = 0xE1

_PRINTABLE: Final = re.compile(rb"[!-~]{1,%d}" % TLS_TEXT_OCTETS_MAX)
#: A user's ID fits a PostgreSQL bigint.
_DECIMAL: Final = re.compile(rb"[0-9]{1,19}")


class HeaderRefused(Exception):
    """What came is no header that is taken; the text says why, without what came."""


@dataclass(frozen=True, slots=True)
class Client:
    """
    Who is at the far end.

    *host* is a number (IPv4, IPv6), or empty if the client has no address, as on a UNIX socket.
    *tls*: protocol version and cipher, or what was told of them; empty without TLS.
    """

    host: str
    port: int
    tls: str = ""


@dataclass(frozen=True, slots=True)
class Header:
    """
    What a header says. *client* None: the sender speaks for itself, as its health checks do.

    *subnet* and *user_id* are what a distributor tells of the user, None where it does not.
    """

    client: Client | None
    subnet: str | None = None
    user_id: int | None = None


def read_header(data: bytes) -> tuple[Header, int] | None:
    """
    The header that *data* begins with, and how many octets it has; None: more must come.

    Raises `HeaderRefused` as soon as it is clear that there will be none, and for one that is
    longer than `REST_OCTETS_MAX`, malformed, or for something else than a stream.
    """
    if not data.startswith(SIGNATURE[: len(data)]):
        raise HeaderRefused("no header of the PROXY protocol, version 2")
    if len(data) < FIXED_OCTETS:
        return None
    command, family, length = struct.unpack_from("!BBH", data, len(SIGNATURE))
    if command not in (_LOCAL, _PROXY):
        raise HeaderRefused("neither PROXY nor LOCAL, or another version")
    if length > REST_OCTETS_MAX:
        raise HeaderRefused(f"{length} octets, where at most {REST_OCTETS_MAX} are taken")
    end = FIXED_OCTETS + length
    if len(data) < end:
        return None
    rest = data[FIXED_OCTETS:end]
    if command == _LOCAL or family == _UNSPECIFIED:
        # §2.2: "the receiver must accept this connection as valid and must use the real connection
        # endpoints", and ignore what else there is.
        return Header(None), end
    if family not in _ADDRESS_OCTETS:
        known = family in _KNOWN_FAMILIES
        raise HeaderRefused("datagrams" if known else "an unknown family of addresses")
    octets = _ADDRESS_OCTETS[family]
    if len(rest) < octets:
        raise HeaderRefused("shorter than its addresses")
    host, port = _source(family, rest)
    additions = _additions(rest[octets:])
    client = Client(host, port, _tls(additions))
    return Header(client, _subnet(additions), _user_id(additions)), end


def write_header(header: Header, destination: tuple[str, int] = ("", 0)) -> bytes:
    """
    *header* in octets; *destination* is the address that the client has connected to.

    Addresses of different families, or none, are written as those of UNIX sockets without a name.
    Raises `ValueError` for what is no number, and for more than `REST_OCTETS_MAX`.
    """
    client = header.client
    if client is None:
        return SIGNATURE + struct.pack("!BBH", _LOCAL, _UNSPECIFIED, 0)
    family, rest = _addresses(client, destination)
    if client.tls:
        version, _, cipher = client.tls.partition(" ")
        # The client's certificate is not looked at: "verify" is not 0, which would mean it was.
        facts = struct.pack("!BI", _CLIENT_SSL, 1)
        facts += _addition(_SUBTYPE_SSL_VERSION, version.encode("ascii"))
        if cipher:
            facts += _addition(_SUBTYPE_SSL_CIPHER, cipher.encode("ascii"))
        rest += _addition(_TYPE_SSL, facts)
    if header.subnet is not None:
        rest += _addition(_TYPE_SUBNET, header.subnet.encode("utf-8"))
    if header.user_id is not None:
        rest += _addition(_TYPE_USER_ID, b"%d" % header.user_id)
    if len(rest) > REST_OCTETS_MAX:
        raise ValueError(f"a header of {len(rest)} octets")
    return SIGNATURE + struct.pack("!BBH", _PROXY, family, len(rest)) + rest


def _source(family: int, rest: bytes) -> tuple[str, int]:
    """The client's address: sources come first, then destinations, then the ports. §2.2."""
    if family == _UNIX:
        return "", 0
    octets = 4 if family == _TCP4 else 16
    of_family = socket.AF_INET if family == _TCP4 else socket.AF_INET6
    (port,) = struct.unpack_from("!H", rest, 2 * octets)
    return socket.inet_ntop(of_family, rest[:octets]), port


def _addresses(client: Client, destination: tuple[str, int]) -> tuple[int, bytes]:
    ports = struct.pack("!HH", client.port, destination[1])
    for family, of_family, octets in (
        (_TCP4, socket.AF_INET, 4),
        (_TCP6, socket.AF_INET6, 16),
    ):
        source = _number(of_family, client.host)
        if source is not None:
            # The destination informs only; where it is of another kind it is left open.
            return family, source + (_number(of_family, destination[0]) or bytes(octets)) + ports
    if client.host:
        raise ValueError(f"not an address in numbers: {client.host!r}")
    return _UNIX, bytes(_ADDRESS_OCTETS[_UNIX])


def _number(family: socket.AddressFamily, host: str) -> bytes | None:
    try:
        # An IPv6 address may name its interface, `fe80::1%eth0`, which means nothing elsewhere.
        return socket.inet_pton(family, host.partition("%")[0])
    except OSError:
        return None


def _addition(kind: int, value: bytes) -> bytes:
    return struct.pack("!BH", kind, len(value)) + value


def _additions(data: bytes) -> dict[int, bytes]:
    """The additions by their type; of equal ones the last."""
    return dict(_each_addition(data))


def _each_addition(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at < len(data):
        if len(data) - at < 3:
            raise HeaderRefused("an addition that is cut off")
        kind, length = struct.unpack_from("!BH", data, at)
        at += 3
        if len(data) - at < length:
            raise HeaderRefused("an addition that is cut off")
        yield kind, data[at : at + length]
        at += length


def _tls(additions: dict[int, bytes]) -> str:
    """Version and cipher of the client's TLS, for the log. §2.2.6."""
    facts = additions.get(_TYPE_SSL)
    if facts is None:
        return ""
    if len(facts) < 5:
        raise HeaderRefused("an addition that is cut off")
    if not facts[0] & _CLIENT_SSL:
        return ""
    more = _additions(facts[5:])
    told = [more.get(_SUBTYPE_SSL_VERSION, b"TLS"), more.get(_SUBTYPE_SSL_CIPHER, b"")]
    return " ".join(text.decode("ascii") for text in told if _PRINTABLE.fullmatch(text))


def _subnet(additions: dict[int, bytes]) -> str | None:
    value = additions.get(_TYPE_SUBNET)
    if value is None:
        return None
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        raise HeaderRefused("a subnet that is not UTF-8") from None


def _user_id(additions: dict[int, bytes]) -> int | None:
    value = additions.get(_TYPE_USER_ID)
    if value is None:
        return None
    if _DECIMAL.fullmatch(value) is None:
        raise HeaderRefused("a user ID that is no number")
    return int(value)
