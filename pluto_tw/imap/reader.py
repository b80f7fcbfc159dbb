# SPDX-License-Identifier: GPL-3.0-or-later
"""
From octets to whole commands: collects lines and literals, has each literal considered before the
client sends it, and asks for one command after the other.

Decides where literals go (memory or an upload) and what happens when one is refused or fails on
its way. Leaves to `framing` where lines and literals end, and to the session what commands mean.
Invariants between calls:

- While a command runs, or a literal is considered or written, nothing more is read.
- A client that sends many commands at once has them run for `SLICE_SECONDS`, then others have
  their turn, and the client must have taken the answers before it goes on.
- The client is in step: it has been told "+" exactly when we read its literal.

RFC 9051 §4.3, §5.5; RFC 7888.
"""

from collections.abc import Coroutine
from typing import Any, Protocol

from pluto_tw.imap.cursor import Literal, Segment, StreamedLiteral
from pluto_tw.imap.framing import (
    AFTER_LOGIN,
    BEFORE_LOGIN,
    Framer,
    Hopeless,
    Line,
    LineTooLong,
    LiteralAnnounced,
    LiteralChunk,
    NeedData,
)
from pluto_tw.imap.ports import Disconnected, Outcome
from pluto_tw.imap.refusal import Refusal
from pluto_tw.mail.codes import LIMIT, TOOBIG
from pluto_tw.mail.errors import Bad
from pluto_tw.mail.messages import Upload
from pluto_tw.mail.waiting import SLICE_SECONDS, Promise, Waiting

#: Octets of literals that one command may hold in memory; long SEARCH strings and names fit.
COMMAND_LITERAL_OCTETS_MAX = 64 * 1024
#: The same before login, where anybody may make us remember things.
PRELOGIN_LITERAL_OCTETS_MAX = 4 * 1024
#: Literals in one command: no person's SEARCH has so many strings.
COMMAND_LITERALS_MAX = 1000


class Performer(Protocol):
    """Who understands commands: the session."""

    async def offer(
        self, segments: list[Segment], announced: LiteralAnnounced
    ) -> Upload | Refusal | None:
        """Where a literal goes; None: it is an ordinary argument. Never raises."""

    async def store(self, upload: Upload, data: bytes) -> Refusal | None:
        """Writes *data* to *upload*. Never raises."""

    async def perform(self, segments: list[Segment], refusal: Refusal | None) -> None:
        """Runs a whole command, or answers it with *refusal*. Never raises."""

    async def rest(self) -> None:
        """Returns when the client took what it was sent, and others had a turn. Never raises."""

    def send(self, *responses: bytes) -> None:
        """Queues responses."""

    def flush(self) -> None:
        """Sends what is queued, in one piece."""

    def taken(self, waiting: int) -> None:
        """*waiting* octets of what was fed are left until what runs has ended."""

    def close(self) -> None:
        """Ends the connection behind what is queued."""

    def give_up(self, reason: str) -> None:
        """The client cannot be understood any more: ends the connection."""

    def is_over(self) -> bool:
        """Whether the connection has ended."""


