# SPDX-License-Identifier: GPL-3.0-or-later
"""One connection of a fuzz run: who sends, who believes, and a look into the session's memory."""

from collections import deque

from pluto_tw.imap.framing import _State
from pluto_tw.imap.session import Session
from tests.fuzz.believer import Believer
from tests.support.connection import Client


class Peer:
    """One connection: the client that speaks, and the one that listens."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.believer = Believer()
        self.sent: deque[bytes] = deque(maxlen=4)
        #: Its last input was not brought to an end.
        self.open = False
        #: It was sent something, which may have left it in the middle of anything if *spoiled*.
        self.acted = False
        self.spoiled = False
        #: It was told all that is new.
        self.told = False
        #: It may have changed flags without being told.
        self.silent = False

    @property
    def session(self) -> Session:
        return self.client.session

    def is_gone(self) -> bool:
        return self.client.wire.closed

    @property
    def is_blocked(self) -> bool:
        """Whether the client does not read."""
        return self.client.wire._blocked is not None

    def compare(self) -> None:
        """Compares what the client believes with what its session shows; all of that was told."""
        self.told = False
        if self.silent:
            self.silent = False
            self.believer.forget_flags()
        selected = self.session.mailbox
        if selected is None:
            self.believer.compare(None)
        else:
            flags = selected.mailbox.flags(selected.uids)
            self.believer.compare([*zip(selected.uids, flags, strict=True)])

    def take(self) -> None:
        """Believes what has come."""
        written = self.client.wire.written
        if written:
            data = b"".join(written)
            written.clear()
            self.believer.take(data, is_last=self.is_gone())


def missing_octets(session: Session) -> int:
    """How many octets of a literal *session* waits for, read or dropped."""
    return session._reader._framer._remaining


def is_inside(session: Session) -> bool:
    """Whether *session* has read a part of a command: its client must end that first."""
    reader = session._reader
    return bool(reader._segments) or reader._framer._state is not _State.LINE


def held_octets(session: Session) -> int:
    """The octets of its client that *session* holds."""
    reader = session._reader
    lines = sum(len(part) for part in reader._segments if isinstance(part, bytes))
    return reader._framer.buffered + lines + reader._literal_octets
