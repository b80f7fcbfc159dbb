# SPDX-License-Identifier: GPL-3.0-or-later
"""
The store of a replica on real files and threads: its shards, and the accounts on them.

Which files there are is decided here: `shard-0.db`, `shard-1.db`, ... beside the identity, which
says how many. Each shard has a thread that writes and `READERS` that read.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Final

from twisted.internet.interfaces import IReactorFromThreads

from pluto_tw.account.account import AccountSession
from pluto_tw.account.database import FileDatabase
from pluto_tw.account.shard import Shard
from pluto_tw.account.site import Ground, Site
from pluto_tw.account.store import Store
from pluto_tw.auth.users import User
from pluto_tw.mail.waiting import Waiting
from pluto_tw.net.threads import PoolHop
from pluto_tw.node.identity import Identity

#: Threads of a shard that read bodies and whole mailboxes: while one search reads its way through
#: a large mailbox, others still get their messages.
READERS: Final = 2

SHARD_IDENTITY_OCTETS: Final = 16


class StoredAccounts:
    """
    The mail of the replica *identity* in *directory*, which exists.

    *separator* stands between the levels of mailbox names; *random* gives octets.
    """

    def __init__(
        self,
        reactor: IReactorFromThreads,
        directory: Path,
        identity: Identity,
        waiting: Waiting,
        separator: str,
        random: Callable[[int], bytes],
    ) -> None:
        self._reactor = reactor
        self._directory = directory
        self._identity = identity
        self._waiting = waiting
        self._separator = separator
        self._random = random
        self._hops: list[PoolHop] = []
        self._shards: list[Shard] = []
        self._store: Store | None = None

    async def start(self) -> None:
        """Opens all shards. Raises `StoreRefused`; then `close` lets go of what was opened."""
        own = self._identity
        grounds = []
        for number in range(own.shards):
            shard = self._shard(number)
            await shard.start()
            self._shards.append(shard)
            grounds.append(Ground(shard))
        others = frozenset(own.members.values()) - {own.slot}
        site = Site(own.slot, self._waiting, others)
        self._store = Store(own.subnet, site, grounds, self._separator)

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
