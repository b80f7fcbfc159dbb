# SPDX-License-Identifier: GPL-3.0-or-later
"""
A worker or storage while it runs: its stores, one for each subnet, and who reaches them.

Both are the same node in two configurations. Start: identity, store, listening. Stop: no new
connections, BYE to those there are once their commands have ended, the stores, the threads.

Distributors come by mutual TLS on ListenMailAddr or by MailSocket, and say whose account they want;
with an AuthAdapter mail programs come to ListenMailAddr instead, and log in here.
"""

import secrets
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from importlib.metadata import version
from typing import Any

from prometheus_client.metrics_core import Metric
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

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
from pluto_tw.net.tls import ServerContexts, TlsFactory
from pluto_tw.node import metrics, sources
from pluto_tw.node.accounts import StoredAccounts
from pluto_tw.node.answers import ReplicaAnswers
from pluto_tw.node.draining import Draining
from pluto_tw.node.expiry import Certificate
from pluto_tw.node.internal_tls import InternalContexts
from pluto_tw.node.listening import OpenPort
from pluto_tw.node.logins import Logins
from pluto_tw.node.membership import Membership
from pluto_tw.node.metrics import family
from pluto_tw.node.misplaced import check_placed
from pluto_tw.node.preparation import PreparedNode, PreparedReplica
from pluto_tw.node.replicating import Replicating
from pluto_tw.node.settings import Public, Worker
from pluto_tw.node.surroundings import Surroundings, imap_service
from pluto_tw.node.telling import Telling

log = Logger()


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
        self._memberships: dict[str, Membership] = {}
        #: Of these, the subnets whose clients were sent away.
        self._left: set[str] = set()
        #: Of those that are open.
        self._stores: dict[str, StoredAccounts] = {}
        self._replicating: dict[str, Replicating] = {}
        self._ports: list[OpenPort] = []
        self._factories: list[ImapFactory] = []
        self._in_front: list[ProxiedFactory] = []
        name, role = prepared.settings.name, prepared.role.value
        self._telling = Telling(around, self, name, role, self.journal, self.presence)
        self._draining = Draining(name, around.waiting, self._stores, self._sessions, self._changed)

    async def start(self) -> None:
        """
        As `RunningNode.start`.

        Raises `StoreRefused`, `IdentityRefused`, `UsersMisplaced`, `CannotListenError`.
        """
        if self._logins is not None:
            self._logins.start()
        for subnet in self._prepared.subnets:
            self._memberships[subnet.name] = Membership(
                self._around,
                self._prepared.settings.name,
                subnet,
                self._internal,
                self._prepared.imap.separator,
                secrets.token_bytes,
                self._changed,
            )
        # All at once: one that waits for its peers does not keep the others waiting.
        starting = [Deferred.fromCoroutine(one.start()) for one in self._memberships.values()]
        await _all(starting)
        self._check_placed()
        self._listen()
        settings = self._prepared.settings
        answers = ReplicaAnswers(
            self._telling.status,
            lambda: [one.identity for one in self._memberships.values()],
            self._stores,
            self._replicating,
        )
        self._telling.start(
            settings.prometheus,
            [self._shards, self._peers],
            settings.admin_socket or self._prepared.store_root / "admin",
            {**answers.by_question(), **self._draining.by_question()},
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
            replica=next(iter(self._memberships.values())).identity.replica,
            joining=[name for name, one in self._memberships.items() if not one.serves],
        )

    async def stop(self) -> None:
        """As `RunningNode.stop`."""
        self._draining.stop()
        for port in self._ports:
            await port.stop()
        for proxied in self._in_front:
            proxied.stop()
        stopping = [factory.stop() for factory in self._factories]
        for stopped in stopping:
            await stopped
        await self._telling.stop()
        for membership in self._memberships.values():
            await membership.stop()
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
        for subnet in prepared.subnets:
            membership = self._memberships.get(subnet.name)
            if membership is not None and not membership.reload(subnet.peers):
                needs_restart = True
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

    # The subnets.

    def _check_placed(self) -> None:
        """Raises `UsersMisplaced`. Who joins has what others have, who have started so."""
        spread = self._prepared.spread
        if self._logins is not None or len(spread) < 2:
            return
        for name, stored in self._stores.items():
            check_placed(stored.store, name, spread)

    def _changed(self) -> None:
        """A subnet has opened its store, serves, or serves no more."""
        for name, membership in self._memberships.items():
            opened = membership.opened
            if opened is not None:
                self._stores[name] = opened
            if membership.replicating is not None:
                self._replicating[name] = membership.replicating
            if membership.has_left and name not in self._left:
                self._end_sessions()
        self._left = {name for name, one in self._memberships.items() if one.has_left}

    def _sessions(self) -> int:
        """How many clients are connected."""
        return sum(len(factory.connections) for factory in self._factories)

    def _end_sessions(self) -> None:
        """All clients are told to come again: who is not of that subnet is served at once."""
        for factory in self._factories:
            for connection in tuple(factory.connections):
                connection.shut_down()

    # What it tells.

    def _shards(self) -> Iterator[Metric]:
        for subnet, store in self._stores.items():
            yield from sources.shards(subnet, store.shards)
            yield family(metrics.HALTED, {(subnet,): len(store.store.halted())})

    def _peers(self) -> Iterable[Metric]:
        return sources.peers([one.status() for one in self._replicating.values()])

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
            behind = TlsFactory(self._internal, judged, reactor)
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
        if name not in self._memberships or (spread and subnet_by_key(spread, key) != name):
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
        return self._memberships[subnet].session(key)


async def _all(starting: Sequence[Deferred[None]]) -> None:
    """Waits for all of *starting*, then raises the first of their failures."""
    failures: list[Failure] = []
    for one in starting:
        one.addErrback(failures.append)
        await one
    if failures:
        failures[0].raiseException()


def _fixed(prepared: PreparedReplica) -> tuple[object, ...]:
    """What a running process cannot change."""
    settings = prepared.settings
    internal = replace(settings.internal, certificate=None, private_key=None, root=None)
    settings = replace(settings, log_level="", internal=internal)
    if isinstance(settings, Worker):
        settings = replace(settings, adapter=None, public=Public(None, None), mail_peers={})
    # Who the peers are may change, each subnet knows how; which subnets there are may not.
    subnets, settings = tuple(settings.peers), replace(settings, peers={})
    imap = prepared.imap
    return settings, subnets, imap.greeting, imap.separator, prepared.pair is None
