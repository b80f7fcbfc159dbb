# SPDX-License-Identifier: GPL-3.0-or-later
"""
The service of a process: its nodes, mostly one, and what they share with whoever started it.

Decides the order of things. Start: nodes, replicas first, READY. Stop: nodes in the opposite order;
within `STOP_SECONDS_MAX`. A start that fails ends the process, with a status that supervisors see.

Reload: all files are read again, then certificates, users, limits, peers, where distributors find
replicas, ProxyNetworks and the level of the log change; what else has changed waits for a restart,
and the log says so.
"""

import os
import time
from collections.abc import Callable, Mapping
from typing import Any, Final, assert_never

from twisted.application.service import Service
from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import CannotListenError
from twisted.logger import ILogObserver, Logger
from twisted.python.components import Componentized
from twisted.python.failure import Failure

from pluto_tw.account.soundness import StoreRefused
from pluto_tw.net.waiting import ReactorWaiting
from pluto_tw.node import descriptors
from pluto_tw.node.activation import passed
from pluto_tw.node.distributor import DistributorNode
from pluto_tw.node.expiry import Expiry
from pluto_tw.node.identity import IdentityRefused
from pluto_tw.node.keys import LOG_LEVELS
from pluto_tw.node.listening import Listening
from pluto_tw.node.log import JsonLines
from pluto_tw.node.misplaced import UsersMisplaced
from pluto_tw.node.notify import Watchdog, notify, reloading, watchdog_seconds
from pluto_tw.node.preparation import (
    Prepared,
    PreparedDistributor,
    PreparedNode,
    PreparedReplica,
)
from pluto_tw.node.problems import ConfigurationRefused
from pluto_tw.node.replica import ReplicaNode
from pluto_tw.node.surroundings import Surroundings

log = Logger()

#: The whole stop: 8 s for commands that run, then what is queued for the disk. systemd waits for
#: 90 s before it kills.
STOP_SECONDS_MAX: Final = 30.0


class ProcessService(Service):
    """
    The nodes of a configuration that was read already.

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
        environment: Mapping[str, str] = os.environ,
    ) -> None:
        self._reactor = reactor
        self._prepare = prepare
        self._lines = lines
        self._level = level
        self._watch = watch
        self._leave = leave
        self._prepared = prepare()
        around = Surroundings(
            reactor,
            ReactorWaiting(reactor),
            Listening(reactor, passed(environment, os.getpid())),
            self._failed,
        )
        self._around = around
        self.nodes = [_node(around, prepared) for prepared in self._prepared.nodes]
        self._started: list[ReplicaNode | DistributorNode] = []
        self._watchdog = Watchdog(reactor, watchdog_seconds(environment, os.getpid()))
        self._expiry = Expiry(
            reactor, time.time, lambda: [one for node in self.nodes for one in node.certificates()]
        )
        self._unwatch: Callable[[], None] | None = None
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
        self._watchdog.start()
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
        notify(reloading())
        try:
            self._reload()
        except ConfigurationRefused as refused:
            for error in refused.errors:
                log.error("not reloaded: {error}", event="reload-refused", error=error)
        finally:
            notify("READY=1")

    def _reload(self) -> None:
        prepared = self._prepare()
        before, self._prepared = self._prepared, prepared
        needs_restart = _names(before) != _names(prepared)
        if not needs_restart:
            reloaded = [
                node.reload(new) for node, new in zip(self.nodes, prepared.nodes, strict=True)
            ]
            needs_restart = any(reloaded)
        else:
            self._prepared = before
        self._set_level()
        self._warn()
        self._allow_descriptors()
        self._expiry.look()
        if needs_restart:
            log.warn(
                "some changes need a restart: certificates, users, limits, Peers, MailPeers, "
                "ProxyNetworks and the level of the log are all that a reload changes",
                event="restart-needed",
            )
        log.info("reloaded", event="reloaded")

    # Below.

    def _set_level(self) -> None:
        levels = [node.settings.log_level for node in self._prepared.nodes]
        level = self._level or min(levels, key=LOG_LEVELS.index)
        self._lines.level = level
        for node in self.nodes:
            node.journal.commands_logged = level == "debug"

    def _warn(self) -> None:
        for warning in self._prepared.warnings:
            log.warn("{warning}", event="configuration-warning", warning=warning)

    async def _start(self) -> None:
        self._warn()
        self._allow_descriptors()
        for node in self.nodes:
            self._started.append(node)
            await node.start()
        for name in self._around.listening.close_rest():
            log.warn(
                "the service manager's socket {name} is for nobody here",
                event="socket-unused",
                name=name,
            )
        self._expiry.start()
        notify("READY=1")

    def _allow_descriptors(self) -> None:
        # A distributor has a connection to a replica for each client's.
        wanted = sum(
            node.imap.limits.connections_max * (2 if isinstance(node, PreparedDistributor) else 1)
            for node in self._prepared.nodes
        )
        possible = descriptors.allow(wanted)
        if possible is not None:
            log.warn(
                "{wanted} connections are configured, and the operating system allows {possible}: "
                "raise the limit of open files (LimitNOFILE, ulimit -n)",
                event="few-descriptors",
                wanted=wanted,
                possible=possible,
            )

    async def _stop(self) -> None:
        log.info("stopping", event="stopping")
        if self._unwatch is not None:
            self._unwatch()
        self._expiry.stop()
        await self.started()
        for node in reversed(self._started):
            await node.stop()
        self._watchdog.stop()
        log.info("stopped", event="stopped")

    def _failed(self, failure: Failure) -> None:
        """The start has failed: the process ends, and its supervisor sees that it failed."""
        if failure.check(StoreRefused, IdentityRefused, UsersMisplaced, CannotListenError, OSError):
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


def _node(around: Surroundings, prepared: PreparedNode) -> ReplicaNode | DistributorNode:
    match prepared:
        case PreparedReplica():
            return ReplicaNode(around, prepared)
        case PreparedDistributor():
            return DistributorNode(around, prepared)
        case _:
            assert_never(prepared)


def _names(prepared: Prepared) -> list[str]:
    return [node.settings.name for node in prepared.nodes]
