# SPDX-License-Identifier: GPL-3.0-or-later
"""What a service manager is told of this process: sd_notify(3), as systemd defines it."""

import os
import socket


def notify(state: str) -> None:
    """
    Tells *state*, such as `READY=1`, to who asked for it by `NOTIFY_SOCKET`; else nothing.

    A manager that does not listen is no reason to end.
    """
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    # A name in the abstract namespace is written with "@" in front, and has a NUL there.
    address = "\0" + address[1:] if address.startswith("@") else address
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
        try:
            sender.connect(address)
            sender.sendall(state.encode("utf-8"))
        except OSError:
            return
