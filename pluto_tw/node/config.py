# SPDX-License-Identifier: GPL-3.0-or-later
"""
The configuration: `config.toml`, read and checked as a whole.

A file that was written for the original loads. Errors and warnings are collected (`problems.py`),
so that all of them are told at once. Which keys there are is in `keys.py`; what a role needs of
them before it can start is asked of it here too (`Worker.check`), since it is the file that must
be mended.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import toml

from pluto_tw.net.limits import Limits
from pluto_tw.node import keys
from pluto_tw.node.addresses import Address
from pluto_tw.node.keys import Section
from pluto_tw.node.problems import Problems
from pluto_tw.node.table import Table

#: Where a node looks when it is not told.
PLACES: Final = (Path("config.toml"), Path("/etc/pluto/config.toml"))

#: A table whose keys are names of one's own.
_ANY: Final = Section("", "", ())


@dataclass(frozen=True, slots=True)
class Imap:
    """The section IMAP."""

    greeting: str
    separator: str
    limits: Limits


@dataclass(frozen=True, slots=True)
class UsersFile:
    """A section AuthFile."""

    file: Path
    separator: str


@dataclass(frozen=True, slots=True)
class Worker:
    """One section of Workers, and the sections below it; None where a key is not written."""

    key: str
    name: str
    listen_mail: Address | None
    store_root: Path | None
    shards: int
    users: range | None
    adapter: str | None
    users_file: UsersFile | None
    public_cert: Path | None
    public_key: Path | None
    allow_plaintext: bool
    log_level: str
    #: By subnet and by name, where each other replica is.
    peers: Mapping[str, Mapping[str, Address]]
    #: For messages of `check`.
    table: Table = field(compare=False, repr=False)

    def check(self) -> None:
        """Adds what is missing or does not fit for a start of this worker."""
        table = self.table
        table.need(keys.LISTEN_MAIL, self.listen_mail)
        table.need(keys.STORE_ROOT, self.store_root)
        self._check_subnet()
        self._check_users()
        self._check_tls()

    def _check_subnet(self) -> None:
        file, key = self.table.file, self.table.key("Peers")
        if not self.peers:
            expected = f"a table [{key}.<subnet>], empty while there is no other replica"
            self.table.problems.missing(file, key, expected)
        elif len(self.peers) > 1:
            expected = "one subnet: a worker's accounts belong to one"
            self.table.problems.wrong(file, key, sorted(self.peers), expected)

    def _check_users(self) -> None:
        if self.adapter is None:
            self.table.problems.missing(
                self.table.file,
                self.table.key(keys.ADAPTER),
                f'"{keys.AUTH_FILE}", as there is no distributor yet that knows the users',
            )
        elif self.adapter != keys.AUTH_FILE:
            self.table.wrong(keys.ADAPTER, f'"{keys.AUTH_FILE}", the only adapter there is yet')

    def _check_tls(self) -> None:
        if self.allow_plaintext:
            if self.public_cert is not None:
                self.table.wrong(keys.ALLOW_PLAINTEXT, "false, or no PublicCertLoc")
            elif self.listen_mail is not None and not self.listen_mail.is_loopback:
                self.table.wrong(
                    keys.LISTEN_MAIL,
                    "a loopback address, such as 127.0.0.1:143, where AllowPlaintext is true",
                )
        elif self.public_cert is None:
            self.table.need(keys.PUBLIC_CERT, self.public_cert)


@dataclass(frozen=True, slots=True)
class Configuration:
    """What the *file* says; whether it may be used, say *problems*."""

    file: Path
    imap: Imap
    workers: Mapping[str, Worker]
    #: Whether the file could be read as TOML.
    is_readable: bool
    problems: Problems = field(compare=False)

    def worker(self, name: str) -> Worker | None:
        """The worker whose key is *name*, or else whose Name is; a problem if there is none."""
        found = self.workers.get(name)
        if found is None:
            found = next((w for w in self.workers.values() if w.name == name), None)
        if found is None and not self.is_readable:
            # The file has its own mistake; that nothing was found in it is none besides.
            return None
        if found is None:
            known = ", ".join(f"{w.key} ({w.name})" for w in self.workers.values()) or "none"
            self.problems.errors.append(
                f"{self.file}: there is no worker {name!r}: expected the key or the Name of one of "
                f"the workers, which are: {known}"
            )
        return found


def find(place: str | None) -> Path:
    """The configuration's file: *place*, or the first of `PLACES` that exists."""
    if place is not None:
        return Path(place)
    return next((path for path in PLACES if path.exists()), PLACES[-1])


