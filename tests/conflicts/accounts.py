# SPDX-License-Identifier: GPL-3.0-or-later
"""
The rows of the table on accounts in SQLite, by what their sessions can do.

Two nodes, each with a session of one account; operations and bodies travel when the test says so.
"""

from collections import Counter
from collections.abc import Awaitable
from typing import TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from pluto_tw.account.account import AccountSession
from pluto_tw.account.database import MemoryDatabase
from pluto_tw.account.digests import Digest, digest
from pluto_tw.account.opened import OpenedMailbox
from pluto_tw.account.receiving import Taken, receive
from pluto_tw.account.replica import AccountReplica
from pluto_tw.account.sending import ops_since
from pluto_tw.account.statements import checkpoint, vector
from pluto_tw.mail.flags import DELETED, flag_set
from pluto_tw.mail.messages import NewMessage, StoreMode
from pluto_tw.mail.names import MailboxName
from pluto_tw.mail.sets import NumberSet
from tests.account.accounts import Node, site_of
from tests.conflicts.row import as_shown, deeds

T = TypeVar("T")

#: Seconds after which a sequencer that starts no longer waits for news.
_START_SECONDS = 10
#: Exchanges in both directions until nothing is left to say.
_ROUNDS = 4


def now(work: Awaitable[T]) -> T:
    """The result of what needs to wait for nothing."""

    async def run() -> T:
        return await work

    found: list[T] = []
    failures: list[Failure] = []
    Deferred.fromCoroutine(run()).addCallbacks(found.append, failures.append)
    for failure in failures:
        failure.raiseException()
    assert found, "it waits"
    return found[0]


class AccountSite:
    """One of two replicas, in *slot*; slot 0 is the sequencer."""

    def __init__(self, clock: Clock, slot: int) -> None:
        self.database = MemoryDatabase(f"node {slot}", bytes([slot]) * 16)
        self.heard = frozenset({0, 1})
        site = site_of(clock, slot, {1 - slot}, heard=lambda: self.heard)
        self.node = Node(self.database, site)
        self.session: AccountSession = self.node.store.session("fred", "fred")
        self.account: AccountReplica = self.node.store.account("fred")

    def do(self, text: str) -> None:
        """Carries commands out, as rows write them."""
        for words in deeds(text):
            self._do(words)

    def _do(self, words: list[str]) -> None:
        match words:
            case ["create", name]:
                now(self.session.create(MailboxName(name), frozenset()))
            case ["delete", name]:
                now(self.session.delete(MailboxName(name)))
            case ["rename", old, new]:
                now(self.session.rename(MailboxName(old), MailboxName(new)))
            case ["subscribe" | "unsubscribe" as verb, name]:
                now(self.session.subscribe(MailboxName(name), verb == "subscribe"))
            case ["append", name, label, *flags]:
                octets = label.encode()
                upload = self.session.upload(len(octets))
                now(upload.write(octets))
                message = NewMessage(upload, flag_set(flags), None)
                now(self.session.append(MailboxName(name), [message]))
            case ["copy" | "move" as verb, name, what, target]:
                opened = self._open(name)
                command = opened.copy if verb == "copy" else opened.move
                now(command(_named(opened, what), MailboxName(target)))
                opened.close()
            case ["store" | "store-if-unchanged" as verb, name, what, change]:
                self._store(name, what, change, verb != "store")
            case ["read", name, what]:
                opened = self._open(name)
                now(opened.mark_seen(_named(opened, what)))
                opened.close()
            case ["expunge", name, what]:
                self._store(name, what, f"+{DELETED}", False)
                opened = self._open(name)
                now(opened.expunge(_named(opened, what)))
                opened.close()
            case _:
                raise ValueError(words)

    def _store(self, name: str, what: str, change: str, if_unchanged: bool) -> None:
        opened = self._open(name)
        mode = StoreMode.ADD if change[0] == "+" else StoreMode.REMOVE
        since = opened.highest_modseq() if if_unchanged else None
        now(opened.store(_named(opened, what), mode, flag_set([change[1:]]), since))
        opened.close()

    def _open(self, name: str) -> OpenedMailbox:
        return now(self.session.open(MailboxName(name), False, lambda: None))

    def shown(self) -> dict[str, Counter[str]]:
        """What sessions see now."""
        found = {}
        for entry in now(self.session.mailboxes()):
            opened = self._open(entry.name)
            uids = list(opened.uids())
            found[str(entry.name)] = Counter(
                as_shown(_label(opened, uid), frozenset(map(str, flags)))
                for uid, flags in zip(uids, opened.flags(uids), strict=True)
            )
            opened.close()
        return found

    def subscribed(self) -> set[str]:
        return set(map(str, now(self.session.subscriptions())))


class TwoSites:
    """Both, on one clock."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.sites = [AccountSite(self.clock, slot) for slot in (0, 1)]
        self.clock.advance(_START_SECONDS)

    def close(self) -> None:
        """Gives the databases back."""
        for site in self.sites:
            site.database.destroy()

    def cut(self) -> None:
        for site in self.sites:
            site.heard = frozenset()

    def heal(self, first: int) -> None:
        """Delivers everything, that of *first* first."""
        for site in self.sites:
            site.heard = frozenset({0, 1})
        for _ in range(_ROUNDS):
            self._ship(self.sites[first], self.sites[1 - first])
            self._ship(self.sites[1 - first], self.sites[first])
            self.clock.advance(1)

    def digests(self) -> list[Digest]:
        """What tells whether both show the same."""
        found = []
        for site in self.sites:
            work = Deferred.fromCoroutine(digest(site.account))
            while not work.called:
                self.clock.advance(0)
            found.append(now(work))
        return found

    def _ship(self, sender: AccountSite, receiver: AccountSite) -> None:
        stated = checkpoint(sender.account)
        batches = ops_since(sender.account, vector(receiver.account))
        assert batches is not None
        for batch in list(batches):
            taken: Taken = now(receive(receiver.account, batch, stated))
            if taken.missing:
                for hash, _ in taken.missing:
                    _ship_body(sender, receiver, hash)
                taken = now(receive(receiver.account, batch, stated))
            assert taken.refused is None and not taken.missing, taken
        now(receiver.account.receive([], stated))


def _ship_body(sender: AccountSite, receiver: AccountSite, hash: bytes) -> None:
    query = "SELECT id, size FROM body WHERE hash = ?"
    [(number, size)] = sender.node.shard.read(query, (hash,))
    upload = receiver.node.ground.bodies.upload(size)

    async def run() -> None:
        async for chunk in sender.node.ground.bodies.body(number, size).read(0, size):
            await upload.write(chunk)
        await receiver.node.ground.bodies.keep(await upload.finish())
        upload.abandon()

    now(run())


def _label(opened: OpenedMailbox, uid: int) -> str:
    body = opened.body(uid)

    async def read() -> bytes:
        return b"".join([chunk async for chunk in body.read(0, body.size)])

    return now(read()).decode()


def _named(opened: OpenedMailbox, what: str) -> NumberSet:
    """The UIDs that a session sees these labels under."""
    by_label = {_label(opened, uid): uid for uid in opened.uids()}
    return NumberSet.of(by_label[label] for label in what.split(","))
