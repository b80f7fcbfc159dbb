# SPDX-License-Identifier: GPL-3.0-or-later
"""
A worker or storage while it runs: its stores, one for each subnet, and who reaches them.

Both are the same node in two configurations. Start: identity, store, listening. Stop: no new
connections, BYE to those there are once their commands have ended, the stores, the threads.

Distributors come by mutual TLS on ListenMailAddr or by MailSocket, and say whose account they want;
with an AuthAdapter mail programs come to ListenMailAddr instead, and log in here.
"""

import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import msgspec
from prometheus_client.metrics_core import Metric
from twisted.logger import Logger
from twisted.protocols.tls import TLSMemoryBIOFactory

from pluto_tw.account.digests import digests
from pluto_tw.account.store import identity_of
from pluto_tw.auth.names import AccountKey
from pluto_tw.auth.routing import subnet_by_key
from pluto_tw.auth.users import User
from pluto_tw.imap.ports import Account
from pluto_tw.mail.codes import UNAVAILABLE
from pluto_tw.mail.errors import No
from pluto_tw.net.external import ExternalRealm
from pluto_tw.net.imap import ImapFactory
from pluto_tw.net.journal import Journal
from pluto_tw.net.limits import Presence
from pluto_tw.net.login import AccountRealm
from pluto_tw.net.nodes import Distributors
from pluto_tw.net.proxied import ProxiedFactory
from pluto_tw.net.tls import ServerContexts
from pluto_tw.node import admin, metrics, sources
from pluto_tw.node.accounts import StoredAccounts
from pluto_tw.node.expiry import Certificate
from pluto_tw.node.identity import Identity, IdentityRefused, found, read, write
from pluto_tw.node.internal_tls import InternalContexts
from pluto_tw.node.listening import OpenPort
from pluto_tw.node.logins import Logins
from pluto_tw.node.metrics import family
from pluto_tw.node.preparation import PreparedNode, PreparedReplica, Subnet
from pluto_tw.node.replicating import Replicating
from pluto_tw.node.settings import Public, Worker
from pluto_tw.node.surroundings import Surroundings, imap_service
from pluto_tw.node.telling import Telling

log = Logger()

IDENTITY_FILE: Final = "identity"

#: Accounts in one answer on the admin socket.
ACCOUNTS_MAX: Final = 1000


