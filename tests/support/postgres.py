# SPDX-License-Identifier: GPL-3.0-or-later
"""
A PostgreSQL of one's own for a test: on a free port of 127.0.0.1, in a temporary directory.

Its programs are found where PATH or Debian has them. As PostgreSQL refuses to run as root, root
runs it as the system's user `postgres`, or as `nobody`.
"""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

#: How long any of its programs may take.
SECONDS_MAX = 60


def programs() -> Path | None:
    """The directory of `initdb` and `pg_ctl`; None if there is no PostgreSQL here."""
    found = shutil.which("pg_ctl")
    if found is not None:
        return Path(found).resolve().parent
    places = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"))
    return places[-1].parent if places else None


class Postgres:
    """Started by `start`; `remove` ends it and deletes all of it."""

    def __init__(self, where: Path) -> None:
        self._programs = where
        # Short, as it has a UNIX socket in it.
        self._directory = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self._user = _user()
        if self._user is not None:
            os.chown(self._directory, self._user.pw_uid, self._user.pw_gid)

    def start(self, *, first: bool = False) -> None:
        """Starts the server; *first* makes its database before. Returns when it answers."""
        data = self._directory / "data"
        if first:
            password = self._directory / "password"
            password.write_text("secret\n")
            password.chmod(0o644)
            self._run(
                *("initdb", "-D", str(data), "-U", "pluto", "--pwfile", str(password)),
                *("-A", "scram-sha-256", "-E", "UTF8", "--locale", "C", "--no-sync"),
            )
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -k {self._directory} -c fsync=off"
        log = str(self._directory / "log")
        self._run("pg_ctl", "start", "-w", "-D", str(data), "-l", log, "-o", options)

    def stop(self) -> None:
        """Ends it, connections and all."""
        self._run("pg_ctl", "stop", "-w", "-m", "immediate", "-D", str(self._directory / "data"))

    def remove(self) -> None:
        """Stops it if it runs, and deletes its files."""
        if (self._directory / "data" / "postmaster.pid").exists():
            self.stop()
        shutil.rmtree(self._directory)

    def _run(self, program: str, *arguments: str) -> None:
        identity = {}
        if self._user is not None:
            identity = {"user": self._user.pw_uid, "group": self._user.pw_gid, "extra_groups": []}
        subprocess.run(
            [self._programs / program, *arguments],
            cwd=self._directory,
            env={"PATH": os.environ["PATH"], "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=True,
            timeout=SECONDS_MAX,
            **identity,  # type: ignore[call-overload]
        )


def _user() -> pwd.struct_passwd | None:
    """Whom to run it as; None: as ourselves."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise LookupError("there is neither a user postgres nor nobody to run PostgreSQL as")
