# SPDX-License-Identifier: GPL-3.0-or-later
"""
Logins and waiting sessions through a distributor: `python -m benchmarks.through_distributor`.

A distributor and a worker run as processes of `twistd`, on loopback, once joined by a UNIX socket
and once by mutual TLS. In the first case the worker lets clients in directly too, which is the
yardstick. Clients are threads of this process, on the same cores.

- A login is all from the TCP connection over TLS, LOGIN and its answer to the answer of SELECT.
  Passwords are kept as {SSHA512}, whose check takes microseconds; what {ARGON2ID} makes of the
  first login of a user is a figure of its own, later ones are known for a while.
- A waiting session has selected its INBOX and idles; each user has ten, as mail programs do. What
  it takes is the growth of the resident memory of the processes concerned.
"""

import base64
import hashlib
import resource
import secrets
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from benchmarks.__main__ import table
from benchmarks.measure import Figure
from pluto_tw.auth.passwords import hash_password
from tests.support.certificate import self_signed
from tests.support.nodes import Authority

LOGINS: Final = 400
AT_A_TIME: Final = 32
SESSIONS: Final = 1000
SESSIONS_OF_A_USER: Final = 10
USERS: Final = SESSIONS // SESSIONS_OF_A_USER
#: Users whose passwords are kept as {ARGON2ID}; each logs in once.
ARGON2_USERS: Final = 20

#: "memory of 1,000 idle TLS sessions through the distributor at most 70 KiB each over both
#: processes where they share a machine".
SESSION_KIB_MAX: Final = 70.0

#: No step takes as long on a busy machine.
SECONDS_MAX: Final = 30.0

PASSWORD: Final = b"secret"

CONFIGURATION: Final = """\
RootCertLoc = "root.pem"

[IMAP]
UnlimitedNetworks = ["127.0.0.0/8"]

[Distributor]
Name = "distributor"
ListenMailAddr = "127.0.0.1:{distributor}"
PublicCertLoc = "public.pem"
PublicKeyLoc = "public.key"
InternalCertLoc = "distributor.pem"
InternalKeyLoc = "distributor.key"
AuthAdapter = "AuthFile"

    [Distributor.AuthFile]
    File = "users.txt"

[Workers.worker]
Name = "worker"
PublicMailAddr = "127.0.0.1:{worker}"
ListenMailAddr = "127.0.0.1:{worker}"
StoreRoot = "mail"
CertLoc = "worker.pem"
KeyLoc = "worker.key"
{more}
    [Workers.worker.Peers.subnet-1]
"""

#: What lets clients in at the worker, and the distributor by a socket.
SHARED: Final = """\
MailSocket = "mail.sock"
PublicCertLoc = "public.pem"
PublicKeyLoc = "public.key"
AuthAdapter = "AuthFile"

    [Workers.worker.AuthFile]
    File = "users.txt"
"""


@dataclass(frozen=True, slots=True)
class Cluster:
    """The ports of a distributor and of its worker, and the numbers of their processes."""

    distributor: int
    worker: int
    processes: tuple[int, int]


def main() -> int:
    """Prints the figures; 1 if a bound is missed."""
    descriptors()
    measured = [*by_socket(), *by_tls(), *memory()]
    print("\n".join(table(measured)))
    return 1 if any(figure.missed for figure in measured) else 0


def by_socket() -> Iterator[Figure]:
    """Logins where both share a machine, beside those at the worker alone."""
    with cluster(SHARED) as running:
        through, direct = running.distributor, running.worker
        yield from logins("UNIX socket", through, direct)
        first = [_seconds(through, USERS + user) for user in range(ARGON2_USERS)]
        name = "first login of a user, {ARGON2ID}, UNIX socket"
        yield Figure(name, statistics.median(first) * 1e3, "ms", None, "")


def by_tls() -> Iterator[Figure]:
    """Logins over mutual TLS."""
    with cluster("") as running:
        yield from logins("mutual TLS", running.distributor, None)


def memory() -> Iterator[Figure]:
    """
    Waiting sessions both ways, and at the worker alone; each in processes of its own, since what a
    process has freed before would be used again and not be seen.
    """
    with cluster(SHARED) as running:
        alone = kib_a_session(running.worker, running.processes[1:])
    for way, more, bound in (("UNIX socket", SHARED, SESSION_KIB_MAX), ("mutual TLS", "", None)):
        with cluster(more) as running:
            kib = kib_a_session(running.distributor, running.processes)
        yield Figure(
            *(f"waiting session, {way}", kib, "KiB", bound), f"at the worker: {alone:.1f} KiB"
        )


def logins(way: str, through: int, direct: int | None) -> Iterator[Figure]:
    """What a login through the distributor takes, beside one at the worker where there is that."""
    for user in range(USERS):
        # Accounts are made at their first login.
        _seconds(through, user)
    ours = [_seconds(through, user % USERS) for user in range(LOGINS)]
    alone = [] if direct is None else [_seconds(direct, user % USERS) for user in range(LOGINS)]
    for what, of in (("p50", statistics.median), ("p99", _high)):
        against = f"at the worker: {of(alone) * 1e3:.1f} ms" if alone else ""
        yield Figure(f"login to SELECT, {what}, {way}", of(ours) * 1e3, "ms", None, against)
    for at_a_time in (1, AT_A_TIME):
        against = "" if direct is None else f"at the worker: {_rate(direct, at_a_time):.0f}/s"
        name = f"time of a login, {at_a_time} at a time, {way}"
        rate = _rate(through, at_a_time)
        yield Figure(name, 1e3 / rate, "ms", None, f"{rate:.0f}/s; {against}".strip("; "))


