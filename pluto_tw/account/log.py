# SPDX-License-Identifier: GPL-3.0-or-later
"""
The log of a loaded mailbox: what its sessions are told of, in one order for all of them.

It lives as long as somebody has the mailbox open, so a position means nothing afterwards. It is
bounded: a session that is too far behind compares instead.
"""

from collections import deque
from collections.abc import Sequence
from itertools import islice
from typing import Final

from pluto_tw.mail.changes import Change, Ended

#: Changes kept: a session that may not be told of EXPUNGE for a while (it fetches a large message)
#: finds what it missed, and at some 200 octets each it costs less than comparing once.
CHANGES_MAX: Final = 1000


class Log:
    """Keeps the last *changes_max* changes, and always the very last one."""

    def __init__(self, changes_max: int = CHANGES_MAX) -> None:
        self._changes: deque[Change] = deque(maxlen=max(changes_max, 1))
        #: How many changes there were.
        self.position = 0
        self.is_ended = False

    def append(self, change: Change) -> None:
        """Nothing comes after an `Ended`."""
        assert not self.is_ended, "nothing follows an Ended"
        self._changes.append(change)
        self.position += 1
        self.is_ended = isinstance(change, Ended)

    def after(self, position: int) -> Sequence[Change] | None:
        """The changes from *position* on; None if the log does not reach back so far."""
        assert 0 <= position <= self.position
        start = len(self._changes) - (self.position - position)
        return None if start < 0 else list(islice(self._changes, start, None))
