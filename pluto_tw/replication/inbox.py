# SPDX-License-Identifier: GPL-3.0-or-later
"""
What one peer sends to this replica: operations, bodies, snapshots, and what it states.

An inbox lives as long as the connection that the peer dialled. What comes for one account is done
in the order in which it came, one after the other; accounts do not wait for each other. Everything
that is answered is durable: the vector in an answer is an acknowledgement.

What is taken and what is refused is decided by `pluto_tw.account` (`receiving.py`, `incoming.py`,
`snapshots.py`); this file turns questions into calls of it, and remembers which bodies are on their
way and which nobody has any more.
"""

from collections.abc import Callable, Iterable
from typing import Final

from twisted.logger import Logger

from pluto_tw.account import receiving, snapshots, statements
from pluto_tw.account.incoming import BodyLink, Incoming, Where
from pluto_tw.account.replica import AccountReplica
from pluto_tw.account.store import Store
from pluto_tw.mail.errors import No
from pluto_tw.mail.waiting import SLICE_SECONDS, Waiting
from pluto_tw.replication import messages
from pluto_tw.replication.link import Figures
from pluto_tw.replication.losses import Losses
from pluto_tw.replication.messages import BodyPiece, Missing, Stated
from pluto_tw.replication.window import Turns

log = Logger()

_TROUBLE: Final = {
    statements.Trouble.MALFORMED: messages.MALFORMED,
    statements.Trouble.FORKED: messages.FORKED,
    statements.Trouble.BEHIND: messages.BEHIND,
}


