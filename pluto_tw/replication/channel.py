# SPDX-License-Identifier: GPL-3.0-or-later
"""
What replication asks of a channel between two replicas, and what a channel asks of replication.

Decides the words and the sizes; how the octets travel is for `client.py` and `server.py`, what the
questions mean for those who ask and answer them. Each ordered pair of replicas has a connection of
its own: who wants to tell something dials, asks, and gets answers; nobody asks the other way.
"""

from typing import Final, Protocol

#: The largest question or answer. An operation has at most 256 KiB, a batch 448 KiB, a piece of a
#: body or snapshot 128 KiB; Perspective Broker itself sends no string above 640 KiB.
VALUE_OCTETS_MAX: Final = 512 * 1024

#: Questions of one channel that wait for their answers. Eight of 128 KiB fill any line that there
#: is; the rest is for heartbeats and handshakes beside them. The peer gives up who has more.
ASKS_MAX: Final = 32

#: The longest name of a kind of question, in ASCII.
KIND_OCTETS_MAX: Final = 32


class ChannelLost(Exception):
    """
    The outcome of what was asked is unknown: it happened, will happen, or will not.

    The text says why, for the log. Whatever is asked must be safe to ask again.
    """


class AnswerFailed(ChannelLost):
    """The peer had a fault while it answered this question, and logged it. The channel stays."""


class Channel(Protocol):
    """A connection to one peer, dialled by us, from its handshake to its end."""

    @property
    def name(self) -> str:
        """The peer's Name, by its certificate."""

    async def ask(self, kind: str, question: bytes) -> bytes:
        """
        The peer's answer, of at most `VALUE_OCTETS_MAX` octets.

        Questions are answered in any order, and arrive in the order in which they are asked: a
        question is on its way before this waits for the first time. One that is not answered in
        time costs the channel: that peer is not there, or not well. Raises `ChannelLost`;
        ValueError for a kind or question that is too long and RuntimeError above `ASKS_MAX`
        questions at once, which are the caller's bugs.
        """

    def abort(self, reason: str) -> None:
        """Ends the connection at once; *reason* is for the log. A new one is dialled, later."""


class Answers(Protocol):
    """What a replica answers to the peers that have dialled it."""

    async def answer(self, peer: str, kind: str, question: bytes) -> bytes:
        """
        The answer to the replica with the Name *peer*; it may have hung up meanwhile.

        Refusals are answers too. An exception is our bug: it is logged, and the peer is told
        that there was one (`AnswerFailed`).
        """

    def lost(self, peer: str) -> None:
        """The connection that *peer* had dialled is gone, or a newer one takes its place."""
