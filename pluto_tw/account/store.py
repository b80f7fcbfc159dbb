# SPDX-License-Identifier: GPL-3.0-or-later
"""
All accounts of a node: where each one is, which are in memory, and who may see which.

An account has an identity that follows from the subnet and its key, the same at every replica; the
shard follows from the identity. It is there from the first time that somebody asks, and written
with its first change. It stays in memory while a session has it open or work is left to do, and as
long as there is room afterwards.
"""

from collections.abc import Callable, Sequence
from functools import partial
from hashlib import blake2b
from typing import Final

from pluto_tw.account.account import AccountSession
from pluto_tw.account.replica import AccountReplica
from pluto_tw.account.site import Ground, Site
from pluto_tw.mail.codes import AUTHORIZATIONFAILED
from pluto_tw.mail.errors import No

IDENTITY_OCTETS: Final = 16

#: Accounts without a session that are kept in memory: some 10 KiB each with a dozen mailboxes.
#: Clients that poll once a minute find theirs again.
IDLE_MAX: Final = 1000


def identity_of(subnet: str, key: str) -> bytes:
    """The identity of the account *key* of *subnet*: neither has a NUL in it."""
    return blake2b(f"{subnet}\0{key}".encode(), digest_size=IDENTITY_OCTETS).digest()


def own_account(user: str, key: str) -> bool:
    """Who may see which account: everybody their own."""
    return user == key


class Store:
    """
    The accounts of *subnet* on *grounds*, one for each shard, always in the same order.

    *may_see* says whether a user may open the account of a key; nobody else is asked.
    """

    def __init__(
        self,
        subnet: str,
        site: Site,
        grounds: Sequence[Ground],
        separator: str,
        *,
        may_see: Callable[[str, str], bool] = own_account,
        idle_max: int = IDLE_MAX,
    ) -> None:
        assert grounds, "a store has a shard"
        self._subnet = subnet
        self._site = site
        self._grounds = grounds
        self._separator = separator
        self._may_see = may_see
        self._idle_max = idle_max
        #: By identity; the one that was used last stands last.
        self._accounts: dict[bytes, AccountReplica] = {}
        self._sessions: dict[bytes, int] = {}
        #: Called with an account's identity after a commit that peers should hear of.
        self.peers_woken: Callable[[bytes], None] = lambda identity: None

    def session(self, user: str, key: str) -> AccountSession:
        """
        A session of *user* with the account *key*. No: AUTHORIZATIONFAILED, UNAVAILABLE.

        *key* is canonical: `pluto_tw.auth` sees to that.
        """
        if not self._may_see(user, key):
            raise No(AUTHORIZATIONFAILED, "this account is not yours")
        replica = self.account(key)
        identity = replica.identity
        self._sessions[identity] = self._sessions.get(identity, 0) + 1
        return AccountSession(replica, user, self._separator, partial(self._left, identity))

    def account(self, key: str) -> AccountReplica:
        """The account *key*, for peers and administrators. No: UNAVAILABLE."""
        identity = identity_of(self._subnet, key)
        replica = self._accounts.pop(identity, None)
        if replica is None:
            ground = self._grounds[int.from_bytes(identity[:8], "big") % len(self._grounds)]
            woken = partial(self._wake_peers, identity)
            replica = AccountReplica(ground, self._site, identity, key, woken)
        self._accounts[identity] = replica
        return replica

    def _wake_peers(self, identity: bytes) -> None:
        self.peers_woken(identity)

    def _left(self, identity: bytes) -> None:
        """A session has ended."""
        self._sessions[identity] -= 1
        if not self._sessions[identity]:
            del self._sessions[identity]
            if identity in self._accounts:
                self._site.waiting.start(self._accounts[identity].rest())
        surplus = len(self._accounts) - len(self._sessions) - self._idle_max
        for found, replica in list(self._accounts.items()):
            if surplus <= 0:
                return
            if found not in self._sessions and replica.is_idle:
                surplus -= 1
                del self._accounts[found]
                self._site.waiting.start(replica.close())

    async def close(self) -> None:
        """Finishes what is staged, account by account; the shards are closed after this."""
        accounts, self._accounts = list(self._accounts.values()), {}
        for replica in accounts:
            await replica.close()
