# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests of pluto_tw.imap.commands.create; its dialogues are `tests/transcripts/create.txt`."""

from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.imap.commands.create import Create, parse
from pluto_tw.imap.grammar import Arguments
from pluto_tw.mail.errors import Bad
from tests.support.connection import World


def parsed(text: bytes) -> Create:
    return parse(Arguments([text]), False)


class ParseTests(SynchronousTestCase):
    def test_the_name_alone(self) -> None:
        self.assertEqual(parsed(b" &APw-ber."), Create("über."))

    def test_special_uses(self) -> None:
        """RFC 6154 §6: "USE" SP "(" [use-attr *(SP use-attr)] ")"."""
        self.assertEqual(
            parsed(rb" MySpecial (USE (\Drafts \sent))"),
            Create("MySpecial", ("\\Drafts", "\\sent")),
        )
        self.assertEqual(parsed(b" a (use ())"), Create("a"))
        self.assertEqual(parsed(rb" a (USE (\All) USE (\X))"), Create("a", ("\\All", "\\X")))

    def test_other_parameters_are_bad(self) -> None:
        """
        RFC 4466 §2.2: "Any parameter not defined by extensions that the server supports must be
        rejected with a BAD response."
        """
        for text in (b" a ()", b" a (X)", b" a (USE)", b" a (USE (Sent))", rb" a USE (\Sent)", b""):
            with self.assertRaises(Bad):
                parsed(text)


class RunTests(SynchronousTestCase):
    def test_a_client_that_leaves_meanwhile_has_made_its_mailbox(self) -> None:
        world = World()
        client = world.logged_in()
        client.ask(b"ENABLE IMAP4rev2")
        world.account.hold()
        client.send(b"a CREATE inbox.b\r\n")
        client.vanish()
        world.account.release()
        self.assertEqual(world.observer.faults, [])
        other = world.logged_in()
        self.assertIn(b"[ALREADYEXISTS]", other.ask(b"CREATE INBOX.b"))
