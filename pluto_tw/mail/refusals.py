# SPDX-License-Identifier: GPL-3.0-or-later
"""How often it is worth a line in the log that a connection was refused."""

from collections.abc import Callable
from typing import Final

#: A refusal is logged once in this time for the same address and the same kind of reason: who is
#: refused comes again every few seconds, and an operator needs to be told once.
REFUSAL_SECONDS: Final = 60.0
#: Lines about refusals in that time, whoever is refused. Clusters have at most some 30 nodes; what
#: is above is a scan of the port, and no line more would tell more of it.
REFUSALS_MAX: Final = 64


class Refusals:
    """Which refusals were logged lately; *seconds* is a clock that never goes back."""

    def __init__(self, seconds: Callable[[], float]) -> None:
        self._seconds = seconds
        #: By address and reason, the oldest first: when it was logged, and how many were not since.
        self._told: dict[tuple[str, str], tuple[float, int]] = {}

    def tell(self, address: str, reason: str) -> int | None:
        """
        How often the same was refused without a line since the last line; None for no line now.

        *reason* is one of few: a peer must not be able to choose it.
        """
        now, key = self._seconds(), (address, reason)
        told = self._told.get(key)
        if told is not None:
            since, silent = told
            if now - since < REFUSAL_SECONDS:
                self._told[key] = (since, silent + 1)
                return None
            del self._told[key]
        while self._told:
            oldest = next(iter(self._told))
            if now - self._told[oldest][0] < REFUSAL_SECONDS:
                break
            del self._told[oldest]
        if len(self._told) >= REFUSALS_MAX:
            return None
        self._told[key] = (now, 0)
        return 0 if told is None else told[1]
