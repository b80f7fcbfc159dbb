# SPDX-License-Identifier: GPL-3.0-or-later
"""
Where a process listens: addresses of the configuration, sockets that a service manager has opened
in their place, and UNIX sockets.

A manager's sockets have names: `imaps` stands for ListenMailAddr, `imap` for ListenStartTLSAddr,
`metrics` for PrometheusAddr; with the node's Name and a full stop in front where several nodes of
a process have the same key. A socket that nobody has asked for when the process has started is
closed (`close_rest`).
"""

import errno
import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from twisted.internet.defer import maybeDeferred
from twisted.internet.error import CannotListenError
from twisted.internet.protocol import Factory

from pluto_tw.node.addresses import Address

#: Connections that wait to be accepted, when all clients come back at once after a restart.
BACKLOG: Final = 1024

#: The mode of a UNIX socket.
OWNER_ONLY: Final = 0o600


class OpenPort:
    """Where a factory serves: *port* is Twisted's, *path* that of a UNIX socket."""

    def __init__(self, port: Any, path: Path | None = None, directory: int | None = None) -> None:
        self._port = port
        self._path = path
        self._directory = directory

    @property
    def place(self) -> str:
        """For people, and for those who asked for any port that is free."""
        if self._path is not None:
            return str(self._path)
        host = self._port.getHost()
        return str(Address(host.host, host.port))

    async def stop(self) -> None:
        """No more connections; those there are stay. A UNIX socket is removed."""
        await maybeDeferred(self._port.stopListening)
        if self._directory is not None:
            os.close(self._directory)


class Listening:
    """Listens by *reactor*; *passed* are a service manager's sockets, see `activation.passed`."""

    def __init__(self, reactor: Any, passed: Mapping[str, list[int]]) -> None:
        self._reactor = reactor
        self._passed = {name: list(descriptors) for name, descriptors in passed.items()}

    def listen(
        self, node: str, what: str, address: Address | None, factory: Factory
    ) -> list[OpenPort]:
        """
        The ports on which *factory* serves now: those passed for *what* of *node*, or else the one
        at *address*. None at all if there is neither. Raises `CannotListenError`.
        """
        descriptors = self._passed.pop(f"{node}.{what}", None) or self._passed.pop(what, None)
        if descriptors is not None:
            return [self._adopt(descriptor, factory) for descriptor in descriptors]
        if address is None:
            return []
        return [OpenPort(self._reactor.listenTCP(address.port, factory, BACKLOG, address.host))]

    def listen_unix(self, path: Path, factory: Factory) -> OpenPort:
        """
        As `listen`, at *path*, which only this user can connect to, from its first moment.

        A socket that a process has left there is replaced, unless somebody answers on it. The path
        may be of any length. Raises `CannotListenError`.
        """
        try:
            directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise CannotListenError("", str(path), error) from None
        # A name of *path* that is short enough for the kernel, and means the same for as long as
        # the directory is open.
        name = f"/proc/self/fd/{directory}/{path.name}"
        mask = os.umask(0o177)
        try:
            if _is_left_over(name):
                os.unlink(name)
            elif os.path.lexists(name):
                # Not left to Twisted, which forgets to close its socket then.
                raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
            port = self._reactor.listenUNIX(name, factory, BACKLOG, OWNER_ONLY)
        except (OSError, CannotListenError) as error:
            os.close(directory)
            reason = error.socketError if isinstance(error, CannotListenError) else error
            raise CannotListenError("", str(path), reason) from None
        finally:
            os.umask(mask)
        return OpenPort(port, path, directory)

    def close_rest(self) -> list[str]:
        """Closes what was passed and not asked for; the names of these."""
        rest, self._passed = self._passed, {}
        for descriptors in rest.values():
            for descriptor in descriptors:
                os.close(descriptor)
        return sorted(rest)

    def _adopt(self, descriptor: int, factory: Factory) -> OpenPort:
        # Closed at the end, since Twisted has a descriptor of its own then.
        with socket.socket(fileno=descriptor) as listener:
            listener.setblocking(False)
            return OpenPort(self._reactor.adoptStreamPort(descriptor, listener.family, factory))


def _is_left_over(name: str) -> bool:
    """Whether *name* is a socket on which nobody listens any more."""
    if not Path(name).is_socket():
        return False
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as asking:
        asking.setblocking(False)
        try:
            asking.connect(name)
        except ConnectionRefusedError:
            return True
        except OSError:
            return False
    return False
