# SPDX-License-Identifier: GPL-3.0-or-later
"""
Who belongs to the subnet, as this replica knows it now: one live object that all accounts ask.

The founding members are those of the node's identity; all that changed later is in the subnet's
own account (`subnet.py`), which calls `follow` after each of its commits. So the table is always
durable before anybody sees it. This file decides what the table means for this replica: who else
counts, who may sequence first, whether it serves at all. No I/O, no time.

Invariants: a slot is never another's again; a replica id that is known never changes.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from pluto_tw.crdt.members import State
from pluto_tw.crdt.records import Member as Recorded

#: Why a replica that was taken out of the subnet serves nobody.
REMOVED_HERE: Final = "this replica was removed from its subnet"

#: Why a replica that joins serves nobody.
JOINING: Final = "this replica is joining, and does not have all mail yet"

#: Why a replica that is about to be taken out serves nobody: what it has goes to the others first.
DRAINING: Final = "this replica is being taken out of its subnet"


@dataclass(frozen=True, slots=True)
class Member:
    """
    Who has, or had, *slot*. *replica* is its id, empty while it is not known: of a founding member
    that was not met yet. *added* is the dot of the operation that gave the slot, 0 for a founding
    member; *removed* of the one that took it away, or 0.
    """

    slot: int
    name: str
    replica: bytes = b""
    state: State = State.LIVE
    added: int = 0
    removed: int = 0

    @property
    def is_live(self) -> bool:
        """Whether it belongs to the subnet."""
        return self.state is State.LIVE


class Members:
    """
    The members as seen by the one that has *slot*, which is among the *founding* ones or comes by
    `follow`.

    *keep* makes the replica id of a founding member durable before it returns; `learn` calls it.
    """

    def __init__(
        self,
        slot: int,
        founding: Iterable[Member] = (),
        keep: Callable[[int, bytes], None] = lambda slot, replica: None,
    ) -> None:
        self.slot = slot
        #: By slot, where it is known: for `Rules`, which look into it as it grows.
        self.replica_ids: dict[int, bytes] = {}
        #: The other slots that have acknowledged the removal of a slot; `Subnet` knows.
        self.acknowledged: Callable[[int], frozenset[int]] = lambda slot: frozenset()
        self._keep = keep
        self._founding = {member.slot: member for member in founding}
        self._founding.setdefault(slot, Member(slot, ""))
        self._reasons: list[str] = []
        self._watchers: list[Callable[[], None]] = []
        self._set(self._founding)

    @classmethod
    def fixed(cls, slot: int, others: Iterable[int] = ()) -> "Members":
        """Members that are known by their slots only: a replica alone, simulations."""
        return cls(slot, [Member(other, "") for other in {slot, *others}])

    def _set(self, table: dict[int, Member]) -> None:
        self._table = dict(sorted(table.items()))
        self.replica_ids.update((m.slot, m.replica) for m in table.values() if m.replica)
        live = frozenset(member.slot for member in table.values() if member.is_live)
        #: The slots of the other members.
        self.others = live - {self.slot}
        #: Slots that were taken away: they count until they may be left out, account by account.
        self.removed = frozenset(table) - live - {self.slot}
        #: The first sequencer of a new account.
        self.lowest_slot = min({self.slot, *self.others})
        #: How many members take the sequencing over before this one does.
        self.rank = sum(other < self.slot for other in self.others)

    # The table.

    def table(self) -> tuple[Member, ...]:
        """All that ever had a slot, ascending."""
        return tuple(self._table.values())

    def of_slot(self, slot: int) -> Member | None:
        """Who has or had *slot*."""
        return self._table.get(slot)

    def of_name(self, name: str) -> Member | None:
        """The member that is called *name*; one that was removed is none."""
        return next((m for m in self._table.values() if m.name == name and m.is_live), None)

    def of_replica(self, replica: bytes) -> Member | None:
        """Who has this id, removed or not."""
        return next((m for m in self._table.values() if m.replica == replica != b""), None)

    def is_known(self, slot: int) -> bool:
        """
        Whether operations of *slot* can be taken: its chain of hashes begins with its replica id.

        Where no ids are used at all, those of every slot.
        """
        return not self.replica_ids or slot in self.replica_ids

    def learn(self, slot: int, replica: bytes) -> bool:
        """
        The replica that has *slot* says that *replica* is its id; False if another one is known.

        Durable on return, and told to who watches.
        """
        member = self._table.get(slot)
        if member is None or not replica or member.replica:
            return member is not None and member.replica == replica != b""
        self._keep(slot, replica)
        self._founding[slot] = replace(self._founding[slot], replica=replica)
        self._set({**self._table, slot: replace(member, replica=replica)})
        self._tell()
        return True

    def follow(self, recorded: Sequence[Recorded]) -> bool:
        """What the subnet's own account says of members, all of it; whether that is new."""
        table = dict(self._founding)
        for one in recorded:
            state = State(one.state)
            table[one.slot] = Member(one.slot, one.name, one.replica, state, one.added, one.removed)
        if table == self._table:
            return False
        self._set(table)
        self._tell()
        return True

    def watch(self, changed: Callable[[], None]) -> Callable[[], None]:
        """Calls *changed* after each change of the table; what is returned ends that."""
        self._watchers.append(changed)
        return lambda: self._watchers.remove(changed)

    def _tell(self) -> None:
        for watcher in list(self._watchers):
            watcher()

    # This replica.

    @property
    def is_lowest(self) -> bool:
        """Whether this member adds others: one of them does, so that two add none at once."""
        return self.slot == self.lowest_slot

    @property
    def serves(self) -> bool:
        """Whether this replica serves clients at all."""
        return not self.why

    @property
    def why(self) -> str:
        """Why it serves nobody, for clients; empty if it does."""
        own = self._table.get(self.slot)
        if own is not None and not own.is_live:
            return REMOVED_HERE
        return self._reasons[0] if self._reasons else ""

    @property
    def is_joining(self) -> bool:
        """Whether this replica does not have all mail yet: who lacks some cannot get it here."""
        return JOINING in self._reasons

    def withhold(self, reason: str) -> None:
        """
        Serves nobody until `allow` of the same *reason*.

        While it joins, while it waits for its peers at a start, while it is drained.
        """
        if reason not in self._reasons:
            self._reasons.append(reason)

    def allow(self, reason: str) -> None:
        """That is no reason any more."""
        if reason in self._reasons:
            self._reasons.remove(reason)
