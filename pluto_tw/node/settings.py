# SPDX-License-Identifier: GPL-3.0-or-later
"""
What the sections of the configuration say, as values, and what a role needs before it can start.

A file may describe nodes of other machines too, so nothing that only one role needs is asked for
when the file is read; `check` of a node asks for it, since it is the file that must be mended.
None, or nothing, stands where a key is not written.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from pluto_tw.auth import adapters
from pluto_tw.net.limits import Limits
from pluto_tw.node import keys
from pluto_tw.node.addresses import Address
from pluto_tw.node.keys import Key
from pluto_tw.node.kinds import Network
from pluto_tw.node.table import Table

#: What the kernel takes for the name of a UNIX socket, its end not counted: unix(7).
SOCKET_OCTETS_MAX: Final = 107


@dataclass(frozen=True, slots=True)
class Imap:
    """The section IMAP."""

    greeting: str
    separator: str
    limits: Limits
    #: The Names of the distributors that may act for users.
    distributors: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Adapter:
    """Where users are kept: the *name* of AuthAdapter, and the keys of the section of that name."""

    name: str
    settings: Mapping[str, Any]
    #: Whether it could be opened, as far as is known; a problem says why not.
    is_complete: bool


@dataclass(frozen=True, slots=True)
class Internal:
    """What a node shows other nodes, and what it trusts them by. All three, or it knows nobody."""

    root: Path | None
    #: Whether RootCertLoc is there, be it wrong.
    is_root_written: bool
    certificate: Path | None
    private_key: Path | None
    #: The keys of the two, which are called differently by the roles.
    certificate_key: Key[Path | None]
    private_key_key: Key[Path | None]

    def need(self, table: Table, why: str) -> None:
        """A problem for each that is missing, in a node that needs it, *why*."""
        if self.root is None and not self.is_root_written:
            expected = f"{keys.ROOT_CERT.kind.expected}: {why}"
            table.problems.missing(table.file, keys.ROOT_CERT.name, expected)
        for key, value in (
            (self.certificate_key, self.certificate),
            (self.private_key_key, self.private_key),
        ):
            if value is None and not table.is_written(key):
                expected = f"{key.kind.expected}: {why}"
                table.problems.missing(table.file, table.key(key), expected)


@dataclass(frozen=True, slots=True)
class Public:
    """The pair of files that mail programs are shown."""

    certificate: Path | None
    private_key: Path | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """What the sections of all roles have."""

    #: `Distributor`, `Storage` or the worker's key.
    key: str
    name: str
    public_mail: Address | None
    listen_mail: Address | None
    prometheus: Address | None
    admin_socket: Path | None
    internal: Internal
    log_level: str
    #: For messages of `check`.
    table: Table = field(compare=False, repr=False)

    def check_sockets(self, *sockets: tuple[Key[Path | None], Path | None]) -> None:
        """Refuses what the kernel would."""
        for key, path in sockets:
            if path is not None and len(os.fsencode(path)) > SOCKET_OCTETS_MAX:
                self.table.wrong(
                    key, f"a path of at most {SOCKET_OCTETS_MAX} octets, from the root"
                )


@dataclass(frozen=True, slots=True, kw_only=True)
class Distributor(Node):
    """The section Distributor, and those below it."""

    listen_starttls: Address | None
    proxy_networks: tuple[Network, ...]
    public: Public
    adapter: Adapter | None

    def check(self, workers: Mapping[str, "Worker"], storage: "Storage | None") -> None:
        """Adds what is missing or does not fit for a start, with the others of the region."""
        table = self.table
        if self.listen_starttls is None:
            table.need(keys.LISTEN_MAIL, self.listen_mail)
        table.need(keys.PUBLIC_CERT, self.public.certificate)
        table.need(keys.PUBLIC_KEY, self.public.private_key)
        _need_adapter(table, self.adapter)
        if self.adapter is not None:
            _check_adapter(table, self.adapter)
        self.check_sockets((keys.ADMIN_SOCKET, self.admin_socket))
        if not workers:
            expected = "a table [Workers.<key>] for each worker of the region"
            table.problems.missing(table.file, "Workers", expected)
        for worker in workers.values():
            worker.check_subnet()
            if worker.mail_socket is None:
                _check_reachable(worker)
        having = {worker.users is not None for worker in workers.values()}
        if len(having) > 1:
            for worker in workers.values():
                if worker.users is None:
                    worker.table.need(keys.USER_START, None)
        over_network = [w for w in workers.values() if w.mail_socket is None or w.mail_peers]
        if over_network or (storage is not None and storage.mail_socket is None):
            self.internal.need(table, "workers are reached by mutual TLS")


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker(Node):
    """One section of Workers, and the sections below it."""

    listen_sync: Address | None
    mail_socket: Path | None
    store_root: Path | None
    shards: int
    users: range | None
    adapter: Adapter | None
    public: Public
    allow_plaintext: bool
    #: By subnet and by name, where each other replica is.
    peers: Mapping[str, Mapping[str, Address]]
    #: As `peers`, for distributors, in the order in which they try.
    mail_peers: Mapping[str, Mapping[str, Address]]

    @property
    def subnet(self) -> str | None:
        """The one that its accounts belong to."""
        return next(iter(self.peers), None)

    def check(self, imap: Imap) -> None:
        """Adds what is missing or does not fit for a start of this worker."""
        table = self.table
        if self.mail_socket is None or self.adapter is not None:
            table.need(keys.LISTEN_MAIL, self.listen_mail)
        table.need(keys.STORE_ROOT, self.store_root)
        self.check_subnet()
        self.check_sockets(
            (keys.ADMIN_SOCKET, self.admin_socket), (keys.MAIL_SOCKET, self.mail_socket)
        )
        if self.adapter is not None:
            _check_adapter(table, self.adapter)
            self._check_tls()
        elif self.listen_mail is not None:
            self.internal.need(table, "ListenMailAddr is for distributors without an AuthAdapter")
            _need_distributors(table, imap)
        if any(self.peers.values()):
            table.need(keys.LISTEN_SYNC, self.listen_sync)
            self.internal.need(table, "there are other replicas")

    def check_subnet(self) -> None:
        """As `check`, of what distributors must know as well."""
        table = self.table
        if not self.peers:
            expected = (
                f"a table [{table.key('Peers')}.<subnet>], empty while there is no other replica"
            )
            table.problems.missing(table.file, table.key("Peers"), expected)
        elif len(self.peers) > 1:
            expected = "one subnet: a worker's accounts belong to one"
            table.problems.wrong(table.file, table.key("Peers"), sorted(self.peers), expected)
        for subnet in self.mail_peers:
            if subnet not in self.peers:
                key = table.key("MailPeers")
                expected = f"the subnet of Peers, {self.subnet!r}"
                table.problems.wrong(table.file, key, subnet, expected)
        for what, tables in (("Peers", self.peers), ("MailPeers", self.mail_peers)):
            _check_others(table, what, tables, self.name)

    def _check_tls(self) -> None:
        """A worker that mail programs reach directly."""
        if self.allow_plaintext:
            if self.public.certificate is not None:
                self.table.wrong(keys.ALLOW_PLAINTEXT, "false, or no PublicCertLoc")
            elif self.listen_mail is not None and not self.listen_mail.is_loopback:
                self.table.wrong(
                    keys.LISTEN_MAIL,
                    "a loopback address, such as 127.0.0.1:143, where AllowPlaintext is true",
                )
        elif self.public.certificate is None:
            self.table.need(keys.PUBLIC_CERT, self.public.certificate)


@dataclass(frozen=True, slots=True, kw_only=True)
class Storage(Node):
    """The section Storage, and those below it."""

    mail_socket: Path | None
    store_root: Path | None
    shards: int
    #: Where it listens for the replicas of each subnet.
    listen_sync: Mapping[str, Address | None]
    #: By subnet and by name, where each other replica is.
    peers: Mapping[str, Mapping[str, Address]]

    def check(self, imap: Imap) -> None:
        """Adds what is missing or does not fit for a start of storage."""
        table = self.table
        if self.mail_socket is None:
            table.need(keys.LISTEN_MAIL, self.listen_mail)
        table.need(keys.STORE_ROOT, self.store_root)
        self.check_sockets(
            (keys.ADMIN_SOCKET, self.admin_socket), (keys.MAIL_SOCKET, self.mail_socket)
        )
        if self.listen_mail is not None:
            _need_distributors(table, imap)
        self.internal.need(table, "all others are reached by mutual TLS")
        if not self.peers:
            expected = f"a table [{table.key('Peers')}.<subnet>] for each subnet"
            table.problems.missing(table.file, table.key("Peers"), expected)
        _check_others(table, "Peers", self.peers, self.name)
        for subnet in self.peers:
            # It is the name of a directory.
            if "/" in subnet or "\0" in subnet or subnet in ("", ".", ".."):
                expected = "names of subnets that can be names of directories"
                table.problems.wrong(table.file, table.key("Peers"), subnet, expected)
            if subnet not in self.listen_sync:
                key = f"{table.key('SyncAddrs')}.{subnet}"
                table.problems.missing(table.file, key, f"a table [{key}], as there are Peers")
            elif self.listen_sync[subnet] is None:
                key = f"{table.key('SyncAddrs')}.{subnet}.{keys.SYNC_LISTEN.name}"
                table.problems.missing(table.file, key, keys.SYNC_LISTEN.kind.expected)


def _need_adapter(table: Table, adapter: Adapter | None) -> None:
    if adapter is None and not table.is_written(keys.ADAPTER):
        table.problems.missing(table.file, table.key(keys.ADAPTER), keys.ADAPTER.kind.expected)


def _check_adapter(table: Table, adapter: Adapter) -> None:
    installed = adapters.names()
    if adapter.name not in installed:
        table.wrong(keys.ADAPTER, f"one of the adapters that are installed: {', '.join(installed)}")


def _need_distributors(table: Table, imap: Imap) -> None:
    if not imap.distributors:
        key = f"IMAP.{keys.DISTRIBUTORS.name}"
        table.problems.missing(
            table.file, key, f"{keys.DISTRIBUTORS.kind.expected}, as there is no [Distributor]"
        )


def _check_reachable(worker: Worker) -> None:
    if worker.adapter is not None:
        expected = "a path: with an AuthAdapter, PublicMailAddr is not for distributors"
        key = worker.table.key(keys.MAIL_SOCKET)
        worker.table.problems.missing(worker.table.file, key, expected)
    else:
        worker.table.need(keys.PUBLIC_MAIL, worker.public_mail)


def _check_others(
    table: Table, what: str, tables: Mapping[str, Mapping[str, Address]], own: str
) -> None:
    for subnet, others in tables.items():
        if own in others:
            key = f"{table.key(what)}.{subnet}.{own}"
            expected = "the names of other replicas only, and this node has that Name"
            table.problems.wrong(table.file, key, str(others[own]), expected)
