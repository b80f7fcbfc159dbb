# SPDX-License-Identifier: GPL-3.0-or-later
"""How many files and connections the operating system lets this process have open."""

import resource
from typing import Final

#: For databases (three files each), the log, pipes of the reactor, and what libraries open.
FILES_BESIDES_CONNECTIONS: Final = 512


def allow(connections: int) -> int | None:
    """
    Has the process allowed as many descriptors as *connections* and all else need.

    None if it is; otherwise how many connections there can be with what the hard limit gives.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = connections + FILES_BESIDES_CONNECTIONS
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return None
    granted = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (granted, hard))
    return None if granted == needed else max(0, granted - FILES_BESIDES_CONNECTIONS)
