# SPDX-License-Identifier: GPL-3.0-or-later
"""EXPUNGE beyond what `tests/transcripts/expunge.txt` shows."""

from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.imap.commands import expunge
from pluto_tw.imap.commands.expunge import Expunge, parse
from pluto_tw.imap.grammar import Arguments
from pluto_tw.mail.errors import Bad
from pluto_tw.mail.flags import DELETED
from pluto_tw.mail.sets import SequenceSet
from tests.support.connection import World

MARKED = frozenset({DELETED})


class ParseTests(SynchronousTestCase):
    def test_forms(self) -> None:
        self.assertEqual(parse(Arguments((b"",)), False), Expunge(None, True))
        self.assertEqual(parse(Arguments((b" $",)), True), Expunge(None, False))
        self.assertEqual(
            parse(Arguments((b" 3000:*",)), True), Expunge(SequenceSet.parse(b"3000:*"), False)
        )

    def test_what_is_no_expunge(self) -> None:
        for text, uid in ((b" 1", False), (b"", True), (b" ", True), (b" x", True)):
            self.assertRaises(Bad, parse, Arguments((text,)), uid)


class RunTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.world = World()

    def test_large_mailboxes_are_looked_through_in_pieces(self) -> None:
        self.patch(expunge, "FLAGS_SLICE", 2)
        for number in range(7):
            self.world.account.deliver(b"\r\nx", flags=MARKED if number % 3 == 0 else frozenset())
        client = self.world.logged_in()
        client.ask(b"SELECT INBOX")
        self.assertEqual(
            client.ask(b"EXPUNGE"),
            b"* 7 EXPUNGE\r\n* 4 EXPUNGE\r\n* 1 EXPUNGE\r\nx OK EXPUNGE completed\r\n",
        )

    def test_highest_modseq_is_that_of_the_view(self) -> None:
        """RFC 7162 §3.2.7: "the updated per-mailbox modification sequence"."""
        self.world.account.deliver(b"\r\nx", flags=MARKED)
        client = self.world.logged_in()
        client.ask(b"ENABLE QRESYNC")
        client.ask(b"SELECT INBOX")
        self.world.account.deliver(b"\r\nx")
        answer = client.ask(b"EXPUNGE")
        modseq = client.session.the_mailbox.mailbox.highest_modseq()
        self.assertEqual(
            answer,
            b"* VANISHED 1\r\n* 1 EXISTS\r\n* 1 RECENT\r\n"
            b"x OK [HIGHESTMODSEQ %d] EXPUNGE completed\r\n" % modseq,
        )

    def test_mailbox_that_ends_meanwhile(self) -> None:
        """What was removed is told, then the session ends."""
        self.world.account.deliver(b"\r\nx", flags=MARKED)
        client = self.world.logged_in()
        client.ask(b"ENABLE QRESYNC")
        client.ask(b"SELECT INBOX")
        self.world.account.replace("INBOX")
        self.assertIn(b"* BYE [UNAVAILABLE]", client.ask(b"EXPUNGE"))
        self.assertEqual(self.world.observer.faults, [])
