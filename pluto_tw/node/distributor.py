# SPDX-License-Identifier: GPL-3.0-or-later
"""
A distributor while it runs: it logs users in, and takes each to a replica of their account.

Start: users, listening. Stop: no new connections, BYE where it can be said, the threads.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.metadata import version
from typing import Any

from twisted.logger import Logger

from pluto_tw.auth.routing import Router, Subnet, Target, TcpPlace, UnixPlace
from pluto_tw.net.endpoints import replica_endpoint
from pluto_tw.net.imap import ImapFactory
from pluto_tw.net.journal import Journal
from pluto_tw.net.limits import Presence
from pluto_tw.net.login import AccountRealm
from pluto_tw.net.proxied import ProxiedFactory, Senders
from pluto_tw.net.tls import ServerContexts
from pluto_tw.net.upstream import Upstream
from pluto_tw.node import sources
from pluto_tw.node.expiry import Certificate
from pluto_tw.node.internal_tls import InternalContexts
from pluto_tw.node.listening import OpenPort
from pluto_tw.node.logins import Logins
from pluto_tw.node.preparation import PreparedDistributor, PreparedNode
from pluto_tw.node.routed import Routed
from pluto_tw.node.settings import Public, Storage, Worker
from pluto_tw.node.surroundings import Surroundings, imap_service
from pluto_tw.node.telling import Telling

log = Logger()


class DistributorNode:
    """The distributor that was *prepared*, in *around*."""

    def __init__(self, around: Surroundings, prepared: PreparedDistributor) -> None:
        self._around = around
        self._prepared = prepared
        self.journal = Journal()
        self.presence = Presence(prepared.imap.limits)
        self.routed = Routed()
        self._logins = Logins(around.reactor, around.waiting, prepared.users)
        self._contexts = ServerContexts([prepared.pair])
        internal = prepared.internal
        self._internal = None if internal is None else InternalContexts(internal)
        self._senders = Senders(prepared.settings.proxy_networks)
        self._upstream = Upstream(
            around.reactor,
            router(prepared),
            lambda target: replica_endpoint(around.reactor, target, self._client_tls),
            self.routed,
        )
        self._ports: list[OpenPort] = []
        self._factories: list[ImapFactory] = []
        self._in_front: list[ProxiedFactory] = []
        name = prepared.settings.name
        self._telling = Telling(around, self, name, "distributor", self.journal, self.presence)

    async def start(self) -> None:
        """As `RunningNode.start`. Raises `CannotListenError`."""
        self._logins.start()
        reactor, settings = self._around.reactor, self._prepared.settings
        opened = self._upstream.open
        realm = AccountRealm(self._logins.authenticator, opened, self.presence.network_of)
        service = imap_service(realm, self._around.waiting, self._prepared.imap.greeting)
        for what, address, implicit in (
            ("imaps", settings.listen_mail, True),
            ("imap", settings.listen_starttls, False),
        ):
            factory = ImapFactory(
                reactor,
                service,
                self.presence,
                self.journal,
                self._contexts,
                implicit_tls=implicit,
            )
            self._factories.append(factory)
            behind: Any = factory.tls_factory() if implicit else factory
            if self._senders.networks:
                behind = ProxiedFactory(reactor, behind, senders=self._senders)
                self._in_front.append(behind)
            self._ports += self._around.listening.listen(settings.name, what, address, behind)
        self._telling.start(
            settings.prometheus,
            [lambda: sources.distributor(self.journal), lambda: sources.routes(self.routed)],
            settings.admin_socket,
            {"status": self._status},
        )
        log.info(
            "{name} serves mail programs on {listening}",
            event="ready",
            name=settings.name,
            role="distributor",
            listening=self._ports[0].place,
            places=[port.place for port in self._ports],
            tls=True,
            version=version("pluto_tw"),
            replica="",
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
        await self._logins.stop()
        await self._telling.stop()

    def reload(self, prepared: PreparedNode) -> bool:
        """As `RunningNode.reload`."""
        assert isinstance(prepared, PreparedDistributor), "a node does not change its role"
        self._logins.reload(prepared.users)
        self.presence.limits = prepared.imap.limits
        self._contexts.replace([prepared.pair])
        if prepared.internal is not None:
            if self._internal is None:
                self._internal = InternalContexts(prepared.internal)
            else:
                self._internal.replace(prepared.internal)
        before = self._prepared
        needs_restart = _fixed(before) != _fixed(prepared)
        if self._senders.networks:
            self._senders.networks = prepared.settings.proxy_networks
        elif prepared.settings.proxy_networks:
            # Its listeners expect no header of anybody.
            needs_restart = True
        if needs_restart:
            # What is compared next time must be what this process runs with.
            prepared = replace(
                prepared, settings=before.settings, workers=before.workers, storage=before.storage
            )
        else:
            self._upstream.router = router(prepared)
        self._prepared = prepared
        return needs_restart

    def certificates(self) -> Sequence[Certificate]:
        """As `RunningNode.certificates`."""
        prepared, settings = self._prepared, self._prepared.settings
        assert settings.public.certificate is not None, "`Distributor.check` has seen to it"
        end = prepared.pair.certificate.not_valid_after_utc.timestamp()
        used = [Certificate(settings.public.certificate, end)]
        if prepared.internal is not None and settings.internal.certificate is not None:
            end = prepared.internal.not_after.timestamp()
            used.append(Certificate(settings.internal.certificate, end))
        return used

    async def _status(self, question: Mapping[str, Any]) -> Mapping[str, Any]:
        replicas = [
            {"name": name, "state": "up" if is_there else "down"}
            for name, is_there in self._upstream.states().items()
        ]
        return {**self._telling.status(), "replicas": replicas}

    def _client_tls(self, name: str) -> InternalContexts:
        assert self._internal is not None, "`Distributor.check` has seen to it"
        return self._internal


def router(prepared: PreparedDistributor) -> Router:
    """The subnets of the region's workers; what does not fit was refused before."""
    return Router([_subnet(worker, prepared.storage) for worker in prepared.workers])


def _subnet(worker: Worker, storage: Storage | None) -> Subnet:
    """The worker itself, its MailPeers as they are written, at last storage of the same file."""
    assert worker.subnet is not None, "`Worker.check_subnet` has seen to it"
    targets = [Target(worker.name, _place(worker))]
    for name, address in worker.mail_peers.get(worker.subnet, {}).items():
        targets.append(Target(name, TcpPlace(address.host, address.port)))
    if storage is None or worker.subnet not in storage.peers:
        return Subnet(worker.subnet, tuple(targets), worker.users)
    is_known = any(target.name == storage.name for target in targets)
    if not is_known and (storage.mail_socket is not None or storage.public_mail is not None):
        targets.append(Target(storage.name, _place(storage)))
    return Subnet(worker.subnet, tuple(targets), worker.users)


def _place(node: Worker | Storage) -> TcpPlace | UnixPlace:
    if node.mail_socket is not None:
        return UnixPlace(str(node.mail_socket))
    assert node.public_mail is not None, "`Distributor.check` has seen to it"
    return TcpPlace(node.public_mail.host, node.public_mail.port)


def _fixed(prepared: PreparedDistributor) -> tuple[object, ...]:
    """What a running process cannot change."""
    settings = replace(
        prepared.settings,
        log_level="",
        adapter=None,
        proxy_networks=(),
        public=Public(None, None),
        internal=replace(prepared.settings.internal, certificate=None, private_key=None, root=None),
    )
    # Whose mail is where does not follow a change of the configuration.
    users = {(worker.subnet, worker.users) for worker in prepared.workers}
    return settings, users, prepared.imap.greeting
