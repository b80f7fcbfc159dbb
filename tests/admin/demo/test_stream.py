# SPDX-License-Identifier: GPL-3.0-or-later
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.admin.demo import stream
from pluto_tw.admin.demo.links import Link
from pluto_tw.admin.demo.stream import Stream


class Pipe:
    """A stream over a link, and both transports."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.link = Link(("a", "b"), self.clock.seconds)
        self.source = StringTransport()
        self.sink = StringTransport()
        self.stream = Stream(self.clock, self.link.lane("a", "b"), self.source, self.sink)
        self.link.watch(self.stream.changed)

    def value(self) -> bytes:
        return bytes(self.sink.value())


class StreamTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.pipe = Pipe()
        self.stream = self.pipe.stream
        self.link = self.pipe.link
        self.clock = self.pipe.clock

    def test_what_comes_goes_on_at_once(self) -> None:
        self.stream.received(b"one")
        self.assertEqual(self.pipe.value(), b"one")
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_delay(self) -> None:
        self.link.change(delay=0.08)
        self.stream.received(b"one")
        self.clock.advance(0.05)
        self.stream.received(b"two")
        self.clock.advance(0.03)
        self.assertEqual(self.pipe.value(), b"one")
        self.clock.advance(0.05)
        self.assertEqual(self.pipe.value(), b"onetwo")

    def test_rate(self) -> None:
        self.link.change(rate=1000)
        self.stream.received(b"x" * 1000)
        self.stream.received(b"y" * 1000)
        self.clock.pump([0.5] * 3)
        self.assertEqual(self.pipe.value(), b"x" * 1000)
        self.clock.advance(0.5)
        self.assertEqual(len(self.pipe.value()), 2000)

    def test_a_cut_holds_all_and_tells_nobody(self) -> None:
        self.link.change(delay=1)
        self.stream.received(b"on its way")
        self.link.change(cut=True)
        self.clock.advance(100)
        self.assertEqual(self.pipe.value(), b"")
        self.assertEqual(self.pipe.source.producerState, "paused")
        self.assertFalse(self.pipe.sink.disconnecting)

    def test_healed_all_goes_on(self) -> None:
        self.link.change(cut=True)
        self.stream.received(b"read before the pause")
        self.link.change(cut=False)
        self.assertEqual(self.pipe.value(), b"read before the pause")
        self.assertEqual(self.pipe.source.producerState, "producing")

    def test_a_link_that_becomes_fast_does_not_keep_what_was_slow(self) -> None:
        self.link.change(rate=100, delay=10)
        self.stream.received(b"x" * 10_000)
        self.link.change(rate=0, delay=0)
        self.assertEqual(len(self.pipe.value()), 10_000)

    def test_the_end_comes_behind_the_rest(self) -> None:
        self.link.change(delay=1)
        self.stream.received(b"last")
        self.stream.source_lost(clean=True)
        self.assertFalse(self.pipe.sink.disconnecting)
        self.clock.advance(1)
        self.assertEqual(self.pipe.value(), b"last")
        self.assertTrue(self.pipe.sink.disconnecting)

    def test_an_end_out_of_order_is_passed_on_so(self) -> None:
        self.stream.source_lost(clean=False)
        self.assertTrue(self.pipe.sink.disconnected)

    def test_an_end_behind_a_cut_waits(self) -> None:
        self.link.change(cut=True)
        self.stream.source_lost(clean=True)
        self.assertFalse(self.pipe.sink.disconnecting)
        self.link.change(cut=False)
        self.assertTrue(self.pipe.sink.disconnecting)

    def test_a_sink_that_is_full_is_not_written_to(self) -> None:
        self.stream.pauseProducing()
        self.stream.received(b"one")
        self.assertEqual(self.pipe.value(), b"")
        self.stream.resumeProducing()
        self.assertEqual(self.pipe.value(), b"one")

    def test_a_source_that_sends_more_than_fits_is_paused(self) -> None:
        self.patch(stream, "STREAM_OCTETS_MAX", 10)
        self.stream.pauseProducing()
        self.stream.received(b"x" * 10)
        self.assertEqual(self.pipe.source.producerState, "paused")
        self.stream.resumeProducing()
        self.assertEqual(self.pipe.source.producerState, "producing")

    def test_a_sink_that_is_lost_ends_it(self) -> None:
        self.link.change(delay=1)
        self.stream.received(b"lost")
        self.stream.stopProducing()
        self.stream.received(b"also")
        self.link.change(delay=0)
        self.assertEqual(self.pipe.value(), b"")
        self.assertEqual(self.clock.getDelayedCalls(), [])


EVENTS = st.lists(
    st.one_of(
        st.binary(min_size=1, max_size=40),
        st.sampled_from(["cut", "heal", "full", "empty"]),
        st.floats(0, 3),
        st.tuples(st.floats(0, 2), st.integers(0, 50)),
    ),
    max_size=40,
)


class OrderTests(SynchronousTestCase):
    @given(EVENTS)
    def test_what_arrives_is_what_was_sent(
        self, events: list[bytes | str | float | tuple[float, int]]
    ) -> None:
        """In order, once, and all of it when the link is whole in the end."""
        pipe = Pipe()
        sent = b""
        for event in events:
            match event:
                case bytes():
                    sent += event
                    pipe.stream.received(event)
                case "cut" | "heal":
                    pipe.link.change(cut=event == "cut")
                case "full":
                    pipe.stream.pauseProducing()
                case "empty":
                    pipe.stream.resumeProducing()
                case (delay, rate):
                    pipe.link.change(delay=delay, rate=rate)
                case float():
                    pipe.clock.advance(event)
            self.assertTrue(sent.startswith(pipe.value()))
        pipe.stream.source_lost(clean=True)
        pipe.stream.resumeProducing()
        pipe.link.change(cut=False, delay=0, rate=0)
        self.assertEqual(pipe.value(), sent)
        self.assertTrue(pipe.sink.disconnecting)
