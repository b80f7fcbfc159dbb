# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests of pluto_tw.imap.commands.status; its dialogues are `tests/transcripts/status.txt`."""

from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.imap.commands.status import Status, parse
from pluto_tw.imap.grammar import Arguments
from pluto_tw.imap.status_items import StatusItem
from pluto_tw.mail.errors import Bad
from tests.support.connection import World


class ParseTests(SynchronousTestCase):
    def test_name_and_items(self) -> None:
        self.assertEqual(
            parse(Arguments([b' "a b" (MESSAGES UNSEEN)']), False),
            Status("a b", (StatusItem.MESSAGES, StatusItem.UNSEEN)),
        )

    def test_a_space_at_the_end_is_forgiven(self) -> None:
        value = parse(Arguments([b" INBOX (MESSAGES) "]), False)
        self.assertEqual(value, Status("INBOX", (StatusItem.MESSAGES,)))

    def test_what_is_malformed(self) -> None:
        for text in (b"", b" INBOX", b" INBOX ()", b" INBOX(MESSAGES)", b" (MESSAGES)"):
            with self.assertRaises(Bad):
                parse(Arguments([text]), False)


class RunTests(SynchronousTestCase):
    def test_a_client_that_leaves_meanwhile_is_no_fault(self) -> None:
        world = World()
        client = world.logged_in()
        world.account.hold()
        client.send(b"a STATUS INBOX (MESSAGES APPENDLIMIT)\r\n")
        client.vanish()
        world.account.release()
        self.assertEqual(world.observer.faults, [])
