# SPDX-License-Identifier: GPL-3.0-or-later
"""`twistd pluto-worker`."""

from twisted.application.service import ServiceMaker

worker = ServiceMaker(
    "pluto-worker",
    "pluto_tw.node.worker_command",
    "A worker of pluto_tw: serves mail of a part of the users.",
    "pluto-worker",
)
