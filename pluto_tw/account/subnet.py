# SPDX-License-Identifier: GPL-3.0-or-later
"""
The subnet's own account: it has no mail, but the members that were added and removed.

It replicates like every account, by the same path, under a key that no user can have. This file
decides who may become a member and what is done to the table; what the table then means is
`members.py`'s, how a replica asks to be a member `pluto_tw.replication`'s.

A replica that joins has no slot and so no store. It asks a member, which adds it here; when all
members have acknowledged that, none gives the slot to another or counts without it, and the replica
begins. Of two members that were given one slot at once, one then finds another replica in it, and
asks again.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Final

from pluto_tw.account.members import DRAINING, Member, Members
from pluto_tw.account.replica import AccountReplica
from pluto_tw.account.site import Site
from pluto_tw.crdt import commands, members
from pluto_tw.crdt.dots import covers
from pluto_tw.crdt.records import MEMBER, PEER
from pluto_tw.crdt.records import Member as Recorded
from pluto_tw.crdt.rules import Rules
from pluto_tw.crdt.transaction import Transaction

#: The account's key: names of users have no control characters.
MEMBERS_KEY: Final = "\x1fmembers"

#: Stands in the table for the id of a founding member that is removed before anybody has met it.
NEVER_MET: Final = b"\0"

#: A member that has acknowledged a removal may have said something of an account just before, and
#: that may be on its way on another connection, for as long as a question may take.
SETTLE_SECONDS: Final = 15.0


class Standing(Enum):
    """What a replica that presents itself is; the value is for people."""

    MEMBER = "a member"
    #: Of the name of a founding member whose id is not known yet: `Members.learn` it.
    FOUNDER = "a founding member that was not met before"
    #: It was added, and not all members have acknowledged that.
    WAITING = "a member that not all others know yet"
    #: It may be added.
    UNKNOWN = "not a member"
    #: A member has its name, under another id: that one must be removed first.
    TAKEN = "not the member of this name, but another replica"
    REMOVED = "removed from the subnet"
    #: All slots are used or burned: a new cluster is due.
    FULL = "not a member, and there is no slot left"


@dataclass(frozen=True, slots=True)
class Admission:
    """What a replica is, and the slot that it has; None: none."""

    standing: Standing
    slot: int | None = None


class Subnet:
    """The subnet of *site*, whose own account *account* gives."""

    def __init__(self, site: Site, account: Callable[[], AccountReplica]) -> None:
        self._site = site
        self._members: Members = site.members
        self._account = account
        #: When another member was first seen to have acknowledged a removal: (removed, other).
        self._seen: dict[tuple[int, int], float] = {}

    def follow(self) -> None:
        """The account was read, or something was committed: the members follow. `ShardFailed`."""
        found = []
        for member in self._account().commits.stored.members():
            if member.replica == NEVER_MET:
                known = self._members.of_slot(member.slot)
                replica = b"" if known is None else known.replica
                member = Recorded(
                    member.slot, replica, member.name, member.state, member.added, member.removed
                )
            found.append(member)
        # Not before the account is in memory: it asks for this itself while it is read.
        self._members.acknowledged = self._acknowledged
        self._members.follow(found)

    # Adding.

    def admission(self, name: str, replica: bytes) -> Admission:
        """What the replica with the id *replica*, called *name*, is."""
        known = self._members.of_replica(replica)
        if known is not None:
            return Admission(self._standing(known), known.slot)
        named = self._members.of_name(name)
        if named is not None:
            standing = Standing.TAKEN if named.replica else Standing.FOUNDER
            return Admission(standing, named.slot)
        return Admission(Standing.UNKNOWN if self.slots_left() else Standing.FULL)

    def _standing(self, member: Member) -> Standing:
        if not member.is_live:
            return Standing.REMOVED
        if not member.added:
            return Standing.MEMBER
        account = self._account()
        if not covers(account.commits.stored.scalars.vv, member.added):
            return Standing.WAITING
        others = self._before(member)
        return Standing.MEMBER if others <= self.having(member.added) else Standing.WAITING

    def _before(self, member: Member) -> frozenset[int]:
        """
        The other members that must know *member* before it begins.

        Of two that wait the one with the higher slot waits for the other, or neither could ever
        acknowledge anything; who has stated something here is not waiting any more.
        """
        records = self._account().commits.records
        return frozenset(
            slot
            for slot in self._members.others
            if slot < member.slot or (slot != member.slot and records.get(PEER, slot) is not None)
        )

    def having(self, dot: int) -> frozenset[int]:
        """The other members that have acknowledged the operation *dot*."""
        records = self._account().commits.records
        found = []
        for slot in self._members.others:
            peer = records.get(PEER, slot)
            if peer is not None and covers(peer.ack, dot):
                found.append(slot)
        return frozenset(found)

    async def add(self, name: str, replica: bytes) -> int | None:
        """
        Gives the replica a slot; durable on return. None if there is none left.

        The slot that it has, if it is a member. Raises No(UNAVAILABLE).
        """

        def run(rules: Rules, tx: Transaction) -> int | None:
            for member in self._staged(tx):
                if member.replica == replica:
                    return member.slot
            slot = members.free_slot(self._staged(tx))
            if slot is not None:
                commands.add_member(rules, tx, slot, replica, name)
            return slot

        _, slot = await self._account().command(run)
        return slot

    def slots_left(self) -> int:
        """How many members can still be added, ever; see `members.SLOTS_LEFT_WARN`."""
        return members.slots_left(self._staged(None))

    def _staged(self, tx: Transaction | None) -> list[Recorded]:
        """The whole table, the founding members and what *tx* is computed on included."""
        found = {m.slot: _recorded(m) for m in self._members.table()}
        if tx is not None:
            found.update((member.slot, member) for member in tx.members())
        return [found[slot] for slot in sorted(found)]

    # Removing.

    async def remove(self, name: str, *, forced: bool) -> bool:
        """
        Takes the slot of the member *name* away for ever; False if there is no such member.

        Durable on return. *forced*: without its consent, so what it had not sent to others is
        lost to them. Raises No(UNAVAILABLE).
        """
        member = self._members.of_name(name)
        if member is None:
            return False
        slot = member.slot

        def run(rules: Rules, tx: Transaction) -> None:
            if tx.get(MEMBER, slot) is None:
                # A founding one: only what was added can be removed.
                commands.add_member(rules, tx, slot, member.replica or NEVER_MET, member.name)
            commands.remove_member(rules, tx, slot, forced)

        # A member that is drained takes itself out at the end.
        await self._account().command(run, in_spite_of=DRAINING)
        return True

    def _acknowledged(self, slot: int) -> frozenset[int]:
        """The other members that are known to take nothing more from *slot*, which was removed."""
        member = self._members.of_slot(slot)
        if member is None or not member.removed:
            return frozenset()
        now = self._site.waiting.seconds()
        found = []
        for other in self.having(member.removed):
            since = self._seen.setdefault((slot, other), now)
            if now - since >= SETTLE_SECONDS:
                found.append(other)
        return frozenset(found)


def _recorded(member: Member) -> Recorded:
    return Recorded(
        member.slot,
        member.replica or NEVER_MET,
        member.name,
        int(member.state),
        member.added,
        member.removed,
    )
