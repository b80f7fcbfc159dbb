# SPDX-License-Identifier: GPL-3.0-or-later
"""
AUTHENTICATE, RFC 9051 §6.2.2: the exchange of a SASL mechanism. The mechanisms are the realm's.

The initial response of RFC 4959 is taken where the mechanism has one, which is always so where the
client speaks first.
"""

import binascii
from dataclasses import dataclass

from pluto_tw.imap.command import Reply
from pluto_tw.imap.grammar import Arguments
from pluto_tw.imap.ports import Challenge, Exchange
from pluto_tw.imap.responses import challenge
from pluto_tw.imap.session import Session
from pluto_tw.mail.codes import CANNOT, PRIVACYREQUIRED
from pluto_tw.mail.errors import Bad, No

#: Challenges and responses of one exchange. SCRAM needs two; more is no mechanism.
ROUNDS_MAX = 10


@dataclass(frozen=True, slots=True)
class Authenticate:
    """AUTHENTICATE mechanism [initial-response]."""

    mechanism: bytes
    #: Decoded; None if there was none.
    initial_response: bytes | None

    def __repr__(self) -> str:
        return f"Authenticate({self.mechanism!r}, ...)"


def parse(arguments: Arguments, uid: bool) -> Authenticate:
    """SP auth-type [SP initial-resp]"""
    arguments.space()
    mechanism = arguments.atom().upper()
    initial_response = None
    if arguments.space_if():
        initial_response = arguments.initial_response()
    arguments.end()
    return Authenticate(mechanism, initial_response)


async def run(session: Session, value: Authenticate) -> Reply:
    """Runs the exchange to its end: an account, or NO, or BAD if the client cancels it."""
    realm = session.service.realm
    if value.mechanism not in realm.mechanisms(session.connection):
        if session.wire.can_start_tls():
            raise No(PRIVACYREQUIRED, "not a mechanism that is offered here without TLS")
        raise No(CANNOT, "not a mechanism that is offered here")
    exchange = realm.exchange(value.mechanism, session.connection)
    try:
        return await _exchange(session, exchange, value.initial_response)
    except No as refused:
        session.refused_login(refused)
        raise
    finally:
        exchange.cancel()


async def _exchange(session: Session, exchange: Exchange, response: bytes | None) -> Reply:
    if response is not None and not exchange.takes_initial:
        raise Bad("this mechanism has no initial response")
    if response is None and exchange.client_first:
        response = await _ask(session, b"")
    for _ in range(ROUNDS_MAX):
        answer = await exchange.respond(response)
        if not isinstance(answer, Challenge):
            return await session.log_in(answer)
        response = await _ask(session, answer.data)
    raise Bad("the exchange does not end")


async def _ask(session: Session, data: bytes) -> bytes:
    """The client's answer to the challenge *data*. RFC 9051 §6.2.2: "*" cancels."""
    session.send(challenge(data))
    line = await session.next_line()
    if line == b"*":
        raise Bad("AUTHENTICATE cancelled")
    try:
        return binascii.a2b_base64(line, strict_mode=True) if line else b""
    except binascii.Error:
        raise Bad("the response is not base64") from None
