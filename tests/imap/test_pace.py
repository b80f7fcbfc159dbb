# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests of pluto_tw.imap.pace."""

from collections.abc import Awaitable

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.imap.pace import RESPONSE_OCTETS, Pace
from pluto_tw.imap.ports import Disconnected
from pluto_tw.mail.waiting import SLICE_SECONDS
from tests.support.connection import Client, World


class PaceTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.world = World()
        self.client: Client = self.world.logged_in()
        self.pace = Pace(self.client.session)
        self.outcome: list[str] = []

    def start(self, work: Awaitable[None]) -> None:
        async def run() -> None:
            try:
                await work
            except Disconnected:
                self.outcome.append("disconnected")
            else:
                self.outcome.append("done")

        self.world.waiting.start(run())

    def test_little_is_sent_without_a_wait(self) -> None:
        self.client.wire.block()
        self.start(self.pace.send(b"* a\r\n", b"* b\r\n"))
        self.assertEqual(self.outcome, ["done"])

    def test_much_waits_for_the_client(self) -> None:
        self.client.wire.block()
        self.start(self.pace.send(b"x" * (RESPONSE_OCTETS - 1)))
        self.assertEqual(self.outcome, ["done"])
        self.start(self.pace.send(b"x"))
        self.assertEqual(self.outcome, ["done"])
        self.assertEqual(len(self.client.received()), RESPONSE_OCTETS)
        self.client.wire.unblock()
        self.assertEqual(self.outcome, ["done", "done"])

    def test_a_client_that_is_gone_ends_the_wait(self) -> None:
        self.client.wire.block()
        self.start(self.pace.send(b"x" * RESPONSE_OCTETS))
        self.client.vanish()
        self.assertEqual(self.outcome, ["disconnected"])

    def test_a_step_pauses_when_the_slice_is_used_up(self) -> None:
        clock: Clock = self.world.clock
        self.start(self.pace.step())
        self.assertEqual(self.outcome, ["done"])
        clock.rightNow += SLICE_SECONDS
        self.start(self.pace.step())
        self.assertEqual(self.outcome, ["done"])
        self.world.settle()
        self.assertEqual(self.outcome, ["done", "done"])
        self.start(self.pace.step())
        self.assertEqual(self.outcome, ["done", "done", "done"])

    def test_a_client_that_is_gone_after_the_pause_ends_the_work(self) -> None:
        self.world.clock.rightNow += SLICE_SECONDS
        self.start(self.pace.step())
        self.client.vanish()
        self.world.settle()
        self.assertEqual(self.outcome, ["disconnected"])