class ReplicaNode:
    """The replica that was *prepared*, in *around*."""

    def __init__(self, around: Surroundings, prepared: PreparedReplica) -> None:
        self._around = around
        self._prepared = prepared
        self.journal = Journal()
        self.presence = Presence(prepared.imap.limits)
        self._logins = None
        if prepared.users is not None:
            self._logins = Logins(around.reactor, around.waiting, prepared.users)
        pair, internal = prepared.pair, prepared.internal
        self._contexts = None if pair is None else ServerContexts([pair])
        self._internal = None if internal is None else InternalContexts(internal)
        self._distributors = Distributors(prepared.imap.distributors)
        self._stores: dict[str, StoredAccounts] = {}
        self._identities: list[Identity] = []
        self._replicating: dict[str, Replicating] = {}
        self._ports: list[OpenPort] = []
        self._factories: list[ImapFactory] = []
        self._in_front: list[ProxiedFactory] = []
        name, role = prepared.settings.name, prepared.role.value
        self._telling = Telling(around, self, name, role, self.journal, self.presence)

    async def start(self) -> None:
        """As `RunningNode.start`. Raises `StoreRefused`, `IdentityRefused`, `CannotListenError`."""
        if self._logins is not None:
            self._logins.start()
        for subnet in self._prepared.subnets:
            await self._open_store(subnet)
        self._listen()
        settings = self._prepared.settings
        self._telling.start(
            settings.prometheus,
            [self._shards],
            settings.admin_socket or self._prepared.store_root / "admin",
            {
                "status": self._status,
                "accounts": self._accounts,
                "digest": self._digest,
                "members": self._members,
                "member-remove": self._remove_member,
            },
        )
        log.info(
            "{name} serves on {listening}",
            event="ready",
            name=settings.name,
            role=self._prepared.role.value,
            listening=self._ports[0].place,
            places=[port.place for port in self._ports],
            tls=self._contexts is not None or self._logins is None,
            version=version("pluto_tw"),
            replica=self._identities[0].replica,
        )

    async def stop(self) -> None:
        """As `RunningNode.stop`."""
        for port in self._ports:
            await port.stop()
        for proxied in self._in_front:
            proxied.stop()
        stopping = [factory.stop() for factory in self._factories]
        for stopped in stopping:
            await stopped
        await self._telling.stop()
        for replicating in self._replicating.values():
            await replicating.stop()
        for store in self._stores.values():
            await store.close()
        if self._logins is not None:
            await self._logins.stop()

    def reload(self, prepared: PreparedNode) -> bool:
        """As `RunningNode.reload`."""
        assert isinstance(prepared, PreparedReplica), "a node does not change its role"
        if self._logins is not None and prepared.users is not None:
            self._logins.reload(prepared.users)
        self.presence.limits = prepared.imap.limits
        self._distributors.names = prepared.imap.distributors
        if self._contexts is not None and prepared.pair is not None:
            self._contexts.replace([prepared.pair])
        if self._internal is not None and prepared.internal is not None:
            self._internal.replace(prepared.internal)
        needs_restart = _fixed(self._prepared) != _fixed(prepared)
        # What is compared next time must be what this process runs with.
        kept = self._prepared.settings if needs_restart else prepared.settings
        self._prepared = replace(prepared, settings=kept)
        return needs_restart

    def certificates(self) -> Sequence[Certificate]:
        """As `RunningNode.certificates`."""
        prepared, settings = self._prepared, self._prepared.settings
        used = []
        if prepared.internal is not None and settings.internal.certificate is not None:
            end = prepared.internal.not_after.timestamp()
            used.append(Certificate(settings.internal.certificate, end))
        public = settings.public.certificate if isinstance(settings, Worker) else None
        if prepared.pair is not None and public is not None:
            end = prepared.pair.certificate.not_valid_after_utc.timestamp()
            used.append(Certificate(public, end))
        return used

    # The stores.

    async def _open_store(self, subnet: Subnet) -> None:
        own, path = self._identity(subnet)
        store = self._stores[subnet.name] = StoredAccounts(
            self._around.reactor,
            subnet.directory,
            own,
            self._around.waiting,
            self._prepared.imap.separator,
            secrets.token_bytes,
            lambda identity: write(path, identity),
        )
        await store.start()
        if not own.complete:
            write(path, own.completed())
        self._identities.append(own)
        if subnet.peers:
            assert self._internal is not None, "`check` asks for certificates where there are peers"
            replicating = Replicating(self._around, store, own, self._internal, subnet.peers)
            self._replicating[subnet.name] = replicating
            await replicating.start(subnet.listen)

    def _identity(self, subnet: Subnet) -> tuple[Identity, Path]:
        """Who this replica is, and the file that says so. Raises `IdentityRefused`."""
        name, path = self._prepared.settings.name, subnet.directory / IDENTITY_FILE
        own = read(path)
        if own is None:
            subnet.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            own = found(name, subnet.name, subnet.peers, subnet.shards, secrets.token_bytes)
            write(path, own)
            log.info("{name} has a new identity", event="identity", name=own.name, path=str(path))
        wrong = own.check(name, subnet.name)
        if wrong:
            raise IdentityRefused("\n".join(f"{path}: {text}" for text in wrong))
        return own, path

    # What it tells.

    def _shards(self) -> Iterator[Metric]:
        for subnet, store in self._stores.items():
            yield from sources.shards(subnet, store.shards)
            yield family(metrics.HALTED, {(subnet,): len(store.store.halted())})

    async def _status(self, question: Mapping[str, Any]) -> Mapping[str, Any]:
        subnets = [self._subnet_status(own) for own in self._identities]
        return {**self._telling.status(), "subnets": subnets}

    def _subnet_status(self, own: Identity) -> Mapping[str, Any]:
        stored = self._stores[own.subnet]
        return {
            "subnet": own.subnet,
            "replica": own.replica,
            "slot": own.slot,
            "state": "serving" if stored.members.serves else "joining",
            "shards": [
                {"name": shard.name, "state": shard.state.value, "reason": shard.reason}
                for shard in stored.shards
            ],
            "peers": self._peer_status(own.subnet),
        }

    def _peer_status(self, subnet: str) -> list[Mapping[str, Any]]:
        replicating = self._replicating.get(subnet)
        if replicating is None:
            return []
        peers: list[Mapping[str, Any]] = msgspec.to_builtins(replicating.status().peers)
        return peers

    def _asked(self, question: Mapping[str, Any]) -> tuple[str, StoredAccounts]:
        """The subnet that a question is about: the first one, unless it names another."""
        subnet = admin.text(question, "subnet", next(iter(self._stores)))
        if subnet not in self._stores:
            raise admin.Refused(f"no subnet {subnet!r}: here are {', '.join(self._stores)}")
        return subnet, self._stores[subnet]

    async def _accounts(self, question: Mapping[str, Any]) -> Mapping[str, Any]:
        """Shard by shard; the cursor says in which, and behind which key."""
        subnet, stored = self._asked(question)
        limit = admin.number(question, "limit", ACCOUNTS_MAX, ACCOUNTS_MAX)
        place, _, after = admin.text(question, "after", "0:").partition(":")
        if not (place.isascii() and place.isdecimal() and int(place) < stored.store.shards):
            raise admin.Refused('expected is a "next" of an earlier answer as "after"')
        shard = int(place)
        keys = stored.store.accounts_after(shard, after, limit)
        following: str | None = f"{shard}:{keys[-1]}" if len(keys) == limit else f"{shard + 1}:"
        if len(keys) < limit and shard + 1 == stored.store.shards:
            following = None
        accounts = [{"key": key, "identity": identity_of(subnet, key).hex()} for key in keys]
        return {"subnet": subnet, "accounts": accounts, "next": following}

    async def _digest(self, question: Mapping[str, Any]) -> Mapping[str, Any]:
        subnet, stored = self._asked(question)
        key = admin.text(question, "key")
        with stored.store.lease(key) as account:
            whole, parts = await digests(account)
        return {
            "subnet": subnet,
            "key": key,
            "identity": identity_of(subnet, key).hex(),
            "vector": list(whole.vector),
            "outstanding": whole.outstanding,
            "digest": whole.digest.hex(),
            "mailboxes": [{"name": part.name, "digest": part.digest.hex()} for part in parts],
        }

    async def _members(self, question: Mapping[str, Any]) -> Mapping[str, Any]:
        subnet, stored = self._asked(question)
        members = [
            {
                "name": row.name,
                "slot": row.slot,
                "replica": row.replica.hex(),
                "state": row.state.name.lower(),
            }
            for row in stored.members.table()
        ]
        return {"subnet": subnet, "members": members}

    async def _remove_member(self, question: Mapping[str, Any]) -> Mapping[str, Any]:
        subnet, stored = self._asked(question)
        name = admin.text(question, "name")
        if not await stored.store.subnet.remove(name, forced=True):
            raise admin.Refused(f"no member {name!r} in {subnet}")
        log.warn("{member} was removed", event="member-removed", member=name, subnet=subnet)
        return {"subnet": subnet, "removed": name}

    # Who comes.

    def _listen(self) -> None:
        settings, listening = self._prepared.settings, self._around.listening
        if self._logins is not None:
            factory = self._for_programs(self._logins)
            behind: Any = factory.tls_factory() if factory.implicit_tls else factory
            self._ports += listening.listen(settings.name, "imaps", settings.listen_mail, behind)
        elif self._internal is not None:
            judged = self._in_front_of(self._for_distributors(), over_tls=True)
            reactor = self._around.reactor
            behind = TLSMemoryBIOFactory(self._internal, False, judged, clock=reactor)
            self._ports += listening.listen(settings.name, "imaps", settings.listen_mail, behind)
        if settings.mail_socket is not None:
            judged = self._in_front_of(self._for_distributors(), over_tls=False)
            self._ports.append(listening.listen_unix(settings.mail_socket, judged))

    def _for_programs(self, logins: Logins) -> ImapFactory:
        """Serves those who log in here."""
        realm = AccountRealm(logins.authenticator, self._open, self.presence.network_of)
        secure = self._contexts is not None
        service = imap_service(realm, self._around.waiting, self._prepared.imap.greeting)
        factory = ImapFactory(
            self._around.reactor,
            service,
            self.presence,
            self.journal,
            self._contexts,
            implicit_tls=secure,
            secure_without_tls=not secure,
        )
        self._factories.append(factory)
        return factory

    def _for_distributors(self) -> ImapFactory:
        """Serves those for whom a distributor speaks."""
        service = imap_service(
            ExternalRealm(self._open_by_key), self._around.waiting, self._prepared.imap.greeting
        )
        factory = ImapFactory(
            self._around.reactor, service, self.presence, self.journal, secure_without_tls=True
        )
        self._factories.append(factory)
        return factory

    def _in_front_of(self, factory: ImapFactory, *, over_tls: bool) -> ProxiedFactory:
        judge = self._distributors.by_certificate if over_tls else self._distributors.by_process
        proxied = ProxiedFactory(
            self._around.reactor, factory, judge=judge, after_handshake=over_tls
        )
        self._in_front.append(proxied)
        return proxied

    async def _open(self, user: User) -> Account:
        """The account of *user*, who has logged in here."""
        return self._account(user.key, self._prepared.subnets[0].name, user.id)

    async def _open_by_key(
        self, key: AccountKey, subnet: str | None, user_id: int | None
    ) -> Account:
        """The account of *key*, whom a distributor has let in and found to be of *subnet*."""
        subnets = [one.name for one in self._prepared.subnets]
        name = subnets[0] if subnet is None and len(subnets) == 1 else subnet
        spread = self._prepared.spread
        if name not in self._stores or (spread and subnet_by_key(spread, key) != name):
            log.error(
                "a distributor asked for user {id} of subnet {subnet}, and here are {subnets}: "
                "Workers and Peers of its configuration and of this node's must agree",
                event="foreign-user",
                id=user_id,
                subnet=subnet,
                subnets=subnets,
            )
            raise No(UNAVAILABLE, "this account is served elsewhere")
        return self._account(key, name, user_id)

    def _account(self, key: AccountKey, subnet: str, user_id: int | None) -> Account:
        settings = self._prepared.settings
        users = settings.users if isinstance(settings, Worker) else None
        if users is not None and user_id is not None and user_id not in users:
            log.error(
                "user {id} is not one of this worker: see UserStart and UserEnd",
                event="foreign-user",
                id=user_id,
                subnet=subnet,
                subnets=[subnet],
            )
            raise No(UNAVAILABLE, "this account is served elsewhere")
        return self._stores[subnet].store.session(key, key)


def _fixed(prepared: PreparedReplica) -> tuple[object, ...]:
    """What a running process cannot change."""
    settings = prepared.settings
    internal = replace(settings.internal, certificate=None, private_key=None, root=None)
    settings = replace(settings, log_level="", internal=internal)
    if isinstance(settings, Worker):
        settings = replace(settings, adapter=None, public=Public(None, None))
    imap = prepared.imap
    return settings, imap.greeting, imap.separator, prepared.pair is None
