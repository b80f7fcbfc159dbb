# SPDX-License-Identifier: GPL-3.0-or-later
"""The command `twistd pluto-distributor`."""

from twisted.application.service import IService

from pluto_tw.node.command import NodeOptions, service
from pluto_tw.node.preparation import distributor


class Options(NodeOptions):
    """What `twistd pluto-distributor` takes."""

    longdesc = (
        "Logs mail programs in and takes them to their replicas, until SIGTERM; SIGHUP reloads."
    )


def makeService(options: Options) -> IService:
    """The service of distributor."""
    return service(options, distributor)
