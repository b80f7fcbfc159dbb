# SPDX-License-Identifier: GPL-3.0-or-later
"""
All accounts of a node: where each one is, which are in memory, and who may see which.

An account has an identity that follows from the subnet and its key, the same at every replica; the
shard follows from the identity. It is there from the first time that somebody asks, and written
with its first change. It stays in memory while a session has it open, somebody has a lease of it or
work is left to do, and as long as there is room afterwards.

For `pluto_tw.replication` it also tells which accounts have changed, shard by shard, from their
rows: to hear of an account does not load it.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from hashlib import blake2b
from itertools import islice
from typing import Final, NamedTuple

from pluto_tw.account.account import AccountSession
from pluto_tw.account.incoming import BodyLink, Incoming, Where
from pluto_tw.account.positions import Changed
from pluto_tw.account.replica import AccountReplica, Halted
from pluto_tw.account.schema import HALTED
from pluto_tw.account.site import Ground, Site
from pluto_tw.account.subnet import MEMBERS_KEY, Subnet
from pluto_tw.crdt.dots import EMPTY
from pluto_tw.crdt.resync import Checkpoint
from pluto_tw.mail.codes import AUTHORIZATIONFAILED
from pluto_tw.mail.errors import No

IDENTITY_OCTETS: Final = 16

#: Accounts without a session that are kept in memory: some 10 KiB each with a dozen mailboxes.
#: Clients that poll once a minute find theirs again.
IDLE_MAX: Final = 1000

#: Accounts that are looked at for one that leaves: those used longest ago, and few, since each use
#: of an account pays for it.
LOOKED_AT: Final = 8

_HALTED: Final = "SELECT name FROM account WHERE state = ? ORDER BY name"
_NAMES: Final = "SELECT name FROM account WHERE name > ? ORDER BY name LIMIT ?"
_POSITION: Final = "SELECT position FROM account WHERE identity = ?"


class Place(NamedTuple):
    """A position in the shard of this number."""

    shard: int
    position: int


def identity_of(subnet: str, key: str) -> bytes:
    """The identity of the account *key* of *subnet*: neither has a NUL in it."""
    return blake2b(f"{subnet}\0{key}".encode(), digest_size=IDENTITY_OCTETS).digest()


def own_account(user: str, key: str) -> bool:
    """Who may see which account: everybody their own."""
    return user == key


class Store:
    """
    The accounts of *subnet* on *grounds*, one for each shard, always in the same order.

    *may_see* says whether a user may open the account of a key; nobody else is asked. Raises
    `ShardFailed`.
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
        #: How many sessions and leases each account has.
        self._uses: dict[bytes, int] = {}
        #: Called with an account's key after a commit that peers should hear of.
        self.peers_woken: Callable[[str], None] = lambda key: None
        #: Called when an account is served no more; an operator must hear of it.
        self.account_halted: Callable[[Halted], None] = lambda halted: None
        self.subnet = Subnet(site, lambda: self.account(MEMBERS_KEY))
        # It is never idle: all others depend on what it says.
        self._uses[self.identity_of(MEMBERS_KEY)] = 1
        self.subnet.follow()
        site.members.watch(self._follow_members)

    def session(self, user: str, key: str) -> AccountSession:
        """
        A session of *user* with the account *key*. No: AUTHORIZATIONFAILED, UNAVAILABLE.

        *key* is canonical: `pluto_tw.auth` sees to that.
        """
        if key == MEMBERS_KEY or not self._may_see(user, key):
            raise No(AUTHORIZATIONFAILED, "this account is not yours")
        replica = self.account(key)
        self._use(replica.identity)
        left = partial(self._left, replica.identity, rests=True)
        return AccountSession(replica, user, self._separator, left)

    @contextmanager
    def lease(self, key: str) -> Iterator[AccountReplica]:
        """
        The account *key*, for peers and administrators; it stays in memory meanwhile.

        No: UNAVAILABLE.
        """
        replica = self.account(key)
        self._use(replica.identity)
        try:
            yield replica
        finally:
            self._left(replica.identity, rests=False)

    def account(self, key: str) -> AccountReplica:
        """The account *key*, to be used at once: it may leave memory. No: UNAVAILABLE."""
        identity = self.identity_of(key)
        replica = self._accounts.pop(identity, None)
        if replica is None:
            replica = AccountReplica(
                self._ground(identity),
                self._site,
                identity,
                key,
                partial(self._wake_peers, key),
                self._account_halted,
            )
        self._accounts[identity] = replica
        return replica

    def identity_of(self, key: str) -> bytes:
        """The identity of the account *key*."""
        return identity_of(self._subnet, key)

    def _ground(self, identity: bytes) -> Ground:
        return self._grounds[self._shard(identity)]

    def _shard(self, identity: bytes) -> int:
        return int.from_bytes(identity[:8], "big") % len(self._grounds)

    def _wake_peers(self, key: str) -> None:
        if key == MEMBERS_KEY:
            # Before anybody is told that it is durable: who is new counts from then on.
            self.subnet.follow()
        self.peers_woken(key)

    def _account_halted(self, halted: Halted) -> None:
        self.account_halted(halted)

    def _follow_members(self) -> None:
        # A copy: the subnet's account is asked on the way, and moves to the end.
        for replica in list(self._accounts.values()):
            replica.follow_members()

    def _use(self, identity: bytes) -> None:
        self._uses[identity] = self._uses.get(identity, 0) + 1

    def _left(self, identity: bytes, *, rests: bool) -> None:
        """A session or lease has ended; it *rests*: what was left for the next commit goes now."""
        self._uses[identity] -= 1
        if not self._uses[identity]:
            del self._uses[identity]
            if rests and identity in self._accounts:
                self._site.waiting.start(self._accounts[identity].rest())
        surplus = len(self._accounts) - len(self._uses) - self._idle_max
        if surplus > 0:
            self._let_go(surplus)

    def _let_go(self, surplus: int) -> None:
        """At most *surplus* accounts that nobody uses leave memory."""
        oldest = list(islice(self._accounts.items(), surplus + LOOKED_AT))
        for identity, replica in oldest:
            if surplus <= 0:
                return
            if identity not in self._uses and replica.is_idle:
                surplus -= 1
                del self._accounts[identity]
                self._site.waiting.start(replica.close())
            else:
                # It is passed over for now, and not looked at again before all others.
                self._accounts[identity] = self._accounts.pop(identity)
                if identity not in self._uses:
                    self._site.waiting.start(replica.rest())

    async def close(self) -> None:
        """Finishes what is staged, account by account; the shards are closed after this."""
        accounts, self._accounts = list(self._accounts.values()), {}
        for replica in accounts:
            await replica.close()
        for ground in self._grounds:
            await ground.positions.write()

    # For other replicas and administrators.

    @property
    def site(self) -> Site:
        """The replica that has it."""
        return self._site

    @property
    def shards(self) -> int:
        """How many shards there are, numbered from 0."""
        return len(self._grounds)

    def shard_of(self, key: str) -> int:
        """The number of the shard that has the account *key*."""
        return self._shard(self.identity_of(key))

    def position_of(self, key: str) -> Place:
        """Where in its shard the account's last change is; its position is 0 if there is none."""
        identity = self.identity_of(key)
        replica = self._accounts.get(identity)
        if replica is not None and replica.commits.is_readable:
            return Place(self._shard(identity), replica.commits.stored.position)
        rows = self._ground(identity).shard.read(_POSITION, (identity,))
        return Place(self._shard(identity), rows[0][0] if rows else 0)

    def newest_position(self, shard: int) -> int:
        """The position of the last change in *shard*."""
        return self._grounds[shard].positions.newest()

    def changed_after(self, shard: int, position: int, limit: int) -> list[Changed]:
        """As `Positions.changed_after`, in *shard*."""
        return self._grounds[shard].positions.changed_after(position, limit)

    def checkpoint(self, key: str) -> Checkpoint:
        """What the account states to peers; nothing is loaded. Empty if it is not here."""
        identity = self.identity_of(key)
        replica = self._accounts.get(identity)
        if replica is not None and replica.commits.is_readable:
            return replica.rules.checkpoint(replica.commits.stored)
        found = self._ground(identity).positions.checkpoint(identity, self._site.slot)
        return found or Checkpoint(self._site.slot, 0, EMPTY)

    def accounts_after(self, shard: int, key: str, limit: int) -> list[str]:
        """The keys of accounts in *shard* above *key*, ascending; among them `MEMBERS_KEY`."""
        return [name for (name,) in self._grounds[shard].shard.read(_NAMES, (key, limit))]

    def acknowledged(self, slot: int) -> tuple[int, ...]:
        """The positions, shard by shard, up to which the member *slot* has all; 0: not known."""
        return tuple(ground.positions.acknowledged(slot) for ground in self._grounds)

    def acknowledge(self, slot: int, shard: int, position: int) -> None:
        """As `Positions.acknowledge`, in *shard*."""
        self._grounds[shard].positions.acknowledge(slot, position)

    def stated(self, slot: int) -> tuple[int, ...]:
        """As `Positions.stated`: kept in the first shard."""
        return self._grounds[0].positions.stated(slot)

    def note_stated(self, slot: int, positions: tuple[int, ...]) -> None:
        """As `Positions.note_stated`."""
        self._grounds[0].positions.note_stated(slot, positions)

    def link(self) -> BodyLink:
        """What brings bodies over one channel; to be closed at its end."""
        return BodyLink(self._site.waiting)

    def unfit(self, shard: int, after: int, limit: int) -> list[tuple[int, bytes, int]]:
        """(number, hash, size) of bodies in *shard* that are missing or damaged, above *after*."""
        found = self._grounds[shard].bodies.unfit(after, limit)
        return [(number, hash, size) for number, hash, size, _ in found]

    async def read_body(self, hash: bytes, start: int, length: int) -> bytes | None:
        """As `Bodies.read`, in whichever shard it is."""
        for ground in self._grounds:
            octets = await ground.bodies.read(hash, start, length)
            if octets is not None:
                return octets
        return None

    def begin_body(self, shard: int, hash: bytes, size: int, link: BodyLink) -> Incoming | Where:
        """As `BodyLink.begin`, for a body of *shard* that `unfit` told. No: UNAVAILABLE."""
        return link.begin_at(self._grounds[shard].arrivals, hash, size)

    async def resume(self, key: str) -> None:
        """The operator has looked into the account *key*: it is served again. No: UNAVAILABLE."""
        with self.lease(key) as replica:
            await replica.resume()

    def halted(self) -> list[str]:
        """The keys of the accounts that are not served until an operator has acted."""
        found = {name for g in self._grounds for (name,) in g.shard.read(_HALTED, (HALTED,))}
        found.update(replica.name for replica in self._accounts.values() if replica.halted)
        return sorted(found)
