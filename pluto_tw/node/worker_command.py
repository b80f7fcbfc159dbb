# SPDX-License-Identifier: GPL-3.0-or-later
"""The command `twistd pluto-worker`."""

from typing import ClassVar

from twisted.application.service import IService
from twisted.python import usage

from pluto_tw.node.command import NodeOptions, service
from pluto_tw.node.preparation import worker


class Options(NodeOptions):
    """What `twistd pluto-worker` takes."""

    longdesc = "Serves one worker's users from its store, until SIGTERM; SIGHUP reloads."
    optParameters: ClassVar[list[list[str | None]]] = [
        ["name", "n", None, "The worker: its key in the configuration, or its Name."],
    ]

    def postOptions(self) -> None:
        """Looks at what was given as far as it can be without the configuration."""
        if self["name"] is None:
            raise usage.UsageError("--name is missing: which worker of the configuration is it?")
        super().postOptions()


def makeService(options: Options) -> IService:
    """The worker's service."""
    return service(options, worker(options["name"]))
