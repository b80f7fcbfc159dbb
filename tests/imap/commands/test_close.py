# SPDX-License-Identifier: GPL-3.0-or-later
"""CLOSE beyond what `tests/transcripts/close.txt` shows."""

from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.imap.commands.close import Close, parse
from pluto_tw.imap.grammar import Arguments
from pluto_tw.mail.errors import Bad
from pluto_tw.mail.flags import DELETED
from tests.support.connection import World


class CloseTests(SynchronousTestCase):
    def test_form(self) -> None:
        self.assertEqual(parse(Arguments((b"",)), False), Close())
        self.assertRaises(Bad, parse, Arguments((b" 1",)), False)

    def test_what_others_did_is_not_told(self) -> None:
        """RFC 9051 §6.4.1: "No untagged EXPUNGE responses are sent"."""
        world = World()
        for _ in range(2):
            world.account.deliver(b"\r\nx", flags=frozenset({DELETED}))
        client = world.logged_in()
        client.ask(b"SELECT INBOX")
        world.account.remove("INBOX", 1)
        self.assertEqual(client.ask(b"CLOSE"), b"x OK CLOSE completed\r\n")
        self.assertIn(b"MESSAGES 0", client.ask(b"STATUS INBOX (MESSAGES)"))

    def test_bug_leaves_the_mailbox_selected(self) -> None:
        world = World()
        world.account.deliver(b"\r\nx", flags=frozenset({DELETED}))
        client = world.logged_in()
        client.ask(b"SELECT INBOX")
        world.account.fail_next(ZeroDivisionError(), "expunge")
        self.assertIn(b"x NO [SERVERBUG]", client.ask(b"CLOSE"))
        self.assertIn(b"x OK", client.ask(b"CLOSE"))
