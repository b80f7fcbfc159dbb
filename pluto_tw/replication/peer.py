# SPDX-License-Identifier: GPL-3.0-or-later
"""
One peer, as long as it is configured: the link that we dial to it, and the one that it dials.

Over our own link we greet, then beat and pump; over its link we are greeted, then take what it
sends. The two come and go each for itself. This file joins them, and decides nothing of what is in
them: who may talk is `handshake.py`'s to say, and asked through `Greeter`.
"""

from collections.abc import Callable
from typing import Final, Protocol, TypeVar

from msgspec import Struct
from twisted.logger import Logger

from pluto_tw.account.store import Store
from pluto_tw.crdt.dots import Vector
from pluto_tw.mail.errors import No
from pluto_tw.mail.waiting import Promise, Waiting
from pluto_tw.replication import messages
from pluto_tw.replication.channel import Channel, ChannelLost
from pluto_tw.replication.handshake import Accepted, Rejected, Verdict
from pluto_tw.replication.inbox import Inbox
from pluto_tw.replication.ledger import Mark
from pluto_tw.replication.link import Figures, Link, Refused
from pluto_tw.replication.pulse import Pulse
from pluto_tw.replication.pump import Pump
from pluto_tw.replication.relay import Relay
from pluto_tw.replication.repair import Repair
from pluto_tw.replication.status import PeerState, PeerStatus

log = Logger()

T = TypeVar("T", bound=Struct)

#: A peer that is no member yet, or has no databases yet, is asked again after so long.
ASK_AGAIN_SECONDS: Final = 1.0

#: Before the heartbeats begin nothing else finds out that a connection leads nowhere. To answer
#: takes a commit at most.
HELLO_SECONDS: Final = 5.0


class Greeter(Protocol):
    """Who knows this replica and the members of its subnet."""

    def hello(self) -> messages.Hello:
        """What this replica says of itself."""

    async def meet(self, theirs: messages.Hello, certified: str) -> Verdict:
        """What to do with a peer; all that follows for the table of members is done. No."""

    def is_removed(self, why: str) -> None:
        """A peer says that this replica was removed from the subnet."""


