# SPDX-License-Identifier: GPL-3.0-or-later
"""UNSELECT beyond what `tests/transcripts/unselect.txt` shows."""

from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.imap.commands.unselect import Unselect, parse
from pluto_tw.imap.grammar import Arguments
from pluto_tw.mail.errors import Bad
from tests.support.connection import World


class UnselectTests(SynchronousTestCase):
    def test_form(self) -> None:
        self.assertEqual(parse(Arguments((b"",)), False), Unselect())
        self.assertRaises(Bad, parse, Arguments((b" 1",)), False)

    def test_the_mailbox_is_let_go(self) -> None:
        """It "frees a session's resources associated with the selected mailbox"."""
        world = World()
        client = world.logged_in()
        client.ask(b"SELECT INBOX")
        self.assertEqual(client.ask(b"UNSELECT"), b"x OK UNSELECT completed\r\n")
        world.account.deliver(b"\r\nx")
        self.assertEqual(client.ask(b"NOOP"), b"x OK NOOP completed\r\n")
