# SPDX-License-Identifier: GPL-3.0-or-later
"""
The store of a replica on real files and threads: its shards, and the accounts on them.

Which files there are is decided here: `shard-0.db`, `shard-1.db`, ... beside the identity, which
says how many. Each shard has a thread that writes and `READERS` that read.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from twisted.internet.interfaces import IReactorFromThreads
from twisted.logger import Logger

from pluto_tw.account.account import AccountSession
from pluto_tw.account.database import FileDatabase
from pluto_tw.account.members import JOINING, Member, Members
from pluto_tw.account.replica import Halted
from pluto_tw.account.shard import Shard
from pluto_tw.account.site import Ground, Site
from pluto_tw.account.store import Store
from pluto_tw.auth.users import User
from pluto_tw.crdt.members import State
from pluto_tw.crdt.rules import Rules
from pluto_tw.mail.waiting import Waiting
from pluto_tw.net.threads import PoolHop
from pluto_tw.node.identity import Identity

log = Logger()

#: Threads of a shard that read bodies and whole mailboxes: while one search reads its way through
#: a large mailbox, others still get their messages.
READERS: Final = 2

SHARD_IDENTITY_OCTETS: Final = 16


class StoredAccounts:
    """
    The mail of the replica *identity* in *directory*, which exists.

    *separator* stands between the levels of mailbox names; *random* gives octets. *keep* writes a
    changed identity to its file, durable on return.
    """

    def __init__(
        self,
        reactor: IReactorFromThreads,
        directory: Path,
        identity: Identity,
        waiting: Waiting,
        separator: str,
        random: Callable[[int], bytes],
        keep: Callable[[Identity], None] = lambda identity: None,
    ) -> None:
        self._reactor = reactor
        self._directory = directory
        self._identity = identity
        self._waiting = waiting
        self._separator = separator
        self._random = random
        self._hops: list[PoolHop] = []
        self._shards: list[Shard] = []
        self._keep = keep
        self._store: Store | None = None
        #: The slots whose nodes were heard within three heartbeats: replication puts itself here.
        self.heard: Callable[[], frozenset[int]] = frozenset

    async def start(self) -> None:
        """Opens all shards. Raises `StoreRefused`; then `close` lets go of what was opened."""
        own = self._identity
        grounds = []
        for number in range(own.shards):
            shard = self._shard(number)
            await shard.start()
            self._shards.append(shard)
            grounds.append(Ground(shard))
        # All that belongs to it is there now.
        self._identity = own.completed()
        self._store = Store(own.subnet, self._site(), grounds, self._separator)
        self._store.account_halted = self._halted

    def _site(self) -> Site:
        """Which replica it is, among the members that the identity has."""
        own = self._identity
        assert own.slot is not None, "who was not admitted has no store"
        founding = [
            Member(member.slot, name, bytes.fromhex(member.replica))
            for name, member in own.members.items()
        ]
        founding += [
            Member(one.slot, one.name, bytes.fromhex(one.replica), State(one.state))
            for one in own.former
        ]
        self.members = Members(own.slot, founding, self._learn)
        if not own.joined:
            self.members.withhold(JOINING)
        return Site(
            self.members, self._waiting, lambda: self.heard(), rules=Rules(self.members.replica_ids)
        )

    def _halted(self, halted: Halted) -> None:
        log.critical(
            "account {account} is not served any more: {reason}; see docs/how-to/restore-a-node.md",
            event="account-halted",
            account=halted.identity.hex(),
            slot=halted.slot,
            member=self._name_of(halted.slot),
            reason=halted.reason,
        )

    def _name_of(self, slot: int | None) -> str:
        member = None if slot is None else self.members.of_slot(slot)
        return "" if member is None else member.name

    def _learn(self, slot: int, replica: bytes) -> None:
        """Keeps the id of a founding member that was met for the first time."""
        self._identity = self._identity.knowing(slot, replica.hex())
        self._keep(self._identity)

    def joined(self) -> None:
        """All that there was when this replica was admitted is here: from now on it serves."""
        if not self._identity.joined:
            self._identity = self._identity.having_joined()
            self._keep(self._identity)
        self.members.allow(JOINING)

    @property
    def shards(self) -> Sequence[Shard]:
        """All of them, for metrics and administrators."""
        return self._shards

    @property
    def store(self) -> Store:
        """The accounts, after the start; for `pluto_tw.replication` and administrators."""
        assert self._store is not None, "nobody asks before the start"
        return self._store

    def session(self, user: User) -> AccountSession:
        """A session of *user* with the own account. No: UNAVAILABLE."""
        assert self._store is not None, "nobody logs in before the start"
        return self._store.session(user.key, user.key)

    async def close(self) -> None:
        """Commits what is queued and closes everything, after the last session has ended."""
        if self._store is not None:
            await self._store.close()
        for shard in self._shards:
            await shard.close()
        for hop in self._hops:
            hop.stop()

    def _shard(self, number: int) -> Shard:
        database = FileDatabase(
            self._directory / f"shard-{number}.db",
            lambda: self._random(SHARD_IDENTITY_OCTETS),
            may_create=not self._identity.complete,
        )
        writer = self._hop(f"shard-{number}-writer")
        readers = [self._hop(f"shard-{number}-reader-{reader}") for reader in range(READERS)]
        return Shard(database, self._waiting, writer, readers)

    def _hop(self, name: str) -> PoolHop:
        hop = PoolHop(self._reactor, name)
        hop.start()
        self._hops.append(hop)
        return hop
