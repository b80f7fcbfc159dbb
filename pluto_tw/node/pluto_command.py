# SPDX-License-Identifier: GPL-3.0-or-later
"""The command `twistd pluto`: several nodes of one configuration in one process."""

from typing import Any

from twisted.application.service import IService

from pluto_tw.node.command import NodeOptions, service
from pluto_tw.node.preparation import nodes


class Options(NodeOptions):
    """What `twistd pluto` takes."""

    longdesc = "Runs all nodes of a configuration in one process, until SIGTERM; SIGHUP reloads."

    def __init__(self) -> None:
        NodeOptions.__init__(self)
        self.roles: list[str] = []

    def opt_role(self, role: str) -> None:
        """
        Run distributor, storage, or the worker of this key or Name; may be given several times.
        Without it, all nodes of the configuration.
        """
        self.roles.append(role)

    opt_r: Any = opt_role


def makeService(options: Options) -> IService:
    """The service of the nodes that were named."""
    return service(options, nodes(options.roles))
