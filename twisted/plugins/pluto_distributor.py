# SPDX-License-Identifier: GPL-3.0-or-later
"""`twistd pluto-distributor`."""

from twisted.application.service import ServiceMaker

distributor = ServiceMaker(
    "pluto-distributor",
    "pluto_tw.node.distributor_command",
    "The distributor of pluto_tw: takes mail programs to their replicas.",
    "pluto-distributor",
)
