# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests of pluto_tw.imap.commands.rename; its dialogues are `tests/transcripts/rename.txt`."""

from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.imap.commands.rename import Rename, parse
from pluto_tw.imap.grammar import Arguments
from pluto_tw.mail.errors import Bad
from tests.support.connection import World


class ParseTests(SynchronousTestCase):
    def test_two_names(self) -> None:
        self.assertEqual(parse(Arguments([b' "a b" &APw-']), False), Rename("a b", "ü"))
        for text in (b"", b" a", b" a ", b" a b c"):
            with self.assertRaises(Bad):
                parse(Arguments([text]), False)


class RunTests(SynchronousTestCase):
    def test_a_client_that_leaves_meanwhile_has_renamed(self) -> None:
        world = World()
        client = world.logged_in()
        client.ask(b"ENABLE IMAP4rev2")
        client.ask(b"CREATE INBOX.a")
        world.account.hold()
        client.send(b"a RENAME inbox.a b\r\n")
        client.vanish()
        world.account.release()
        self.assertEqual(world.observer.faults, [])
        self.assertIn(b"[ALREADYEXISTS]", world.logged_in().ask(b"CREATE b"))
