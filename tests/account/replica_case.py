# SPDX-License-Identifier: GPL-3.0-or-later
"""A node with one account on SQLite in memory, and what tests do with it."""

from collections.abc import Awaitable
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.account.account import AccountSession
from pluto_tw.account.database import MemoryDatabase
from pluto_tw.account.digests import digest
from pluto_tw.account.opened import OpenedMailbox
from pluto_tw.account.site import Limits
from pluto_tw.mail.flags import flag_set
from pluto_tw.mail.messages import Appended, NewMessage, Stored, StoreMode
from pluto_tw.mail.names import INBOX, MailboxName
from pluto_tw.mail.sets import NumberSet
from pluto_tw.mail.uids import UID_MAX
from tests.account.accounts import Node, site_of
from tests.support.hop import HeldHop

T = TypeVar("T")

WORK = MailboxName("Work")
ALL = NumberSet.from_ranges([(1, UID_MAX)])


class ReplicaCase(SynchronousTestCase):
    """Has `node`, alone on a database in memory, and a session of one account there."""

    limits = Limits()

    def setUp(self) -> None:
        self.clock = Clock()
        self.database = MemoryDatabase("memory", bytes(16))
        self.addCleanup(self.database.destroy)
        self.node = Node(self.database, site_of(self.clock, limits=self.limits))
        self.login()

    def login(self) -> None:
        self.session: AccountSession = self.node.store.session("fred", "fred")
        self.account = self.node.store.account("fred")

    def crash(self, hop: HeldHop | None = None) -> None:
        """What was not committed is gone, and all that was in memory."""
        self.node.restart(hop)
        self.login()

    def begun(self, work: Awaitable[T]) -> "Deferred[T]":
        async def run() -> T:
            return await work

        return Deferred.fromCoroutine(run())

    def now(self, work: Awaitable[T]) -> T:
        return self.successResultOf(self.begun(work))

    def begin_append(
        self, octets: bytes, text: str = "", name: str = INBOX
    ) -> "Deferred[Appended]":
        upload = self.session.upload(len(octets))
        self.now(upload.write(octets))
        message = NewMessage(upload, flag_set(text.split()), None)
        return self.begun(self.session.append(MailboxName(name), [message]))

    def append(self, octets: bytes = b"octets", text: str = "", name: str = INBOX) -> int:
        [uid] = self.successResultOf(self.begin_append(octets, text, name)).uids
        return uid

    def open(self, name: str = INBOX) -> OpenedMailbox:
        return self.now(self.session.open(MailboxName(name), False, lambda: None))

    def store(self, opened: OpenedMailbox, text: str, uids: NumberSet = ALL) -> Stored:
        return self.now(opened.store(uids, StoreMode.ADD, flag_set(text.split()), None))

    def expunge(self, opened: OpenedMailbox, *uids: int) -> None:
        self.store(opened, "\\Deleted", NumberSet.of(uids))
        self.now(opened.expunge(NumberSet.of(uids)))

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        return self.database.connection.execute(sql).fetchall()

    def digest(self) -> bytes:
        work = self.begun(digest(self.account))
        while not work.called:
            self.clock.advance(0)
        return self.successResultOf(work).digest
