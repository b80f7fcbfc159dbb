# SPDX-License-Identifier: GPL-3.0-or-later
"""
A node as a member of one subnet: who it is there, its links, its store and its replication.

Decides the order in which they begin. A replica that has an identity opens its store, and meets a
peer before it serves. One that has none, and has peers, asks them who it is (`Joiner`): it founds
the subnet with them, or it is admitted to it, gets all mail, and serves then. What it is going to
be called is written before it asks, so that a crash changes nothing: it asks again under the same
id. While it waits to be admitted it has no store, and whoever asks for an account is refused.
"""

from collections.abc import Callable, Mapping
from typing import Final

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from pluto_tw.account.account import AccountSession
from pluto_tw.account.members import DRAINING, JOINING, REMOVED_HERE
from pluto_tw.crdt.members import State
from pluto_tw.mail.codes import UNAVAILABLE
from pluto_tw.mail.errors import No
from pluto_tw.node.accounts import StoredAccounts
from pluto_tw.node.addresses import Address
from pluto_tw.node.identity import (
    Former,
    Identity,
    IdentityRefused,
    Member,
    found,
    joining,
    read,
    write,
)
from pluto_tw.node.internal_tls import InternalContexts
from pluto_tw.node.links import Links
from pluto_tw.node.preparation import Subnet
from pluto_tw.node.replicating import IDENTITY_WAIT_SECONDS, Replicating
from pluto_tw.node.surroundings import Surroundings
from pluto_tw.replication.joining import Founds, Joiner, Joins
from pluto_tw.replication.messages import MemberRow
from pluto_tw.replication.replication import Replication

log = Logger()

IDENTITY_FILE: Final = "identity"


