# SPDX-License-Identifier: GPL-3.0-or-later
"""How a node tells of itself: the page of its metrics, and its admin socket."""

import os
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry, ProcessCollector

from pluto_tw.net.journal import Journal
from pluto_tw.net.limits import Presence
from pluto_tw.node import sources
from pluto_tw.node.addresses import Address
from pluto_tw.node.admin import AdminFactory, Answers
from pluto_tw.node.listening import OpenPort
from pluto_tw.node.metrics import Collected, Latencies, Source
from pluto_tw.node.metrics_page import site
from pluto_tw.node.surroundings import RunningNode, Surroundings


class Telling:
    """What the node *name* tells, from `start` to `stop`; *role* as in certificates."""

    def __init__(
        self,
        around: Surroundings,
        node: RunningNode,
        name: str,
        role: str,
        journal: Journal,
        presence: Presence,
    ) -> None:
        self._around = around
        self._node = node
        self._name = name
        self._role = role
        self._journal = journal
        self._presence = presence
        self._latencies = Latencies()
        journal.timed = self._latencies.add
        self._began = around.waiting.seconds()
        self._admin: AdminFactory | None = None
        self._ports: list[OpenPort] = []

    def start(
        self,
        metrics: Address | None,
        more: Sequence[Source],
        socket: Path | None,
        answers: Answers,
    ) -> None:
        """
        Listens at the addresses that are given. *more* are sources of the role, *answers* its own.

        Raises `CannotListenError`.
        """
        registry = CollectorRegistry()
        registry.register(Collected([self._own, self._clients, self._latencies.collect, *more]))
        ProcessCollector(registry=registry)
        page: Any = site(self._around.reactor, registry)
        self._ports += self._around.listening.listen(self._name, "metrics", metrics, page)
        if socket is not None:
            self._admin = AdminFactory(answers)
            self._ports.append(self._around.listening.listen_unix(socket, self._admin))

    async def stop(self) -> None:
        """Ends all of it."""
        for port in self._ports:
            await port.stop()
        if self._admin is not None:
            self._admin.stop()

    def status(self) -> dict[str, Any]:
        """What all roles say to `status`."""
        return {
            "name": self._name,
            "role": self._role,
            "version": version("pluto_tw"),
            "pid": os.getpid(),
            "state": "serving",
            "up_seconds": round(self._around.waiting.seconds() - self._began, 1),
            "sessions": self._presence.connections,
            "certificates": [
                {"file": str(one.file), "not_after": one.not_after}
                for one in self._node.certificates()
            ],
        }

    def _own(self) -> Any:
        return sources.node(self._name, self._role, version("pluto_tw"), self._node.certificates())

    def _clients(self) -> Any:
        return sources.clients(self._journal, self._presence)
