# SPDX-License-Identifier: GPL-3.0-or-later
"""LOGIN, RFC 9051 §6.2.3: a name and a password as they are, so only where nobody listens."""

from dataclasses import dataclass

from pluto_tw.imap.command import Reply
from pluto_tw.imap.grammar import Arguments
from pluto_tw.imap.session import Session
from pluto_tw.mail.codes import PRIVACYREQUIRED
from pluto_tw.mail.errors import No


@dataclass(frozen=True, slots=True)
class Login:
    """LOGIN user password."""

    user: bytes
    password: bytes

    def __repr__(self) -> str:
        return "Login(...)"


def parse(arguments: Arguments, uid: bool) -> Login:
    """SP userid SP password"""
    arguments.space()
    user = arguments.astring()
    arguments.space()
    password = arguments.astring()
    arguments.end()
    return Login(user, password)


async def run(session: Session, value: Login) -> Reply:
    """Asks the realm. NO [PRIVACYREQUIRED] where the capability says LOGINDISABLED."""
    realm = session.service.realm
    if not realm.login_allowed(session.connection):
        raise No(PRIVACYREQUIRED, "LOGIN needs TLS here: use STARTTLS first")
    try:
        account = await realm.login(value.user, value.password, session.connection)
        return await session.log_in(account)
    except No as refused:
        session.refused_login(refused)
        raise
