# SPDX-License-Identifier: GPL-3.0-or-later
"""`twistd pluto-storage`."""

from twisted.application.service import ServiceMaker

storage = ServiceMaker(
    "pluto-storage",
    "pluto_tw.node.storage_command",
    "The storage of pluto_tw: a replica of all users.",
    "pluto-storage",
)