class CommandReader:
    """Reads one connection's commands for *performer*."""

    __slots__ = (
        "_advancing",
        "_announced",
        "_chunks",
        "_ended",
        "_framer",
        "_idling",
        "_line_promise",
        "_literal_octets",
        "_literal_octets_max",
        "_news",
        "_performer",
        "_refusal",
        "_running",
        "_segments",
        "_upload",
        "_uploads",
        "_waiting",
    )

    def __init__(self, performer: Performer, waiting: Waiting) -> None:
        self._performer = performer
        self._waiting = waiting
        self._framer = Framer(BEFORE_LOGIN)
        self._literal_octets_max = PRELOGIN_LITERAL_OCTETS_MAX
        #: The segments of the command that is being read.
        self._segments: list[Segment] = []
        self._literal_octets = 0
        #: The literal that is being read: what it was announced as, where it goes, what came.
        self._announced: LiteralAnnounced | None = None
        self._upload: Upload | None = None
        self._chunks: list[bytes] = []
        self._uploads: list[Upload] = []
        #: Why the command that is being read will fail.
        self._refusal: Refusal | None = None
        self._running = False
        self._advancing = False
        self._ended = False
        #: A running command waits for a line.
        self._line_promise: Promise[bytes | None] | None = None
        self._idling = False
        self._news = False

    @property
    def waits_for_client(self) -> bool:
        """Whether nothing goes on before the client sends more."""
        return not self._running or self._line_promise is not None

    def feed(self, data: bytes) -> None:
        """Takes what the client sent, as far as commands may be read now."""
        self._framer.feed(data)
        self.advance()

    def end(self) -> None:
        """The client sends no more: what it has sent is answered, then the connection is closed."""
        self._ended = True
        self.advance()

    def admit_more(self) -> None:
        """The client is known now: the limits of `AFTER_LOGIN` hold."""
        self._framer.limits = AFTER_LOGIN
        self._literal_octets_max = COMMAND_LITERAL_OCTETS_MAX

    def drop(self) -> None:
        """Forgets what was fed and not read. RFC 9051 §6.2.1, STARTTLS."""
        self._framer.drop()

    def surrender(self) -> bytes:
        """What was fed and not read, for who reads the client from here on."""
        return self._framer.surrender()

    def close(self) -> None:
        """The connection is gone: uploads are abandoned, who waits for a line is told."""
        for upload in self._uploads:
            upload.abandon()
        self._uploads.clear()
        promise, self._line_promise = self._line_promise, None
        if promise is not None:
            promise.fail(Disconnected())

    # Lines for a running command.

    async def next_line(self) -> bytes:
        """
        The client's next line as it is, whatever it ends in. RFC 9051 §6.2.2.

        Raises Bad if it is too long, Disconnected if there will be none.
        """
        line = await self._line(idling=False)
        assert line is not None, "only who waits for news is woken by them"
        return line

    async def next_line_or_news(self) -> bytes | None:
        """As `next_line`; None as soon as `news` was called since this last returned."""
        if not self._news:
            line = await self._line(idling=True)
            if line is not None:
                return line
        self._news = False
        return None

    def news(self) -> None:
        """There is something to tell: wakes who waits in `next_line_or_news`."""
        self._news = True
        if self._idling and self._line_promise is not None:
            promise, self._line_promise = self._line_promise, None
            promise.fire(None)

    async def _line(self, *, idling: bool) -> bytes | None:
        promise: Promise[bytes | None] = self._waiting.promise()
        self._line_promise = promise
        self._idling = idling
        if not self._advancing and self._framer.buffered:
            # What has come already would otherwise lie there until more comes; not at once, since
            # nobody awaits the promise yet.
            self._waiting.later(0, self.advance)
        try:
            return await promise
        finally:
            self._idling = False

    def _answer_line(self) -> bool:
        """Gives the running command the line that it waits for; whether there was one."""
        event = self._framer.next_line()
        if isinstance(event, NeedData):
            return False
        promise, self._line_promise = self._line_promise, None
        assert promise is not None, "called only while a command waits for a line"
        if isinstance(event, Line):
            promise.fire(event.text)
        elif isinstance(event, LineTooLong):
            promise.fail(Bad("the line is too long"))
        else:
            self._performer.give_up(event.reason)
            promise.fail(Disconnected())
        return True

    # Commands.

    def advance(self) -> None:
        """Goes on with what has come, until that is used up or a command waits."""
        if self._advancing:
            return
        self._advancing = True
        slice_end = self._waiting.seconds() + SLICE_SECONDS
        try:
            while not self._performer.is_over():
                if self._running:
                    if self._line_promise is None or not self._answer_line():
                        break
                elif not self._take_event():
                    break
                self._rest_after(slice_end)
        finally:
            self._advancing = False
        self._performer.flush()
        waits = self.waits_for_client
        if waits and self._ended and not self._performer.is_over():
            self._performer.close()
        self._performer.taken(0 if waits else self._framer.buffered)

    def _take_event(self) -> bool:
        """Takes the framer's next event; whether there was one."""
        event = self._framer.next_event()
        if isinstance(event, Line):
            self._segments.append(event.text)
            self._begin(self._perform())
        elif isinstance(event, NeedData):
            return False
        elif isinstance(event, LiteralAnnounced):
            self._segments.append(event.text)
            self._begin(self._consider(event))
        elif isinstance(event, LiteralChunk):
            self._take_chunk(event)
        elif isinstance(event, LineTooLong):
            if not self._segments:
                self._segments.append(event.start)
            self._refusal = Refusal(Outcome.BAD, "the command is too long")
            self._begin(self._perform())
        elif isinstance(event, Hopeless):
            self._performer.give_up(event.reason)
        return True

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        """Runs *work*; nothing more is read until it ends, which it does with `_go_on`."""
        self._running = True
        self._waiting.start(work)

    def _go_on(self) -> None:
        self._running = False
        self.advance()

    async def _perform(self) -> None:
        await self._performer.perform(self._segments, self._refusal)
        for upload in self._uploads:
            upload.abandon()
        self._uploads.clear()
        # A new list: the command may have kept its arguments.
        self._segments = []
        self._literal_octets = 0
        self._refusal = None
        self._go_on()

    def _rest_after(self, slice_end: float) -> None:
        if not self._running and self._waiting.seconds() > slice_end:
            self._begin(self._rest())

    async def _rest(self) -> None:
        await self._performer.rest()
        self._go_on()

    async def _consider(self, announced: LiteralAnnounced) -> None:
        """Accepts or refuses a literal before the client sends it. RFC 9051 §4.3."""
        self._upload = None
        if self._refusal is None:
            place = await self._performer.offer(self._segments, announced)
            if isinstance(place, Refusal):
                self._refusal = place
            elif place is not None:
                self._upload = place
                self._uploads.append(place)
            else:
                self._refusal = self._refusal_of_argument(announced)
        if self._performer.is_over():
            return
        if self._refusal is not None:
            self._framer.refuse()
            await self._perform()
            return
        self._framer.accept()
        self._announced = announced
        if announced.synchronising:
            self._performer.send(b"+ OK\r\n")
        self._go_on()

    def _refusal_of_argument(self, announced: LiteralAnnounced) -> Refusal | None:
        """Whether *announced*, to be held in memory, goes beyond what a command may hold."""
        self._literal_octets += announced.size
        octets_max = self._literal_octets_max
        if self._literal_octets > octets_max:
            return Refusal(
                Outcome.BAD, f"literals of one command hold at most {octets_max} octets", TOOBIG
            )
        if len(self._segments) > 2 * COMMAND_LITERALS_MAX:
            return Refusal(
                Outcome.BAD, f"a command has at most {COMMAND_LITERALS_MAX} literals", LIMIT
            )
        return None

    def _take_chunk(self, chunk: LiteralChunk) -> None:
        if self._upload is not None:
            self._begin(self._store(self._upload, chunk))
            return
        self._chunks.append(chunk.data)
        if not chunk.remaining:
            announced = self._announced
            assert announced is not None, "octets come only of a literal that was announced"
            self._segments.append(Literal(b"".join(self._chunks), announced.binary))
            self._chunks.clear()

    async def _store(self, upload: Upload, chunk: LiteralChunk) -> None:
        # After a failure the rest still comes: it is read and dropped, then the command fails.
        if self._refusal is None:
            self._refusal = await self._performer.store(upload, chunk.data)
        if not chunk.remaining:
            announced = self._announced
            assert announced is not None, "octets come only of a literal that was announced"
            self._segments.append(StreamedLiteral(announced.size, announced.binary, upload))
        self._go_on()
