# SPDX-License-Identifier: GPL-3.0-or-later
"""
The realm of a replica's port for distributors: whoever is let in there may act for every user.

That it is a distributor has been seen to before a session begins (`nodes.py`, `proxied.py`), so
EXTERNAL has nothing left to check but the name that it carries. No other way to log in works here.
RFC 4422 appendix A.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from pluto_tw.auth.names import AccountKey
from pluto_tw.auth.sasl import authorized_key
from pluto_tw.imap.ports import Account, Challenge, Connection
from pluto_tw.mail.codes import PRIVACYREQUIRED
from pluto_tw.mail.errors import No
from pluto_tw.net.proxied import RelayedConnection

EXTERNAL: Final = b"EXTERNAL"

#: Gives the account with a key. The distributor's subnet and ID of the user, each None if it has
#: not told. No: UNAVAILABLE where this replica does not have the account, or not now.
OpenByKey = Callable[[AccountKey, str | None, int | None], Awaitable[Account]]


class ExternalRealm:
    """`pluto_tw.imap.ports.Realm` with the one mechanism EXTERNAL."""

    def __init__(self, open_account: OpenByKey) -> None:
        self._open_account = open_account

    def mechanisms(self, connection: Connection) -> Sequence[bytes]:
        """As `Realm.mechanisms`."""
        return (EXTERNAL,)

    def login_allowed(self, connection: Connection) -> bool:
        """As `Realm.login_allowed`: nobody sends a password here."""
        return False

    def exchange(self, mechanism: bytes, connection: Connection) -> "ExternalExchange":
        """As `Realm.exchange`."""
        return ExternalExchange(self._open_account, connection)

    async def login(self, user: bytes, password: bytes, connection: Connection) -> Account:
        """As `Realm.login`, always refused."""
        raise No(PRIVACYREQUIRED, "no passwords here")


class ExternalExchange:
    """`pluto_tw.imap.ports.Exchange` of EXTERNAL: one response, the account's key."""

    client_first = True
    takes_initial = True

    def __init__(self, open_account: OpenByKey, connection: Connection) -> None:
        self._open_account = open_account
        self._connection = connection

    async def respond(self, response: bytes | None) -> Challenge | Account:
        """As `Exchange.respond`."""
        if response is None:
            return Challenge(b"")
        key = authorized_key(response)
        connection = self._connection
        if isinstance(connection, RelayedConnection):
            return await self._open_account(key, connection.subnet, connection.user_id)
        # A header that says LOCAL: a distributor that asks for itself.
        return await self._open_account(key, None, None)

    def cancel(self) -> None:
        """As `Exchange.cancel`: nothing is held between responses."""