class Inbox:
    """
    What the peer *name*, the member *slot*, sends to *store*; *heard*: which members are.

    *told* is called with what the peer states of an account, before anything else is done with it;
    *wrote* with an account to which it has sent operations, and how many; *lost* with the key, hash
    and size of a body that it does not have.
    """

    def __init__(
        self,
        store: Store,
        waiting: Waiting,
        name: str,
        slot: int,
        figures: Figures,
        losses: Losses,
        heard: Callable[[], frozenset[int]],
        told: Callable[[Stated], None],
        wrote: Callable[[AccountReplica, int], None],
        lost: Callable[[str, bytes, int], None],
    ) -> None:
        self.name = name
        self.slot = slot
        self._store = store
        self._waiting = waiting
        self._figures = figures
        self._losses = losses
        self._heard = heard
        self._told = told
        self._wrote = wrote
        self._lost = lost
        self._link: BodyLink = store.link()
        self._turns = Turns(waiting)
        self._coming: dict[tuple[int, bytes], tuple[Incoming, int]] = {}

    def close(self) -> None:
        """The connection has ended."""
        self._coming.clear()
        self._link.close()

    # What it states.

    async def beat(self, question: messages.Beat) -> messages.Beaten:
        """It lives, and states what it has of accounts to which it committed."""
        await self._note(question.accounts)
        return messages.Beaten()

    async def sync(self, question: messages.Sync) -> messages.Synced:
        """It states what it has of accounts, and wants to know what is here."""
        await self._note(question.accounts)
        found: list[Stated | None] = []
        for account in question.accounts:
            try:
                with self._store.lease(account.key) as replica:
                    found.append(_state_of(replica, account.key))
            except No:
                found.append(None)
        return messages.Synced(tuple(found))

    async def _note(self, accounts: Iterable[Stated]) -> None:
        until = self._waiting.seconds() + SLICE_SECONDS
        for account in accounts:
            self._told(account)
            await note(self._store, self.slot, account)
            if self._waiting.seconds() >= until:
                await self._waiting.pause()
                until = self._waiting.seconds() + SLICE_SECONDS

    # Operations.

    async def batch(self, question: messages.Batch) -> messages.Taken:
        """Operations of one account. Raises No(UNAVAILABLE)."""
        key = question.stated.key
        self._told(question.stated)
        await self._turns.enter(key)
        try:
            with self._store.lease(key) as account:
                return await self._take(account, question)
        finally:
            self._turns.leave(key)

    async def _take(self, account: AccountReplica, question: messages.Batch) -> messages.Taken:
        stated = question.stated
        taken = await receiving.receive(
            account,
            question.batch,
            stated.checkpoint(self.slot),
            self._losses.known_lost(account),
            self._link,
        )
        self._figures.operations_received += taken.operations
        if taken.operations:
            self._wrote(account, taken.operations)
        if taken.refused is not None:
            log.error(
                "operations of slot {slot} from {peer} for {account} refused: {reason}; see "
                "docs/how-to/restore-a-node.md",
                event="operations-refused",
                slot=taken.slot,
                peer=self.name,
                account=account.identity.hex(),
                reason=taken.refused.value,
            )
        if taken.ahead:
            log.error(
                "operations from {peer} for {account} held: they are stamped more than an hour "
                "ahead of this machine's clock; compare both clocks",
                event="operations-held",
                peer=self.name,
                account=account.identity.hex(),
            )
        return messages.Taken(
            taken.operations,
            _state_of(account, stated.key),
            _missing(taken.missing, taken.coming),
            taken.ahead,
            taken.unknown is not None,
            0 if taken.refused is None else _TROUBLE.get(taken.refused, messages.MALFORMED),
            taken.slot,
        )

    # Bodies.

    async def bodies(self, question: messages.Bodies) -> messages.Stored:
        """Pieces of bodies, in their order. Raises No(UNAVAILABLE)."""
        await self._turns.enter(question.key)
        try:
            with self._store.lease(question.key) as account:
                outcomes = [await self._store_piece(account, piece) for piece in question.pieces]
        finally:
            self._turns.leave(question.key)
        return messages.Stored(tuple(outcomes))

    async def _store_piece(self, account: AccountReplica, piece: BodyPiece) -> int:
        name = self._store.shard_of(account.name), piece.hash
        if piece.lost:
            found = self._coming.pop(name, None)
            if found is not None:
                found[0].abandon()
            self._link.give_up(account, [piece.hash])
            self._losses.lost_at(account, piece.hash, self.slot)
            self._lost(account.name, piece.hash, piece.size)
            return messages.TOOK
        if piece.start == 0:
            begun = self._link.begin(account, piece.hash, piece.size)
            match begun:
                case Where.HERE:
                    return messages.HAD
                case Where.COMING:
                    return messages.COMING
                case Incoming():
                    self._coming[name] = begun, 0
        incoming, expected = self._coming.get(name, (None, 0))
        if incoming is None or expected != piece.start or incoming.size != piece.size:
            return messages.BEGIN_AGAIN
        if not await incoming.write(piece.octets):
            self._coming.pop(name, None)
            return messages.BEGIN_AGAIN
        if piece.start + len(piece.octets) < piece.size:
            self._coming[name] = incoming, piece.start + len(piece.octets)
            return messages.TOOK
        self._coming.pop(name, None)
        if not await incoming.finish():
            log.error(
                "{peer} sent octets that do not fit the hash of the body {hash} of {account}; it "
                "checks its own, and is asked again",
                event="body-does-not-fit",
                peer=self.name,
                hash=piece.hash.hex(),
                account=account.identity.hex(),
            )
            return messages.UNFIT
        self._figures.bodies_received += 1
        return messages.TOOK

    async def fetch(self, question: messages.Fetch) -> messages.Fetched:
        """Octets of a body that is here. Raises No(UNAVAILABLE)."""
        length = min(messages.PIECE_OCTETS, question.size - question.start)
        if length < 0:
            return messages.Fetched(None)
        octets = await self._store.read_body(question.hash, question.start, length)
        return messages.Fetched(octets)

    # Snapshots.

    async def snapshot(self, question: messages.Snapshot) -> messages.Loaded:
        """A part of a snapshot. Raises No(UNAVAILABLE)."""
        await self._turns.enter(question.key)
        try:
            with self._store.lease(question.key) as account:
                return await self._load(account, question)
        finally:
            self._turns.leave(question.key)

    async def _load(self, account: AccountReplica, question: messages.Snapshot) -> messages.Loaded:
        loading = snapshots.loading(account)
        if not question.piece and not question.trailer:
            if loading is not None and (loading.slot, loading.header) == (
                self.slot,
                question.header,
            ):
                return self._loaded(account, question, messages.GO_ON, loading.cursor)
            if loading is not None and loading.slot in self._heard() - {self.slot}:
                # Two senders would begin again and again.
                return self._loaded(account, question, messages.BUSY)
            return await self._start(account, question)
        if loading is None or (loading.slot, loading.header) != (self.slot, question.header):
            return self._loaded(account, question, messages.BUSY)
        answer = await snapshots.take(
            account,
            self.slot,
            question.cursor,
            question.piece,
            question.after,
            question.trailer,
            self._losses.known_lost(account),
            self._link,
        )
        return self._answer(account, question, answer)

    async def _start(self, account: AccountReplica, question: messages.Snapshot) -> messages.Loaded:
        answer = await snapshots.start(account, self.slot, question.header)
        if not answer.refused:
            log.info(
                "snapshot of {account} from {peer} begun",
                event="snapshot-loading",
                account=account.identity.hex(),
                peer=self.name,
            )
        return self._answer(account, question, answer)

    def _answer(
        self, account: AccountReplica, question: messages.Snapshot, answer: snapshots.Answer
    ) -> messages.Loaded:
        if answer.refused:
            return self._loaded(account, question, messages.BUSY)
        if answer.ahead:
            return self._loaded(account, question, messages.AHEAD)
        if answer.done:
            self._figures.snapshots_received += 1
            log.info(
                "snapshot of {account} from {peer} is here",
                event="snapshot-loaded",
                account=account.identity.hex(),
                peer=self.name,
            )
            return self._loaded(account, question, messages.ENDED)
        missing = _missing(answer.missing, answer.coming)
        return self._loaded(account, question, messages.GO_ON, answer.cursor, missing)

    def _loaded(
        self,
        account: AccountReplica,
        question: messages.Snapshot,
        state: int,
        cursor: bytes = b"",
        missing: tuple[Missing, ...] = (),
    ) -> messages.Loaded:
        return messages.Loaded(state, _state_of(account, question.key), cursor, missing)


async def note(store: Store, slot: int, stated: Stated) -> None:
    """Gives the account what the member *slot* states of it, if it can be read now."""
    try:
        with store.lease(stated.key) as account:
            await receiving.receive(account, b"", stated.checkpoint(slot))
    except No:
        # It is stated again with the next commit, at the latest when the link is made anew.
        return


def _state_of(account: AccountReplica, key: str) -> Stated:
    checkpoint = statements.checkpoint(account)
    return messages.stated(key, checkpoint, loading=snapshots.loading(account) is not None)


def _missing(
    missing: Iterable[tuple[bytes, int]], coming: Iterable[tuple[bytes, int]]
) -> tuple[Missing, ...]:
    found = [Missing(hash, size) for hash, size in missing]
    found += [Missing(hash, size, coming=True) for hash, size in coming]
    return tuple(found[: messages.MISSING_MAX])
