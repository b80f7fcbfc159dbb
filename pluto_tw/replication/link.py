# SPDX-License-Identifier: GPL-3.0-or-later
"""
One channel to one peer, with typed questions and answers, and what is counted of it.

Decides what an answer that cannot be read costs: the link, since nobody knows what the peer made of
the question. What is asked is for those who ask.
"""

from dataclasses import dataclass
from typing import TypeVar

from msgspec import Struct
from twisted.logger import Logger

from pluto_tw.replication.channel import AnswerFailed, Channel, ChannelLost
from pluto_tw.replication.codec import decode_answer, encode
from pluto_tw.replication.messages import Refusal

T = TypeVar("T", bound=Struct)

log = Logger()


class Refused(Exception):
    """The peer does not answer the question: one of the codes of `messages.py`, and why."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.text)
        self.code = refusal.code
        self.text = refusal.text


@dataclass(slots=True)
class Figures:
    """What was counted of one peer since the start of this process."""

    octets_sent: int = 0
    octets_received: int = 0
    #: Operations that were new to the peer, and those of it that were new here.
    operations_sent: int = 0
    operations_received: int = 0
    bodies_sent: int = 0
    bodies_received: int = 0
    snapshots_sent: int = 0
    snapshots_received: int = 0


class Link:
    """The *channel* to the peer that has *slot*."""

    def __init__(self, channel: Channel, slot: int, figures: Figures) -> None:
        self.name = channel.name
        self.slot = slot
        self.figures = figures
        #: Why it has ended; empty while it stands.
        self.ended = ""
        self._channel = channel

    async def ask(self, kind: str, question: Struct, wanted: type[T]) -> T:
        """
        The peer's answer, of type *wanted*; the question is on its way before this waits.

        Raises `ChannelLost`, `Refused`.
        """
        if self.ended:
            raise ChannelLost(self.ended)
        octets = encode(question)
        self.figures.octets_sent += len(octets)
        try:
            data = await self._channel.ask(kind, octets)
        except AnswerFailed:
            raise
        except ChannelLost as lost:
            # Whoever asks next need not find out by itself.
            self.ended = str(lost)
            raise
        try:
            answer = decode_answer(wanted, data)
        except ValueError as error:
            self.abort(f"its answer to {kind} cannot be read: {error}")
            raise ChannelLost(self.ended) from error
        if isinstance(answer, Refusal):
            raise Refused(answer)
        return answer

    def abort(self, reason: str) -> None:
        """Ends the connection; it is dialled again."""
        if not self.ended:
            self.ended = reason
            log.warn(
                "link to {peer} given up: {reason}",
                event="link-given-up",
                peer=self.name,
                reason=reason,
            )
            self._channel.abort(reason)
