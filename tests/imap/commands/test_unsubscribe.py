# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests of pluto_tw.imap.commands.unsubscribe; dialogues: `tests/transcripts/subscribe.txt`."""

from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.imap.commands.subscribe import Subscribe
from pluto_tw.imap.commands.unsubscribe import parse
from pluto_tw.imap.grammar import Arguments
from tests.support.connection import World


class UnsubscribeTests(SynchronousTestCase):
    def test_one_name(self) -> None:
        self.assertEqual(parse(Arguments([b" inbox"]), False), Subscribe("inbox"))

    def test_the_name_in_any_form_is_unsubscribed(self) -> None:
        client = World().logged_in()
        client.ask(b"SUBSCRIBE INBOX")
        self.assertEqual(client.ask(b"UNSUBSCRIBE inbox"), b"x OK UNSUBSCRIBE completed\r\n")
        self.assertEqual(client.ask(b'LSUB "" *'), b"x OK LSUB completed\r\n")
