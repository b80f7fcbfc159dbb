# SPDX-License-Identifier: GPL-3.0-or-later
"""
Replication of one subnet: one object that knows this replica, its store and its peers.

It is told of channels as they come and go (`connected`, `disconnected`), and answers what peers ask
over theirs (`Answers`). Each commit of the store goes to every peer from here, and what a peer
states of an account is given to the account and to whoever ships it. What is sent when is decided
per peer (`pump.py`), what is taken per connection (`inbox.py`), who may talk when peers meet
(`introduction.py`); this file joins the parts.
"""

from collections.abc import Callable, Iterable
from typing import Final, assert_never

from msgspec import Struct
from twisted.logger import Logger

from pluto_tw.account.replica import AccountReplica
from pluto_tw.account.store import Store
from pluto_tw.mail.errors import No
from pluto_tw.mail.waiting import Promise, Waiting
from pluto_tw.replication import codec, messages
from pluto_tw.replication.channel import Channel, ChannelLost
from pluto_tw.replication.following import Following
from pluto_tw.replication.handshake import (
    Accepted,
    Admitted,
    Newcomer,
    Rejected,
)
from pluto_tw.replication.inbox import Inbox, note
from pluto_tw.replication.introduction import Introductions
from pluto_tw.replication.ledger import Mark
from pluto_tw.replication.link import Refused
from pluto_tw.replication.losses import Losses
from pluto_tw.replication.peer import Peer
from pluto_tw.replication.pulse import SILENCE_SECONDS
from pluto_tw.replication.relay import Relay
from pluto_tw.replication.status import Status
from pluto_tw.replication.surveys import Surveys, accounts

log = Logger()

#: How long an orderly stop waits for peers to take what they can take now. What they do not take
#: is in the log, and goes after the next start.
STOP_SECONDS: Final = 5.0


