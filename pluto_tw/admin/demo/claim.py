# SPDX-License-Identifier: GPL-3.0-or-later
"""
What a demo needs for itself before it makes anything: its directory and its ports.

Decides that nobody else has them, and tells who does where that is known. The claim on the
directory is a lock that ends with the process, however that ends.
"""

import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from pluto_tw.admin.demo.plan import Plan
from pluto_tw.admin.failures import CommandFailed

LOCK: Final = Path("run", "lock")


@contextmanager
def claim(directory: Path) -> Iterator[None]:
    """Makes *directory* the caller's own. Raises `CommandFailed` if another demo runs in it."""
    path = directory / LOCK
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Not kept open over `exec`: nodes that outlive their supervisor for a moment hold nothing.
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise CommandFailed(f"{error.filename}: {error.strerror}") from None
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.pread(lock, 32, 0).decode("ascii", "replace").strip() or "unknown"
            raise CommandFailed(
                f"{directory}: a demo runs here already (process {owner}): `pluto demo status` "
                "tells of it; for a second one choose both: DEMO_DIR=demo2 DEMO_PORT_BASE=20000 "
                "make run"
            ) from None
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()}\n".encode("ascii"), 0)
        yield
    finally:
        os.close(lock)


def check_ports(plan: Plan) -> None:
    """Raises `CommandFailed` if somebody listens on one of the ports of *plan*; names it."""
    for port, purpose in plan.ports().items():
        with socket.socket() as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                tried.bind(("127.0.0.1", port))
            except OSError as error:
                raise CommandFailed(
                    f"port {port} ({purpose}): {error.strerror}: end what has it "
                    f"(`ss -ltnp sport = {port}` names it), or choose other ports: "
                    "DEMO_PORT_BASE=20000 make run"
                ) from None
