# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests of pluto_tw.imap.commands.lsub; what it lists is in `tests/transcripts/lsub.txt`."""

from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.imap.commands.lsub import Lsub, parse
from pluto_tw.imap.grammar import Arguments
from pluto_tw.imap.pace import RESPONSE_OCTETS
from pluto_tw.mail.errors import Bad
from pluto_tw.mail.names import MailboxName
from tests.support.connection import World


def parsed(text: bytes) -> Lsub:
    return parse(Arguments([text]), False)


class ParseTests(SynchronousTestCase):
    def test_reference_and_pattern(self) -> None:
        self.assertEqual(parsed(b' "" *'), Lsub("", "*"))
        self.assertEqual(parsed(b' "#news." "comp.%"'), Lsub("#news.", "comp.%"))

    def test_the_extended_syntax_is_that_of_list(self) -> None:
        for text in (b' (SUBSCRIBED) "" *', b' "" (*)', b' "" * RETURN ()', b' ""', b""):
            with self.assertRaises(Bad):
                parsed(text)


class RunTests(SynchronousTestCase):
    def test_a_client_that_does_not_read_is_waited_for(self) -> None:
        world = World()
        world.account.limits.subscriptions_max = 10_000
        for number in range(3000):
            name = MailboxName(f"a name of some length {number}")
            world.waiting.start(world.account.subscribe(name, True))
        client = world.logged_in()
        client.wire.block()
        client.send(b'a LSUB "" *\r\n')
        received = client.received()
        self.assertLess(len(received), RESPONSE_OCTETS + 100)
        client.wire.unblock()
        received += client.received()
        self.assertEqual(received.count(b"* LSUB "), 3000)
