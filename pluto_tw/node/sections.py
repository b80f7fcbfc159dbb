# SPDX-License-Identifier: GPL-3.0-or-later
"""The sections of the configuration, and the keys that each may have."""

from dataclasses import dataclass
from typing import Any, Final

from pluto_tw.node.keys import (
    ADAPTER,
    ADDRESS_CONNECTIONS_MAX,
    ADMIN_SOCKET,
    ALLOW_PLAINTEXT,
    CERT,
    CONNECTIONS_MAX,
    CRDT_ROOT,
    DISTRIBUTORS,
    GREETING,
    INTERNAL_CERT,
    INTERNAL_KEY,
    KEY,
    LISTEN_MAIL,
    LISTEN_STARTTLS,
    LISTEN_SYNC,
    LOG_LEVEL,
    MAIL_PEER,
    MAIL_SOCKET,
    MAILDIR_ROOT,
    NAME,
    PEER,
    POSTGRES_KEYS,
    PROMETHEUS,
    PROXY_NETWORKS,
    PUBLIC_CERT,
    PUBLIC_KEY,
    PUBLIC_MAIL,
    PUBLIC_SYNC,
    ROOT_CERT,
    SEPARATOR,
    SHARDS,
    STORE_ROOT,
    SYNC_LISTEN,
    SYNC_PUBLIC,
    UNLIMITED_NETWORKS,
    USER_CONNECTIONS_MAX,
    USER_END,
    USER_START,
    USERS_FILE,
    USERS_SEPARATOR,
    Key,
)


@dataclass(frozen=True, slots=True)
class Section:
    """A table of the file, as it is written in it; `<...>` stands for a name of one's own."""

    name: str
    meaning: str
    keys: tuple[Key[Any], ...]


TOP: Final = Section("", "Above all sections.", (ROOT_CERT,))
IMAP: Final = Section(
    "IMAP",
    "What all nodes say and allow in the same way.",
    (
        GREETING,
        SEPARATOR,
        CONNECTIONS_MAX,
        ADDRESS_CONNECTIONS_MAX,
        USER_CONNECTIONS_MAX,
        UNLIMITED_NETWORKS,
        DISTRIBUTORS,
    ),
)
DISTRIBUTOR: Final = Section(
    "Distributor",
    "The node at the edge of a region: it knows users, and takes each to a replica of their "
    "accounts. `Workers` of the same file are the region's.",
    (
        NAME,
        PUBLIC_MAIL,
        LISTEN_MAIL,
        LISTEN_STARTTLS,
        PROXY_NETWORKS,
        PROMETHEUS,
        ADMIN_SOCKET,
        PUBLIC_CERT,
        PUBLIC_KEY,
        INTERNAL_CERT,
        INTERNAL_KEY,
        ADAPTER,
        LOG_LEVEL,
    ),
)
WORKER: Final = Section(
    "Workers.<key>",
    "One worker. `--name` is its key or its Name.",
    (
        NAME,
        PUBLIC_MAIL,
        LISTEN_MAIL,
        MAIL_SOCKET,
        PUBLIC_SYNC,
        LISTEN_SYNC,
        PROMETHEUS,
        ADMIN_SOCKET,
        CERT,
        KEY,
        USER_START,
        USER_END,
        STORE_ROOT,
        SHARDS,
        ADAPTER,
        PUBLIC_CERT,
        PUBLIC_KEY,
        ALLOW_PLAINTEXT,
        LOG_LEVEL,
        MAILDIR_ROOT,
        CRDT_ROOT,
    ),
)
STORAGE: Final = Section(
    "Storage",
    "A replica of all users of all workers; each subnet has a directory in StoreRoot.",
    (
        NAME,
        PUBLIC_MAIL,
        LISTEN_MAIL,
        MAIL_SOCKET,
        PROMETHEUS,
        ADMIN_SOCKET,
        CERT,
        KEY,
        STORE_ROOT,
        SHARDS,
        LOG_LEVEL,
        MAILDIR_ROOT,
        CRDT_ROOT,
    ),
)
SYNC_ADDRESSES: Final = Section(
    "Storage.SyncAddrs.<subnet>",
    "The addresses of storage in one subnet.",
    (SYNC_PUBLIC, SYNC_LISTEN),
)
PEERS: Final = Section(
    "<node>.Peers.<subnet>",
    "The other replicas of a subnet; below a worker, which has one subnet, or `Storage`. A worker "
    "without others has an empty one: accounts belong to the subnet of that name for ever.",
    (PEER,),
)
MAIL_PEERS: Final = Section(
    "Workers.<key>.MailPeers.<subnet>",
    "Where distributors find the other replicas of a worker's subnet, in the order in which they "
    "are tried when the worker itself does not answer; storage of the same file is the last.",
    (MAIL_PEER,),
)
FILE_ADAPTER: Final = Section(
    "<node>.AuthFile",
    "Users in a text file; below `Distributor` or a worker.",
    (USERS_FILE, USERS_SEPARATOR),
)
POSTGRES_ADAPTER: Final = Section(
    "<node>.AuthPostgres",
    "Users in a PostgreSQL database; below `Distributor` or a worker.",
    POSTGRES_KEYS,
)

#: In the order of the reference page.
SECTIONS: Final = (
    TOP,
    IMAP,
    DISTRIBUTOR,
    WORKER,
    STORAGE,
    SYNC_ADDRESSES,
    PEERS,
    MAIL_PEERS,
    FILE_ADAPTER,
    POSTGRES_ADAPTER,
)
