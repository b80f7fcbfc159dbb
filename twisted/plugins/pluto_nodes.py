# SPDX-License-Identifier: GPL-3.0-or-later
"""`twistd pluto`."""

from twisted.application.service import ServiceMaker

nodes = ServiceMaker(
    "pluto",
    "pluto_tw.node.pluto_command",
    "Several nodes of pluto_tw in one process.",
    "pluto",
)