def _high(values: Sequence[float]) -> float:
    return statistics.quantiles(values, n=100)[98]


def _rate(port: int, at_a_time: int) -> float:
    """Logins a second."""
    with ThreadPoolExecutor(at_a_time) as threads:
        begin = time.perf_counter()
        list(threads.map(partial(_seconds, port), (user % USERS for user in range(LOGINS))))
        return LOGINS / (time.perf_counter() - begin)


def _seconds(port: int, user: int) -> float:
    """How long a login takes."""
    begin = time.perf_counter()
    with _selected(port, user):
        return time.perf_counter() - begin


def kib_a_session(port: int, processes: Sequence[int]) -> float:
    """What a waiting session adds to the memory of *processes*."""
    with ExitStack() as clients:
        # One of each user first: an account is no session.
        for user in range(USERS):
            _idle(clients.enter_context(_selected(port, user)))
        before = _kib(processes)
        for user in range(SESSIONS):
            _idle(clients.enter_context(_selected(port, user % USERS)))
        # What the last ones have left to do is done.
        _PAUSE.wait(1.0)
        return (_kib(processes) - before) / SESSIONS


def _kib(processes: Sequence[int]) -> int:
    """The resident memory of *processes*."""
    pages = (Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1] for pid in processes)
    return sum(map(int, pages)) * resource.getpagesize() // 1024


# The client.

_TLS: Final = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
_TLS.check_hostname = False
_TLS.verify_mode = ssl.CERT_NONE

#: Never set.
_PAUSE: Final = threading.Event()


def _selected(port: int, user: int) -> ssl.SSLSocket:
    """A session of *user* that has selected its INBOX."""
    plain = socket.create_connection(("127.0.0.1", port), SECONDS_MAX)
    client = _TLS.wrap_socket(plain, server_hostname="localhost")
    _ask(client, b"a LOGIN user%d %b\r\n" % (user, PASSWORD), b"a OK ")
    _ask(client, b"b SELECT INBOX\r\n", b"b OK ")
    return client


def _idle(client: ssl.SSLSocket) -> None:
    _ask(client, b"c IDLE\r\n", b"+ ")


def _ask(client: ssl.SSLSocket, command: bytes, answer: bytes) -> None:
    client.sendall(command)
    received, first = b"\n", b"\n" + answer[:2]
    while first not in received or not received.endswith(b"\r\n"):
        more = client.recv(16384)
        assert more, received
        received += more
    assert b"\n" + answer in received, received


def descriptors() -> None:
    """Asks for all descriptors that the process may have."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


# The servers.


@contextmanager
def cluster(more: str) -> Iterator[Cluster]:
    """A worker and a distributor that run; *more* is the worker's configuration."""
    with ExitStack() as stack:
        # Names of sockets are short.
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        distributor, worker = _free_ports()
        text = CONFIGURATION.format(distributor=distributor, worker=worker, more=more)
        (directory / "config.toml").write_text(text, encoding="utf-8")
        (directory / "users.txt").write_text("".join(_users()), encoding="utf-8")
        _certify(directory)
        processes = []
        for command in (["pluto-worker", "--name", "worker"], ["pluto-distributor"]):
            process = _begin(directory, command)
            stack.callback(_end, process)
            processes.append(process.pid)
        _wait_for(partial(_seconds, distributor, 0))
        yield Cluster(distributor, worker, (processes[1], processes[0]))


def _begin(directory: Path, command: list[str]) -> "subprocess.Popen[bytes]":
    twistd = Path(sys.executable).with_name("twistd")
    words = [str(twistd), "-n", "--pidfile=", f"--logfile={command[0]}.log", *command]
    return subprocess.Popen([*words, "--config", "config.toml"], cwd=directory)


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    process.wait(SECONDS_MAX)


def _wait_for(attempt: Callable[[], object]) -> None:
    """Returns when *attempt* has worked once."""
    until = time.monotonic() + SECONDS_MAX
    while True:
        try:
            attempt()
            return
        except (OSError, AssertionError):
            if time.monotonic() > until:
                raise
            _PAUSE.wait(0.1)


def _free_ports() -> tuple[int, int]:
    with socket.socket() as one, socket.socket() as other:
        for each in (one, other):
            each.bind(("127.0.0.1", 0))
        return one.getsockname()[1], other.getsockname()[1]


def _users() -> Iterator[str]:
    for user in range(USERS):
        salt = secrets.token_bytes(8)
        digest = hashlib.sha512(PASSWORD + salt).digest()
        yield f"user{user};{{SSHA512}}{base64.b64encode(digest + salt).decode('ascii')}\n"
    for user in range(USERS, USERS + ARGON2_USERS):
        yield f"user{user};{hash_password(PASSWORD)}\n"


def _certify(directory: Path) -> None:
    """The certificates of both, and one for clients."""
    self_signed().save(directory, "public")
    authority = Authority()
    root = authority.certificate.public_bytes(Encoding.PEM)
    (directory / "root.pem").write_bytes(root)
    for role in ("distributor", "worker"):
        pair = authority.pair(role, role)
        certificate = pair.certificate.public_bytes(Encoding.PEM)
        key = pair.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (directory / f"{role}.pem").write_bytes(certificate)
        (directory / f"{role}.key").write_bytes(key)


if __name__ == "__main__":
    sys.exit(main())
