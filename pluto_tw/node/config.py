# SPDX-License-Identifier: GPL-3.0-or-later
"""
The configuration: `config.toml`, read as a whole.

A file that was written for the original loads. Errors and warnings are collected (`problems.py`),
so that all of them are told at once. Which keys there are is in `keys.py` and `sections.py`; what
comes out, and what a role needs of it before it can start, in `settings.py`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import toml

from pluto_tw.net.limits import Limits
from pluto_tw.node import keys, sections
from pluto_tw.node.addresses import Address
from pluto_tw.node.problems import Problems
from pluto_tw.node.sections import Section
from pluto_tw.node.settings import (
    Adapter,
    Distributor,
    Imap,
    Internal,
    Public,
    Storage,
    Worker,
)
from pluto_tw.node.table import Table

#: Where a node looks when it is not told.
PLACES: Final = (Path("config.toml"), Path("/etc/pluto/config.toml"))

#: A table whose keys are names of one's own.
_ANY: Final = Section("", "", ())


@dataclass(frozen=True, slots=True)
class _Root:
    """RootCertLoc: it may be written and wrong."""

    path: Path | None
    is_written: bool


@dataclass(frozen=True, slots=True)
class Configuration:
    """What the *file* says; whether it may be used, say *problems*."""

    file: Path
    imap: Imap
    distributor: Distributor | None
    workers: Mapping[str, Worker]
    storage: Storage | None
    #: Whether the file could be read as TOML.
    is_readable: bool
    problems: Problems = field(compare=False)

    def worker(self, name: str) -> Worker | None:
        """The worker whose key is *name*, or else whose Name is; a problem if there is none."""
        found = self.workers.get(name)
        if found is None:
            found = next((w for w in self.workers.values() if w.name == name), None)
        if found is None:
            known = ", ".join(f"{w.key} ({w.name})" for w in self.workers.values()) or "none"
            self._not_there(
                f"there is no worker {name!r}: expected the key or the Name of one of the "
                f"workers, which are: {known}"
            )
        return found

    def need_distributor(self) -> Distributor | None:
        """The distributor; a problem if there is none."""
        if self.distributor is None:
            self._not_there("Distributor is missing: expected a table [Distributor]")
        return self.distributor

    def need_storage(self) -> Storage | None:
        """Storage; a problem if there is none."""
        if self.storage is None:
            self._not_there("Storage is missing: expected a table [Storage]")
        return self.storage

    def nodes(self) -> list[Distributor | Worker | Storage]:
        """All nodes of the file: replicas first, so that a distributor finds them serving."""
        found: list[Distributor | Worker | Storage] = [*self.workers.values()]
        if self.storage is not None:
            found.append(self.storage)
        if self.distributor is not None:
            found.append(self.distributor)
        return found

    def _not_there(self, error: str) -> None:
        # A file with a mistake of its own has nothing in it, which is no mistake besides.
        if self.is_readable:
            self.problems.errors.append(f"{self.file}: {error}")


def find(place: str | None) -> Path:
    """The configuration's file: *place*, or the first of `PLACES` that exists."""
    if place is not None:
        return Path(place)
    return next((path for path in PLACES if path.exists()), PLACES[-1])


def load(file: Path) -> Configuration:
    """Reads *file*; never raises, since `problems` tell all."""
    problems = Problems()
    content = _parse(file, problems)
    top = Table(problems, file, "", sections.TOP, {} if content is None else content)
    root = _Root(top.take(keys.ROOT_CERT), top.is_written(keys.ROOT_CERT))
    imap = _imap(top)
    names: dict[str, str] = {}
    distributor = _distributor(top, names, root)
    workers = _workers(top, names, root)
    storage = _storage(top, names, root)
    top.finish()
    if distributor is not None and not imap.distributors:
        imap = Imap(imap.greeting, imap.separator, imap.limits, (distributor.name,))
    return Configuration(file, imap, distributor, workers, storage, content is not None, problems)


def _parse(file: Path, problems: Problems) -> dict[str, Any] | None:
    try:
        content: dict[str, Any] = toml.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        problems.unusable(file, [error.strerror or str(error)])
    except UnicodeDecodeError:
        problems.unusable(file, ["not UTF-8"])
    except (toml.TomlDecodeError, IndexError, TypeError) as error:
        # The parser trips over some mistakes instead of naming them.
        problems.unusable(file, [f"not TOML: {error}"])
    else:
        return content
    return None


