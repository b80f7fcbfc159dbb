# SPDX-License-Identifier: GPL-3.0-or-later
"""
A realm whose users have a bounded number of connections each.

Who the user is, is known only after the realm behind this one has been asked; so the limit is no
help against guessing passwords, which is the realm's own matter.
"""

from collections.abc import Sequence

from pluto_tw.imap.ports import Account, Challenge, Connection, Elsewhere, Exchange, Realm
from pluto_tw.mail.codes import LIMIT
from pluto_tw.mail.errors import No
from pluto_tw.net.limits import Presence


class LimitedRealm:
    """*realm*, but NO [LIMIT] to a user who has too many connections already."""

    def __init__(self, realm: Realm, presence: Presence) -> None:
        self._realm = realm
        self._presence = presence

    def mechanisms(self, connection: Connection) -> Sequence[bytes]:
        """As `Realm.mechanisms`."""
        return self._realm.mechanisms(connection)

    def login_allowed(self, connection: Connection) -> bool:
        """As `Realm.login_allowed`."""
        return self._realm.login_allowed(connection)

    def exchange(self, mechanism: bytes, connection: Connection) -> "LimitedExchange":
        """As `Realm.exchange`; the account that comes out is asked for."""
        return LimitedExchange(self._realm.exchange(mechanism, connection), self._presence)

    async def login(
        self, user: bytes, password: bytes, connection: Connection
    ) -> Account | Elsewhere:
        """As `Realm.login`; No(LIMIT) besides."""
        return _admitted(await self._realm.login(user, password, connection), self._presence)


class LimitedExchange:
    """An exchange of `LimitedRealm`."""

    def __init__(self, exchange: Exchange, presence: Presence) -> None:
        self.client_first = exchange.client_first
        self.takes_initial = exchange.takes_initial
        self._exchange = exchange
        self._presence = presence

    async def respond(self, response: bytes | None) -> Challenge | Account | Elsewhere:
        """As `Exchange.respond`; No(LIMIT) besides."""
        answer = await self._exchange.respond(response)
        return answer if isinstance(answer, Challenge) else _admitted(answer, self._presence)

    def cancel(self) -> None:
        """As `Exchange.cancel`."""
        self._exchange.cancel()


def _admitted(account: Account | Elsewhere, presence: Presence) -> Account | Elsewhere:
    excess = presence.too_many_of(account.user)
    if excess is None:
        return account
    account.close()
    raise No(LIMIT, f"at most {excess.maximum} connections of one user")
