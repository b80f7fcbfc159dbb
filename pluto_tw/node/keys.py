# SPDX-License-Identifier: GPL-3.0-or-later
"""
Every key of the configuration: its kind, what it means, and what holds without it.

The names are those of the original; what is new follows their style. `sections.py` says which keys
a section has. The reading of a file (`config.py`) and the reference page (`reference.py`) are made
of both, so a key that is not here is read by nobody and documented nowhere.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Generic, TypeVar

from pluto_tw.mail.names import SEPARATORS
from pluto_tw.net import limits
from pluto_tw.node import kinds
from pluto_tw.node.addresses import Address
from pluto_tw.node.kinds import (
    ADDRESS,
    DIRECTORY,
    FILE,
    LINE,
    LISTENING_ADDRESS,
    NAMES,
    NETWORKS,
    NODE_NAME,
    SOCKET,
    TEXT,
    TRUTH,
    Kind,
    Network,
    choice,
    whole,
)

T = TypeVar("T")

#: The levels of the log, the most talkative first.
LOG_LEVELS: Final = ("debug", "info", "warn", "error", "critical")


@dataclass(frozen=True, slots=True)
class Key(Generic[T]):
    """
    One key. *default* holds where the key is not written; None: there is no value then.

    *lost* keys had a meaning in the original and have none here: they are named in a warning.
    """

    name: str
    kind: Kind[Any]
    meaning: str
    default: T
    lost: bool = False
    #: Whether the value is shown to nobody.
    secret: bool = False
    #: Whether its section is of no use without it.
    needed: bool = False


def _lost(name: str, meaning: str) -> Key[None]:
    return Key(name, TEXT, meaning, None, lost=True)


ROOT_CERT: Final[Key[Path | None]] = Key(
    "RootCertLoc", FILE, "The certificate that signed those of all nodes.", None
)

GREETING: Final[Key[str]] = Key("Greeting", LINE, "What a client is greeted with.", "Pluto ready.")
SEPARATOR: Final[Key[str]] = Key(
    "HierarchySeparator",
    choice(SEPARATORS),
    "What stands between the levels of a mailbox name. The same on all nodes, for ever.",
    ".",
)
CONNECTIONS_MAX: Final[Key[int]] = Key(
    "ConnectionsMax",
    whole(1, 1_000_000),
    "Connections of clients to one node. The process must be allowed as many open files.",
    limits.CONNECTIONS_MAX,
)
ADDRESS_CONNECTIONS_MAX: Final[Key[int]] = Key(
    "AddressConnectionsMax",
    whole(1, 1_000_000),
    "Connections from one address; of IPv6, from one /64.",
    limits.ADDRESS_CONNECTIONS_MAX,
)
USER_CONNECTIONS_MAX: Final[Key[int]] = Key(
    "UserConnectionsMax",
    whole(1, 1_000_000),
    "Connections of one user to one node.",
    limits.USER_CONNECTIONS_MAX,
)
UNLIMITED_NETWORKS: Final[Key[tuple[Network, ...]]] = Key(
    "UnlimitedNetworks",
    NETWORKS,
    "Networks whose addresses speak for many people, such as a webmail's: neither "
    "AddressConnectionsMax nor the slowing down of failed logins by address is theirs.",
    (),
)

DISTRIBUTORS: Final[Key[tuple[str, ...]]] = Key(
    "Distributors",
    NAMES,
    "The Names of the distributors, of all regions, that may act for users. Without it, the one of "
    "this file. Read again at a reload.",
    (),
)

NAME: Final[Key[str | None]] = Key(
    "Name",
    NODE_NAME,
    "The node's name, unlike that of any other node, for ever. Its certificate has it.",
    None,
)
PUBLIC_MAIL: Final[Key[Address | None]] = Key(
    "PublicMailAddr", ADDRESS, "Where others reach what listens on ListenMailAddr.", None
)
LISTEN_MAIL: Final[Key[Address | None]] = Key(
    "ListenMailAddr",
    LISTENING_ADDRESS,
    "Where the node listens with TLS from the first octet: a distributor, and a worker with an "
    "AuthAdapter, for mail programs; any other node for distributors, whose certificates it asks "
    "for.",
    None,
)
LISTEN_STARTTLS: Final[Key[Address | None]] = Key(
    "ListenStartTLSAddr",
    LISTENING_ADDRESS,
    "Where the node listens for mail programs that begin TLS by STARTTLS.",
    None,
)
MAIL_SOCKET: Final[Key[Path | None]] = Key(
    "MailSocket",
    SOCKET,
    "Where the node listens for a distributor on the same machine, which then uses this instead of "
    "PublicMailAddr. Made with mode 0600: only the same user, or root, can connect.",
    None,
)
ADMIN_SOCKET: Final[Key[Path | None]] = Key(
    "AdminSocket",
    SOCKET,
    "Where the node answers `pluto status` and `pluto check`, with mode 0600. Without it, `admin` "
    "in StoreRoot; a distributor, which has none, does not answer then.",
    None,
)
PROXY_NETWORKS: Final[Key[tuple[Network, ...]]] = Key(
    "ProxyNetworks",
    NETWORKS,
    "Networks of proxies, such as a load balancer's, that tell the addresses of clients by PROXY "
    "protocol version 2: all connections from there must begin with it, and no others may.",
    (),
)
PUBLIC_SYNC: Final[Key[Address | None]] = Key(
    "PublicSyncAddr", ADDRESS, "Where other replicas reach what listens on ListenSyncAddr.", None
)
LISTEN_SYNC: Final[Key[Address | None]] = Key(
    "ListenSyncAddr", LISTENING_ADDRESS, "Where the node listens for other replicas.", None
)
PROMETHEUS: Final[Key[Address | None]] = Key(
    "PrometheusAddr",
    LISTENING_ADDRESS,
    "Where the node shows its metrics, to everybody who gets there, as `/metrics`.",
    None,
)
CERT: Final[Key[Path | None]] = Key(
    "CertLoc", FILE, "The node's certificate for other nodes. Read again at a reload.", None
)
KEY: Final[Key[Path | None]] = Key("KeyLoc", FILE, "The private key of CertLoc.", None)
INTERNAL_CERT: Final[Key[Path | None]] = Key(
    "InternalCertLoc",
    FILE,
    "The node's certificate for other nodes. Read again at a reload.",
    None,
)
INTERNAL_KEY: Final[Key[Path | None]] = Key(
    "InternalKeyLoc", FILE, "The private key of InternalCertLoc.", None
)
PUBLIC_CERT: Final[Key[Path | None]] = Key(
    "PublicCertLoc",
    FILE,
    "The certificate that mail programs are shown, in PEM form, and behind it those that lead to "
    "a known authority. Read again at a reload.",
    None,
)
PUBLIC_KEY: Final[Key[Path | None]] = Key(
    "PublicKeyLoc", FILE, "The private key of PublicCertLoc, without a password.", None
)
ADAPTER: Final[Key[str | None]] = Key(
    "AuthAdapter",
    kinds.ADAPTER,
    "Where users and their passwords are kept: AuthFile, AuthPostgres, or another adapter that is "
    "installed; the section of that name says more. A worker that has one serves mail programs by "
    "itself, on ListenMailAddr.",
    None,
)
LOG_LEVEL: Final[Key[str]] = Key(
    "LogLevel",
    choice(LOG_LEVELS),
    "What is less important is not logged. `--loglevel` goes before it. Read again at a reload.",
    "info",
)
MAILDIR_ROOT: Final = _lost("MaildirRoot", "mail is kept in StoreRoot")
CRDT_ROOT: Final = _lost("CRDTLayerRoot", "what replicas know of each other is kept in StoreRoot")

USER_START: Final[Key[int | None]] = Key(
    "UserStart", whole(1, 2**31 - 1), "The lowest ID of the users that this worker serves.", None
)
USER_END: Final[Key[int | None]] = Key(
    "UserEnd", whole(1, 2**31 - 1), "The highest ID of the users that this worker serves.", None
)
STORE_ROOT: Final[Key[Path | None]] = Key(
    "StoreRoot",
    DIRECTORY,
    "Where mail is kept, and the node's identity: made at the first start, this process's alone. "
    "A local disk that keeps what was synced.",
    None,
)
SHARDS: Final[Key[int]] = Key(
    "Shards",
    whole(1, 64),
    "Databases that accounts are spread over; each has a thread that writes. Chosen at the first "
    "start: later changes have no effect.",
    4,
)
ALLOW_PLAINTEXT: Final[Key[bool]] = Key(
    "AllowPlaintext",
    TRUTH,
    "Serve mail programs without TLS. Only where ListenMailAddr is a loopback address.",
    False,
)

USERS_FILE: Final[Key[Path | None]] = Key(
    "File",
    FILE,
    "A user in each line: name, separator, password. Read again at a reload.",
    None,
    needed=True,
)
USERS_SEPARATOR: Final[Key[str]] = Key(
    "Separator", LINE, "What stands between name and password.", ";"
)

POSTGRES_KEYS: Final[tuple[Key[Any], ...]] = (
    Key("IP", LINE, "Where the database runs.", None, needed=True),
    Key("Port", whole(1, 65535), "Its port.", 5432),
    Key("Database", LINE, "Its name.", None, needed=True),
    Key("User", LINE, "Whom to connect as.", None, needed=True),
    Key("Password", TEXT, "With which password.", None, secret=True, needed=True),
    Key("UseTLS", TRUTH, "Whether the connection must be encrypted.", True),
    Key(
        "RootCertLoc",
        FILE,
        "The authority of the database's certificate: with it the certificate is checked, and must "
        "be for IP.",
        None,
    ),
)

SYNC_PUBLIC: Final[Key[Address | None]] = Key(
    "Public", ADDRESS, "Where other replicas reach what listens on Listen.", None
)
SYNC_LISTEN: Final[Key[Address | None]] = Key(
    "Listen", LISTENING_ADDRESS, "Where storage listens for the replicas of this subnet.", None
)
PEER: Final[Key[Address | None]] = Key(
    "<name>",
    ADDRESS,
    "Where the replica with that Name is reached: its PublicSyncAddr, or Public of storage.",
    None,
)
MAIL_PEER: Final[Key[Address | None]] = Key(
    "<name>", ADDRESS, "The PublicMailAddr of the replica with that Name.", None
)