class Membership:
    """
    Of the node called *name* in *subnet*. *trust* is None where there are no peers; *separator* and
    *random* are as for `StoredAccounts`.

    *changed* is called when something of this has changed: who is a member, and whether it serves.
    """

    def __init__(
        self,
        around: Surroundings,
        name: str,
        subnet: Subnet,
        trust: InternalContexts | None,
        separator: str,
        random: Callable[[int], bytes],
        changed: Callable[[], None],
    ) -> None:
        self.name = subnet.name
        #: None before the store is made, and so as long as it waits to be admitted.
        self.stored: StoredAccounts | None = None
        self.replicating: Replicating | None = None
        self._around = around
        self._node = name
        self._subnet = subnet
        self._peers = subnet.peers
        self._trust = trust
        self._separator = separator
        self._random = random
        self._changed = changed
        self._path = subnet.directory / IDENTITY_FILE
        self._identity: Identity | None = None
        self._links: Links | None = None
        self._joiner: Joiner | None = None
        #: Fires when the part of the start that `start` need not wait for has ended.
        self._beginning: Deferred[None] | None = None
        self._is_open = False
        self._is_stopping = False

    @property
    def identity(self) -> Identity:
        """Who it is; after `start`. Its slot is None as long as it waits to be admitted."""
        assert self._identity is not None, "nobody asks before the start"
        return self._identity

    async def start(self) -> None:
        """
        Returns when it serves; if it has to be admitted to a subnet that exists, when that is
        known.

        Raises `StoreRefused`, `IdentityRefused`, `CannotListenError`.
        """
        own = self._read()
        settled: Deferred[None] = Deferred()

        def ended(result: Failure | None) -> None:
            if not settled.called:
                settled.callback(result)
            elif result is not None:
                self._around.failed(result)

        def waits() -> None:
            if not settled.called:
                settled.callback(None)

        self._beginning = Deferred.fromCoroutine(self._begin(own, waits)).addBoth(ended)
        await settled

    async def stop_listening(self) -> None:
        """No peer dials in any more."""
        if self._links is not None:
            await self._links.stop_listening()

    async def stop(self) -> None:
        """Sends what peers still take, and closes all that was opened; clients are gone."""
        self._is_stopping = True
        if self._joiner is not None:
            self._joiner.stop()
        if self._beginning is not None:
            await self._beginning
        await self.stop_listening()
        if self.replicating is not None:
            await self.replicating.stop()
        if self._links is not None:
            await self._links.stop()
        if self.stored is not None:
            await self.stored.close()

    def reload(self, peers: Mapping[str, Address]) -> bool:
        """From now on it has these *peers*; False if only a restart can change them."""
        if peers == self._peers:
            return True
        if self._links is None or self._joiner is not None or not peers:
            # Who has no links has no certificate to show, or nowhere to listen; and who is asking
            # is answered by those whom it knows.
            return False
        self._peers = peers
        self._links.reload(peers)
        if self.replicating is not None:
            self.replicating.reload(peers)
        return True

    def session(self, key: str) -> AccountSession:
        """A session with the account *key*. No: UNAVAILABLE."""
        stored = self.opened
        if stored is None:
            raise No(UNAVAILABLE, JOINING)
        if not stored.members.serves:
            # Here, and not at the first command: a distributor goes on to another replica.
            raise No(UNAVAILABLE, stored.members.why)
        return stored.store.session(key, key)

    @property
    def opened(self) -> StoredAccounts | None:
        """Its mail; None before the store is open and a peer was met or waited for."""
        return self.stored if self._is_open else None

    @property
    def serves(self) -> bool:
        """Whether clients are served."""
        stored = self.opened
        return stored is not None and stored.members.serves

    @property
    def has_left(self) -> bool:
        """Whether clients that are here must go: it is drained, or was removed."""
        stored = self.opened
        return stored is not None and stored.members.why in (DRAINING, REMOVED_HERE)

    # Who it is.

    def _read(self) -> Identity:
        """What the file says, or a new identity, which is in the file. `IdentityRefused`."""
        own = read(self._path)
        if own is None:
            subnet = self._subnet
            subnet.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            if self._peers:
                own = joining(self._node, subnet.name, subnet.shards, self._random)
            else:
                own = found(self._node, subnet.name, {}, subnet.shards, self._random)
            write(self._path, own)
            log.info(
                "{name} has a new identity", event="identity", name=own.name, path=str(self._path)
            )
        wrong = own.check(self._node, self._subnet.name)
        if wrong:
            raise IdentityRefused("\n".join(f"{self._path}: {text}" for text in wrong))
        self._identity = own
        return own

    def _keep(self, identity: Identity) -> None:
        write(self._path, identity)
        self._identity = identity

    # How it begins.

    async def _begin(self, own: Identity, waits: Callable[[], None]) -> None:
        is_new = own.slot is None
        if own.slot is None:
            outcome = await self._find_out(own, waits)
            self._joiner = None
            if outcome is None or self._is_stopping:
                return
            own = self._settled(own, outcome)
            self._keep(own)
        stored = self.stored = StoredAccounts(
            self._around.reactor,
            self._subnet.directory,
            own,
            self._around.waiting,
            self._separator,
            self._random,
            self._keep,
        )
        await stored.start()
        if not own.complete:
            self._keep(own.completed())
        if self._peers:
            await self._replicate(stored, own, is_new=is_new)
        self._is_open = True
        stored.members.watch(self._changed)
        self._changed()

    async def _find_out(self, own: Identity, waits: Callable[[], None]) -> Founds | Joins | None:
        """What it is; None if it was stopped while it asked."""
        if not self._peers:
            return Founds()
        joiner = self._joiner = Joiner(
            own.subnet,
            own.name,
            bytes.fromhex(own.replica),
            self._around.waiting,
            self._peers,
            lambda: links.closed(),
        )
        joiner.waits = waits
        links = self._links = self._linked(joiner)
        links.start(self._subnet.listen)
        return await joiner.find_out(IDENTITY_WAIT_SECONDS)

    def _settled(self, own: Identity, outcome: Founds | Joins) -> Identity:
        if isinstance(outcome, Founds):
            founding = own.founding(self._peers)
            log.info(
                "{name} founds {subnet} with {peers}",
                event="founded",
                name=own.name,
                subnet=own.subnet,
                slot=founding.slot,
                peers=", ".join(self._peers),
            )
            return founding
        live = {row.name: row for row in outcome.members if row.state == State.LIVE}
        log.info(
            "{name} is admitted to {subnet} with slot {slot}, and gets all mail from {members} "
            "before it serves",
            event="admitted",
            name=own.name,
            subnet=own.subnet,
            slot=outcome.slot,
            members=", ".join(name for name in live if name != own.name),
        )
        return own.admitted(
            outcome.slot,
            {name: Member(row.slot, row.replica.hex()) for name, row in live.items()},
            [_former(row) for row in outcome.members if row.state != State.LIVE],
        )

    async def _replicate(self, stored: StoredAccounts, own: Identity, *, is_new: bool) -> None:
        replicating = self.replicating = Replicating(
            self._around, stored, own, self._peers, self._is_removed
        )
        if not own.joined:
            replicating.replication.caught_up = self._caught_up
        if self._links is None:
            links = self._links = self._linked(replicating.replication)
            replicating.start(links)
            links.start(self._subnet.listen)
        else:
            replicating.start(self._links)
        if not is_new:
            # Of who has begun just now no peer knows more than it does itself.
            await replicating.first_contact()

    def _linked(self, user: Joiner | Replication) -> Links:
        assert self._trust is not None, "`check` asks for certificates where there are peers"
        return Links(self._around, self._node, self._trust, self._peers, user)

    # What happens to it.

    def _caught_up(self) -> None:
        assert self.stored is not None, "it has got mail"
        self.stored.joined()
        log.info(
            "{name} has all mail of {subnet}, and serves",
            event="joined",
            name=self._node,
            subnet=self.name,
        )
        self._changed()

    def _is_removed(self, why: str) -> None:
        """A peer refuses this replica as one that was removed: it takes no more mail."""
        assert self.stored is not None, "only who has a slot can lose it"
        if self.stored.members.why == REMOVED_HERE:
            return
        self.stored.members.withhold(REMOVED_HERE)
        log.critical(
            "{name} was removed from {subnet} and serves nobody: {reason}",
            event="removed",
            name=self._node,
            subnet=self.name,
            reason=why,
        )
        self._changed()


def _former(row: MemberRow) -> Former:
    return Former(row.slot, row.name, row.replica.hex(), row.state)
