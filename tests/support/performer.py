# SPDX-License-Identifier: GPL-3.0-or-later
"""A reader of commands whose performer is a test."""

from collections.abc import Awaitable, Callable

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.imap.cursor import Segment
from pluto_tw.imap.framing import LiteralAnnounced
from pluto_tw.imap.reader import CommandReader
from pluto_tw.imap.refusal import Refusal
from pluto_tw.mail.messages import Upload
from pluto_tw.mail.waiting import Promise
from pluto_tw.net.waiting import ReactorWaiting
from tests.support.content import MemoryUpload
from tests.support.turns import Turns


class RecordingPerformer:
    """A performer whose answers a test chooses, and that keeps what it was asked."""

    def __init__(self) -> None:
        self.place: Upload | Refusal | None = None
        self.failure: Refusal | None = None
        #: Awaited by the next `offer`, `store` or `perform`.
        self.wait: Awaitable[None] | None = None
        #: Awaited by each `rest`.
        self.pause: Callable[[], Awaitable[None]] | None = None
        self.run: Callable[[list[Segment]], Awaitable[None]] | None = None
        self.over = False
        self.offered: list[tuple[list[Segment], LiteralAnnounced]] = []
        self.stored: list[bytes] = []
        self.performed: list[tuple[list[Segment], Refusal | None]] = []
        self.sent: list[bytes] = []
        self.flushes = 0
        self.rests = 0
        self.left: list[int] = []
        self.closed = False
        self.reason: str | None = None

    async def offer(
        self, segments: list[Segment], announced: LiteralAnnounced
    ) -> Upload | Refusal | None:
        self.offered.append(([*segments], announced))
        await self._wait()
        return self.place

    async def store(self, upload: Upload, data: bytes) -> Refusal | None:
        await self._wait()
        self.stored.append(data)
        return self.failure

    async def perform(self, segments: list[Segment], refusal: Refusal | None) -> None:
        await self._wait()
        self.performed.append((segments, refusal))
        if self.run is not None:
            await self.run(segments)

    async def rest(self) -> None:
        self.rests += 1
        if self.pause is not None:
            await self.pause()

    async def _wait(self) -> None:
        waits, self.wait = self.wait, None
        if waits is not None:
            await waits

    def send(self, *responses: bytes) -> None:
        self.sent += responses

    def flush(self) -> None:
        self.flushes += 1

    def taken(self, waiting: int) -> None:
        self.left.append(waiting)

    def close(self) -> None:
        self.closed = self.over = True

    def give_up(self, reason: str) -> None:
        self.reason = reason
        self.over = True

    def is_over(self) -> bool:
        return self.over


class ReaderTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.waiting = ReactorWaiting(self.clock)
        self.performer = RecordingPerformer()
        self.reader = CommandReader(self.performer, self.waiting)

    def hold(self) -> Promise[None]:
        """What the performer is asked next waits for this promise."""
        promise: Promise[None] = self.waiting.promise()
        self.performer.wait = promise
        return promise

    def upload(self, size: int) -> MemoryUpload:
        """The performer's place for literals from now on."""
        upload = MemoryUpload(size, Turns(None))
        self.performer.place = upload
        return upload

    def assert_performed(self, *commands: tuple[list[Segment], Refusal | None]) -> None:
        self.assertEqual(self.performer.performed, [*commands])
