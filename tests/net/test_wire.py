# SPDX-License-Identifier: GPL-3.0-or-later
"""Back-pressure in both directions, and how a connection is ended."""

from collections.abc import Awaitable

from twisted.internet.address import IPv4Address
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import directlyProvides

from pluto_tw.imap.ports import Disconnected
from pluto_tw.net.journal import Ending
from pluto_tw.net.waiting import ReactorWaiting
from pluto_tw.net.wire import (
    CLOSING_SECONDS_MAX,
    PIPELINED_OCTETS_MAX,
    WRITE_STALLED_SECONDS_MAX,
    TransportWire,
)
from tests.net.transport import FakeTcp


class WireTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.waiting = ReactorWaiting(self.clock)
        self.transport = FakeTcp(IPv4Address("TCP", "192.0.2.1", 40000))
        self.changes = 0
        self.outcomes: list[object] = []
        self.wire = TransportWire(self.transport, self.waiting, None, self._changed)
        self.wire.opened(secure=False)

    def _changed(self) -> None:
        self.changes += 1

    @property
    def reading(self) -> bool:
        return bool(self.transport.producerState == "producing")

    def drain(self) -> None:
        """Awaits `drain`; how that ends is added to `outcomes`."""

        async def work(drained: Awaitable[None]) -> None:
            try:
                await drained
                self.outcomes.append("drained")
            except Disconnected:
                self.outcomes.append("disconnected")

        self.waiting.start(work(self.wire.drain()))


class SlowReaderTests(WireTestCase):
    def test_wire_is_a_streaming_producer(self) -> None:
        """So the transport says when it holds too much, and when it holds nothing any more."""
        self.assertIs(self.transport.producer, self.wire)
        self.assertTrue(self.transport.streaming)

    def test_with_room_drain_returns_at_once(self) -> None:
        self.drain()
        self.assertEqual(self.outcomes, ["drained"])

    def test_drain_waits_until_the_client_has_taken_all(self) -> None:
        """`Wire.drain`: "Returns when the client has taken enough"."""
        self.wire.pauseProducing()
        self.drain()
        self.assertEqual(self.outcomes, [])
        self.wire.resumeProducing()
        self.assertEqual(self.outcomes, ["drained"])

    def test_client_that_does_not_read_is_not_read(self) -> None:
        """Else its commands would pile up here, behind their answers."""
        self.wire.pauseProducing()
        self.assertFalse(self.reading)
        self.wire.resumeProducing()
        self.assertTrue(self.reading)

    def test_drain_is_told_that_the_client_is_gone(self) -> None:
        """`Wire.drain`: "Raises Disconnected if it never will"."""
        self.wire.pauseProducing()
        self.drain()
        self.wire.lost()
        self.drain()
        self.assertEqual(self.outcomes, ["disconnected", "disconnected"])

    def test_drain_is_told_that_the_connection_was_ended(self) -> None:
        self.wire.pauseProducing()
        self.drain()
        self.wire.close()
        self.drain()
        self.assertEqual(self.outcomes, ["disconnected", "disconnected"])

    def test_it_is_said_when_a_client_has_not_read_for_too_long(self) -> None:
        self.clock.advance(10)
        self.assertIsNone(self.wire.due())
        self.wire.pauseProducing()
        self.assertEqual(self.changes, 1)
        self.assertEqual(self.wire.due(), (10 + WRITE_STALLED_SECONDS_MAX, Ending.NOT_READING))
        self.wire.resumeProducing()
        self.assertIsNone(self.wire.due())

    def test_repeated_pauses_do_not_move_the_time(self) -> None:
        """Transports pause their producer at each write beyond their bound."""
        self.wire.pauseProducing()
        self.clock.advance(100)
        self.wire.pauseProducing()
        self.assertEqual(self.wire.due(), (WRITE_STALLED_SECONDS_MAX, Ending.NOT_READING))


class FloodTests(WireTestCase):
    def test_client_that_sends_too_much_at_once_is_paused(self) -> None:
        self.wire.taken(PIPELINED_OCTETS_MAX)
        self.assertTrue(self.reading)
        self.wire.taken(PIPELINED_OCTETS_MAX + 1)
        self.assertFalse(self.reading)

    def test_it_is_read_again_when_that_is_used_up(self) -> None:
        self.wire.taken(PIPELINED_OCTETS_MAX + 1)
        self.wire.taken(100)
        self.assertTrue(self.reading)

    def test_both_reasons_must_have_gone(self) -> None:
        self.wire.taken(PIPELINED_OCTETS_MAX + 1)
        self.wire.pauseProducing()
        self.wire.taken(0)
        self.assertFalse(self.reading)
        self.wire.resumeProducing()
        self.assertTrue(self.reading)


class EndTests(WireTestCase):
    def test_our_side_is_closed_first(self) -> None:
        """A socket that is closed with unread input is reset, and the client never sees BYE."""
        self.wire.write(b"* BYE\r\n")
        self.wire.close()
        self.assertTrue(self.transport.half_closed)
        self.assertFalse(self.transport.disconnecting)
        self.assertIsNone(self.transport.producer)
        self.wire.input_ended()
        self.assertTrue(self.transport.disconnecting)

    def test_client_that_has_closed_its_side_is_just_closed(self) -> None:
        self.wire.input_ended()
        self.wire.close()
        self.assertTrue(self.transport.disconnecting)
        self.assertFalse(self.transport.half_closed)

    def test_tls_is_closed_as_a_whole(self) -> None:
        """It has an end of its own (close_notify), which is answered, and cannot be half closed."""
        self.transport.unregisterProducer()
        self.wire.opened(secure=True)
        self.wire.close()
        self.assertTrue(self.transport.disconnecting)
        self.assertFalse(self.transport.half_closed)

    def test_handshake_is_cut_off(self) -> None:
        """In it nothing can be said, nor its end."""
        wire = TransportWire(self.transport, self.waiting, None, self._changed)
        wire.write(b"* BYE\r\n")
        wire.close()
        self.assertTrue(self.transport.aborted)
        self.assertEqual(self.transport.writes, [])

    def test_closing_is_bounded(self) -> None:
        self.clock.advance(5)
        self.wire.close()
        self.assertEqual(self.changes, 1)
        self.assertEqual(self.wire.due(), (5 + CLOSING_SECONDS_MAX, Ending.NOT_CLOSING))

    def test_input_is_read_for_its_end_although_the_client_was_paused(self) -> None:
        self.wire.taken(PIPELINED_OCTETS_MAX + 1)
        self.wire.close()
        self.assertTrue(self.reading)

    def test_nothing_is_written_after_the_end(self) -> None:
        """`Wire.write`: "After `close` it is dropped"."""
        self.wire.close()
        self.wire.write(b"more")
        self.assertEqual(self.transport.writes, [])
        self.assertEqual(self.wire.octets_out, 0)

    def test_closing_twice_is_once(self) -> None:
        self.wire.close()
        self.wire.close()
        self.assertEqual(self.changes, 1)

    def test_lost_connection_is_left_alone(self) -> None:
        self.wire.lost()
        self.wire.close()
        self.wire.abort()
        self.wire.taken(PIPELINED_OCTETS_MAX + 1)
        self.assertFalse(self.transport.disconnecting)
        self.assertFalse(self.transport.aborted)
        self.assertTrue(self.reading)

    def test_transport_without_halves_is_closed_as_a_whole(self) -> None:
        directlyProvides(self.transport)
        self.wire.close()
        self.assertTrue(self.transport.disconnecting)
