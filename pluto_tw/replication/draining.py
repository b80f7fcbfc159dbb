# SPDX-License-Identifier: GPL-3.0-or-later
"""
A member takes itself out of its subnet, without loss: it serves nobody, sends all, and leaves.

Decides when each step is done. First no client writes here any more: sessions are ended by who has
them, told by `Members.withhold`. Then every other member acknowledges all that is durable here at
that moment; what this replica commits afterwards is only what others have sent, and its part of
giving UIDs, which another sequencer does over. Then it writes its own removal into the subnet's
account, and waits a little for the others to have heard of it.

Up to the removal all can be taken back (`cancel`). Nothing of it is durable before: a process that
starts again is a member as any other.
"""

from collections.abc import Callable, Iterable
from enum import Enum
from typing import Final

from twisted.logger import Logger

from pluto_tw.account.failures import ShardFailed
from pluto_tw.account.members import DRAINING, Members
from pluto_tw.account.store import Store
from pluto_tw.mail.errors import No
from pluto_tw.mail.waiting import Promise, Waiting

log = Logger()

#: How often it looks whether a step is done.
LOOK_SECONDS: Final = 0.2

#: How long sessions may take to their end: their commands have eight seconds, and what is closed
#: then two. Whoever is there after that writes nothing, as all commands are refused.
SESSIONS_SECONDS_MAX: Final = 10.0

#: How long it waits for all others to acknowledge its removal. One of them is enough for it to
#: count, and the others hear of it from that one.
TELL_SECONDS_MAX: Final = 10.0


class Stage(Enum):
    """How far it is; the value is for people."""

    SESSIONS = "waits for its sessions to end"
    SENDING = "waits for the others to have all"
    TELLING = "tells the others that it has left"
    LEFT = "has left"
    CANCELLED = "serves again"


class Drain:
    """
    Of the member called *name*, with *store*; *sessions* tells how many clients are here.

    *changed* is called when it serves nobody any more, and when it serves again.
    """

    def __init__(
        self,
        store: Store,
        name: str,
        waiting: Waiting,
        sessions: Callable[[], int],
        changed: Callable[[], None],
    ) -> None:
        self.stage = Stage.SESSIONS
        #: The last trouble, for people.
        self.error = ""
        self._store = store
        self._name = name
        self._waiting = waiting
        self._sessions = sessions
        self._changed = changed
        self._members: Members = store.site.members
        #: What the others must have, shard by shard.
        self._goal: tuple[int, ...] = ()
        self._is_stopped = False

    def start(self) -> None:
        """Serves nobody from now on. What follows goes on by itself."""
        log.info(
            "{name} leaves its subnet: it sends all that it has",
            event="drain-began",
            name=self._name,
        )
        self._members.withhold(DRAINING)
        self._changed()
        self._waiting.start(self._run())

    def cancel(self) -> bool:
        """Serves again; False if it is too late for that."""
        if self.stage not in (Stage.SESSIONS, Stage.SENDING):
            return self.stage is Stage.CANCELLED
        self.stage = Stage.CANCELLED
        self._members.allow(DRAINING)
        self._changed()
        log.info(
            "{name} stays a member, and serves again", event="drain-cancelled", name=self._name
        )
        return True

    def stop(self) -> None:
        """The process ends."""
        self._is_stopped = True

    @property
    def lacking(self) -> tuple[str, ...]:
        """The other members that lack something of what is here, or have not heard that it left."""
        if self.stage is Stage.SESSIONS:
            return ()
        if self.stage is Stage.SENDING:
            return self._names(slot for slot in self._others() if not self._has_all(slot))
        return self._names(self._others() - self._told())

    async def _run(self) -> None:
        until = self._waiting.seconds() + SESSIONS_SECONDS_MAX
        while self._sessions() and self._waiting.seconds() < until:
            if not await self._goes_on():
                return
        store = self._store
        self._goal = tuple(store.newest_position(shard) for shard in range(store.shards))
        self.stage = Stage.SENDING
        while self.lacking or not await self._removed():
            if not await self._goes_on():
                return
        self.stage = Stage.TELLING
        until = self._waiting.seconds() + TELL_SECONDS_MAX
        while self.lacking and self._waiting.seconds() < until:
            if not await self._goes_on():
                return
        self.stage = Stage.LEFT
        log.warn(
            "{name} is no member any more, and serves nobody: stop it, and take it out of the "
            "configurations of the others",
            event="drained",
            name=self._name,
        )

    async def _goes_on(self) -> bool:
        """A while later: whether there is still something to be done."""
        promise: Promise[None] = self._waiting.promise()
        self._waiting.later(LOOK_SECONDS, lambda: promise.fire(None))
        await promise
        return not self._is_stopped and self.stage is not Stage.CANCELLED

    async def _removed(self) -> bool:
        """Whether the removal is durable here."""
        # Too late to be taken back: it may be durable whatever is heard of it.
        self.stage = Stage.TELLING
        try:
            await self._store.subnet.remove(self._name, forced=False)
        except (No, ShardFailed) as trouble:
            self.error = str(trouble)
            self.stage = Stage.SENDING
            return False
        self.error = ""
        return True

    def _others(self) -> frozenset[int]:
        return self._members.others

    def _has_all(self, slot: int) -> bool:
        acknowledged = self._store.acknowledged(slot)
        return all(has >= goal for has, goal in zip(acknowledged, self._goal, strict=True))

    def _told(self) -> frozenset[int]:
        own = self._members.of_slot(self._members.slot)
        if own is None or not own.removed:
            return frozenset()
        return self._store.subnet.having(own.removed)

    def _names(self, slots: Iterable[int]) -> tuple[str, ...]:
        found = [self._members.of_slot(slot) for slot in sorted(slots)]
        return tuple(member.name for member in found if member is not None)
