# SPDX-License-Identifier: GPL-3.0-or-later
"""
All that the nodes of a process read from files before they serve: once at the start, and again at
each reload.

Read as a whole or not at all, so that a reload with a mistake in one file changes nothing.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import assert_never

from pluto_tw.auth.adapters import AdapterUnknown, adapter
from pluto_tw.auth.refusals import SettingsRefused, UsersRefused
from pluto_tw.auth.users import UserAdapter
from pluto_tw.net.nodes import Role
from pluto_tw.net.tls import KeyPair
from pluto_tw.node import keys
from pluto_tw.node.addresses import Address
from pluto_tw.node.config import Configuration, load
from pluto_tw.node.internal_tls import Internal, check_node, read_internal
from pluto_tw.node.problems import Problems
from pluto_tw.node.settings import Distributor, Imap, Public, Storage, Worker
from pluto_tw.node.tls import read_pair

AnyNode = Distributor | Worker | Storage

#: Which nodes of a configuration a process runs; problems are added where there are none.
Selection = Callable[[Configuration], Sequence[AnyNode]]


@dataclass(frozen=True, slots=True)
class Subnet:
    """What a replica knows of one subnet before its first start."""

    name: str
    directory: Path
    shards: int
    listen: Address | None
    #: By name, where each other replica is.
    peers: Mapping[str, Address]


@dataclass(frozen=True, slots=True)
class PreparedReplica:
    """A worker or storage that can be started."""

    role: Role
    settings: Worker | Storage
    imap: Imap
    store_root: Path
    subnets: tuple[Subnet, ...]
    #: None where mail programs are not served, or in the clear.
    pair: KeyPair | None
    #: None where distributors know the users.
    users: UserAdapter | None
    #: All subnets of the region, if users are spread over them by name; none, if by ID.
    spread: tuple[str, ...]
    #: What other nodes are shown; None where there are none.
    internal: Internal | None


@dataclass(frozen=True, slots=True)
class PreparedDistributor:
    """A distributor that can be started."""

    settings: Distributor
    imap: Imap
    pair: KeyPair
    users: UserAdapter
    workers: tuple[Worker, ...]
    storage: Storage | None
    #: None where all replicas are on this machine.
    internal: Internal | None


PreparedNode = PreparedReplica | PreparedDistributor


@dataclass(frozen=True, slots=True)
class Prepared:
    """The nodes of a process, which can be started: what may be missing is there."""

    nodes: tuple[PreparedNode, ...]
    warnings: Sequence[str]


def prepare(file: Path, selection: Selection, now: float) -> Prepared:
    """
    The nodes that *selection* finds in the configuration *file*, at the time *now*.

    Raises `ConfigurationRefused` with all that is wrong.
    """
    configuration = load(file)
    problems = configuration.problems
    nodes = selection(configuration)
    for node in nodes:
        check(configuration, node)
    _check_together(problems, nodes)
    prepared = [_node(configuration, node, now) for node in nodes]
    problems.refuse()
    complete = tuple(node for node in prepared if node is not None)
    assert len(complete) == len(nodes) > 0, "who has no problems is complete"
    return Prepared(complete, tuple(problems.warnings))


def check(configuration: Configuration, node: AnyNode) -> None:
    """Adds what *node* lacks for a start to the problems of its configuration."""
    match node:
        case Distributor():
            node.check(configuration.workers, configuration.storage)
        case Worker() | Storage():
            node.check(configuration.imap)
        case _:
            assert_never(node)


def worker(name: str) -> Selection:
    """The worker *name*, a key or a Name."""

    def select(configuration: Configuration) -> Sequence[AnyNode]:
        found = configuration.worker(name)
        return [] if found is None else [found]

    return select


def distributor(configuration: Configuration) -> Sequence[AnyNode]:
    """The distributor."""
    found = configuration.need_distributor()
    return [] if found is None else [found]


def storage(configuration: Configuration) -> Sequence[AnyNode]:
    """Storage."""
    found = configuration.need_storage()
    return [] if found is None else [found]


def nodes(names: Sequence[str]) -> Selection:
    """
    Each of *names*: `distributor`, `storage`, or a worker's key or Name; all of the file if there
    are none.
    """

    def select(configuration: Configuration) -> Sequence[AnyNode]:
        found = configuration.nodes()
        if not names:
            if not found and configuration.is_readable:
                expected = "a section of at least one node"
                configuration.problems.missing(configuration.file, "Workers", expected)
            return found
        wanted: list[AnyNode] = []
        for name in names:
            if name == Role.DISTRIBUTOR.value:
                wanted += distributor(configuration)
            elif name == Role.STORAGE.value:
                wanted += storage(configuration)
            else:
                wanted += worker(name)(configuration)
        return [node for node in found if any(node is other for other in wanted)]

    return select


def _check_together(problems: Problems, together: Sequence[AnyNode]) -> None:
    """What nodes of one process cannot both have."""
    taken: dict[tuple[str, int], str] = {}
    for node in together:
        for key in (keys.LISTEN_MAIL, keys.PROMETHEUS):
            address = node.listen_mail if key is keys.LISTEN_MAIL else node.prometheus
            if address is None or not address.port:
                continue
            name = node.table.key(key)
            other = taken.setdefault((address.host, address.port), name)
            if other != name:
                node.table.wrong(key, f"an address of its own, in one process; {other} has it")


def _node(configuration: Configuration, node: AnyNode, now: float) -> PreparedNode | None:
    match node:
        case Distributor():
            return _distributor(configuration, node, now)
        case Worker():
            return _worker(configuration, node, now)
        case Storage():
            return _storage(configuration, node, now)
        case _:
            assert_never(node)


def _distributor(
    configuration: Configuration, node: Distributor, now: float
) -> PreparedDistributor | None:
    users = _users(configuration.problems, node)
    pair = _pair(configuration.problems, node.public, now)
    if users is None or pair is None:
        return None
    workers = tuple(configuration.workers.values())
    internal = _internal(configuration.problems, node, Role.DISTRIBUTOR, now)
    return PreparedDistributor(
        node, configuration.imap, pair, users, workers, configuration.storage, internal
    )


def _worker(configuration: Configuration, node: Worker, now: float) -> PreparedReplica | None:
    users, pair = None, None
    if node.adapter is not None:
        users = _users(configuration.problems, node)
        if node.public.certificate is not None:
            pair = _pair(configuration.problems, node.public, now)
    internal = _internal(configuration.problems, node, Role.WORKER, now)
    if node.store_root is None or node.subnet is None:
        return None
    subnet = Subnet(
        node.subnet, node.store_root, node.shards, node.listen_sync, node.peers[node.subnet]
    )
    spread: tuple[str, ...] = ()
    if node.users is None:
        subnets = {other.subnet for other in configuration.workers.values()}
        spread = tuple(sorted(name for name in subnets if name is not None))
    return PreparedReplica(
        Role.WORKER,
        node,
        configuration.imap,
        node.store_root,
        (subnet,),
        pair,
        users,
        spread,
        internal,
    )


def _storage(configuration: Configuration, node: Storage, now: float) -> PreparedReplica | None:
    internal = _internal(configuration.problems, node, Role.STORAGE, now)
    if node.store_root is None:
        return None
    subnets = tuple(
        Subnet(name, node.store_root / name, node.shards, node.listen_sync.get(name), peers)
        for name, peers in node.peers.items()
    )
    return PreparedReplica(
        Role.STORAGE, node, configuration.imap, node.store_root, subnets, None, None, (), internal
    )


def _internal(problems: Problems, node: AnyNode, role: Role, now: float) -> Internal | None:
    """What *node* shows to others; None if it has no certificate, or one that cannot be used."""
    files = node.internal
    if files.root is None or files.certificate is None or files.private_key is None:
        return None
    found = read_internal(problems, files.root, files.certificate, files.private_key, now)
    if found is not None:
        check_node(problems, files.certificate, found.pair, role.value, node.name)
    return found


def _pair(problems: Problems, public: Public, now: float) -> KeyPair | None:
    if public.certificate is None or public.private_key is None:
        return None
    return read_pair(problems, public.certificate, public.private_key, now)


def _users(problems: Problems, node: Distributor | Worker) -> UserAdapter | None:
    """Where the users of *node* are, opened and loaded; None and a problem if that fails."""
    kept = node.adapter
    if kept is None or not kept.is_complete:
        return None
    try:
        users = adapter(kept.name)(kept.settings)
        problems.warnings += users.load()
    except AdapterUnknown:
        # `check` has told it.
        return None
    except SettingsRefused as refused:
        section = node.table.key(kept.name)
        problems.unusable(node.table.file, [f"{section}.{text}" for text in refused.problems])
    except UsersRefused as refused:
        place = kept.settings.get(keys.USERS_FILE.name) or kept.name
        problems.unusable(place, refused.problems)
    else:
        return users
    return None
