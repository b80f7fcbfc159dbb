# SPDX-License-Identifier: GPL-3.0-or-later
"""MOVE beyond what `tests/transcripts/move.txt` shows."""

from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.imap.commands.copy import Copy
from pluto_tw.imap.commands.move import parse
from pluto_tw.imap.grammar import Arguments
from pluto_tw.mail.sets import SequenceSet
from tests.support.connection import World


class MoveTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.world = World()
        for _ in range(4):
            self.world.account.deliver(b"\r\nx")
        self.client = self.world.logged_in()
        self.client.ask(b"CREATE Keep")
        self.client.ask(b"SELECT INBOX")

    def test_form(self) -> None:
        expected = Copy(SequenceSet.parse(b"2:4"), True, "Keep")
        self.assertEqual(parse(Arguments((b" 2:4 Keep",)), True), expected)

    def test_uids_that_are_not_known_in_time(self) -> None:
        """The messages are moved all the same, and nothing is told of where they are now."""
        self.world.account.tells_uids = False
        self.assertEqual(
            self.client.ask(b"MOVE 1:2 Keep"),
            b"* 2 EXPUNGE\r\n* 1 EXPUNGE\r\nx OK MOVE completed\r\n",
        )

    def test_messages_that_vanished_before(self) -> None:
        """RFC 9051 §6.4.8: "the server may send unrelated EXPUNGE responses as well"."""
        self.world.account.remove("INBOX", 2)
        self.assertEqual(
            self.client.ask(b"UID MOVE 3:4 Keep"),
            b"* OK [COPYUID 2 3:4 1:2] Moved\r\n"
            b"* 2 EXPUNGE\r\n* 3 EXPUNGE\r\n* 2 EXPUNGE\r\nx OK UID MOVE completed\r\n",
        )

    def test_failure_moves_nothing(self) -> None:
        self.world.account.fail_next(ZeroDivisionError(), "move")
        self.assertIn(b"x NO [SERVERBUG]", self.client.ask(b"MOVE 1:2 Keep"))
        self.assertIn(b"* SEARCH 1 2 3 4\r\n", self.client.ask(b"SEARCH ALL"))

    def test_highest_modseq_is_that_of_the_view(self) -> None:
        """RFC 6851 §4.4: "the server MUST send the updated per-mailbox modification sequence"."""
        self.client.ask(b"ENABLE QRESYNC")
        answer = self.client.ask(b"MOVE 1 Keep")
        modseq = self.client.session.the_mailbox.mailbox.highest_modseq()
        self.assertTrue(answer.endswith(b"x OK [HIGHESTMODSEQ %d] MOVE completed\r\n" % modseq))
