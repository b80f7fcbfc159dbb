# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests of pluto_tw.imap.commands.subscribe; dialogues are in `tests/transcripts/subscribe.txt`."""

from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.imap.commands.subscribe import Subscribe, parse
from pluto_tw.imap.grammar import Arguments
from pluto_tw.mail.errors import Bad
from tests.support.connection import World


class ParseTests(SynchronousTestCase):
    def test_one_name(self) -> None:
        self.assertEqual(parse(Arguments([b" system-alerts"]), False), Subscribe("system-alerts"))
        for text in (b"", b" a b", b" a*"):
            with self.assertRaises(Bad):
                parse(Arguments([text]), False)


class RunTests(SynchronousTestCase):
    def test_subscriptions_are_limited(self) -> None:
        world = World()
        world.account.limits.subscriptions_max = 1
        client = world.logged_in()
        self.assertIn(b"x OK", client.ask(b"SUBSCRIBE a"))
        self.assertIn(b"x NO [LIMIT]", client.ask(b"SUBSCRIBE b"))
        self.assertIn(b"x OK", client.ask(b"SUBSCRIBE a"))
