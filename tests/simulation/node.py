# SPDX-License-Identifier: GPL-3.0-or-later
"""
The seam: what the simulation asks of a replica, whatever it is made of.

Clients speak to `Served` and `Opened`, which are the ports of `pluto_tw.imap` as far as clients
here use them. The checks look at `Node.observable`, `Node.shown` and `Node.operations`. Replicas
speak to each other by messages that only they understand.

All that a node shows or tells is of its committed state.
"""

from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from pluto_tw.crdt.dots import Vector
from pluto_tw.crdt.ops import Op
from pluto_tw.mail.changes import Change
from pluto_tw.mail.flags import Flags
from pluto_tw.mail.messages import Copied, Stored, StoreMode
from pluto_tw.mail.sets import NumberSet
from pluto_tw.mail.uids import ModSeq
from tests.simulation.oracle import Observable


@dataclass(frozen=True, slots=True)
class Shown:
    """One mailbox as a replica shows it: *uids* says which placement each exposed UID names."""

    name: str
    primary: int
    uid_validity: int
    uid_next: int
    highest_modseq: int
    uids: dict[int, bytes]
    #: Visible messages that are not exposed under the UID of their highest claim.
    outstanding: frozenset[bytes]


class Opened(Protocol):
    """A mailbox as one session selected it; see `ports.OpenMailbox`."""

    mailbox_id: str
    uid_validity: int

    def position(self) -> int: ...

    def uids(self) -> Sequence[int]: ...

    def highest_modseq(self) -> int: ...

    def changes(self, after: int) -> Sequence[Change] | None: ...

    def told(self, position: int) -> None: ...

    def flags(self, uids: Sequence[int]) -> Sequence[Flags]: ...

    async def changed_since(self, modseq: ModSeq) -> NumberSet: ...

    async def vanished_since(self, modseq: ModSeq, known: NumberSet | None) -> NumberSet: ...

    async def store(
        self, uids: NumberSet, mode: StoreMode, flags: Flags, unchanged_since: ModSeq | None
    ) -> Stored: ...

    async def expunge(self, uids: NumberSet) -> NumberSet: ...

    async def copy(self, uids: NumberSet, target: str) -> Copied: ...

    async def move(self, uids: NumberSet, target: str) -> Copied: ...

    def close(self) -> None: ...


class Served(Protocol):
    """The account as one session has it; see `ports.Account`. Refusals are `mail.errors.No`."""

    def names(self) -> Sequence[str]:
        """The mailboxes that exist, sorted."""

    async def create(self, name: str, special_use: tuple[str, ...]) -> None: ...

    async def delete(self, name: str) -> None: ...

    async def rename(self, old: str, new: str) -> None: ...

    async def subscribe(self, name: str, subscribed: bool) -> None: ...

    async def annotate(self, name: str | None, entry: str, value: bytes | None) -> None: ...

    async def open(self, name: str) -> Opened: ...

    async def append(self, name: str, blob: bytes, flags: Sequence[Flags]) -> Sequence[int]:
        """As many messages as *flags* has sets; their UIDs if they are known yet."""


class Node(Protocol):
    """One replica of one account."""

    slot: int

    def serve(self) -> Served | None:
        """None while it is down, or must not serve."""

    def receive(self, source: int, message: bytes) -> None:
        """A message that the node in slot *source* sent; dropped while this one is down."""

    def crash(self) -> None:
        """Forgets all that was not committed; nothing that was under way goes on."""

    def restart(self) -> None:
        """After `crash`."""

    def run(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Runs what a client does here; it stops with the node."""

    def is_up(self) -> bool: ...

    def destroy(self) -> None:
        """The run is over: closes what is open."""

    def is_loading(self) -> bool:
        """Whether it is being filled from a snapshot, and must not serve."""

    def back_up(self) -> None:
        """Keeps a copy of the database."""

    def put_back(self, others: Sequence[Vector]) -> bool:
        """
        Restarts on the copy. False, and nothing is done, if none of the *others*, by their vectors,
        knows more of this node's operations: nobody could tell then.
        """

    def load_from(self, source: int) -> None:
        """Fills this node, which is new, from the one in slot *source*."""

    def add_member(self, slot: int) -> None:
        """From here all nodes hear of the new member."""

    def remove_member(self, slot: int) -> None:
        """From here all nodes hear that *slot* is lost for ever."""

    def knows_member(self, slot: int) -> bool: ...

    def has_removed(self, slot: int) -> bool:
        """Whether it knows that the node *slot* is no member."""

    def leave(self) -> None:
        """It is to serve nobody, and to go when all have what it has: `World.left`."""

    def hand_over(self, slot: int) -> None:
        """If this node gives the UIDs, it asks *slot* to do so from now on."""

    def slow_down(self, ms: int) -> None:
        """Each commit takes *ms* longer from now on."""

    def wear_out(self, share: float) -> None:
        """From now on this share of its commits fails, in part after they were done."""

    def damage(self) -> None:
        """Octets of a body change on its disk."""

    # For the checks.

    def vector(self) -> Vector: ...

    def observable(self) -> Observable: ...

    def shown(self) -> dict[int, Shown]:
        """All mailboxes, by the key of their primary box."""

    def bodiless(self) -> set[bytes]:
        """Hashes of visible messages whose octets it does not have."""

    def agreed(self) -> object:
        """What else all nodes must have alike in the end."""

    def figures(self) -> dict[str, int]:
        """What happened here, counted by word."""


@dataclass(slots=True)
class World:
    """What a node is given: where its messages go, and who is told of its commits."""

    #: (source, target, message)
    send: Callable[[int, int, bytes], None]
    #: After each commit that changed anything; with the operations that the node made in it.
    committed: Callable[[Node, Sequence[Op]], None]
    #: A line of the run's history.
    note: Callable[[str], None]
    #: A node has found that its database is older than what it shipped, and has stopped.
    dethroned: Callable[[int], None]
    #: A node is a member no more, as it wished or not, and has heard of it.
    left: Callable[[int], None]
    #: The slots of all members, as a new node is told.
    members: list[int] = field(default_factory=list)
    #: Hashes of bodies that were damaged somewhere.
    damaged: set[bytes] = field(default_factory=set)