def load(file: Path) -> Configuration:
    """Reads *file*; never raises, since `problems` tell all."""
    problems = Problems()
    content = _parse(file, problems)
    top = Table(problems, file, "", keys.TOP, {} if content is None else content)
    top.take(keys.ROOT_CERT)
    imap = _imap(top)
    names: dict[str, str] = {}
    _distributor(top, names)
    workers = _workers(top, names)
    _storage(top, names)
    top.finish()
    return Configuration(file, imap, workers, content is not None, problems)


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
    table = top.table("IMAP", keys.IMAP) or _empty(top, "IMAP", keys.IMAP)
    limits = Limits(
        table.take(keys.CONNECTIONS_MAX),
        table.take(keys.ADDRESS_CONNECTIONS_MAX),
        table.take(keys.USER_CONNECTIONS_MAX),
        table.take(keys.UNLIMITED_NETWORKS),
    )
    imap = Imap(table.take(keys.GREETING), table.take(keys.SEPARATOR), limits)
    table.finish()
    return imap


def _distributor(top: Table, names: dict[str, str]) -> None:
    table = top.table("Distributor", keys.DISTRIBUTOR)
    if table is None:
        return
    _name(table, names)
    _take(table, keys.DISTRIBUTOR, but=(keys.NAME.name, keys.ADAPTER.name))
    _adapter(table)
    table.finish()


def _storage(top: Table, names: dict[str, str]) -> None:
    table = top.table("Storage", keys.STORAGE)
    if table is None:
        return
    _name(table, names)
    _take(table, keys.STORAGE, but=(keys.NAME.name,))
    _peers(table)
    for below in _tables(table, "SyncAddrs", keys.SYNC_ADDRESSES).values():
        _take(below, keys.SYNC_ADDRESSES)
        below.finish()
    table.finish()


def _workers(top: Table, names: dict[str, str]) -> dict[str, Worker]:
    found = _tables(top, "Workers", keys.WORKER)
    workers = {key: _worker(key, below, names) for key, below in found.items()}
    _check_ranges(list(workers.values()))
    return workers


def _worker(key: str, table: Table, names: dict[str, str]) -> Worker:
    name = _name(table, names)
    adapter, users_file = _adapter(table)
    public_cert, public_key = table.take(keys.PUBLIC_CERT), table.take(keys.PUBLIC_KEY)
    if public_cert is not None:
        table.need(keys.PUBLIC_KEY, public_key)
    elif public_key is not None:
        table.need(keys.PUBLIC_CERT, public_cert)
    worker = Worker(
        key,
        name or key,
        table.take(keys.LISTEN_MAIL),
        table.take(keys.STORE_ROOT),
        table.take(keys.SHARDS),
        _users(table),
        adapter,
        users_file,
        public_cert,
        public_key,
        table.take(keys.ALLOW_PLAINTEXT),
        table.take(keys.LOG_LEVEL),
        _peers(table),
        table,
    )
    for other in (keys.PUBLIC_MAIL, keys.PUBLIC_SYNC, keys.LISTEN_SYNC, keys.PROMETHEUS):
        table.take(other)
    table.take(keys.CERT)
    table.take(keys.KEY)
    table.finish()
    return worker


def _tables(above: Table, name: str, section: Section) -> dict[str, Table]:
    """The tables in the table *name*, each of *section*, by names of one's own."""
    table = above.table(name, _ANY)
    if table is None:
        return {}
    found = {key: table.table(key, section) for key in table.names()}
    return {key: below for key, below in found.items() if below is not None}


def _take(table: Table, section: Section, but: Sequence[str] = ()) -> None:
    """Reads all keys of *section* for their problems."""
    for key in section.keys:
        if not key.lost and key.name not in but:
            table.take(key)


def _name(table: Table, names: dict[str, str]) -> str | None:
    """The Name of a node; *names* has those of the nodes before, with their sections."""
    name = table.take(keys.NAME)
    table.need(keys.NAME, name)
    if name is not None:
        other = names.setdefault(name, table.path)
        if other != table.path:
            table.wrong(keys.NAME, f"a name that no other node has; [{other}] has it")
    return name


def _adapter(table: Table) -> tuple[str | None, UsersFile | None]:
    """The adapter's name, and its section if that is AuthFile."""
    adapter = table.take(keys.ADAPTER)
    users_file = _users_file(table.table(keys.AUTH_FILE, keys.FILE_ADAPTER))
    postgres = table.table(keys.AUTH_POSTGRES, keys.POSTGRES_ADAPTER)
    if postgres is not None:
        _take(postgres, keys.POSTGRES_ADAPTER)
        postgres.finish()
    if adapter is not None and adapter not in table.names():
        key = table.key(adapter)
        table.problems.missing(table.file, key, f"a table [{key}], as AuthAdapter names it")
    return adapter, users_file


def _users_file(table: Table | None) -> UsersFile | None:
    if table is None:
        return None
    file, separator = table.take(keys.USERS_FILE), table.take(keys.USERS_SEPARATOR)
    table.need(keys.USERS_FILE, file)
    table.finish()
    return None if file is None else UsersFile(file, separator)


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


def _peers(table: Table) -> dict[str, dict[str, Address]]:
    return {name: _subnet(below) for name, below in _tables(table, "Peers", keys.PEERS).items()}


def _subnet(table: Table) -> dict[str, Address]:
    """Each key is the name of a replica."""
    found = {}
    for name in table.names():
        address = table.take_named(name, keys.PEER)
        if address is not None:
            found[name] = address
    return found
