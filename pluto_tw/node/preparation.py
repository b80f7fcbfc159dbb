# SPDX-License-Identifier: GPL-3.0-or-later
"""
All that a worker reads from files before it serves: once at the start, and again at each reload.

Read as a whole or not at all, so that a reload with a mistake in one file changes nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pluto_tw.auth.file import AuthFile, UsersRefused
from pluto_tw.net.tls import KeyPair
from pluto_tw.node.addresses import Address
from pluto_tw.node.config import Imap, UsersFile, Worker, load
from pluto_tw.node.problems import Problems
from pluto_tw.node.tls import read_pair


@dataclass(frozen=True, slots=True)
class Prepared:
    """A worker that can be started; what may be missing in its configuration is there."""

    worker: Worker
    imap: Imap
    listen: Address
    store_root: Path
    subnet: str
    #: None where the configuration allows plaintext.
    pair: KeyPair | None
    users: AuthFile
    warnings: Sequence[str]


def prepare(file: Path, name: str, now: float) -> Prepared:
    """
    The worker *name*, a key or a Name, of the configuration *file*, at the time *now*.

    Raises `ConfigurationRefused` with all that is wrong.
    """
    configuration = load(file)
    problems = configuration.problems
    worker = configuration.worker(name)
    users: AuthFile | None = None
    pair: KeyPair | None = None
    if worker is not None:
        worker.check()
        if worker.users_file is not None:
            users = _users(problems, worker.users_file)
        if worker.public_cert is not None and worker.public_key is not None:
            pair = read_pair(problems, worker.public_cert, worker.public_key, now)
    problems.refuse()
    assert worker is not None, "`Configuration.worker` has told that there is none"
    assert worker.listen_mail is not None, "`Worker.check` has seen to it"
    assert worker.store_root is not None, "`Worker.check` has seen to it"
    assert users is not None, "`Worker.check` has seen to it"
    [subnet] = worker.peers
    if worker.peers[subnet]:
        problems.warn(
            file,
            worker.table.key("Peers"),
            "there is no replication yet: the other replicas will not see this mail",
        )
    return Prepared(
        worker,
        configuration.imap,
        worker.listen_mail,
        worker.store_root,
        subnet,
        pair,
        users,
        tuple(problems.warnings),
    )


def _users(problems: Problems, settings: UsersFile) -> AuthFile:
    users = AuthFile(settings.file, settings.separator)
    try:
        users.load()
    except UsersRefused as refused:
        problems.unusable(settings.file, refused.problems)
        return users
    in_the_clear = users.users.in_the_clear
    if in_the_clear:
        problems.warnings.append(
            f"{settings.file}: {in_the_clear} of {len(users.users.in_order)} passwords are in the "
            "clear: keep hashes instead"
        )
    return users
