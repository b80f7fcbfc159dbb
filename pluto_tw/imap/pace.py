# SPDX-License-Identifier: GPL-3.0-or-later
"""
How a command says much, or works long, without keeping others from their turn.

The client takes what is sent before much more is made, and other sessions run in between. What a
command knew before a call may be another after it.
"""

from pluto_tw.imap.ports import Disconnected
from pluto_tw.imap.session import Session
from pluto_tw.mail.waiting import SLICE_SECONDS

#: Octets of responses that are made before the client must have room for them.
RESPONSE_OCTETS = 64 * 1024


class Pace:
    """The pace of one command of *session*."""

    __slots__ = ("_octets", "_session", "_slice_end")

    def __init__(self, session: Session) -> None:
        self._session = session
        self._octets = 0
        self._slice_end = session.service.waiting.seconds() + SLICE_SECONDS

    async def send(self, *responses: bytes) -> None:
        """Queues whole responses; after `RESPONSE_OCTETS` waits for the client. Disconnected."""
        self._session.send(*responses)
        self._octets += sum(map(len, responses))
        if self._octets >= RESPONSE_OCTETS:
            self._octets = 0
            await self._session.drain()

    async def step(self) -> None:
        """
        Lets others run if `SLICE_SECONDS` are used up; called at each step of the work.

        Raises Disconnected if the client is gone since.
        """
        waiting = self._session.service.waiting
        if waiting.seconds() < self._slice_end:
            return
        await waiting.pause()
        if self._session.is_over():
            raise Disconnected
        self._slice_end = waiting.seconds() + SLICE_SECONDS
