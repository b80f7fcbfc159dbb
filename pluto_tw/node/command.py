# SPDX-License-Identifier: GPL-3.0-or-later
"""What the commands of `twistd` have in common: options, and the service that they describe."""

import os
import sys
import time
from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar, TextIO

from twisted.application.service import IService
from twisted.python import usage

from pluto_tw.node.collector import tune_collector
from pluto_tw.node.config import find
from pluto_tw.node.hangup import watch_hangup
from pluto_tw.node.keys import LOG_LEVELS
from pluto_tw.node.log import JsonLines
from pluto_tw.node.preparation import Selection, prepare
from pluto_tw.node.problems import ConfigurationRefused
from pluto_tw.node.process import ProcessService


class NodeOptions(usage.Options):
    """What each command takes."""

    synopsis = "[options]"
    optParameters: ClassVar[list[list[str | None]]] = [
        ["config", "c", None, "The configuration; else config.toml, /etc/pluto/config.toml."],
        ["loglevel", "l", None, f"One of {', '.join(LOG_LEVELS)}; before LogLevel."],
    ]

    def postOptions(self) -> None:
        """Looks at what was given as far as it can be without the configuration."""
        if self["loglevel"] not in (None, *LOG_LEVELS):
            raise usage.UsageError(f"--loglevel is one of {', '.join(LOG_LEVELS)}")


def service(options: NodeOptions, selection: Selection) -> IService:
    """The service of *selection*. Ends the process if it cannot be; standard error says why."""
    reactor = _reactor()
    assert options.parent is not None, "a command of `twistd`"
    # Now, since `twistd` may go to another directory as a daemon.
    file = find(options["config"]).absolute()
    tune_collector()
    try:
        return ProcessService(
            reactor,
            lambda: prepare(file, selection, time.time()),
            JsonLines(log_stream(options.parent)),
            options["loglevel"],
            partial(watch_hangup, reactor),
        )
    except ConfigurationRefused as refused:
        raise SystemExit("\n".join(refused.errors)) from None


def log_stream(twistd: Mapping[str, Any]) -> TextIO:
    """
    Where the log goes, by the options of `twistd` itself: standard output, unless a file is named
    or the process becomes a daemon, whose standard output leads nowhere.
    """
    name = twistd["logfile"] or ("-" if twistd["nodaemon"] else "twistd.log")
    if name == "-":
        return sys.stdout
    # Never closed: the last event is that of the end. Opened by its owner's eyes only.
    return open(name, "a", encoding="utf-8", opener=_open_private)


def _open_private(name: str, flags: int) -> int:
    return os.open(name, flags | os.O_CLOEXEC, 0o600)


def _reactor() -> Any:
    """The one that `twistd` has installed by now."""
    from twisted.internet import reactor

    return reactor
