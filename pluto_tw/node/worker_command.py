# SPDX-License-Identifier: GPL-3.0-or-later
"""The command `twistd pluto-worker`: its options, and the service that they describe."""

import sys
import time
from functools import partial
from typing import Any, ClassVar

from twisted.application.service import IService
from twisted.python import usage

from pluto_tw.node.accounts import make_accounts
from pluto_tw.node.config import find
from pluto_tw.node.hangup import watch_hangup
from pluto_tw.node.keys import LOG_LEVELS
from pluto_tw.node.log import JsonLines
from pluto_tw.node.preparation import prepare
from pluto_tw.node.problems import ConfigurationRefused
from pluto_tw.node.worker import WorkerService


class Options(usage.Options):
    """What `twistd pluto-worker` takes."""

    synopsis = "[options]"
    longdesc = "Serves one worker's users from its store, until SIGTERM; SIGHUP reloads."
    optParameters: ClassVar[list[list[str | None]]] = [
        ["name", "n", None, "The worker: its key in the configuration, or its Name."],
        ["config", "c", None, "The configuration; else config.toml, /etc/pluto/config.toml."],
        ["loglevel", "l", None, f"One of {', '.join(LOG_LEVELS)}; before LogLevel."],
    ]

    def postOptions(self) -> None:
        """Looks at what was given as far as it can be without the configuration."""
        if self["name"] is None:
            raise usage.UsageError("--name is missing: which worker of the configuration is it?")
        if self["loglevel"] not in (None, *LOG_LEVELS):
            raise usage.UsageError(f"--loglevel is one of {', '.join(LOG_LEVELS)}")


def makeService(options: Options) -> IService:
    """The worker's service. Ends the process if it cannot be; standard error says why."""
    reactor = _reactor()
    # Now, since `twistd` may go to another directory as a daemon.
    file = find(options["config"]).absolute()
    try:
        return WorkerService(
            reactor,
            lambda: prepare(file, options["name"], time.time()),
            partial(make_accounts, reactor),
            JsonLines(sys.stdout),
            options["loglevel"],
            partial(watch_hangup, reactor),
        )
    except ConfigurationRefused as refused:
        raise SystemExit("\n".join(refused.errors)) from None


def _reactor() -> Any:
    """The one that `twistd` has installed by now."""
    from twisted.internet import reactor

    return reactor
