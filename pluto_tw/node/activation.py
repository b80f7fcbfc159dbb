# SPDX-License-Identifier: GPL-3.0-or-later
"""
Sockets that a service manager has opened for this process: sd_listen_fds(3).

They are told apart by their names (`FileDescriptorName=` in a `.socket` unit); several may have one
name, as for IPv4 and IPv6.
"""

import fcntl
from collections.abc import Mapping
from typing import Final

#: Where they begin: below are standard input, output and error.
_FIRST: Final = 3

#: More than any unit has; the environment is not ours.
_SOCKETS_MAX: Final = 256


def passed(environment: Mapping[str, str], process: int) -> dict[str, list[int]]:
    """The descriptors that were passed to *process*, by name; none, if that was another process."""
    if environment.get("LISTEN_PID") != str(process):
        return {}
    count = environment.get("LISTEN_FDS", "")
    if not (count.isascii() and count.isdecimal()) or int(count) > _SOCKETS_MAX:
        return {}
    names = environment.get("LISTEN_FDNAMES", "").split(":")
    found: dict[str, list[int]] = {}
    for place in range(int(count)):
        # sd_listen_fds_with_names(3): "unknown" is the name of one without.
        name = names[place] if place < len(names) and names[place] else "unknown"
        fcntl.fcntl(_FIRST + place, fcntl.F_SETFD, fcntl.FD_CLOEXEC)
        found.setdefault(name, []).append(_FIRST + place)
    return found
