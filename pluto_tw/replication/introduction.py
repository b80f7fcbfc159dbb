# SPDX-License-Identifier: GPL-3.0-or-later
"""
Meeting peers: what this replica says of itself, and what follows of what they say.

Whether two replicas may talk is judged by `handshake.py`, without effects; here they are: a founder
that is met for the first time is learned, a newcomer is added to the subnet, a member whose
databases were put back is sent everything anew.
"""

from collections.abc import Callable
from typing import assert_never

from twisted.logger import Logger

from pluto_tw.account.store import Store
from pluto_tw.account.subnet import Standing
from pluto_tw.crdt.members import SLOTS_LEFT_WARN
from pluto_tw.mail.waiting import Promise, Waiting
from pluto_tw.replication import messages
from pluto_tw.replication.handshake import (
    Accepted,
    Admitted,
    Newcomer,
    Rejected,
    Verdict,
    judge,
    level_of,
    rows,
)

log = Logger()


class Introductions:
    """
    Of *store*, the replica called *name* with the id *replica* in *subnet*; *adds* tells whether a
    newcomer of this Name may be added: it is in the configuration. *removed* is called when a peer
    says that this replica is no member any more, with its reason. It is a `Greeter`.
    """

    def __init__(
        self,
        store: Store,
        subnet: str,
        name: str,
        replica: bytes,
        waiting: Waiting,
        adds: Callable[[str], bool],
        removed: Callable[[str], None],
    ) -> None:
        self._store = store
        self._subnet = subnet
        self._name = name
        self._replica = replica
        self._waiting = waiting
        self._adds = adds
        self._removed = removed
        self._members = store.site.members
        self._levels: dict[int, int] = {}
        self._met = False
        self._meetings: list[Promise[None]] = []

    @property
    def level(self) -> int:
        """What all members that were met understand, and this one."""
        return level_of(self._levels.values(), messages.LEVEL)

    def hello(self) -> messages.Hello:
        """What this replica says of itself."""
        return self.as_of(messages.STANDING_MEMBER)

    def as_of(self, standing: int) -> messages.Hello:
        """The same, to a peer of this *standing*."""
        store = self._store
        return messages.Hello(
            messages.FORMAT_MIN,
            messages.FORMAT_MAX,
            messages.LEVEL,
            self._name,
            self._replica,
            self._subnet,
            self._members.slot,
            rows(self._members.table()),
            tuple(store.newest_position(shard) for shard in range(store.shards)),
            standing,
        )

    async def meet(self, theirs: messages.Hello, certified: str) -> Verdict:
        """What to do with a peer that says *theirs*; what follows for the table is done. No."""
        admission = self._store.subnet.admission(theirs.name, theirs.replica)
        verdict = judge(self.hello(), theirs, certified, admission)
        match verdict:
            case Accepted(slot):
                if admission.standing is Standing.FOUNDER and not self._members.learn(
                    slot, theirs.replica
                ):
                    return Rejected(f"{theirs.name} is not the replica that had slot {slot}")
                self._met_member(slot, theirs)
            case Newcomer(waiting):
                if not waiting and self._members.is_lowest and self._adds(certified):
                    await self._add(theirs)
            case Admitted() | Rejected():
                pass
            case _:
                assert_never(verdict)
        return verdict

    def is_removed(self, why: str) -> None:
        """A peer says that this replica was removed from the subnet."""
        self._removed(why)

    async def _add(self, theirs: messages.Hello) -> None:
        slot = await self._store.subnet.add(theirs.name, theirs.replica)
        left = self._store.subnet.slots_left()
        log.info(
            "{peer} is a member with slot {slot} from now on; {left} slots are left",
            event="member-added",
            peer=theirs.name,
            replica=theirs.replica.hex(),
            slot=slot,
            left=left,
        )
        if left <= SLOTS_LEFT_WARN:
            log.warn(
                "{left} members can still be added to this subnet, ever: plan a new cluster",
                event="slots-run-out",
                left=left,
            )

    def _met_member(self, slot: int, theirs: messages.Hello) -> None:
        store = self._store
        self._levels[slot] = theirs.level
        before = store.stated(slot)
        if any(now < then for now, then in zip(theirs.positions, before, strict=False)):
            log.warn(
                "{peer} has less than it had when it was here last: its databases were put back; "
                "see docs/how-to/restore-a-node.md",
                event="peer-put-back",
                peer=theirs.name,
            )
            for shard in range(store.shards):
                store.acknowledge(slot, shard, 0)
        if theirs.positions != before:
            store.note_stated(slot, theirs.positions)
        self._met = True
        meetings, self._meetings = self._meetings, []
        for meeting in meetings:
            meeting.fire(None)

    async def first_contact(self, seconds: float) -> bool:
        """
        Returns when a member was met since the start, or after *seconds*; whether one was.

        A replica that was put back would learn it then, before it accepts writes.
        """
        if not self._met:
            meeting: Promise[None] = self._waiting.promise()
            self._meetings.append(meeting)

            def over() -> None:
                if meeting in self._meetings:
                    self._meetings.remove(meeting)
                    meeting.fire(None)

            cancel = self._waiting.later(seconds, over)
            await meeting
            cancel()
        return self._met
