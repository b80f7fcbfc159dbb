# SPDX-License-Identifier: GPL-3.0-or-later
"""The command `twistd pluto-storage`."""

from twisted.application.service import IService

from pluto_tw.node.command import NodeOptions, service
from pluto_tw.node.preparation import storage


class Options(NodeOptions):
    """What `twistd pluto-storage` takes."""

    longdesc = "Keeps a replica of all users, until SIGTERM; SIGHUP reloads."


def makeService(options: Options) -> IService:
    """The service of storage."""
    return service(options, storage)
