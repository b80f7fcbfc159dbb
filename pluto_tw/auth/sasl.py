# SPDX-License-Identifier: GPL-3.0-or-later
"""
SASL mechanisms that send a password as it is: PLAIN (RFC 4616), and LOGIN, which is older; and the
name that comes with EXTERNAL (RFC 4422), which sends none.

Those with passwords are offered on secure connections only; that is for who offers them. By them
nobody may act for another user.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from pluto_tw.auth.authenticator import Authenticator
from pluto_tw.auth.names import AccountKey, account_key
from pluto_tw.auth.users import User
from pluto_tw.mail.codes import AUTHENTICATIONFAILED, AUTHORIZATIONFAILED
from pluto_tw.mail.errors import No


@dataclass(frozen=True, slots=True)
class Ask:
    """The mechanism wants another response; *data* is its challenge."""

    data: bytes


class Mechanism(Protocol):
    """One run of a mechanism. RFC 4422."""

    client_first: bool
    #: Whether the client may send its first response with the command.
    takes_initial: bool

    async def respond(self, response: bytes | None) -> Ask | User:
        """
        The answer to *response*; None at the start if the client sent none.

        No: AUTHENTICATIONFAILED, AUTHORIZATIONFAILED, UNAVAILABLE.
        """


class Plain:
    """RFC 4616: the client sends [authzid] NUL authcid NUL passwd."""

    client_first = True
    takes_initial = True

    def __init__(self, authenticator: Authenticator, network: str | None) -> None:
        self._authenticator = authenticator
        self._network = network

    async def respond(self, response: bytes | None) -> Ask | User:
        if response is None:
            return Ask(b"")
        parts = response.split(b"\0")
        if len(parts) != 3:
            raise No(AUTHENTICATIONFAILED, "not a message of PLAIN")
        acting_for, name, password = parts
        user = await self._authenticator.check(name, password, self._network)
        # RFC 4616 §2: only after the password, so that it tells a stranger nothing.
        if acting_for and not _is(acting_for, user):
            raise No(AUTHORIZATIONFAILED, "nobody may act for another user")
        return user


class Login:
    """
    draft-murchison-sasl-login-00: the server asks for name and password, one after the other.

    Obsolete, but the only mechanism of some programs. The challenges are what all servers send:
    clients compare them. The draft knows no initial response, but programs send the name as one,
    and the servers in use take it.
    """

    client_first = False
    takes_initial = True

    def __init__(self, authenticator: Authenticator, network: str | None) -> None:
        self._authenticator = authenticator
        self._network = network
        self._name: bytes | None = None

    async def respond(self, response: bytes | None) -> Ask | User:
        if response is None:
            return Ask(b"Username:")
        if self._name is None:
            self._name = response
            return Ask(b"Password:")
        return await self._authenticator.check(self._name, response, self._network)


def authorized_key(response: bytes) -> AccountKey:
    """
    Whom the client of EXTERNAL wants to act for: *response* is the key of an account, as it is.

    No(AUTHORIZATIONFAILED) for anything else, also for none: who connects is no user itself, so
    there is no identity to derive. RFC 4422 §A.1.
    """
    try:
        name = response.decode("utf-8")
        key = account_key(name)
    except ValueError:
        raise No(AUTHORIZATIONFAILED, "not the key of an account") from None
    if key != name:
        raise No(AUTHORIZATIONFAILED, "not the key of an account, which is in canonical form")
    return key


def _is(name: bytes, user: User) -> bool:
    try:
        return account_key(name.decode("utf-8")) == user.key
    except ValueError:
        return False


#: By name, the better first: clients take the first that they know.
MECHANISMS: Final[Mapping[bytes, Callable[[Authenticator, str | None], Mechanism]]] = {
    b"PLAIN": Plain,
    b"LOGIN": Login,
}