class Replication:
    """
    Of *store*, the replica called *name* with the id *replica* in *subnet*; *peers* are the Names
    of the others, as configured.
    """

    def __init__(
        self,
        store: Store,
        subnet: str,
        name: str,
        replica: bytes,
        waiting: Waiting,
        peers: Iterable[str],
    ) -> None:
        self._store = store
        self._subnet = subnet
        self._name = name
        self._replica = replica
        self._waiting = waiting
        self._members = store.site.members
        self._introductions = Introductions(
            store,
            subnet,
            name,
            replica,
            waiting,
            lambda peer: peer in self._peers,
            lambda why: self.is_removed(why),
        )
        self._peers: dict[str, Peer] = {peer: self._peer(peer) for peer in peers}
        self._losses = Losses(self.heard)
        self._following = Following()
        self._surveys = Surveys(store, waiting)
        self._handovers = 0
        self._stopped = False
        #: Called once, when a peer has sent all that this replica had missed: it has joined then.
        self.caught_up: Callable[[], None] = lambda: None
        self._is_caught_up = False
        #: Called with what a peer says when it refuses this replica as one that was removed.
        self.is_removed: Callable[[str], None] = lambda why: None

    def start(self) -> None:
        """From now on peers hear of commits."""
        self._store.peers_woken = self._committed

    async def first_contact(self, seconds: float) -> bool:
        """As `Introductions.first_contact`."""
        return await self._introductions.first_contact(seconds)

    async def stop(self, seconds: float = STOP_SECONDS) -> None:
        """Sends what peers take within *seconds*; then nothing more is sent or answered."""
        drained: Promise[None] = self._waiting.promise()
        left = len(self._peers)

        async def drain(peer: Peer) -> None:
            nonlocal left
            await peer.drained()
            left -= 1
            if not left:
                end()

        ended = False

        def end() -> None:
            nonlocal ended
            if not ended:
                ended = True
                drained.fire(None)

        cancel = self._waiting.later(seconds, end)
        for peer in self._peers.values():
            self._waiting.start(drain(peer))
        if self._peers:
            await drained
        cancel()
        self._stopped = True
        self._store.peers_woken = lambda key: None
        for peer in self._peers.values():
            peer.lost()
            self.lost(peer.name)

    def reload(self, peers: Iterable[str]) -> None:
        """From now on *peers* are configured; the channels of others are their owner's to end."""
        names = frozenset(peers)
        for name in set(self._peers) - names:
            self._peers[name].lost()
            self.lost(name)
            del self._peers[name]
        for name in names - set(self._peers):
            self._peers[name] = self._peer(name)

    def _peer(self, name: str) -> Peer:
        greeter, stated = self._introductions, self._stated_in_answer
        return Peer(name, self._store, self._waiting, greeter, stated)

    # Channels that we dial.

    def connected(self, channel: Channel) -> None:
        """There is a channel to the peer that it names."""
        peer = self._peers.get(channel.name)
        if peer is None or self._stopped:
            channel.abort("it is not among the peers of this replica")
            return
        peer.connected(channel)

    def disconnected(self, channel: Channel, reason: str) -> None:
        """That channel is gone."""
        peer = self._peers.get(channel.name)
        if peer is not None:
            peer.disconnected(channel, reason)

    # Channels that peers dial.

    async def answer(self, peer: str, kind: str, question: bytes) -> bytes:
        """The answer to the replica with the Name *peer*, a refusal included."""
        found = self._peers.get(peer)
        if found is None or self._stopped:
            text = f"{self._name} does not replicate with {peer}, or not now"
            return codec.encode(messages.Refusal(messages.UNAVAILABLE, text))
        found.figures.octets_received += len(question)
        try:
            decoded = codec.decode_question(kind, question)
        except ValueError as error:
            text = f"the question {kind} cannot be read: {error}"
            return codec.encode(messages.Refusal(messages.NOT_UNDERSTOOD, text))
        if decoded is None:
            text = f"{self._name} does not know questions of the kind {kind}"
            return codec.encode(messages.Refusal(messages.NOT_UNDERSTOOD, text))
        try:
            return codec.encode(await self._answer(found, decoded))
        except No as no:
            return codec.encode(messages.Refusal(messages.UNAVAILABLE, no.text))

    def lost(self, peer: str) -> None:
        """The connection that *peer* had dialled is gone."""
        found = self._peers.get(peer)
        if found is not None and found.inbox is not None:
            found.inbox.close()
            found.inbox = None

    async def _answer(self, peer: Peer, question: messages.Question) -> Struct:
        if isinstance(question, messages.Hello):
            return await self._greeted(peer, question)
        inbox = peer.inbox
        if inbox is None:
            return messages.Refusal(messages.NO_HELLO, "the first question is hello")
        match question:
            case messages.Beat():
                peer.heard_at = self._waiting.seconds()
                answer = await inbox.beat(question)
                if question.complete and not peer.is_complete:
                    peer.is_complete = True
                    self._tell_complete()
                return answer
            case messages.Sync():
                return await inbox.sync(question)
            case messages.Batch():
                return await inbox.batch(question)
            case messages.Bodies():
                return await inbox.bodies(question)
            case messages.Fetch():
                return await inbox.fetch(question)
            case messages.Snapshot():
                return await inbox.snapshot(question)
            case messages.Survey():
                return await self._surveys.answer(question)
            case messages.Accounts():
                return accounts(self._store, question)
            case _:
                assert_never(question)

    async def _greeted(self, peer: Peer, theirs: messages.Hello) -> Struct:
        verdict = await self._introductions.meet(theirs, peer.name)
        match verdict:
            case Accepted(slot):
                self.lost(peer.name)
                peer.inbox = self._inbox(peer, slot)
                peer.slot = slot
                peer.heard_at = self._waiting.seconds()
                return self._introductions.as_of(messages.STANDING_MEMBER)
            case Newcomer():
                return self._introductions.as_of(messages.STANDING_WAITING)
            case Admitted():
                return self._introductions.as_of(messages.STANDING_ADMITTED)
            case Rejected(why, is_removed):
                peer.refuse(why)
                code = messages.REMOVED if is_removed else messages.LINK_REFUSED
                return messages.Refusal(code, why)
            case _:
                assert_never(verdict)

    def _inbox(self, peer: Peer, slot: int) -> Inbox:
        return Inbox(
            self._store,
            self._waiting,
            peer.name,
            slot,
            peer.figures,
            self._losses,
            self.heard,
            peer.states,
            lambda account, operations: self._wrote(account, slot, operations),
            lambda key, hash, size: self._lost_at(slot, key, hash, size),
        )

    def _tell_complete(self) -> None:
        if not self._is_caught_up:
            self._is_caught_up = True
            self.caught_up()

    # What happens.

    def _committed(self, key: str) -> None:
        store = self._store
        try:
            place, checkpoint = store.position_of(key), store.checkpoint(key)
        except No:
            # It is found by its position when it can be read again.
            return
        mark = Mark(place.shard, place.position, checkpoint.vector)
        for peer in self._peers.values():
            peer.committed(key, checkpoint.vector, mark)

    def _stated_in_answer(self, slot: int, stated: messages.Stated) -> None:
        self._waiting.start(note(self._store, slot, stated))

    def _wrote(self, account: AccountReplica, slot: int, operations: int) -> None:
        if not account.rules.is_holder(account.commits.stored):
            return
        if self._following.wrote(account.identity, slot, operations, account.commands):
            self._waiting.start(self._hand_over(account.name, slot))

    async def _hand_over(self, key: str, slot: int) -> None:
        if slot not in self.heard():
            return
        try:
            with self._store.lease(key) as account:
                if account.rules.is_holder(account.commits.records):
                    await account.hand_over(slot)
                    self._handovers += 1
        except No:
            # Whoever writes on is given it later.
            return

    def _lost_at(self, slot: int, key: str, hash: bytes, size: int) -> None:
        """A member does not have a body that an operation needs: the others are asked."""
        for peer in self._peers.values():
            if peer.slot is not None and peer.slot != slot:
                self._waiting.start(self._seek(peer, peer.slot, key, hash, size))

    async def _seek(self, peer: Peer, slot: int, key: str, hash: bytes, size: int) -> None:
        try:
            if not await peer.seek(key, hash, size):
                with self._store.lease(key) as account:
                    self._losses.lost_at(account, hash, slot)
        except (ChannelLost, Refused, No):
            # It is called lost again with the next attempt.
            return

    # How it stands.

    def relay(self, name: str) -> Relay | None:
        """What asks the peer *name* for an operator; None if there is no such peer."""
        peer = self._peers.get(name)
        return None if peer is None else peer.relay

    def heard(self) -> frozenset[int]:
        """The slots of the members that were heard within three heartbeats."""
        since = self._waiting.seconds() - SILENCE_SECONDS
        return frozenset(
            peer.slot
            for peer in self._peers.values()
            if peer.slot is not None and peer.heard_at is not None and peer.heard_at >= since
        )

    def status(self) -> Status:
        """As values."""
        return Status(
            self._subnet,
            self._name,
            self._members.slot,
            self._introductions.level,
            self._losses.count,
            self._handovers,
            tuple(peer.status() for peer in self._peers.values()),
        )