class Peer:
    """The peer with the Name *name*; *stated* is called with what it states of an account."""

    def __init__(
        self,
        name: str,
        store: Store,
        waiting: Waiting,
        greeter: Greeter,
        stated: Callable[[int, messages.Stated], None],
    ) -> None:
        self.name = name
        self.slot: int | None = None
        self.figures = Figures()
        self.state = PeerState.AWAY
        #: The last error, for people.
        self.error = ""
        #: When a beat of it came last; None: never.
        self.heard_at: float | None = None
        #: Whether it has said that it has sent all that there was when it greeted us.
        self.is_complete = False
        #: What it dialled, once it was greeted there.
        self.inbox: Inbox | None = None
        #: Asks it what an operator wants to know.
        self.relay = Relay(name, self.ask, waiting)
        self._store = store
        self._waiting = waiting
        self._greeter = greeter
        self._stated = stated
        self._channel: Channel | None = None
        self._link: Link | None = None
        self._pump: Pump | None = None
        self._pulse: Pulse | None = None
        self._repair: Repair | None = None
        self._refused = ""

    # The link that we dial.

    def connected(self, channel: Channel) -> None:
        """There is a channel to it."""
        self.lost()
        self._channel = channel
        self.state = PeerState.GREETING
        self._waiting.start(self._greet(channel))

    def lost(self) -> None:
        """The channel to it is gone, if there was one."""
        self._channel = None
        if self._link is not None:
            self._link.ended = self._link.ended or "the connection was lost"
        for part in (self._pulse, self._pump, self._repair):
            if part is not None:
                part.stop()
        self._link = self._pulse = self._pump = self._repair = None
        if self.state is not PeerState.REFUSED:
            self.state = PeerState.AWAY

    def disconnected(self, channel: Channel, reason: str) -> None:
        """That channel to it is gone."""
        if self._channel is channel:
            if self._link is not None:
                self._link.ended = self._link.ended or reason
            self.lost()

    async def _greet(self, channel: Channel) -> None:
        link = Link(channel, -1, self.figures)
        try:
            while self._channel is channel:
                verdict = await self._meet(link)
                if self._channel is not channel:
                    return
                if isinstance(verdict, Accepted):
                    self._begin(channel, verdict.slot)
                    return
                if isinstance(verdict, Rejected):
                    self.refuse(verdict.why)
                    channel.abort(verdict.why)
                    return
                self.state = PeerState.JOINING
                await self._wait()
        except ChannelLost:
            # Whoever tells of the channel's end tells this object too.
            return

    async def _meet(self, link: Link) -> Verdict | None:
        """None: ask again."""
        why = f"its hello was not answered within {HELLO_SECONDS:g} s"
        cancel = self._waiting.later(HELLO_SECONDS, lambda: link.abort(why))
        try:
            theirs = await link.ask(messages.HELLO, self._greeter.hello(), messages.Hello)
            return await self._greeter.meet(theirs, self.name)
        except Refused as refused:
            if refused.code == messages.REMOVED:
                self._greeter.is_removed(refused.text)
            if refused.code in (messages.LINK_REFUSED, messages.REMOVED):
                return Rejected(refused.text)
            self.error = refused.text
        except No as no:
            self.error = str(no)
        finally:
            cancel()
        return None

    async def _wait(self) -> None:
        promise: Promise[None] = self._waiting.promise()
        self._waiting.later(ASK_AGAIN_SECONDS, lambda: promise.fire(None))
        await promise

    def refuse(self, why: str) -> None:
        """It is not talked to; told to the log once for each reason."""
        if why != self._refused:
            log.error(
                "link with {peer} refused: {reason}",
                event="link-refused",
                peer=self.name,
                reason=why,
            )
        self._refused = why
        self.state = PeerState.REFUSED
        self.error = why

    def _begin(self, channel: Channel, slot: int) -> None:
        self.slot = slot
        self.state = PeerState.LIVE
        self.error = self._refused = ""
        link = self._link = Link(channel, slot, self.figures)
        pump = self._pump = Pump(
            self._store,
            self._store.site.slot,
            link,
            self._waiting,
            lambda stated: self._stated(slot, stated),
        )
        # Of two that join at once neither has what the other lacks.
        members = self._store.site.members
        self._pulse = Pulse(
            self._store,
            link,
            self._waiting,
            lambda: pump.is_complete and not members.is_joining,
        )
        log.info("link to {peer} begun", event="link-begun", peer=self.name, slot=slot)
        self._pulse.start()
        pump.start()
        self._repair = Repair(self._store, link, self._waiting)
        self._repair.start()

    # What happens here, and what it says.

    def committed(self, key: str, vector: Vector, mark: Mark) -> None:
        """An account has committed."""
        if self._pump is not None and self._pulse is not None:
            self._pump.committed(key, vector, mark)
        if self._pulse is not None:
            self._pulse.owe(key)

    def states(self, stated: messages.Stated) -> None:
        """It states what it has of an account."""
        if self._pump is not None:
            self._pump.states(stated)

    async def seek(self, key: str, hash: bytes, size: int) -> bool:
        """As `Repair.seek`; raises `ChannelLost` also if there is no link."""
        if self._repair is None:
            raise ChannelLost("there is no link")
        return await self._repair.seek(key, hash, size)

    async def ask(self, kind: str, question: Struct, wanted: type[T]) -> T:
        """As `Link.ask`; raises `ChannelLost` also if there is no link."""
        if self._link is None:
            raise ChannelLost(self._refused or self.error or "there is no link")
        return await self._link.ask(kind, question, wanted)

    async def drained(self) -> None:
        """Returns when it has been sent all that it takes now."""
        if self._pump is not None:
            await self._pump.drained()

    # How it stands.

    def status(self) -> PeerStatus:
        """As values."""
        pump, figures = self._pump, self.figures
        heard = None if self.heard_at is None else self._waiting.seconds() - self.heard_at
        state = self.state
        if state is PeerState.LIVE and pump is not None and pump.is_walking:
            state = PeerState.CATCHING_UP
        return PeerStatus(
            self.name,
            self.slot,
            state,
            heard,
            0.0 if pump is None else pump.lag_seconds(),
            0 if pump is None else pump.lag_operations(),
            0 if pump is None else pump.backlog_accounts,
            figures.octets_sent,
            figures.octets_received,
            figures.operations_sent,
            figures.operations_received,
            figures.bodies_sent,
            figures.bodies_received,
            0 if pump is None else pump.snapshots_running(),
            figures.snapshots_sent,
            figures.snapshots_received,
            self._refused or self.error or ("" if pump is None else pump.error),
        )
