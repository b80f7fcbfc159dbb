# SPDX-License-Identifier: GPL-3.0-or-later
"""
The service of a worker that mail programs reach directly: users of a file, mail in its store.

Decides the order of things. Start: identity, store, listening, READY. Stop: no new connections,
BYE to those there are once their commands have ended, the store, the threads; within
`STOP_SECONDS_MAX`. A start that fails ends the process, with a status that supervisors see.

Reload: all files are read again, then certificates, users, limits and the level of the log change;
what else has changed waits for a restart, and the log says so.
"""

import os
import secrets
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from twisted.application.service import Service
from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.internet.error import CannotListenError
from twisted.logger import ILogObserver, Logger
from twisted.python.components import Componentized
from twisted.python.failure import Failure

from pluto_tw.account.soundness import StoreRefused
from pluto_tw.auth.authenticator import Authenticator
from pluto_tw.auth.hashing import HashingThreads
from pluto_tw.auth.slowdown import Slowdown
from pluto_tw.auth.users import User
from pluto_tw.imap.ports import Account
from pluto_tw.imap.session import Service as ImapService
from pluto_tw.imap.table import COMMANDS
from pluto_tw.mail.codes import UNAVAILABLE
from pluto_tw.mail.errors import No
from pluto_tw.net.imap import ImapFactory
from pluto_tw.net.journal import Journal
from pluto_tw.net.limits import Presence
from pluto_tw.net.login import AccountRealm
from pluto_tw.net.threads import PoolHop
from pluto_tw.net.tls import ServerContexts
from pluto_tw.net.waiting import ReactorWaiting
from pluto_tw.node import descriptors
from pluto_tw.node.accounts import StoredAccounts
from pluto_tw.node.identity import Identity, IdentityRefused, found, read, write
from pluto_tw.node.log import JsonLines
from pluto_tw.node.notify import notify
from pluto_tw.node.preparation import Prepared
from pluto_tw.node.problems import ConfigurationRefused

log = Logger()

#: The whole stop: 8 s for commands that run, then what is queued for the disk. systemd waits for
#: 90 s before it kills.
STOP_SECONDS_MAX: Final = 30.0

#: Passwords checked at a time; each may take a core and 64 MiB.
HASHING_THREADS_MAX: Final = 4

#: Connections that wait to be accepted, when all clients come back at once after a restart.
BACKLOG: Final = 1024

IDENTITY_FILE: Final = "identity"


