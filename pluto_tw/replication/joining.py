# SPDX-License-Identifier: GPL-3.0-or-later
"""
The first start of a replica: does it found its subnet with the others, or join one that exists?

Who has no identity yet asks its configured peers, before it opens any database. If one of them is
a member that waits for a replica of this name, or all of them are new too, it is one of the
founders. If one is a member that does not know it, it joins: it is added, and waits until all
members have heard of that; then it has a slot, and begins with nothing. If nobody is there within
some seconds it founds: the first one of a new cluster has nobody to ask. Should that be wrong,
since a cable was pulled, its peers refuse it later and say what to do. A peer that is there, and
does not let it in, has not been told of it yet: then it waits for an operator to do that.

No database here: the answer goes to whoever makes the identity.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Final

from twisted.logger import Logger

from pluto_tw.crdt.members import State
from pluto_tw.mail.waiting import Promise, Waiting
from pluto_tw.replication import codec, messages
from pluto_tw.replication.channel import Channel, ChannelLost
from pluto_tw.replication.link import Figures, Link, Refused
from pluto_tw.replication.messages import MemberRow

log = Logger()

#: How often a member is asked whether all others have heard of the new one.
ASK_SECONDS: Final = 1.0

#: Different texts in the log. Each peer has a few; whoever makes up more of them is not heard.
TOLD_MAX: Final = 64


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

    It is an `Answers` to those who dial it meanwhile. *closed* tells which peers are there and let
    nobody of this name in.
    """

    def __init__(
        self,
        subnet: str,
        name: str,
        replica: bytes,
        waiting: Waiting,
        peers: Iterable[str],
        closed: Callable[[], Iterable[str]] = tuple,
    ) -> None:
        self._closed = closed
        self._subnet = subnet
        self._name = name
        self._replica = replica
        self._waiting = waiting
        self._peers = frozenset(peers)
        self._new_too: set[str] = set()
        self._channels: set[Channel] = set()
        self._outcome: Founds | Joins | None = None
        self._stopped = False
        #: Called once, when there is a subnet, of which it is no member yet: that may take long.
        self.waits: Callable[[], None] = lambda: None
        self._promise: Promise[None] = waiting.promise()
        #: Whether a member has answered: then there is a subnet, and nothing to be founded.
        self._is_known = False
        self._told: set[str] = set()

    async def find_out(self, seconds: float) -> Founds | Joins | None:
        """
        What this replica is; *seconds* is how long it waits for anybody to answer.

        Once a member has answered it waits until it is admitted, however long that takes. None if
        it was stopped before.
        """
        if not self._peers:
            return Founds()
        if not self._stopped:
            cancel = self._waiting.later(seconds, self._nobody)
            await self._promise
            cancel()
        return self._outcome

    def stop(self) -> None:
        """It asks nobody any more."""
        if self._outcome is None and not self._stopped:
            self._stopped = True
            self._promise.fire(None)

    def _nobody(self) -> None:
        if self._is_known:
            return
        closed = sorted(self._closed())
        for peer in closed:
            self._refuse(
                peer,
                f"it closes the connection: {self._name} must stand among its Peers, and it must "
                "have been reloaded since",
            )
        if closed:
            self._must_wait()
        else:
            self._end(Founds())

    def _must_wait(self) -> None:
        """There is a subnet."""
        if not self._is_known and self._outcome is None:
            self._is_known = True
            self.waits()

    def _end(self, outcome: Founds | Joins) -> None:
        if self._outcome is None and not self._stopped:
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
        return codec.encode(messages.Refusal(messages.NEW_TOO, text))

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
        while channel in self._channels and self._outcome is None and not self._stopped:
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
        if answer.standing == messages.STANDING_WAITING:
            live = [row for row in answer.members if row.state == State.LIVE]
            names = ", ".join(row.name for row in live)
            self._tell(
                f"{answer.name}: {self._name} waits for {names} to know it; "
                f"{live[0].name if live else answer.name} adds it, if it is among its Peers"
            )
            self._must_wait()
            return
        for row in answer.members:
            if row.replica == self._replica:
                self._end(Joins(row.slot, answer.members))
                return
            if row.name == self._name and not row.replica and row.state == State.LIVE:
                self._end(Founds())
                return
        self._must_wait()

    def _refused(self, peer: str, refused: Refused) -> None:
        if refused.code == messages.NEW_TOO:
            self._tell(f"{peer}: {refused.text}")
            self._new_too.add(peer)
            if self._new_too == self._peers:
                self._end(Founds())
        elif refused.code in (messages.LINK_REFUSED, messages.REMOVED):
            # There is a subnet, and an operator has to act before this replica can be in it.
            self._refuse(peer, refused.text)
            self._must_wait()
        else:
            # Only who has an identity says so: there is a subnet.
            self._tell(f"{peer}: {refused.text}")
            self._must_wait()

    def _tell(self, text: str) -> None:
        if self._is_new(text):
            log.info("joining {subnet}: {text}", event="joining", subnet=self._subnet, text=text)

    def _refuse(self, peer: str, reason: str) -> None:
        if self._is_new(reason):
            log.error(
                "joining {subnet}: {peer} refuses this replica: {reason}",
                event="join-refused",
                subnet=self._subnet,
                peer=peer,
                reason=reason,
            )

    def _is_new(self, text: str) -> bool:
        """Whether *text* was not told yet: what is asked each second is answered so often."""
        is_new = text not in self._told and len(self._told) < TOLD_MAX
        if is_new:
            self._told.add(text)
        return is_new
