# SPDX-License-Identifier: GPL-3.0-or-later
"""
A worker as operators run it: a process of `twistd`, with files of its own, SQLite inside.

Nothing is waited for by time: READY comes through the notify socket, all else is an event of the
log. Every wait has a limit.
"""

import json
import os
import queue
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

from tests.support.certificate import self_signed

#: No step of a process on the same machine takes as long, also when the machine is busy.
PROCESS_SECONDS_MAX = 60.0

CONFIGURATION = """\
[Workers.worker-1]
Name = "eu-worker-1"
ListenMailAddr = "127.0.0.1:0"
StoreRoot = "mail"
Shards = 2
AuthAdapter = "AuthFile"
PublicCertLoc = "public.pem"
PublicKeyLoc = "public.key"

    [Workers.worker-1.AuthFile]
    File = "users.txt"
    Separator = ";"

    [Workers.worker-1.Peers.subnet-1]
"""

USERS = "user1;secret1\nuser2;secret2\n"

Event = dict[str, Any]


class Worker:
    """The files of a worker in *directory*, and its process while it runs."""

    def __init__(self, directory: Path, *, renew: bool = True) -> None:
        self.directory = directory.absolute()
        self.directory.mkdir(parents=True, exist_ok=True)
        self.config = self.directory / "config.toml"
        self.config.write_text(CONFIGURATION, encoding="utf-8")
        self.users = self.directory / "users.txt"
        self.users.write_text(USERS, encoding="utf-8")
        if renew:
            self.renew_certificate()
        self.port = 0
        self._process: subprocess.Popen[str] | None = None
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._errors: list[str] = []

    def renew_certificate(self) -> None:
        """A new pair in the files; `client_tls` trusts it and no other."""
        pair = self_signed()
        pair.save(self.directory, "public")
        self.client_tls = ssl.create_default_context(cadata=pair.certificate.decode("ascii"))

    def begin(
        self,
        *options: str,
        reactor: str = "epoll",
        notify: str = "",
        logfile: str = "",
        command: str = "pluto-worker",
    ) -> None:
        """Starts the process; its log is read as it comes, unless it goes to *logfile*."""
        twistd = Path(sys.executable).with_name("twistd")
        words = [str(twistd), "-n", "--pidfile=", f"--reactor={reactor}"]
        words += [f"--logfile={logfile}"] if logfile else []
        given = ["--config", str(self.config)]
        given += ["--name", "worker-1"] if command == "pluto-worker" else []
        process = subprocess.Popen(
            [*words, command, *given, *options],
            cwd=self.directory,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "NOTIFY_SOCKET": notify},
        )
        self._process = process
        self._lines = queue.SimpleQueue()
        self._errors = []
        for read in (self._read_log, self._read_errors):
            threading.Thread(target=read, args=(process,), daemon=True).start()

    def start(self, *options: str, reactor: str = "epoll", logfile: str = "") -> Event:
        """
        Starts it, and returns its event `ready` after it has told the service manager.

        With *logfile* there are no events to be had.
        """
        with (
            # Names of sockets are short, and the tests' own directories are not.
            tempfile.TemporaryDirectory() as directory,
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener,
        ):
            address = str(Path(directory, "notify"))
            listener.bind(address)
            listener.settimeout(PROCESS_SECONDS_MAX)
            self.begin(*options, reactor=reactor, notify=address, logfile=logfile)
            ready = {"listening": ":0"} if logfile else self.event("ready")
            told = listener.recv(100)
            assert told == b"READY=1", told
        self.port = int(ready["listening"].rpartition(":")[2])
        return ready

    def event(self, name: str) -> Event:
        """The next event *name* of the log; those before it are dropped."""
        while True:
            line = self._lines.get(timeout=PROCESS_SECONDS_MAX)
            assert line is not None, f"it ended without {name}: {''.join(self._errors)}"
            event: Event = json.loads(line)
            assert event["level"] != "critical" or event["event"] == name, event
            if event.get("event") == name:
                return event

    def hang_up(self) -> None:
        """SIGHUP: reload."""
        self._the_process.send_signal(signal.SIGHUP)

    def kill(self) -> None:
        """SIGKILL: what is not on the disk is lost."""
        self._the_process.kill()
        self._ended()

    def stop(self) -> None:
        """SIGTERM, to the end, which must be orderly. Clients that stay make it wait."""
        self.terminate()
        self.stopped()

    def terminate(self) -> None:
        """SIGTERM: an orderly stop begins."""
        self._the_process.terminate()

    def stopped(self) -> None:
        """Returns at the end of the stop, which was orderly."""
        # `twistd` ends by the signal that it was sent, after all is in order.
        status = self._ended()
        assert status in (0, -signal.SIGTERM), status

    def refusal(self) -> tuple[int, str]:
        """The status and the standard error of a process that ends by itself."""
        status = self._ended()
        return status, "".join(self._errors)

    def end(self) -> None:
        """Leaves nothing behind, whatever the test did."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._ended()

    @property
    def _the_process(self) -> subprocess.Popen[str]:
        assert self._process is not None, "it was not started"
        return self._process

    def _ended(self) -> int:
        return self._the_process.wait(PROCESS_SECONDS_MAX)

    def _read_log(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None, "it is a pipe"
        lines = self._lines
        with process.stdout as log:
            for line in log:
                lines.put(line)
        lines.put(None)

    def _read_errors(self, process: subprocess.Popen[str]) -> None:
        assert process.stderr is not None, "it is a pipe"
        errors = self._errors
        with process.stderr as log:
            errors.extend(log)
