# SPDX-License-Identifier: GPL-3.0-or-later
"""Replicas of one subnet on SQLite in memory, and what tests ship between them."""

from collections.abc import Awaitable, Iterable
from typing import TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.account import receiving, sending, snapshots, statements
from pluto_tw.account.database import MemoryDatabase
from pluto_tw.account.digests import Digest, digest
from pluto_tw.account.incoming import BodyLink, Incoming, read_body
from pluto_tw.account.replica import AccountReplica
from pluto_tw.crdt.dots import Vector
from pluto_tw.mail.flags import flag_set
from pluto_tw.mail.messages import NewMessage, StoreMode
from pluto_tw.mail.names import INBOX, MailboxName
from pluto_tw.mail.sets import NumberSet
from tests.account.accounts import Node, site_of

T = TypeVar("T")

KEY = "fred"


class SubnetCase(SynchronousTestCase):
    """Makes replicas by slot; work that pauses goes on at once."""

    def setUp(self) -> None:
        self.clock = Clock()

    def node(self, slot: int, others: Iterable[int]) -> Node:
        database = MemoryDatabase(f"node {slot}", bytes([slot]) * 16)
        self.addCleanup(database.destroy)
        return Node(database, site_of(self.clock, slot, others))

    def now(self, work: Awaitable[T]) -> T:
        async def run() -> T:
            return await work

        running = Deferred.fromCoroutine(run())
        while not running.called and any(c.time <= self.clock.seconds() for c in self.clock.calls):
            self.clock.advance(0)
        return self.successResultOf(running)

    def account(self, node: Node) -> AccountReplica:
        return node.store.account(KEY)

    def append(self, node: Node, *messages: bytes, name: str = INBOX) -> None:
        session = node.store.session(KEY, KEY)
        for octets in messages:
            upload = session.upload(len(octets))
            self.now(upload.write(octets))
            message = NewMessage(upload, flag_set(()), None)
            appending = Deferred.fromCoroutine(session.append(MailboxName(name), [message]))
            if not appending.called:
                # It waits for a sequencer that does not answer.
                self.clock.advance(1)
            self.successResultOf(appending)
        session.close()

    def flag(self, node: Node, text: str, *uids: int) -> None:
        session = node.store.session(KEY, KEY)
        opened = self.now(session.open(INBOX, False, lambda: None))
        self.now(opened.store(NumberSet.of(uids), StoreMode.ADD, flag_set([text]), None))
        if text == "\\Deleted":
            self.now(opened.expunge(NumberSet.of(uids)))
        opened.close()
        session.close()

    def digest(self, node: Node) -> Digest:
        return self.now(digest(self.account(node)))

    def known(self, node: Node) -> Vector:
        return statements.vector(self.account(node))

    # What a channel does.

    def bring(self, sender: Node, link: BodyLink, receiver: Node, hash: bytes, size: int) -> bool:
        """Brings one body over *link*, if it is needed."""
        incoming = link.begin(self.account(receiver), hash, size)
        if not isinstance(incoming, Incoming):
            return False
        at = 0
        while at < size:
            piece = self.now(read_body(self.account(sender), hash, at, 100_000))
            assert piece
            assert self.now(incoming.write(piece))
            at += len(piece)
        return self.now(incoming.finish())

    def ship(self, sender: Node, receiver: Node, link: BodyLink | None = None) -> int:
        """All that *receiver* lacks, bodies first; how many bodies went."""
        link = link or receiver.store.link()
        bodies = 0
        while True:
            source, target = self.account(sender), self.account(receiver)
            stated = statements.checkpoint(source)
            found = sending.next_batch(source, self.known(receiver))
            if found is sending.Lack.NOTHING:
                self.now(receiving.receive(target, b"", stated, link=link))
                return bodies
            assert isinstance(found, sending.Outgoing), found
            taken = self.now(receiving.receive(target, found.batch, stated, link=link))
            assert taken.refused is None, taken
            for hash, size in taken.missing:
                bodies += self.bring(sender, link, receiver, hash, size)

    def copy(self, sender: Node, receiver: Node, pieces: int = 10**6) -> bool:
        """At most so many *pieces* of a snapshot, from where it stands; whether it is complete."""
        link = receiver.store.link()
        source, target = self.account(sender), self.account(receiver)
        loading = snapshots.loading(target)
        slot, own = receiver.site.slot, sender.site.slot
        header = b"" if loading is None else loading.header
        begun = self.now(snapshots.begin(source, slot, header))
        assert begun is not None
        if loading is not None and loading.header == begun.header:
            cursor = loading.cursor
        else:
            cursor = self.now(snapshots.start(target, own, begun.header)).cursor
        while pieces:
            sent = self.now(snapshots.piece(source, slot, cursor))
            assert sent is not None
            answer = self.now(
                snapshots.take(
                    target, own, cursor, sent.piece, sent.cursor, sent.trailer, link=link
                )
            )
            assert not answer.refused, answer
            for hash, size in answer.missing:
                self.bring(sender, link, receiver, hash, size)
            if answer.done:
                link.close()
                return True
            if not answer.missing:
                cursor = answer.cursor
                pieces -= 1
        link.close()
        return False
