# SPDX-License-Identifier: GPL-3.0-or-later
"""
One account on its way to one peer: does what its progress says, question by question.

What is to be done next is decided by `progress.py`; who may ask now by the peer's window; which
accounts are shipped at all by `pump.py`. This file reads from the account and asks. Questions are
not waited for one by one: batches and bodies follow each other up to a bound, in the order in
which the peer is to take them, and each answer is taken up as it comes.

While it runs it has a lease of the account. It ends when there is nothing to do now; then nothing
of it is on its way.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, assert_never

from twisted.logger import Logger

from pluto_tw.account import sending, snapshots, statements
from pluto_tw.account.incoming import check_body, read_body
from pluto_tw.account.replica import AccountReplica
from pluto_tw.account.store import Store
from pluto_tw.mail.errors import No
from pluto_tw.mail.waiting import Promise, Waiting
from pluto_tw.replication import messages
from pluto_tw.replication.channel import ChannelLost
from pluto_tw.replication.link import Link, Refused
from pluto_tw.replication.progress import (
    Pause,
    Probe,
    Progress,
    Rest,
    SendBatch,
    SendBodies,
    SendSnapshot,
    Stop,
    Wait,
)
from pluto_tw.replication.window import Window

log = Logger()

#: Questions about one account that are on their way to one peer; `Progress` has its own bound for
#: batches. Half of the window: the other half is there for whoever comes next.
ASKS_ACCOUNT_MAX: Final = 4

#: What a refusal of a batch means, for people.
_REFUSED: Final = {
    messages.MALFORMED: "it cannot read our operations",
    messages.FORKED: "our operations of slot {slot} continue another history than its own",
    messages.BEHIND: "we know more operations of slot {slot} than it does, and they are its own",
}


@dataclass(slots=True)
class _Body:
    """A body on its way: up to *start* it was read."""

    hash: bytes
    size: int
    start: int = 0


class Shipment:
    """
    The account *key* of *store* for the peer of *link*.

    *stated* is called with what the peer states of the account.
    """

    def __init__(
        self,
        store: Store,
        link: Link,
        window: Window,
        waiting: Waiting,
        key: str,
        progress: Progress,
        stated: Callable[[messages.Stated], None],
    ) -> None:
        self.key = key
        self.progress = progress
        self._store = store
        self._link = link
        self._window = window
        self._waiting = waiting
        self._stated = stated
        self._asks = 0
        self._promise: Promise[None] | None = None
        self._body: _Body | None = None
        #: Bodies that the peer takes; one that is not here any more is not gone on with.
        self._taking: set[bytes] = set()
        #: The snapshot that the peer takes, and where it goes on; None: it has to be asked.
        self._header = b""
        self._cursor: bytes | None = None

    def wake(self) -> None:
        """Something has happened to the progress."""
        promise, self._promise = self._promise, None
        if promise is not None:
            promise.fire(None)

    async def run(self) -> Rest | Stop | Wait:
        """
        Ships what can be shipped; what is left when nothing is on its way any more.

        Raises `ChannelLost` at the end of the link, `No` if the account cannot be read now.
        """
        with self._store.lease(self.key) as account:
            try:
                return await self._ship(account)
            finally:
                # Answers to come find nobody.
                self._promise = None

    async def _ship(self, account: AccountReplica) -> Rest | Stop | Wait:
        progress = self.progress
        while True:
            if self._link.ended:
                raise ChannelLost(self._link.ended)
            action = SendBodies() if self._body is not None else progress.next()
            if self._asks >= ASKS_ACCOUNT_MAX and isinstance(action, SendBatch | SendBodies):
                await self._news()
                continue
            match action:
                case Rest() | Stop() | Wait():
                    if not self._asks:
                        return action
                    await self._news()
                case Probe():
                    await self._probe(account)
                case SendBatch():
                    await self._send_batch(account)
                case SendBodies():
                    await self._send_bodies(account)
                case SendSnapshot():
                    await self._send_snapshot(account)
                case _:
                    assert_never(action)

    async def _news(self) -> None:
        assert self._promise is None, "one coroutine ships an account"
        self._promise = self._waiting.promise()
        await self._promise

    # What the peer has.

    async def _probe(self, account: AccountReplica) -> None:
        await self._window.enter()
        try:
            own = messages.stated(self.key, statements.checkpoint(account))
            self.progress.probe()
            answer = await self._link.ask(messages.SYNC, messages.Sync((own,)), messages.Synced)
            [found] = answer.accounts or (None,)
            if found is None:
                self.progress.probe_failed()
            else:
                self.progress.probed(found.vector, loading=found.loading)
                self._stated(found)
        except Refused as refused:
            self._note(refused)
            self.progress.probe_failed()
        finally:
            self._window.leave()

    # Batches.

    async def _send_batch(self, account: AccountReplica) -> None:
        await self._window.enter()
        handed_on = False
        try:
            action = self.progress.next()
            if not isinstance(action, SendBatch):
                return
            found = sending.next_batch(account, action.known, action.slot)
            if isinstance(found, sending.Lack):
                self._lacks(found, any(action.known))
                return
            own = messages.stated(self.key, statements.checkpoint(account))
            self.progress.sent(found.reached)
            self._asks += 1
            handed_on = True
        finally:
            if not handed_on:
                self._window.leave()
        self._waiting.start(self._ask_batch(account, messages.Batch(own, found.batch), found))

    async def _ask_batch(
        self, account: AccountReplica, question: messages.Batch, sent: sending.Outgoing
    ) -> None:
        try:
            taken = await self._link.ask(messages.BATCH, question, messages.Taken)
        except Refused as refused:
            self._note(refused)
            self.progress.failed()
        except ChannelLost:
            self.progress.failed()
        else:
            self._took(account, taken, sent)
        self._answered()

    def _took(self, account: AccountReplica, taken: messages.Taken, sent: sending.Outgoing) -> None:
        self._link.figures.operations_sent += taken.operations
        if taken.refused:
            why = _REFUSED.get(taken.refused, "it refuses our operations").format(slot=taken.slot)
            self.progress.stop(why)
            if taken.refused == messages.FORKED and taken.slot == account.site.slot:
                # Our own operations: it is this database that was put back.
                account.halt(f"{self._link.name} says: {why}", self._link.slot)
        pause = None
        if taken.ahead:
            pause = Pause.AHEAD
            log.error(
                "{peer} holds operations of {account}, which are stamped too far ahead of its "
                "clock: compare the clocks of both machines",
                event="operations-held",
                peer=self._link.name,
                account=account.identity.hex(),
            )
        elif taken.unknown:
            pause = Pause.UNABLE
        elif any(body.coming for body in taken.missing):
            pause = Pause.COMING
        missing = [(body.hash, body.size) for body in taken.missing if not body.coming]
        self.progress.answered(sent.reached, taken.stated.vector, missing, pause)
        if taken.stated.loading:
            self.progress.pruned()
        self._stated(taken.stated)

    def _lacks(self, lack: sending.Lack, has_some: bool) -> None:
        match lack:
            case sending.Lack.NOTHING:
                self.progress.unable()
            case sending.Lack.PRUNED:
                if has_some:
                    self.progress.stop("it lacks operations that it had acknowledged")
                else:
                    self.progress.pruned()
            case _:
                assert_never(lack)

    # Bodies.

    async def _send_bodies(self, account: AccountReplica) -> None:
        await self._window.enter()
        pieces: list[messages.BodyPiece] = []
        try:
            await self._read(account, pieces)
        except No:
            self._drop_body(Pause.UNABLE)
            raise
        finally:
            if not pieces:
                self._window.leave()
        if pieces:
            self._asks += 1
            question = messages.Bodies(self.key, tuple(pieces))
            self._waiting.start(self._ask_bodies(account, question))

    async def _read(self, account: AccountReplica, pieces: list[messages.BodyPiece]) -> None:
        """Reads as many pieces as go into one question."""
        octets = 0
        while octets < messages.PIECES_OCTETS and len(pieces) < messages.PIECES_MAX:
            body = self._body
            if body is None:
                wanted = self.progress.take_wanted(1)
                if not wanted:
                    return
                body = self._body = _Body(*wanted[0])
                self._taking.add(body.hash)
            elif body.hash not in self._taking:
                self._body = None
                continue
            length = min(messages.PIECE_OCTETS, body.size - body.start)
            found = await read_body(account, body.hash, body.start, length)
            if found is None or len(found) != length:
                # Said of octets that have come already as well: they are not all of them.
                pieces.append(messages.BodyPiece(body.hash, body.size, body.start, b"", lost=True))
                self._body = None
                continue
            pieces.append(messages.BodyPiece(body.hash, body.size, body.start, found))
            octets += length
            body.start += length
            if body.start == body.size:
                self._body = None
                self._link.figures.bodies_sent += 1

    async def _ask_bodies(self, account: AccountReplica, question: messages.Bodies) -> None:
        try:
            stored = await self._link.ask(messages.BODIES, question, messages.Stored)
        except Refused as refused:
            self._note(refused)
            self._end_bodies(question, Pause.UNABLE)
        except ChannelLost:
            self._end_bodies(question, Pause.UNABLE)
        else:
            for piece, outcome in zip(question.pieces, stored.outcomes, strict=False):
                await self._stored(account, piece, outcome)
        self._answered()

    async def _stored(
        self, account: AccountReplica, piece: messages.BodyPiece, outcome: int
    ) -> None:
        match outcome:
            case messages.TOOK:
                if piece.lost:
                    self._end_body(piece.hash, Pause.OTHERS)
                elif piece.start + len(piece.octets) == piece.size:
                    self._end_body(piece.hash)
            case messages.HAD:
                self._end_body(piece.hash)
            case messages.COMING:
                self._end_body(piece.hash, Pause.COMING)
            case messages.UNFIT:
                self._end_body(piece.hash, Pause.UNABLE)
                await check_body(account, piece.hash)
            case _:
                self._end_body(piece.hash, Pause.UNABLE)

    def _end_bodies(self, question: messages.Bodies, pause: Pause) -> None:
        for piece in question.pieces:
            self._end_body(piece.hash, pause)

    def _end_body(self, hash: bytes, pause: Pause | None = None) -> None:
        """The peer has it, or must get it some other time."""
        if hash in self._taking:
            self._taking.discard(hash)
            self.progress.bodies_sent(pause=pause)

    def _drop_body(self, pause: Pause) -> None:
        body, self._body = self._body, None
        if body is not None:
            self._end_body(body.hash, pause)

    # Snapshots.

    async def _send_snapshot(self, account: AccountReplica) -> None:
        """One step: where shall it go on, or a piece from there."""
        await self._window.enter()
        try:
            if not isinstance(self.progress.next(), SendSnapshot):
                return
            if self._cursor is None:
                loaded = await self._offer(account)
            else:
                loaded = await self._give(account, self._cursor)
            if loaded is None:
                self._cursor = None
                self.progress.unable()
            else:
                self._loaded(account, loaded)
        except Refused as refused:
            self._note(refused)
            self.progress.unable()
        finally:
            self._window.leave()

    async def _offer(self, account: AccountReplica) -> messages.Loaded | None:
        started = await snapshots.begin(account, self._link.slot, self._header)
        if started is None:
            return None
        if started.header != self._header:
            self._header = started.header
            log.info(
                "snapshot of {account} for {peer} begun",
                event="snapshot-begun",
                account=account.identity.hex(),
                peer=self._link.name,
            )
        question = messages.Snapshot(self.key, self._header)
        return await self._link.ask(messages.SNAPSHOT, question, messages.Loaded)

    async def _give(self, account: AccountReplica, cursor: bytes) -> messages.Loaded | None:
        sent = await snapshots.piece(account, self._link.slot, cursor)
        if sent is None:
            # It has expired. What the peer has of it does no harm.
            self._header = b""
            return None
        question = messages.Snapshot(
            self.key, self._header, cursor, sent.cursor, sent.piece, sent.trailer
        )
        return await self._link.ask(messages.SNAPSHOT, question, messages.Loaded)

    def _loaded(self, account: AccountReplica, loaded: messages.Loaded) -> None:
        missing = [(body.hash, body.size) for body in loaded.missing if not body.coming]
        self._cursor = loaded.cursor if loaded.state == messages.GO_ON else None
        match loaded.state:
            case messages.GO_ON:
                pause = Pause.COMING if len(missing) < len(loaded.missing) else None
                self.progress.wants(missing, pause)
            case messages.ENDED | messages.NOT_NEEDED:
                if loaded.state == messages.ENDED:
                    self._link.figures.snapshots_sent += 1
                    log.info(
                        "{peer} has the snapshot of {account}",
                        event="snapshot-ended",
                        account=account.identity.hex(),
                        peer=self._link.name,
                    )
                self.progress.snapshot_ended(loaded.stated.vector)
            case messages.AHEAD:
                self.progress.unable(Pause.AHEAD)
            case _:
                self.progress.unable()
        self._stated(loaded.stated)

    # Leaves.

    def _answered(self) -> None:
        self._asks -= 1
        self._window.leave()
        self.wake()

    def _note(self, refused: Refused) -> None:
        log.warn(
            "{peer} does not take {account}: {reason}",
            event="account-not-taken",
            peer=self._link.name,
            account=self._store.identity_of(self.key).hex(),
            reason=refused.text,
        )
