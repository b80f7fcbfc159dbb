# SPDX-License-Identifier: GPL-3.0-or-later
"""
Certificates that are about to expire, told in the log in advance: a month, a week and a day before,
and at the end.

What is watched are those that the process uses, which change at a reload.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from twisted.internet.task import LoopingCall
from twisted.logger import Logger

log = Logger()

#: How often the clock is looked at: a day's notice is an hour late at most.
LOOK_SECONDS: Final = 3600.0

#: Programs that renew certificates do so a month before the end, and have failed by then.
DAYS_BEFORE: Final = (30, 7, 1, 0)

_DAY_SECONDS: Final = 24 * 3600.0


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate in use; *not_after* in POSIX seconds."""

    file: Path
    not_after: float


class Expiry:
    """
    Looks at the *certificates* of a process from `start` to `stop`, by *reactor*.

    *now* tells the time of day in POSIX seconds. Each notice is given once.
    """

    def __init__(
        self,
        reactor: Any,
        now: Callable[[], float],
        certificates: Callable[[], Sequence[Certificate]],
    ) -> None:
        self._now = now
        self._certificates = certificates
        #: The last notice given of each, in days.
        self._told: dict[Certificate, int] = {}
        self._call = LoopingCall(self.look)
        self._call.clock = reactor

    def start(self) -> None:
        """Looks at once, and then every `LOOK_SECONDS`."""
        self._call.start(LOOK_SECONDS)

    def stop(self) -> None:
        """Harmless if it has not begun."""
        if self._call.running:
            self._call.stop()

    def look(self) -> None:
        """Gives the notices that are due."""
        certificates = self._certificates()
        self._told = {one: days for one, days in self._told.items() if one in certificates}
        for certificate in certificates:
            left = certificate.not_after - self._now()
            due = [days for days in DAYS_BEFORE if left <= days * _DAY_SECONDS]
            if due and self._told.get(certificate) != due[-1]:
                self._told[certificate] = due[-1]
                _tell(certificate, left)


def _tell(certificate: Certificate, left: float) -> None:
    end = datetime.fromtimestamp(certificate.not_after, UTC)
    emit = log.error if left <= _DAY_SECONDS else log.warn
    emit(
        "{file} {verb} at {end}: renew it, then reload",
        event="certificate-expiry",
        file=str(certificate.file),
        verb="has expired" if left <= 0 else "expires",
        end=f"{end:%Y-%m-%d %H:%M} UTC",
        days=round(left / _DAY_SECONDS, 1),
    )
