# SPDX-License-Identifier: GPL-3.0-or-later
"""
How a replica of the real account becomes a member, and how it leaves.

What the table of members says is the subnet's own account's, which is the real one and travels as
all accounts do. Here is what a node does about it: a newcomer asks everybody each second until it
is admitted, and serves when it has what one of its peers had then; who leaves stops serving, waits
until its operations are everywhere, and takes itself out.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pluto_tw.account import statements
from pluto_tw.account.members import DRAINING, JOINING, Member
from pluto_tw.account.subnet import MEMBERS_KEY, Standing
from pluto_tw.crdt.dots import Vector, is_below, seq_of
from pluto_tw.crdt.members import State
from tests.simulation.account_packets import Admitted, Hello, Removed, Row

if TYPE_CHECKING:
    from tests.simulation.account_node import AccountNode

USER: Final = "fred"

#: All accounts that there are.
KEYS: Final = (USER, MEMBERS_KEY)

ASK_SECONDS: Final = 1.0


def name_of(address: int) -> str:
    """The name of the node with this address on the network: slots are given out later."""
    return f"node {address}"


def address_of(name: str) -> int:
    """The address of the node called *name*."""
    return int(name.removeprefix("node "))


@dataclass(slots=True)
class Identity:
    """What a node keeps beside its database; *table* is what it was told at its first start."""

    address: int
    replica: bytes
    slot: int | None = None
    table: tuple[Member, ...] = ()
    joined: bool = True
    leaving: bool = False


def founder(address: int, addresses: range) -> Identity:
    """One of the members that the subnet begins with, whose slots are their addresses."""
    table = tuple(Member(each, name_of(each), _replica_id(each)) for each in addresses)
    return Identity(address, _replica_id(address), address, table)


def newcomer(address: int) -> Identity:
    """One that has nothing."""
    return Identity(address, _replica_id(address), joined=False)


def _replica_id(address: int) -> bytes:
    return b"replica id %5d" % address


class Membership:
    """What one life of a node does about its membership."""

    def __init__(self, node: "AccountNode") -> None:
        self._node = node
        self._identity = node.identity
        #: What each peer had when it was first heard.
        self._aims: dict[str, dict[str, Vector]] = {}

    def ask(self) -> None:
        """Asks everybody, until it is known who this node is."""
        node = self._node
        if self._identity.slot is None:
            for address in node.world.members:
                if address != node.slot:
                    node.links.send(address, Hello())
            node.waiting.later(ASK_SECONDS, self.ask)

    def answer(self, name: str, replica: bytes) -> None:
        """A newcomer asks."""
        node = self._node
        subnet = node.store.subnet
        found = subnet.admission(name, replica)
        match found.standing:
            case Standing.MEMBER:
                assert found.slot is not None
                table = tuple(
                    Row(m.slot, m.name, m.replica, int(m.state)) for m in node.members.table()
                )
                node.links.send(address_of(name), Admitted(found.slot, table))
            case Standing.UNKNOWN if node.members.is_lowest and node.members.serves:
                node.attempt(self._add(name, replica))
            case _:
                pass

    async def _add(self, name: str, replica: bytes) -> None:
        slot = await self._node.store.subnet.add(name, replica)
        self._node.world.note(f"node {self._node.slot}: {name} gets slot {slot}")

    def admitted(self, answer: Admitted) -> None:
        """All members know this node."""
        if self._identity.slot is None:
            self._identity.slot = answer.slot
            self._identity.table = tuple(
                Member(row.slot, row.name, row.replica, State(row.state)) for row in answer.table
            )
            self._node.world.note(f"node {self._node.slot}: has slot {answer.slot}")
            self._node.open()

    # The way in.

    def heard(self, name: str, stated: dict[str, Vector]) -> None:
        """A peer states what it has: from now on it is enough to have that."""
        if not self._identity.joined and len(stated) == len(KEYS):
            self._aims.setdefault(name, stated)
            self._look()

    def _look(self) -> None:
        node = self._node
        accounts = {key: node.store.account(key) for key in KEYS}
        if any(a.commits.stored.scalars.gate is not None for a in accounts.values()):
            return
        for aims in self._aims.values():
            if all(is_below(aims[key], statements.vector(accounts[key])) for key in KEYS):
                self._identity.joined = True
                node.members.allow(JOINING)
                node.counts["joined"] += 1
                node.world.note(f"node {node.slot}: serves")
                return

    # The way out.

    def leave(self) -> None:
        """Serves nobody from now on, and goes when all have what is here."""
        self._identity.leaving = True
        self._node.members.withhold(DRAINING)

    def beat(self) -> None:
        """Each second."""
        node = self._node
        if not self._identity.joined:
            self._look()
        if self._identity.leaving and self._is_everywhere():
            own = node.members.of_slot(node.members.slot)
            if own is not None and own.is_live:
                node.attempt(self._go())

    async def _go(self) -> None:
        node = self._node
        node.world.note(f"node {node.slot}: takes itself out")
        await node.store.subnet.remove(name_of(node.slot), forced=False)

    def _is_everywhere(self) -> bool:
        own = self._node.members.slot
        for key in KEYS:
            account = self._node.store.account(key)
            seq = seq_of(statements.vector(account), own)
            for slot in self._node.members.others:
                if seq_of(statements.acknowledged(account, slot), own) < seq:
                    return False
        return True

    def turned_away(self, _: Removed) -> None:
        """A member knows that this node is none any more."""
        node = self._node
        if self._identity.leaving:
            node.counts["left"] += 1
        node.world.left(node.slot)
