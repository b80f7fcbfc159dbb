# SPDX-License-Identifier: GPL-3.0-or-later
"""
Starts the nodes of the demo, starts them again when they die, and stops them all at the end.

A node is a process of `twistd` whose log goes to a file. It serves once its log says `ready`.
"""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, Final

from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.error import ProcessExitedAlready
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure

from pluto_tw.admin.demo.plan import Plan

#: A node that died is started again after this long, and twice as long each time that it dies
#: before it serves.
RESTART_SECONDS: Final = 0.5
RESTART_SECONDS_MAX: Final = 30.0

#: A node stops within half a minute by itself; then it is killed.
STOP_SECONDS_MAX: Final = 40.0

#: A line of a log, above which it is none of ours.
_LINE_OCTETS_MAX: Final = 1024 * 1024


class Node(ProcessProtocol):
    """The node *name* of *plan*; *served* is called each time that it begins to serve."""

    def __init__(
        self, reactor: Any, plan: Plan, name: str, restarts: bool, served: Callable[[str], None]
    ) -> None:
        self.name = name
        self._reactor = reactor
        self._plan = plan
        self._restarts = restarts
        self._served = served
        self._log: BinaryIO | None = None
        self._line = b""
        self._wait = RESTART_SECONDS
        self._again: Any = None
        self._ended: Deferred[None] | None = None
        self._is_killed = False
        self._starts_at_end = False
        self.is_up = False

    @property
    def pid(self) -> int | None:
        """Of its process, while there is one."""
        return None if self.transport is None else self.transport.pid

    def start(self) -> bool:
        """Starts it, unless it runs; whether it did not. One that is being killed ends first."""
        if self._again is not None:
            self._again.cancel()
            self._again = None
        if self.transport is not None:
            self._starts_at_end = self._is_killed
            return self._is_killed
        directory = self._plan.directory
        self._log = (directory / "log" / f"{self.name}.log").open("ab", buffering=0)
        twistd = str(Path(sys.executable).with_name("twistd"))
        program = [twistd, "-n", "--pidfile=", *self._plan.command(self.name)]
        arguments = [sys.executable, "-m", "pluto_tw.admin.demo.child", str(os.getpid()), *program]
        where = str(self._plan.config(self.name).parent)
        self._reactor.spawnProcess(self, sys.executable, arguments, dict(os.environ), where)
        self._pid_file.write_text(f"{self.pid}\n")
        return True

    def kill(self) -> bool:
        """Ends it as a power cut would; it stays down. False if it did not run."""
        self._stays_down()
        self._is_killed = self.transport is not None
        self._starts_at_end = False
        self._signal("KILL")
        return self._is_killed

    def stop(self) -> Deferred[None]:
        """Fires when it has ended."""
        self._stays_down()
        self._starts_at_end = False
        self._ended = Deferred()
        if self.transport is None:
            self._ended.callback(None)
            return self._ended
        self._signal("TERM")
        limit = self._reactor.callLater(STOP_SECONDS_MAX, self._signal, "KILL")
        return self._ended.addBoth(lambda _: limit.active() and limit.cancel())

    def allow_restarts(self, restarts: bool) -> None:
        """Whether it is started again when it dies."""
        self._restarts = restarts

    def _signal(self, name: str) -> None:
        try:
            if self.transport is not None:
                self.transport.signalProcess(name)
        except ProcessExitedAlready:
            return

    def _stays_down(self) -> None:
        self._restarts = False
        if self._again is not None:
            self._again.cancel()
            self._again = None

    # What Twisted calls.

    def outReceived(self, data: bytes) -> None:
        self._keep(data)
        *lines, self._line = (self._line + data).split(b"\n")
        self._line = self._line[-_LINE_OCTETS_MAX:]
        for line in lines:
            if _is_ready(line):
                self.is_up = True
                self._wait = RESTART_SECONDS
                self._served(self.name)

    def errReceived(self, data: bytes) -> None:
        self._keep(data)

    def processEnded(self, reason: Failure) -> None:
        self.transport = None
        self.is_up = False
        self._is_killed = False
        self._line = b""
        if self._log is not None:
            self._log.close()
            self._log = None
        self._pid_file.unlink(missing_ok=True)
        if self._ended is not None:
            self._ended.callback(None)
        elif self._starts_at_end:
            self._starts_at_end = False
            self.start()
        elif self._restarts:
            self._again = self._reactor.callLater(self._wait, self._start_again)
            self._wait = min(2 * self._wait, RESTART_SECONDS_MAX)

    def _start_again(self) -> None:
        self._again = None
        self.start()

    def _keep(self, data: bytes) -> None:
        if self._log is not None:
            self._log.write(data)

    @property
    def _pid_file(self) -> Path:
        return self._plan.directory / "run" / f"{self.name}.pid"


def _is_ready(line: bytes) -> bool:
    if b'"ready"' not in line:
        return False
    try:
        return bool(json.loads(line).get("event") == "ready")
    except (ValueError, AttributeError):
        return False


class Supervisor:
    """All nodes named in *names* of *plan*; *ready* is called once, when all of them serve."""

    def __init__(
        self,
        reactor: Any,
        plan: Plan,
        names: tuple[str, ...],
        restarts: bool,
        ready: Callable[[], None],
    ) -> None:
        self._restarts = restarts
        self._ready: Callable[[], None] | None = ready
        self.nodes = {name: Node(reactor, plan, name, restarts, self._served) for name in names}

    def start(self) -> None:
        """Starts all nodes."""
        for node in self.nodes.values():
            node.start()

    def revive(self, name: str) -> bool:
        """Starts a node, which is looked after again from then on. False if it runs."""
        self.nodes[name].allow_restarts(self._restarts)
        return self.nodes[name].start()

    def stop(self) -> "Deferred[Any]":
        """Fires when all have ended."""
        return DeferredList([node.stop() for node in self.nodes.values()])

    def _served(self, name: str) -> None:
        if self._ready is not None and all(node.is_up for node in self.nodes.values()):
            ready, self._ready = self._ready, None
            ready()
