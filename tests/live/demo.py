# SPDX-License-Identifier: GPL-3.0-or-later
"""
The demo as its users have it: `pluto demo run` as a process, with all its nodes, and mail programs.

Nothing is waited for by time: what is waited for is asked again until it is so, within a limit.
"""

import atexit
import contextlib
import json
import os
import random
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path

from imapclient import IMAPClient
from imapclient.exceptions import IMAPClientError
from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.admin.demo.plan import MAIL_OFFSETS, Plan
from tests.live.server import CLIENT_SECONDS_MAX

#: Each thing that is waited for, on a busy machine.
SECONDS_MAX = 60.0

#: Below the ports that the kernel gives to those who ask for any, which other tests do.
_BASES = range(10_000, 28_000, 100)

PLUTO = str(Path(sys.executable).with_name("pluto"))

#: The ports of implicit TLS, from the base.
TLS = {region: offsets[0] for region, offsets in MAIL_OFFSETS.items()}

REGIONS = tuple(TLS)


class Demo:
    """A demo in a directory of its own, which runs from `begin` to `end`."""

    def __init__(self, **environment: str) -> None:
        self._files = tempfile.TemporaryDirectory()
        self.directory = Path(self._files.name)
        self.base = _free_base(self.directory)
        self.environment = {
            **os.environ,
            "DEMO_DIR": self._files.name,
            "DEMO_PORT_BASE": str(self.base),
            **environment,
        }
        self.tls = ssl.create_default_context()
        self.tls.check_hostname = False
        self.tls.verify_mode = ssl.CERT_NONE
        self._process: subprocess.Popen[str] | None = None

    def begin(self, *command: str) -> str:
        """Starts it, and returns the line that says that it is ready."""
        # So that it ends with the tests, also where these are killed.
        child = [sys.executable, "-m", "pluto_tw.admin.demo.child", str(os.getpid())]
        process = subprocess.Popen(
            [*child, *(command or (PLUTO, "demo", "run"))],
            env=self.environment,
            stdout=subprocess.PIPE,
            text=True,
            # A group of its own, as a shell gives it: Ctrl-C goes to all of it.
            process_group=0,
        )
        self._process = process
        assert process.stdout is not None, "it is a pipe"
        limit = threading.Timer(SECONDS_MAX, process.kill)
        limit.start()
        try:
            for line in process.stdout:
                if line.startswith("pluto: ready"):
                    return line
        finally:
            limit.cancel()
        raise AssertionError(f"it ended with {process.wait()}")

    def end(self, number: int = signal.SIGTERM, *, group: bool = False) -> int:
        """Stops it by a signal, to its process or its whole group; its status."""
        process = self._process
        if process is None:
            return 0
        self._process = None
        if group:
            os.killpg(process.pid, number)
        else:
            process.send_signal(number)
        status = process.wait(SECONDS_MAX)
        assert process.stdout is not None, "it is a pipe"
        process.stdout.close()
        return status

    def clean_up(self) -> None:
        """Ends it, if it runs, and removes its files."""
        self.end()
        self._files.cleanup()

    def pluto(self, *words: str) -> str:
        """What `pluto` answers to *words*, which it understands."""
        done = self.try_pluto(*words)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def try_pluto(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """What becomes of `pluto` with *words*."""
        return subprocess.run(
            [PLUTO, *words],
            env=self.environment,
            capture_output=True,
            check=False,
            text=True,
            timeout=SECONDS_MAX,
        )

    def pid(self, node: str) -> int:
        """Of the process of *node*."""
        return int((self.directory / "run" / f"{node}.pid").read_text())

    def crash(self, node: str) -> None:
        """`kill -9`, of which the supervisor hears only afterwards."""
        os.kill(self.pid(node), signal.SIGKILL)

    def serves(self, node: str) -> bool:
        """Whether *node* is up, as the supervisor sees it."""
        return f"{node}: serves" in self.pluto("demo", "status").splitlines()

    def connect(self, region: str) -> IMAPClient:
        """A connection to *region*, before the login. Raises OSError if it has no distributor."""
        return IMAPClient(
            *("127.0.0.1", self.base + TLS[region]),
            ssl_context=self.tls,
            timeout=CLIENT_SECONDS_MAX,
        )

    def client(self, region: str, user: str = "user1") -> IMAPClient:
        """A session at *region* with INBOX selected; tries until that is possible."""
        until = time.monotonic() + SECONDS_MAX
        while True:
            with contextlib.suppress(IMAPClientError, OSError):
                client = self.connect(region)
                try:
                    client.login(user, user.replace("user", "secret"))
                    client.select_folder("INBOX")
                except (IMAPClientError, OSError):
                    close(client)
                    raise
                return client
            assert time.monotonic() < until, f"no session at {region}"


class DemoCase(SynchronousTestCase):
    """
    Tests on a demo that all such cases share, since its start takes longer than most of them.

    Each test has users of its own, and leaves all nodes running and all links whole.
    """

    demo: Demo

    @classmethod
    def setUpClass(cls) -> None:
        cls.demo = _shared()

    def client(self, region: str, user: str) -> IMAPClient:
        """A session at *region*, which ends with the test."""
        client = self.demo.client(region, user)
        self.addCleanup(close, client)
        return client

    def wait_until_equal(self, user: str) -> None:
        """Until all replicas say the same of the account of *user*."""
        wait_until(lambda: len(set(digests(self.demo, user).values())) == 1, "replicas differ")


@cache
def _shared() -> Demo:
    demo = Demo()
    atexit.register(demo.clean_up)
    demo.begin()
    return demo


def close(client: IMAPClient) -> None:
    """Ends *client*'s connection, however it is."""
    with contextlib.suppress(OSError, IMAPClientError):
        client.shutdown()


def wait_until(is_so: Callable[[], object], what: str, seconds: float = SECONDS_MAX) -> None:
    """Asks until *is_so*; AssertionError with *what* and the last answer after *seconds*."""
    until = time.monotonic() + seconds
    while not (answer := is_so()):
        assert time.monotonic() < until, f"{what}: {answer}"


def digests(demo: Demo, user: str) -> dict[str, str]:
    """What each replica says of *user*'s account: equal texts are equal accounts."""
    stores = {"eu-worker-1": "eu", "us-worker-1": "us", "storage": "storage"}
    question = json.dumps({"ask": "digest", "key": user}).encode() + b"\n"
    found = {}
    for name, place in stores.items():
        with socket.socket(socket.AF_UNIX) as asking:
            asking.settimeout(CLIENT_SECONDS_MAX)
            asking.connect(str(demo.directory / place / "mail" / "admin"))
            asking.sendall(question)
            with asking.makefile() as answers:
                answer = json.loads(answers.readline())
        ok = answer["ok"]
        found[name] = f"{ok['vector']} {ok['outstanding']} {ok['digest']}"
    return found


def _free_base(directory: Path) -> int:
    """A base whose ports nobody has now; chosen by chance, since others choose meanwhile."""
    for base in random.sample(_BASES, len(_BASES)):
        if all(_is_free(port) for port in Plan(directory, base).ports()):
            return base
    raise AssertionError("no ports are free")


def _is_free(port: int) -> bool:
    with socket.socket() as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
