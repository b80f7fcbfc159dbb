# SPDX-License-Identifier: GPL-3.0-or-later
"""
Replication of one subnet: one object that knows this replica, its store and its peers.

It is told of channels as they come and go (`connected`, `disconnected`), and answers what peers ask
over theirs (`Answers`). Each commit of the store goes to every peer from here, and what a peer
states of an account is given to the account and to whoever ships it. What is sent when is decided
per peer (`pump.py`), what is taken per connection (`inbox.py`); this file decides who may talk,
with `handshake.py`, and joins the parts.
"""

from collections.abc import Callable, Iterable
from typing import Final, assert_never

from msgspec import Struct
from twisted.logger import Logger

from pluto_tw.account.replica import AccountReplica
from pluto_tw.account.store import Store
from pluto_tw.account.subnet import Standing
from pluto_tw.crdt.members import SLOTS_LEFT_WARN
from pluto_tw.mail.errors import No
from pluto_tw.mail.waiting import Promise, Waiting
from pluto_tw.replication import messages
from pluto_tw.replication.channel import Channel, ChannelLost
from pluto_tw.replication.following import Following
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
from pluto_tw.replication.inbox import Inbox, note
from pluto_tw.replication.ledger import Mark
from pluto_tw.replication.link import Refused
from pluto_tw.replication.losses import Losses
from pluto_tw.replication.peer import Peer
from pluto_tw.replication.pulse import SILENCE_SECONDS
from pluto_tw.replication.status import Status

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
        self._peers = {
            peer: Peer(peer, store, waiting, self, self._stated_in_answer) for peer in peers
        }
        self._losses = Losses(self.heard)
        self._following = Following()
        self._levels: dict[int, int] = {}
        self._handovers = 0
        self._met = False
        self._meetings: list[Promise[None]] = []
        self._stopped = False
        #: Called once, when a peer has sent all that this replica had missed: it has joined then.
        self.caught_up: Callable[[], None] = lambda: None
        self._is_caught_up = False

    def start(self) -> None:
        """From now on peers hear of commits."""
        self._store.peers_woken = self._committed

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
            return messages.encode(messages.Refusal(messages.UNAVAILABLE, text))
        found.figures.octets_received += len(question)
        try:
            decoded = messages.decode_question(kind, question)
        except ValueError as error:
            text = f"the question {kind} cannot be read: {error}"
            return messages.encode(messages.Refusal(messages.NOT_UNDERSTOOD, text))
        if decoded is None:
            text = f"{self._name} does not know questions of the kind {kind}"
            return messages.encode(messages.Refusal(messages.NOT_UNDERSTOOD, text))
        try:
            return messages.encode(await self._answer(found, decoded))
        except No as no:
            return messages.encode(messages.Refusal(messages.UNAVAILABLE, no.text))

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
            case _:
                assert_never(question)

    async def _greeted(self, peer: Peer, theirs: messages.Hello) -> Struct:
        verdict = await self.meet(theirs, peer.name)
        match verdict:
            case Accepted(slot):
                self.lost(peer.name)
                peer.inbox = self._inbox(peer, slot)
                peer.slot = slot
                peer.heard_at = self._waiting.seconds()
                return self._hello(messages.STANDING_MEMBER)
            case Newcomer():
                return self._hello(messages.STANDING_WAITING)
            case Admitted():
                return self._hello(messages.STANDING_ADMITTED)
            case Rejected(why):
                peer.refuse(why)
                return messages.Refusal(messages.LINK_REFUSED, why)
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

    # Who may talk.

    def hello(self) -> messages.Hello:
        """What this replica says of itself."""
        return self._hello(messages.STANDING_MEMBER)

    def _hello(self, standing: int) -> messages.Hello:
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
                if not waiting and self._members.is_lowest and certified in self._peers:
                    await self._add(theirs)
            case Admitted() | Rejected():
                pass
            case _:
                assert_never(verdict)
        return verdict

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
            level_of(self._levels.values(), messages.LEVEL),
            self._losses.count,
            self._handovers,
            tuple(peer.status() for peer in self._peers.values()),
        )
