# SPDX-License-Identifier: GPL-3.0-or-later
"""
The way to a replica, and the socket on which one waits for distributors of its own machine.

Contexts of TLS are made by the caller, for the name of the replica that is dialled.
"""

from collections.abc import Callable
from typing import Any, Final, assert_never

from twisted.internet.endpoints import HostnameEndpoint, UNIXClientEndpoint, wrapClientTLS
from twisted.internet.interfaces import (
    IListeningPort,
    IOpenSSLClientConnectionCreator,
    IProtocolFactory,
    IStreamClientEndpoint,
)

from pluto_tw.auth.routing import Target, TcpPlace, UnixPlace
from pluto_tw.net.upstream import CONNECT_SECONDS_MAX

#: Connections that wait to be accepted, when all clients come back at once.
BACKLOG: Final = 1024

#: Others cannot even connect; who does is asked for its credentials besides.
SOCKET_MODE: Final = 0o600


def replica_endpoint(
    reactor: Any, target: Target, tls: Callable[[str], IOpenSSLClientConnectionCreator]
) -> IStreamClientEndpoint:
    """The way to *target*; *tls* gives what connections to the replica of a name begin with."""
    place = target.place
    match place:
        case TcpPlace():
            plain = HostnameEndpoint(reactor, place.host, place.port, timeout=CONNECT_SECONDS_MAX)
            return wrapClientTLS(tls(target.name), plain, clock=reactor)
        case UnixPlace():
            return UNIXClientEndpoint(reactor, place.path, timeout=CONNECT_SECONDS_MAX)
        case never:
            assert_never(never)


def listen_unix(reactor: Any, path: str, factory: IProtocolFactory) -> IListeningPort:
    """
    Listens on the UNIX socket *path* for who runs as the same user.

    A lock beside it tells a socket in use from one that a killed process has left, which is
    replaced. Raises `CannotListenError`.
    """
    port: IListeningPort = reactor.listenUNIX(path, factory, BACKLOG, SOCKET_MODE, wantPID=1)
    return port
