# SPDX-License-Identifier: GPL-3.0-or-later
"""The worker's service on the reactor of the tests: what `twistd` calls, in its order."""

import imaplib
import io
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.application.service import Application
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread
from twisted.logger import ILogObserver, globalLogPublisher
from twisted.trial.unittest import TestCase

from pluto_tw.node.log import JsonLines
from pluto_tw.node.preparation import prepare, worker
from pluto_tw.node.process import ProcessService
from tests.live.process import Worker
from tests.live.server import CLIENT_SECONDS_MAX, the_reactor
from tests.live.tours import imaplib_tour

SOURCES = tuple(f"pluto_tw.node.{name}" for name in ("membership", "process", "replica"))


class WorkerServiceTests(TestCase):
    timeout = 60

    def setUp(self) -> None:
        self.files = Worker(Path(self.mktemp()))
        self.files.users.write_text("fred;secret\n")
        self.stream = io.StringIO()
        lines = JsonLines(self.stream)
        globalLogPublisher.addObserver(lines)
        self.addCleanup(globalLogPublisher.removeObserver, lines)
        self.watched: list[Callable[[], None]] = []
        self.left: list[int] = []
        self.service = ProcessService(
            the_reactor(),
            lambda: prepare(self.files.config, worker("worker-1"), time.time()),
            lines,
            None,
            self.watch,
            self.left.append,
        )

    def watch(self, call: Callable[[], None]) -> Callable[[], None]:
        self.watched.append(call)
        return self.watched.clear

    def events(self) -> list[dict[str, Any]]:
        found = [json.loads(line) for line in self.stream.getvalue().splitlines()]
        return [event for event in found if event["source"] in SOURCES]

    def names(self) -> list[str]:
        return [event["event"] for event in self.events()]

    def test_start_tour_reload_stop(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self._start_tour_reload_stop())

    async def _start_tour_reload_stop(self) -> None:
        application = Application("test")
        self.service.setServiceParent(application)
        self.assertIsInstance(application.getComponent(ILogObserver), JsonLines)
        self.service.startService()
        await self.service.started()
        ready = self.events()[-1]
        self.assertEqual(ready["event"], "ready")
        port = int(ready["listening"].rpartition(":")[2])

        def tour() -> None:
            tls = self.files.client_tls
            client = imaplib.IMAP4_SSL(
                "127.0.0.1", port, ssl_context=tls, timeout=CLIENT_SECONDS_MAX
            )
            imaplib_tour(client)

        await deferToThread(tour)
        [reload] = self.watched
        reload()
        self.files.users.write_text("nonsense\n")
        reload()
        self.files.users.write_text("fred;other\n")
        text = self.files.config.read_text()
        self.files.config.write_text(text.replace("Shards = 2", "Shards = 3"))
        reload()
        await self.service.stopService()
        told = [name for name in self.names() if name != "configuration-warning"]
        self.assertEqual(
            told,
            [
                *("identity", "ready", "reloaded", "reload-refused", "restart-needed", "reloaded"),
                *("stopping", "stopped"),
            ],
        )
        self.assertEqual((self.watched, self.left), ([], []))