class WorkerService(Service):
    """
    A worker, from a configuration that was read already.

    *prepare* reads it again; *watch* has a function called at each SIGHUP and returns what ends
    that. *lines* is the log, whose level the configuration sets unless *level* is given.
    """

    def __init__(
        self,
        reactor: Any,
        prepare: Callable[[], Prepared],
        lines: JsonLines,
        level: str | None,
        watch: Callable[[Callable[[], None]], Callable[[], None]],
        leave: Callable[[int], None] = os._exit,
    ) -> None:
        self._reactor = reactor
        self._prepare = prepare
        self._lines = lines
        self._level = level
        self._watch = watch
        self._leave = leave
        self._prepared = prepare()
        self._waiting = ReactorWaiting(reactor)
        self._journal = Journal()
        self._presence = Presence(self._prepared.imap.limits)
        self._hops = [
            PoolHop(reactor, f"password-{number}")
            for number in range(min(HASHING_THREADS_MAX, os.cpu_count() or 1))
        ]
        self._authenticator = Authenticator(
            self._prepared.users,
            HashingThreads(self._hops, self._waiting),
            Slowdown(self._waiting.seconds),
            self._waiting,
            secrets.token_bytes(32),
        )
        pair = self._prepared.pair
        self._contexts = None if pair is None else ServerContexts([pair])
        self._unwatch: Callable[[], None] | None = None
        self._accounts: StoredAccounts | None = None
        self._factory: ImapFactory | None = None
        self._port: Any = None
        self._start_ended: Deferred[None] = succeed(None)
        self._set_level()

    # What Twisted calls.

    def setServiceParent(self, parent: Any) -> None:
        """Brings the log along, which `twistd` then uses unless it was told of another."""
        Service.setServiceParent(self, parent)
        if isinstance(parent, Componentized):
            parent.setComponent(ILogObserver, self._lines)

    def startService(self) -> None:
        """Begins to start; the log and the service manager are told when it serves."""
        Service.startService(self)
        self._unwatch = self._watch(self.reload)
        for hop in self._hops:
            hop.start()
        self._start_ended = Deferred.fromCoroutine(self._start())
        self._start_ended.addErrback(self._failed)

    async def started(self) -> None:
        """Returns when the start has come to its end, whatever that was."""
        await self._start_ended

    def stopService(self) -> Deferred[None]:
        """Fires when all is at rest, or the process ends with a status of 1."""
        Service.stopService(self)
        notify("STOPPING=1")
        stopped = Deferred.fromCoroutine(self._stop())
        limit = self._reactor.callLater(STOP_SECONDS_MAX, self._stop_failed)

        def done(result: Any) -> Any:
            if limit.active():
                limit.cancel()
            return result

        return stopped.addBoth(done).addErrback(self._stop_broke)

    # What the service manager asks for.

    def reload(self) -> None:
        """Reads all files again and takes over what can change in a running process."""
        try:
            prepared = self._prepare()
        except ConfigurationRefused as refused:
            for error in refused.errors:
                log.error("not reloaded: {error}", event="reload-refused", error=error)
            return
        before, self._prepared = self._prepared, prepared
        self._authenticator.source = prepared.users
        self._presence.limits = prepared.imap.limits
        if self._contexts is not None and prepared.pair is not None:
            self._contexts.replace([prepared.pair])
        self._set_level()
        self._warn()
        self._allow_descriptors()
        if _fixed(before) != _fixed(prepared):
            # What is compared next time must be what this process runs with.
            self._prepared = replace(prepared, worker=before.worker, listen=before.listen)
            log.warn(
                "some changes need a restart: certificates, users, limits and the level of the "
                "log are all that a reload changes",
                event="restart-needed",
            )
        log.info("reloaded", event="reloaded", users=len(prepared.users.users.in_order))

    # Below.

    def _set_level(self) -> None:
        level = self._level or self._prepared.worker.log_level
        self._lines.level = level
        self._journal.commands_logged = level == "debug"

    def _warn(self) -> None:
        for warning in self._prepared.warnings:
            log.warn("{warning}", event="configuration-warning", warning=warning)

    async def _start(self) -> None:
        prepared = self._prepared
        self._warn()
        self._allow_descriptors()
        own, path = self._identity()
        self._accounts = StoredAccounts(
            self._reactor,
            prepared.store_root,
            own,
            self._waiting,
            prepared.imap.separator,
            secrets.token_bytes,
        )
        await self._accounts.start()
        if not own.complete:
            write(path, own.completed())
        factory = self._factory = self._make_factory()
        listening = factory.tls_factory() if factory.implicit_tls else factory
        address = prepared.listen
        self._port = self._reactor.listenTCP(address.port, listening, BACKLOG, address.host)
        log.info(
            "{name} serves mail programs on {listening}",
            event="ready",
            name=prepared.worker.name,
            listening=str(replace(address, port=self._port.getHost().port)),
            tls=factory.implicit_tls,
            version=version("pluto_tw"),
            replica=own.replica,
        )
        notify("READY=1")

    def _allow_descriptors(self) -> None:
        wanted = self._prepared.imap.limits.connections_max
        possible = descriptors.allow(wanted)
        if possible is not None:
            log.warn(
                "{wanted} connections are configured, and the operating system allows {possible}: "
                "raise the limit of open files (LimitNOFILE, ulimit -n)",
                event="few-descriptors",
                wanted=wanted,
                possible=possible,
            )

    def _identity(self) -> tuple[Identity, Path]:
        """Who this replica is, and the file that says so. Raises `IdentityRefused`."""
        prepared, worker = self._prepared, self._prepared.worker
        path = prepared.store_root / IDENTITY_FILE
        own = read(path)
        if own is None:
            prepared.store_root.mkdir(mode=0o700, parents=True, exist_ok=True)
            peers = worker.peers[prepared.subnet]
            own = found(worker.name, prepared.subnet, peers, worker.shards, secrets.token_bytes)
            write(path, own)
            log.info("{name} has a new identity", event="identity", name=own.name, path=str(path))
        wrong = own.check(worker.name, prepared.subnet)
        if wrong:
            raise IdentityRefused("\n".join(f"{path}: {text}" for text in wrong))
        return own, path

    def _make_factory(self) -> ImapFactory:
        service = ImapService(
            realm=AccountRealm(self._authenticator, self._open, self._presence.network_of),
            waiting=self._waiting,
            observer=_NobodyYet(),
            commands=COMMANDS,
            greeting=self._prepared.imap.greeting,
            identity=(("name", "pluto_tw"), ("version", version("pluto_tw"))),
        )
        secure = self._contexts is not None
        return ImapFactory(
            self._reactor,
            service,
            self._presence,
            self._journal,
            self._contexts,
            implicit_tls=secure,
            secure_without_tls=not secure,
        )

    async def _open(self, user: User) -> Account:
        """The account of *user*, who has logged in."""
        users = self._prepared.worker.users
        if users is not None and user.id not in users:
            log.error(
                "user {id} is not one of this worker: see UserStart and UserEnd",
                event="foreign-user",
                id=user.id,
            )
            raise No(UNAVAILABLE, "this account is served elsewhere")
        assert self._accounts is not None, "nobody listens before the store is open"
        return self._accounts.session(user)

    async def _stop(self) -> None:
        log.info("stopping", event="stopping")
        if self._unwatch is not None:
            self._unwatch()
        await self.started()
        if self._port is not None:
            await maybeDeferred(self._port.stopListening)
        if self._factory is not None:
            await self._factory.stop()
        if self._accounts is not None:
            await self._accounts.close()
        for hop in self._hops:
            hop.stop()
        log.info("stopped", event="stopped")

    def _failed(self, failure: Failure) -> None:
        """The start has failed: the process ends, and its supervisor sees that it failed."""
        if failure.check(StoreRefused, IdentityRefused, CannotListenError, OSError):
            log.critical("{reason}", event="start-refused", reason=str(failure.value))
        else:
            log.failure("the start failed: this is a bug", failure, event="start-failed")
        self._reactor.addSystemEventTrigger("after", "shutdown", self._leave, 1)
        self._reactor.callWhenRunning(self._reactor.stop)

    def _stop_broke(self, failure: Failure) -> None:
        log.failure("the stop failed: this is a bug", failure, event="stop-failed")
        # Threads that still run would keep the process for ever.
        self._leave(1)

    def _stop_failed(self) -> None:
        log.critical(
            "not stopped after {seconds:.0f} s: ending without",
            event="stop-failed",
            seconds=STOP_SECONDS_MAX,
        )
        self._leave(1)


def _fixed(prepared: Prepared) -> tuple[object, ...]:
    """What a running process cannot change."""
    worker = replace(
        prepared.worker,
        log_level="",
        users_file=None,
        public_cert=None,
        public_key=None,
    )
    return worker, prepared.imap.greeting, prepared.imap.separator, prepared.pair is None


class _NobodyYet:
    """Each connection has an observer of its own, which takes this one's place."""

    def command(self, name: str, outcome: object, seconds: float) -> None: ...

    def authenticated(self, user: str) -> None: ...

    def refused_login(self, reason: str) -> None: ...

    def fault(self, name: str) -> None: ...
