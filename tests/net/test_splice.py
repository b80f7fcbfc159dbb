# SPDX-License-Identifier: GPL-3.0-or-later
"""Two connections joined: `pluto_tw.net.splice`."""

from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.net.splice import Loss, Splice


class SpliceTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.client, self.replica = StringTransport(), StringTransport()
        for transport in (self.client, self.replica):
            transport.pauseProducing()
        self.losses: list[Loss] = []
        self.splice = Splice(self.client, self.replica, self.losses.append)


class PassingTests(SpliceTestCase):
    def test_octets_pass_unchanged(self) -> None:
        octets = bytes(range(256))
        self.splice.from_client(octets)
        self.splice.from_replica(octets[::-1])
        self.assertEqual(self.replica.value(), octets)
        self.assertEqual(self.client.value(), octets[::-1])
        self.assertEqual(self.splice.octets_out, 256)

    def test_both_are_read_from_the_join_on(self) -> None:
        self.assertEqual(self.client.producerState, "producing")
        self.assertEqual(self.replica.producerState, "producing")

    def test_a_client_that_does_not_read_stops_the_replica(self) -> None:
        """And nobody else: what it costs are the buffers of two transports."""
        assert self.client.producer is not None
        self.client.producer.pauseProducing()
        self.assertEqual(self.replica.producerState, "paused")
        self.assertEqual(self.client.producerState, "producing")
        self.client.producer.resumeProducing()
        self.assertEqual(self.replica.producerState, "producing")

    def test_a_replica_that_does_not_read_stops_the_client(self) -> None:
        assert self.replica.producer is not None
        self.replica.producer.pauseProducing()
        self.assertEqual(self.client.producerState, "paused")
        self.assertEqual(self.replica.producerState, "producing")
        self.replica.producer.resumeProducing()
        self.assertEqual(self.client.producerState, "producing")

    def test_nothing_passes_after_the_parting(self) -> None:
        self.splice.part()
        self.splice.part()
        self.splice.from_client(b"a")
        self.splice.from_replica(b"b")
        self.assertEqual(self.replica.value() + self.client.value(), b"")
        self.assertIsNone(self.client.producer)
        self.assertIsNone(self.replica.producer)
        self.splice.replica_lost()
        self.assertEqual(self.losses, [])


class EndTests(SpliceTestCase):
    def test_between_responses_the_client_can_be_told(self) -> None:
        self.splice.from_replica(b"* 1 EXISTS\r\n")
        self.splice.replica_lost()
        self.assertEqual(self.losses, [Loss.SAFE])

    def test_within_a_line_it_cannot(self) -> None:
        self.splice.from_replica(b"* 1 EXI")
        self.splice.replica_lost()
        self.assertEqual(self.losses, [Loss.TORN])

    def test_within_a_literal_it_cannot(self) -> None:
        """What is put in there would be mail."""
        self.splice.from_replica(b"* 1 FETCH (BODY[] {100}\r\nSubject: x\r\n")
        self.splice.replica_lost()
        self.assertEqual(self.losses, [Loss.TORN])

    def test_a_bye_is_told_once(self) -> None:
        self.splice.from_replica(b"* BYE mailbox changed\r\n")
        self.splice.replica_lost()
        self.splice.replica_lost()
        self.assertEqual(self.losses, [Loss.BYE])


class RestTests(SpliceTestCase):
    """When the distributor stops, and would say BYE itself."""

    def test_a_client_that_waits_for_an_answer_is_not_at_rest(self) -> None:
        self.assertTrue(self.splice.is_at_rest)
        self.splice.from_client(b"a NOOP\r\n")
        self.assertFalse(self.splice.is_at_rest)
        self.splice.from_replica(b"a OK NO")
        self.assertFalse(self.splice.is_at_rest)
        self.splice.from_replica(b"OP\r\n")
        self.assertTrue(self.splice.is_at_rest)

    def test_who_waits_for_it_is_told(self) -> None:
        told: list[bool] = []
        self.splice.at_rest = lambda: told.append(self.splice.is_at_rest)
        self.splice.from_client(b"a NOOP\r\n")
        self.splice.from_replica(b"a OK NO")
        self.assertEqual(told, [])
        self.splice.from_replica(b"OP\r\n")
        self.assertEqual(told, [True])

    def test_who_was_told_bye_is_told_no_other(self) -> None:
        self.splice.from_replica(b"* BYE see you\r\n")
        self.assertFalse(self.splice.is_at_rest)
