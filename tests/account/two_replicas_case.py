# SPDX-License-Identifier: GPL-3.0-or-later
"""Two replicas of one account with a session each, and what tests do there and between them."""

from collections.abc import Awaitable
from typing import TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.account.account import AccountSession
from pluto_tw.account.database import MemoryDatabase
from pluto_tw.account.digests import Digest, digest
from pluto_tw.account.opened import OpenedMailbox
from pluto_tw.account.receiving import Taken, receive
from pluto_tw.account.sending import ops_since
from pluto_tw.account.statements import checkpoint, vector
from pluto_tw.crdt.dots import Vector
from pluto_tw.mail.flags import flag_set
from pluto_tw.mail.messages import Appended, NewMessage
from pluto_tw.mail.names import INBOX, MailboxName
from tests.account.accounts import Node, site_of

T = TypeVar("T")

WORK = MailboxName("Work")


class Replica:
    """One of two nodes, with a session of the account that both have."""

    def __init__(self, clock: Clock, slot: int, database: MemoryDatabase) -> None:
        self.heard: set[int] = {0, 1}
        site = site_of(clock, slot, {0, 1} - {slot}, heard=lambda: frozenset(self.heard))
        self.node = Node(database, site)
        self.open()

    def open(self) -> None:
        self.session: AccountSession = self.node.store.session("fred", "fred")
        self.account = self.node.store.account("fred")


class TwoReplicasCase(SynchronousTestCase):
    """Slot 0 is the sequencer of a new account."""

    def setUp(self) -> None:
        self.clock = Clock()
        # The sequencer takes its time after a start.
        self.a = self.replica(0)
        self.b = self.replica(1)
        self.clock.advance(10)

    def replica(self, slot: int) -> Replica:
        database = MemoryDatabase(f"node {slot}", bytes([slot]) * 16)
        self.addCleanup(database.destroy)
        return Replica(self.clock, slot, database)

    # What tests do.

    def now(self, work: Awaitable[T]) -> T:
        async def run() -> T:
            return await work

        running = Deferred.fromCoroutine(run())
        while not running.called and any(c.time <= self.clock.seconds() for c in self.clock.calls):
            self.clock.advance(0)
        return self.successResultOf(running)

    def begin_append(
        self, replica: Replica, octets: bytes, name: MailboxName = INBOX
    ) -> "Deferred[Appended]":
        upload = replica.session.upload(len(octets))
        self.now(upload.write(octets))
        message = NewMessage(upload, flag_set(()), None)
        return Deferred.fromCoroutine(replica.session.append(name, [message]))

    def append(self, replica: Replica, octets: bytes, name: MailboxName = INBOX) -> list[int]:
        return list(self.successResultOf(self.begin_append(replica, octets, name)).uids)

    def open(self, replica: Replica, name: MailboxName = INBOX) -> OpenedMailbox:
        opened = self.now(replica.session.open(name, False, lambda: None))
        self.addCleanup(opened.close)
        return opened

    def ship(self, sender: Replica, receiver: Replica) -> list[Taken]:
        """All that *receiver* lacks, bodies first."""
        stated = checkpoint(sender.account)
        taken = []
        for batch in self.batches(sender, vector(receiver.account)):
            found = self.now(receive(receiver.account, batch, stated))
            if found.missing:
                for hash, _ in found.missing:
                    self.ship_body(sender, receiver, hash)
                found = self.now(receive(receiver.account, batch, stated))
            taken.append(found)
        if not taken:
            self.now(receiver.account.receive([], stated))
        return taken

    def batches(self, sender: Replica, known: Vector = ()) -> list[bytes]:
        """All that who has *known* lacks."""
        batches = ops_since(sender.account, known)
        assert batches is not None
        return list(batches)

    def ship_body(self, sender: Replica, receiver: Replica, hash: bytes) -> None:
        query = "SELECT id, size FROM body WHERE hash = ?"
        [(number, size)] = sender.node.shard.read(query, (hash,))
        upload = receiver.node.ground.bodies.upload(size)

        async def run() -> None:
            async for chunk in sender.node.ground.bodies.body(number, size).read(0, size):
                await upload.write(chunk)
            await receiver.node.ground.bodies.keep(await upload.finish())
            upload.abandon()

        self.now(run())

    def exchange(self, rounds: int = 4) -> None:
        """Until both have everything, and have told each other."""
        for _ in range(rounds):
            self.ship(self.a, self.b)
            self.ship(self.b, self.a)
            self.clock.advance(1.1)

    def same(self) -> None:
        """Both show the same."""
        mine, theirs = self.now(self.digest(self.a)), self.now(self.digest(self.b))
        self.assertEqual(mine, theirs)
        self.assertFalse(mine.outstanding)

    async def digest(self, replica: Replica) -> Digest:
        work = Deferred.fromCoroutine(digest(replica.account))
        while not work.called:
            self.clock.advance(0)
        return await work

    def octets(self, replica: Replica, uid: int) -> bytes:
        body = self.open(replica).body(uid)

        async def read() -> bytes:
            return b"".join([chunk async for chunk in body.read(0, body.size)])

        return self.now(read())
