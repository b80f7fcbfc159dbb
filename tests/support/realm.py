# SPDX-License-Identifier: GPL-3.0-or-later
"""
A realm of a few users with passwords in the clear, for tests: `pluto_tw.imap.ports.Realm`.

Two mechanisms: PLAIN (RFC 4616), where the client speaks first, on secure connections only; and
X-ASK, whose server asks `user?` and then `password?`, on any connection.
"""

from collections.abc import Mapping, Sequence

from pluto_tw.imap.ports import Challenge, Connection
from pluto_tw.mail.codes import AUTHENTICATIONFAILED, AUTHORIZATIONFAILED, PRIVACYREQUIRED
from pluto_tw.mail.errors import No
from pluto_tw.mail.waiting import Waiting
from tests.support.account import MemoryAccount
from tests.support.turns import Turns

PLAIN = b"PLAIN"
ASK = b"X-ASK"


class MemoryRealm:
    """Knows *users*: the password and the account of each. *waiting* is for `hold`."""

    def __init__(
        self, users: Mapping[bytes, tuple[bytes, MemoryAccount]], waiting: Waiting | None = None
    ) -> None:
        self.turns = Turns(waiting)
        #: The exchanges that were begun.
        self.exchanges: list[PlainExchange | AskExchange] = []
        self._users = dict(users)

    def hold(self) -> None:
        """From now on whoever logs in waits, until `release`."""
        self.turns.hold()

    def release(self) -> None:
        """Those who wait go on, in the order in which they came, before this returns."""
        self.turns.release()

    def fail_next(self, error: Exception) -> None:
        """The next `respond` or `login` raises *error*."""
        self.turns.fail_next(error)

    def mechanisms(self, connection: Connection) -> Sequence[bytes]:
        return (PLAIN, ASK) if connection.secure else (ASK,)

    def login_allowed(self, connection: Connection) -> bool:
        return connection.secure

    def exchange(self, mechanism: bytes, connection: Connection) -> "PlainExchange | AskExchange":
        assert mechanism in self.mechanisms(connection)
        exchange = PlainExchange(self) if mechanism == PLAIN else AskExchange(self)
        self.exchanges.append(exchange)
        return exchange

    async def login(self, user: bytes, password: bytes, connection: Connection) -> MemoryAccount:
        await self.turns.take("login")
        if not connection.secure:
            raise No(PRIVACYREQUIRED, "log in after STARTTLS")
        return self.account_of(user, password)

    def account_of(self, user: bytes, password: bytes) -> MemoryAccount:
        """The account of *user*, whose password is *password*. No: AUTHENTICATIONFAILED."""
        known = self._users.get(user)
        if known is None or known[0] != password:
            raise No(AUTHENTICATIONFAILED, "no such user, or not with this password")
        return known[1]


class PlainExchange:
    """PLAIN, RFC 4616; nobody may act for another user."""

    client_first = True
    takes_initial = True

    def __init__(self, realm: MemoryRealm) -> None:
        self.cancelled = False
        self._realm = realm

    async def respond(self, response: bytes | None) -> Challenge | MemoryAccount:
        await self._realm.turns.take("respond")
        if response is None:
            return Challenge(b"")
        parts = response.split(b"\0")
        if len(parts) != 3:
            raise No(AUTHENTICATIONFAILED, "not a message of PLAIN")
        acting_for, user, password = parts
        account = self._realm.account_of(user, password)
        if acting_for not in (b"", user):
            raise No(AUTHORIZATIONFAILED, "nobody may act for another user")
        return account

    def cancel(self) -> None:
        self.cancelled = True


class AskExchange:
    """X-ASK: user and password, each when asked for."""

    client_first = False
    takes_initial = False

    def __init__(self, realm: MemoryRealm) -> None:
        self.cancelled = False
        self._realm = realm
        self._user: bytes | None = None
        self._asked = False

    async def respond(self, response: bytes | None) -> Challenge | MemoryAccount:
        await self._realm.turns.take("respond")
        if not self._asked:
            assert response is None, "the server speaks first"
            self._asked = True
            return Challenge(b"user?")
        assert response is not None, "only the first response may be missing"
        if self._user is None:
            self._user = response
            return Challenge(b"password?")
        return self._realm.account_of(self._user, response)

    def cancel(self) -> None:
        self.cancelled = True
