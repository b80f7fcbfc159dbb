# SPDX-License-Identifier: GPL-3.0-or-later
"""
What is in memory although nobody uses it now: mailboxes of all accounts of a node, in one budget.

Clients select one mailbox after the other and come back a minute later; what they find loaded costs
nothing. What was used longest ago goes first.
"""

from collections.abc import Callable, Hashable
from typing import Final

#: Octets of all columns that nobody has open: 800,000 messages.
IDLE_OCTETS_MAX: Final = 64 * 1024 * 1024


class IdleCache:
    """Keeps up to *octets_max* octets."""

    def __init__(self, octets_max: int = IDLE_OCTETS_MAX) -> None:
        self._octets_max = octets_max
        self._idle: dict[Hashable, tuple[int, Callable[[], None]]] = {}
        #: Octets of what is idle.
        self.octets = 0

    def rest(self, what: Hashable, octets: int, unload: Callable[[], None]) -> None:
        """Nobody uses *what* any more; *unload* is called when there is no room for it."""
        self.use(what)
        self._idle[what] = octets, unload
        self.octets += octets
        while self.octets > self._octets_max:
            oldest = next(iter(self._idle))
            size, unload_oldest = self._idle.pop(oldest)
            self.octets -= size
            unload_oldest()

    def use(self, what: Hashable) -> None:
        """Somebody uses *what* now, or it is gone."""
        found = self._idle.pop(what, None)
        if found is not None:
            self.octets -= found[0]
