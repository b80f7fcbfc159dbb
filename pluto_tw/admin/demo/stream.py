# SPDX-License-Identifier: GPL-3.0-or-later
"""
One way of a connection through the relay: what is on its way, and when it arrives.

Nothing is lost, doubled or changed. The end of a connection comes after what was sent before it;
one that was not in order is passed on as such. What is on its way is bounded: who sends more than
fits is paused, and nobody is read while the link is cut.
"""

from collections import deque
from dataclasses import dataclass
from typing import Any, Final

from twisted.internet.interfaces import IPushProducer
from zope.interface import implementer

from pluto_tw.admin.demo.links import Lane

#: On its way in one stream: enough for 50 MB/s over 80 ms.
STREAM_OCTETS_MAX: Final = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class _End:
    """The source has closed, in order or not."""

    clean: bool


@implementer(IPushProducer)
class Stream:
    """One way of a connection: from *source* to *sink*, both transports, over *lane*."""

    def __init__(self, reactor: Any, lane: Lane, source: Any, sink: Any) -> None:
        self._reactor = reactor
        self._lane = lane
        self._source = source
        self._sink = sink
        self._waiting: deque[tuple[float, bytes | _End]] = deque()
        self._octets = 0
        self._sink_is_full = False
        self._source_is_paused = False
        self._timer: Any = None
        self._ended = False
        sink.registerProducer(self, True)
        self._go_on()

    def received(self, octets: bytes) -> None:
        """*octets* come from the source."""
        if self._ended:
            return
        self._waiting.append((self._lane.due(len(octets)), octets))
        self._octets += len(octets)
        self._go_on()

    def source_lost(self, *, clean: bool) -> None:
        """The source has closed: so does the sink, after what it has yet to get."""
        self._waiting.append((self._lane.due(0), _End(clean)))
        self._source = None
        self._go_on()

    def end(self) -> None:
        """The sink is lost, and with it all that waits."""
        self._ended = True
        self._waiting.clear()
        self._octets = 0
        self._stop_timer()

    def changed(self) -> None:
        """The link is not as it was: what is in flight sets out again under its new rules."""
        self._waiting = deque(
            (self._lane.due(len(item) if isinstance(item, bytes) else 0), item)
            for _, item in self._waiting
        )
        self._go_on()

    # What Twisted calls, as the sink's producer.

    def pauseProducing(self) -> None:
        """The sink has enough."""
        self._sink_is_full = True

    def resumeProducing(self) -> None:
        """The sink takes more."""
        self._sink_is_full = False
        self._go_on()

    def stopProducing(self) -> None:
        """The sink is lost, which its protocol tells too."""
        self.end()

    # Below.

    def _go_on(self) -> None:
        """Passes on what is due, and sees to it that the rest will be."""
        self._stop_timer()
        if self._ended:
            return
        if not self._lane.link.cut:
            self._pass_on()
        self._pace_source()

    def _pass_on(self) -> None:
        now = self._lane.link.seconds()
        while self._waiting and not self._sink_is_full and not self._ended:
            due, item = self._waiting[0]
            if due > now:
                self._timer = self._reactor.callLater(due - now, self._due)
                return
            self._waiting.popleft()
            if isinstance(item, _End):
                self._sink.unregisterProducer()
                self.end()
                if item.clean:
                    self._sink.loseConnection()
                else:
                    self._sink.abortConnection()
            else:
                self._octets -= len(item)
                self._sink.write(item)

    def _due(self) -> None:
        self._timer = None
        self._go_on()

    def _pace_source(self) -> None:
        pause = self._lane.link.cut or self._octets >= STREAM_OCTETS_MAX
        if self._source is None or pause == self._source_is_paused:
            return
        self._source_is_paused = pause
        if pause:
            self._source.pauseProducing()
        else:
            self._source.resumeProducing()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