def _empty(above: Table, name: str, section: Section) -> Table:
    return Table(above.problems, above.file, above.key(name), section, {})


def _imap(top: Table) -> Imap:
    table = top.table("IMAP", sections.IMAP) or _empty(top, "IMAP", sections.IMAP)
    limits = Limits(
        table.take(keys.CONNECTIONS_MAX),
        table.take(keys.ADDRESS_CONNECTIONS_MAX),
        table.take(keys.USER_CONNECTIONS_MAX),
        table.take(keys.UNLIMITED_NETWORKS),
    )
    greeting, separator = table.take(keys.GREETING), table.take(keys.SEPARATOR)
    imap = Imap(greeting, separator, limits, table.take(keys.DISTRIBUTORS))
    table.finish()
    return imap


def _distributor(top: Table, names: dict[str, str], root: _Root) -> Distributor | None:
    table = top.table("Distributor", sections.DISTRIBUTOR)
    if table is None:
        return None
    distributor = Distributor(
        key="Distributor",
        name=_name(table, names) or "Distributor",
        public_mail=table.take(keys.PUBLIC_MAIL),
        listen_mail=table.take(keys.LISTEN_MAIL),
        listen_starttls=table.take(keys.LISTEN_STARTTLS),
        proxy_networks=table.take(keys.PROXY_NETWORKS),
        prometheus=table.take(keys.PROMETHEUS),
        admin_socket=table.take(keys.ADMIN_SOCKET),
        public=_public(table),
        internal=_internal(table, root, keys.INTERNAL_CERT, keys.INTERNAL_KEY),
        adapter=_adapter(table),
        log_level=table.take(keys.LOG_LEVEL),
        table=table,
    )
    table.finish()
    return distributor


def _storage(top: Table, names: dict[str, str], root: _Root) -> Storage | None:
    table = top.table("Storage", sections.STORAGE)
    if table is None:
        return None
    addresses = _tables(table, "SyncAddrs", sections.SYNC_ADDRESSES)
    storage = Storage(
        key="Storage",
        name=_name(table, names) or "Storage",
        public_mail=table.take(keys.PUBLIC_MAIL),
        listen_mail=table.take(keys.LISTEN_MAIL),
        mail_socket=table.take(keys.MAIL_SOCKET),
        prometheus=table.take(keys.PROMETHEUS),
        admin_socket=table.take(keys.ADMIN_SOCKET),
        internal=_internal(table, root, keys.CERT, keys.KEY),
        store_root=table.take(keys.STORE_ROOT),
        shards=table.take(keys.SHARDS),
        log_level=table.take(keys.LOG_LEVEL),
        listen_sync={subnet: _sync_address(below) for subnet, below in addresses.items()},
        peers=_peers(table, "Peers", sections.PEERS, keys.PEER),
        table=table,
    )
    table.finish()
    return storage


def _sync_address(table: Table) -> Address | None:
    table.take(keys.SYNC_PUBLIC)
    address = table.take(keys.SYNC_LISTEN)
    table.finish()
    return address


def _workers(top: Table, names: dict[str, str], root: _Root) -> dict[str, Worker]:
    found = _tables(top, "Workers", sections.WORKER)
    workers = {key: _worker(key, below, names, root) for key, below in found.items()}
    _check_ranges(list(workers.values()))
    return workers


def _worker(key: str, table: Table, names: dict[str, str], root: _Root) -> Worker:
    table.take(keys.PUBLIC_SYNC)
    worker = Worker(
        key=key,
        name=_name(table, names) or key,
        public_mail=table.take(keys.PUBLIC_MAIL),
        listen_mail=table.take(keys.LISTEN_MAIL),
        mail_socket=table.take(keys.MAIL_SOCKET),
        listen_sync=table.take(keys.LISTEN_SYNC),
        prometheus=table.take(keys.PROMETHEUS),
        admin_socket=table.take(keys.ADMIN_SOCKET),
        internal=_internal(table, root, keys.CERT, keys.KEY),
        store_root=table.take(keys.STORE_ROOT),
        shards=table.take(keys.SHARDS),
        users=_users(table),
        adapter=_adapter(table),
        public=_public(table),
        allow_plaintext=table.take(keys.ALLOW_PLAINTEXT),
        log_level=table.take(keys.LOG_LEVEL),
        peers=_peers(table, "Peers", sections.PEERS, keys.PEER),
        mail_peers=_peers(table, "MailPeers", sections.MAIL_PEERS, keys.MAIL_PEER),
        table=table,
    )
    table.finish()
    return worker


