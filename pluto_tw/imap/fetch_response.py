# SPDX-License-Identifier: GPL-3.0-or-later
"""
One FETCH response on its way out: whole, or not at all.

It is gathered until it is complete or the first octets of a stream in it are at hand. Up to there
it can be withdrawn without a trace. A response that was begun and cannot be completed ends the
connection without BYE: the client would read that as octets of the literal.
"""

from typing import Final

from pluto_tw.imap.pace import Pace
from pluto_tw.imap.sections import Stream
from pluto_tw.imap.session import Session

#: Octets of one response that are gathered before the first of them is sent. Up to here a value
#: that cannot be had withdraws the response; beyond, memory comes first.
GATHERED_OCTETS_MAX: Final = 1024 * 1024


class Response:
    """
    The FETCH response of the message with sequence number *number*: values, then `finish`.

    `close` is called in the end, whatever has happened.
    """

    __slots__ = (
        "_gathered",
        "_is_finished",
        "_octets",
        "_pace",
        "_separator",
        "_session",
        "is_begun",
    )

    def __init__(self, session: Session, pace: Pace, number: int) -> None:
        self._session = session
        self._pace = pace
        self._gathered = [b"* %d FETCH (" % number]
        self._octets = 0
        self._separator = b""
        self._is_finished = False
        #: Whether some of it was sent.
        self.is_begun = False

    async def add(self, *texts: bytes) -> None:
        """An item with its value, or the name of one whose value follows by `stream`."""
        self._gathered.append(self._separator)
        self._gathered += texts
        self._separator = b" "
        self._octets += sum(map(len, texts))
        if self._octets > GATHERED_OCTETS_MAX:
            await self._pass_on()

    async def stream(self, content: Stream) -> None:
        """The value of the item that was named last. No, if it cannot be had."""
        self._gathered.append(content.announcement())
        octets = 0
        async for chunk in content.chunks:
            octets += len(chunk)
            self._gathered.append(chunk)
            await self._pass_on()
        assert octets == content.size, f"{octets} octets where {content.size} were announced"

    async def finish(self) -> None:
        """All values were added."""
        self._gathered.append(b")\r\n")
        self._is_finished = True
        await self._pass_on()

    def close(self) -> None:
        """What was begun and is not finished never will be."""
        if self.is_begun and not self._is_finished:
            self._session.close()

    async def _pass_on(self) -> None:
        pieces = self._gathered
        self._gathered = []
        self._octets = 0
        self.is_begun = True
        await self._pace.send(*pieces)
        await self._pace.step()
