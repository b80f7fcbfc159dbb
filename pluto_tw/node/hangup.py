# SPDX-License-Identifier: GPL-3.0-or-later
"""SIGHUP, which asks a running node to read its files again, and would end any other process."""

import signal
from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IReactorFromThreads


def watch_hangup(reactor: IReactorFromThreads, call: Callable[[], None]) -> Callable[[], None]:
    """
    Has *call* called on the reactor's thread at each SIGHUP; what is returned ends that.

    From then on SIGHUP is ignored, since one that comes during a stop must not cut it short.
    """

    def arrived(number: int, frame: Any) -> None:
        # Between any two instructions of the reactor's: it wakes up and calls when it can.
        reactor.callFromThread(call)

    signal.signal(signal.SIGHUP, arrived)

    def end() -> None:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    return end
