# SPDX-License-Identifier: GPL-3.0-or-later
"""
What a service manager is told of this process, and asks of it: sd_notify(3), as systemd defines it.

`READY=1` when everything listens, `RELOADING=1` and again `READY=1` around a reload, `STOPPING=1`;
in between, `WATCHDOG=1` as often as the manager wants to hear that the reactor still turns.
"""

import os
import socket
import time
from collections.abc import Mapping
from typing import Any

from twisted.internet.task import LoopingCall


def notify(state: str) -> None:
    """
    Tells *state*, such as `READY=1`, to who asked for it by `NOTIFY_SOCKET`; else nothing.

    A manager that does not listen is no reason to end.
    """
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    # A name in the abstract namespace is written with "@" in front, and has a NUL there.
    address = "\0" + address[1:] if address.startswith("@") else address
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
        # A manager whose queue is full is told the next time; nobody waits for it.
        sender.setblocking(False)
        try:
            sender.connect(address)
            sender.sendall(state.encode("utf-8"))
        except OSError:
            return


def reloading() -> str:
    """That a reload begins now; sd_notify(3) wants to know since when."""
    return f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}"


def watchdog_seconds(environment: Mapping[str, str], process: int) -> float | None:
    """
    How often the manager wants to hear from *process*, twice in its limit; None: not at all.

    sd_watchdog_enabled(3).
    """
    limit = environment.get("WATCHDOG_USEC", "")
    wanted = environment.get("WATCHDOG_PID") or str(process)
    if not (limit.isascii() and limit.isdecimal()) or int(limit) == 0 or wanted != str(process):
        return None
    return int(limit) / 1_000_000 / 2


class Watchdog:
    """Tells the manager every *seconds* that *reactor* turns; None: never."""

    def __init__(self, reactor: Any, seconds: float | None) -> None:
        self._seconds = seconds
        self._call = LoopingCall(lambda: notify("WATCHDOG=1"))
        self._call.clock = reactor

    def start(self) -> None:
        """Begins, with one at once."""
        if self._seconds is not None:
            self._call.start(self._seconds)

    def stop(self) -> None:
        """Ends; harmless if it has not begun."""
        if self._call.running:
            self._call.stop()
