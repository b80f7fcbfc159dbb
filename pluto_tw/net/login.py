# SPDX-License-Identifier: GPL-3.0-or-later
"""
The realm of `pluto_tw.auth`'s users: who proves to be one is given the account.

Where accounts come from is the caller's; this joins what `auth` knows, which knows nothing of
IMAP, to what a session asks.
"""

from collections.abc import Awaitable, Callable, Sequence

from pluto_tw.auth.authenticator import Authenticator
from pluto_tw.auth.sasl import MECHANISMS, Ask, Mechanism
from pluto_tw.auth.users import User
from pluto_tw.imap.ports import Account, Challenge, Connection, Elsewhere
from pluto_tw.mail.codes import PRIVACYREQUIRED
from pluto_tw.mail.errors import No

OpenAccount = Callable[[User], Awaitable[Account | Elsewhere]]


class AccountRealm:
    """
    `pluto_tw.imap.ports.Realm`. *open_account* may refuse by No(UNAVAILABLE).

    *network_of* says what failures from an address are counted as; see `Presence.network_of`.
    """

    def __init__(
        self,
        authenticator: Authenticator,
        open_account: OpenAccount,
        network_of: Callable[[str], str | None],
    ) -> None:
        self._authenticator = authenticator
        self._open_account = open_account
        self._network_of = network_of

    def mechanisms(self, connection: Connection) -> Sequence[bytes]:
        """As `Realm.mechanisms`: all of them show the password to who listens."""
        return tuple(MECHANISMS) if connection.secure else ()

    def login_allowed(self, connection: Connection) -> bool:
        """As `Realm.login_allowed`."""
        return connection.secure

    def exchange(self, mechanism: bytes, connection: Connection) -> "AccountExchange":
        """As `Realm.exchange`."""
        network = self._network_of(connection.address)
        return AccountExchange(
            MECHANISMS[mechanism](self._authenticator, network), self._open_account
        )

    async def login(
        self, user: bytes, password: bytes, connection: Connection
    ) -> Account | Elsewhere:
        """As `Realm.login`."""
        if not connection.secure:
            raise No(PRIVACYREQUIRED, "log in after STARTTLS")
        network = self._network_of(connection.address)
        return await self._open_account(await self._authenticator.check(user, password, network))


class AccountExchange:
    """`pluto_tw.imap.ports.Exchange`."""

    def __init__(self, mechanism: Mechanism, open_account: OpenAccount) -> None:
        self.client_first = mechanism.client_first
        self.takes_initial = mechanism.takes_initial
        self._mechanism = mechanism
        self._open_account = open_account

    async def respond(self, response: bytes | None) -> Challenge | Account | Elsewhere:
        """As `Exchange.respond`."""
        answer = await self._mechanism.respond(response)
        if isinstance(answer, Ask):
            return Challenge(answer.data)
        return await self._open_account(answer)

    def cancel(self) -> None:
        """As `Exchange.cancel`: nothing is held between responses."""
