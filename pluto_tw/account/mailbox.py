# SPDX-License-Identifier: GPL-3.0-or-later
"""
A mailbox in memory, shared by the sessions that have it selected: columns, log, who listens.

It shows what is durable and told, never what is staged. Between calls holds:

- `columns` with what is hidden in them left out is what the log up to now has built.
- What vanished stays in the columns, and its placement pinned, until every session that has the
  mailbox open has been told.
- After an `Ended` nothing changes any more; another `Mailbox` may stand for the same key then.
"""

from collections import deque
from collections.abc import Callable, Hashable, Iterable, MutableMapping, Sequence
from dataclasses import dataclass

from pluto_tw.account.bugs import attempt
from pluto_tw.account.columns import Columns, Entry
from pluto_tw.account.log import Log
from pluto_tw.account.rows import flag_columns
from pluto_tw.crdt.records import Placement
from pluto_tw.mail.changes import Change, Ended, Exposed, Touched, Vanished
from pluto_tw.mail.sets import NumberSet
from pluto_tw.mail.uids import ModSeq, Uid, UidValidity
from pluto_tw.mail.waiting import Waiting


@dataclass(eq=False, slots=True)
class Listener:
    """A session that has the mailbox open, and the position that its view is at."""

    wake: Callable[[], None]
    told: int


class Mailbox:
    """The mailbox of *key* as it was loaded."""

    def __init__(
        self,
        key: int,
        uid_validity: UidValidity,
        columns: Columns,
        log: Log,
        uid_next: int,
        highest_modseq: int,
    ) -> None:
        self.key = key
        self.uid_validity = uid_validity
        self.columns = columns
        self.log = log
        self.uid_next = Uid(uid_next)
        self.highest_modseq = ModSeq(highest_modseq)
        self.derived: MutableMapping[Hashable, object] = {}
        self.listeners: list[Listener] = []
        #: Placements that vanished and that a session still shows.
        self.pinned: dict[bytes, int] = {}
        #: Where in the log each hidden UID vanished.
        self.gone_at: dict[int, int] = {}
        self._gone: deque[tuple[int, list[int]]] = deque()
        #: UIDs that messages had before, by the number of the message, while a session shows them.
        self._aliases: dict[int, list[int]] = {}

    def listen(self, wake: Callable[[], None]) -> Listener:
        """A session opens the mailbox and is told all that was until now."""
        listener = Listener(wake, self.log.position)
        self.listeners.append(listener)
        return listener

    def leave(self, listener: Listener) -> None:
        """The session shows nothing of it any more."""
        self.listeners.remove(listener)
        self.let_go()

    def tell(self, changes: Sequence[Change], shown: Iterable[Placement]) -> bool:
        """
        Takes over one event that is durable; whether the log has grown.

        *shown* are the placements that it changed and that are exposed here after it.
        """
        if self.log.is_ended:
            return False
        for change in changes:
            if isinstance(change, Ended):
                self.log.append(change)
                return True
        before = self.log.position
        exposed: list[Change] = []
        for change in changes:
            if isinstance(change, Vanished):
                self._vanish(change)
            else:
                exposed.append(change)
        self._show(shown)
        for change in exposed:
            assert isinstance(change, Exposed | Touched)
            self.log.append(change)
        return self.log.position > before

    def end(self, reason: str) -> None:
        """What it shows is not to be relied on any more: sessions are to leave, for *reason*."""
        if not self.log.is_ended:
            self.log.append(Ended(reason))

    def _vanish(self, change: Vanished) -> None:
        hidden = self.columns.hide(change.uids)
        if not hidden:
            return
        self.log.append(Vanished(change.modseq, NumberSet.from_sorted(hidden)))
        if not self.listeners:
            self.columns.drop(hidden)
            return
        position = self.log.position
        self._gone.append((position, hidden))
        for uid, pid, row in zip(
            hidden, self.columns.pids(hidden), self.columns.rows(hidden), strict=True
        ):
            self.gone_at[uid] = position
            self.pinned[pid] = self.pinned.get(pid, 0) + 1
            self._aliases.setdefault(row, []).append(uid)

    def _show(self, shown: Iterable[Placement]) -> None:
        for placement in sorted(shown, key=_uid):
            entry = entry_of(placement)
            self.columns.put(entry)
            # A session that still shows it under an older UID shows its flags as they are.
            for uid in self._aliases.get(placement.row, ()):
                self.columns.put(entry._replace(uid=uid))

    def show_view(self, uid_next: int, highest_modseq: int) -> None:
        """The newest UIDNEXT and HIGHESTMODSEQ, after `tell`."""
        if not self.log.is_ended:
            self.uid_next = Uid(uid_next)
            self.highest_modseq = ModSeq(max(highest_modseq, self.highest_modseq))

    def wake(self, waiting: Waiting) -> None:
        """Wakes all sessions, some of which may leave, or make others leave."""
        for listener in list(self.listeners):
            if listener in self.listeners:
                attempt(waiting, listener.wake)

    def let_go(self) -> None:
        """Forgets what vanished before the place that every session has been told of."""
        told = min((listener.told for listener in self.listeners), default=self.log.position)
        while self._gone and self._gone[0][0] <= told:
            _, uids = self._gone.popleft()
            for uid, pid, row in zip(
                uids, self.columns.pids(uids), self.columns.rows(uids), strict=True
            ):
                del self.gone_at[uid]
                _unpin(self.pinned, pid)
                aliases = self._aliases[row]
                aliases.remove(uid)
                if not aliases:
                    del self._aliases[row]
            self.columns.drop(uids)


def entry_of(placement: Placement) -> Entry:
    """What the columns have of *placement*, which is exposed."""
    bits, keywords = flag_columns(placement.entries)
    return Entry(
        placement.uid,
        placement.row,
        placement.box,
        bits,
        keywords,
        placement.msq,
        placement.size,
        placement.date,
        placement.zone,
        0,
        placement.pid,
        placement.email,
    )


def _uid(placement: Placement) -> int:
    return placement.uid


def _unpin(pinned: dict[bytes, int], pid: bytes) -> None:
    if pinned[pid] > 1:
        pinned[pid] -= 1
    else:
        del pinned[pid]
