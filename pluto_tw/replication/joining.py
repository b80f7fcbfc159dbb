# SPDX-License-Identifier: GPL-3.0-or-later
"""
The first start of a replica: does it found its subnet with the others, or join one that exists?

Who has no identity yet asks its configured peers, before it opens any database. If one of them is
a member that waits for a replica of this name, or all of them are new too, it is one of the
founders. If one is a member that does not know it, it joins: it is added, and waits until all
members have heard of that; then it has a slot, and begins with nothing. If nobody answers within
some seconds it founds: the first one of a new cluster has nobody to ask. Should that be wrong,
since a cable was pulled, its peers refuse it later and say what to do.

No database here: the answer goes to whoever makes the identity.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Final

from twisted.logger import Logger

from pluto_tw.mail.waiting import Promise, Waiting
from pluto_tw.replication import messages
from pluto_tw.replication.channel import Channel, ChannelLost
from pluto_tw.replication.link import Figures, Link, Refused
from pluto_tw.replication.messages import MemberRow

log = Logger()

#: How often a member is asked whether all others have heard of the new one.
ASK_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class Founds:
    """It is one of the replicas with which the subnet begins."""


@dataclass(frozen=True, slots=True)
class Joins:
    """It is the member *slot* of a subnet that has *members*, itself included."""

    slot: int
    members: tuple[MemberRow, ...]


class Joiner:
    """
    The replica called *name* with the new id *replica* asks *peers* about *subnet*.

    It is an `Answers` to those who dial it meanwhile.
    """

    def __init__(
        self,
        subnet: str,
        name: str,
        replica: bytes,
        waiting: Waiting,
        peers: Iterable[str],
    ) -> None:
        self._subnet = subnet
        self._name = name
        self._replica = replica
        self._waiting = waiting
        self._peers = frozenset(peers)
        self._new_too: set[str] = set()
        self._channels: set[Channel] = set()
        self._outcome: Founds | Joins | None = None
        self._promise: Promise[None] = waiting.promise()
        #: Whether a member has answered: then there is a subnet, and nothing to be founded.
        self._is_known = False
        self._told: set[str] = set()

    async def find_out(self, seconds: float) -> Founds | Joins:
        """
        What this replica is; *seconds* is how long it waits for anybody to answer.

        Once a member has answered it waits until it is admitted, however long that takes.
        """
        if not self._peers:
            return Founds()
        cancel = self._waiting.later(seconds, self._nobody)
        await self._promise
        cancel()
        assert self._outcome is not None, "the promise is fired with it"
        return self._outcome

    def _nobody(self) -> None:
        if not self._is_known:
            self._end(Founds())

    def _end(self, outcome: Founds | Joins) -> None:
        if self._outcome is None:
            self._outcome = outcome
            self._promise.fire(None)

    # Channels.

    def connected(self, channel: Channel) -> None:
        """There is a channel to a peer."""
        self._channels.add(channel)
        self._waiting.start(self._ask(channel))

    def disconnected(self, channel: Channel, reason: str) -> None:
        """That channel is gone."""
        self._channels.discard(channel)

    async def answer(self, peer: str, kind: str, question: bytes) -> bytes:
        """It is new here, and knows nothing."""
        text = f"{self._name} is starting for the first time, and asks its peers who it is"
        return messages.encode(messages.Refusal(messages.NEW_TOO, text))

    def lost(self, peer: str) -> None:
        """Nothing was kept of it."""

    async def _ask(self, channel: Channel) -> None:
        link = Link(channel, -1, Figures())
        hello = messages.Hello(
            messages.FORMAT_MIN,
            messages.FORMAT_MAX,
            messages.LEVEL,
            self._name,
            self._replica,
            self._subnet,
            -1,
            (),
        )
        while channel in self._channels and self._outcome is None:
            try:
                answer = await link.ask(messages.HELLO, hello, messages.Hello)
            except ChannelLost:
                return
            except Refused as refused:
                self._refused(channel.name, refused)
            else:
                self._answered(answer)
            promise: Promise[None] = self._waiting.promise()
            self._waiting.later(ASK_SECONDS, partial(promise.fire, None))
            await promise

    def _answered(self, answer: messages.Hello) -> None:
        self._is_known = True
        if answer.standing == messages.STANDING_WAITING:
            self._tell(f"{answer.name} has it that {self._name} waits for all members to know it")
            return
        for row in answer.members:
            if row.replica == self._replica:
                self._end(Joins(row.slot, answer.members))
                return
            if row.name == self._name and not row.replica:
                self._end(Founds())
                return

    def _refused(self, peer: str, refused: Refused) -> None:
        self._tell(f"{peer}: {refused.text}")
        if refused.code == messages.NEW_TOO:
            self._new_too.add(peer)
            if self._new_too == self._peers:
                self._end(Founds())
        elif refused.code == messages.LINK_REFUSED:
            # There is a subnet, and an operator has to act before this replica can be in it.
            self._is_known = True

    def _tell(self, text: str) -> None:
        if text not in self._told:
            self._told.add(text)
            log.info("joining {subnet}: {text}", event="joining", subnet=self._subnet, text=text)
