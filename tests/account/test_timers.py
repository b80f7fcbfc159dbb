# SPDX-License-Identifier: GPL-3.0-or-later
"""What an account does later, on a clock."""

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.account.timers import Timers
from pluto_tw.mail.codes import UNAVAILABLE
from pluto_tw.mail.errors import No
from pluto_tw.net.waiting import ReactorWaiting


class TimersTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.timers = Timers(ReactorWaiting(self.clock))
        self.done: list[float] = []

    async def event(self) -> None:
        self.done.append(self.clock.seconds())

    def test_who_asks_again_does_not_put_it_off(self) -> None:
        for _ in range(4):
            self.timers.start("fold", 3, self.event)
            self.clock.advance(1)
        self.assertEqual(self.done, [3])
        self.assertEqual(self.timers.names, {"fold"})

    def test_at_once_does_not_wait_for_the_timer(self) -> None:
        self.timers.start("tick", 3, self.event)
        self.timers.start("tick", 0, self.event)
        self.clock.advance(0)
        self.clock.advance(3)
        self.assertEqual(self.done, [0])

    def test_what_is_cancelled_is_not_done(self) -> None:
        self.timers.start("fold", 1, self.event)
        self.timers.cancel_all()
        self.clock.advance(1)
        self.timers.start("fold", 1, self.event)
        self.timers.close()
        self.timers.start("fold", 1, self.event)
        self.clock.advance(1)
        self.assertEqual((self.done, set(self.timers.names)), ([], set()))

    def test_a_refusal_is_nobodys(self) -> None:
        """What the shard does not take is taken up when the account is read again."""

        async def refused() -> None:
            raise No(UNAVAILABLE, "the disk is full")

        self.timers.start("fold", 0, refused)
        self.clock.advance(0)
        self.assertEqual(self.flushLoggedErrors(), [])