def _tables(above: Table, name: str, section: Section) -> dict[str, Table]:
    """The tables in the table *name*, each of *section*, by names of one's own."""
    table = above.table(name, _ANY)
    if table is None:
        return {}
    found = {key: table.table(key, section) for key in table.names()}
    return {key: below for key, below in found.items() if below is not None}


def _name(table: Table, names: dict[str, str]) -> str | None:
    """The Name of a node; *names* has those of the nodes before, with their sections."""
    name = table.take(keys.NAME)
    table.need(keys.NAME, name)
    if name is not None:
        other = names.setdefault(name, table.path)
        if other != table.path:
            table.wrong(keys.NAME, f"a name that no other node has; [{other}] has it")
    return name


def _public(table: Table) -> Public:
    certificate, private_key = table.take(keys.PUBLIC_CERT), table.take(keys.PUBLIC_KEY)
    if certificate is not None:
        table.need(keys.PUBLIC_KEY, private_key)
    elif private_key is not None:
        table.need(keys.PUBLIC_CERT, certificate)
    return Public(certificate, private_key)


def _internal(
    table: Table,
    root: _Root,
    certificate: keys.Key[Path | None],
    private_key: keys.Key[Path | None],
) -> Internal:
    return Internal(
        root.path,
        root.is_written,
        table.take(certificate),
        table.take(private_key),
        certificate,
        private_key,
    )


def _adapter(table: Table) -> Adapter | None:
    """What AuthAdapter names; None if it is not there."""
    name = table.take(keys.ADAPTER)
    ours: dict[str, Adapter] = {}
    for section in (sections.FILE_ADAPTER, sections.POSTGRES_ADAPTER):
        adapter = section.name.rpartition(".")[2]
        below = table.table(adapter, section)
        if below is not None:
            ours[adapter] = _settings(adapter, below, section, is_used=adapter == name)
    if name is None or name in ours:
        return None if name is None else ours[name]
    settings = table.foreign(name)
    if settings is None and not table.is_written(name):
        key = table.key(name)
        table.problems.missing(table.file, key, f"a table [{key}], as AuthAdapter names it")
    return Adapter(name, settings or {}, settings is not None)


def _settings(adapter: str, table: Table, section: Section, *, is_used: bool) -> Adapter:
    settings = {key.name: table.take(key) for key in section.keys}
    needed = [key for key in section.keys if key.needed]
    if is_used:
        for key in needed:
            table.need(key, settings[key.name])
    table.finish()
    return Adapter(adapter, settings, all(settings[key.name] is not None for key in needed))


def _users(table: Table) -> range | None:
    start, end = table.take(keys.USER_START), table.take(keys.USER_END)
    if start is None and end is None:
        return None
    table.need(keys.USER_START, start)
    table.need(keys.USER_END, end)
    if start is None or end is None:
        return None
    if end < start:
        table.wrong(keys.USER_END, f"{keys.USER_START.name} ({start}) or more")
        return None
    return range(start, end + 1)


def _check_ranges(workers: Sequence[Worker]) -> None:
    highest: tuple[int, Worker] | None = None
    having = [(worker.users, worker) for worker in workers if worker.users is not None]
    for users, worker in sorted(having, key=lambda entry: entry[0].start):
        if highest is not None and users.start < highest[0]:
            stop, other = highest
            worker.table.wrong(
                keys.USER_START, f"{stop} or more, as lower IDs are those of [{other.table.path}]"
            )
        if highest is None or users.stop > highest[0]:
            highest = users.stop, worker


def _peers(
    above: Table, name: str, section: Section, each: keys.Key[Address | None]
) -> dict[str, dict[str, Address]]:
    """By subnet, and then by the name of a replica."""
    return {
        subnet: _addresses(table, each) for subnet, table in _tables(above, name, section).items()
    }


def _addresses(table: Table, each: keys.Key[Address | None]) -> dict[str, Address]:
    found = {}
    for name in table.names():
        address = table.take_named(name, each)
        if address is not None:
            found[name] = address
    return found
