# SPDX-License-Identifier: GPL-3.0-or-later
"""SEARCH beyond what `tests/transcripts/search.txt` shows."""

from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.imap.commands.search import Search, names_numbers, parse
from pluto_tw.imap.grammar import Arguments
from pluto_tw.imap.search_keys import SEARCH_KEYS_MAX
from pluto_tw.imap.search_return import ReturnOption
from pluto_tw.mail.errors import Bad
from pluto_tw.mail.flags import SEEN
from pluto_tw.mail.search import All, HasFlag
from tests.imap.commands.mutated import mutated
from tests.support.connection import World

CORPUS = (
    b" ALL",
    b" RETURN (MIN MAX COUNT ALL SAVE) CHARSET UTF-8 OR NOT SEEN (DELETED FLAGGED) 1:*,7",
    b' FROM "Smith" SINCE 1-Feb-1994 NOT TO x BODY {3} SENTON "1-Feb-1994"',
    b' HEADER "Message-ID" "<a@b>" KEYWORD $MDNSent UNKEYWORD x LARGER 100 SMALLER 7',
    b' MODSEQ "/flags/\\\\draft" all 620162338 OLDER 7 YOUNGER 9 EMAILID M1 THREADID T1',
    b" RETURN () UID 1:4,9:* $ NEW OLD RECENT OR (OR 1 2) NOT (NOT (ALL))",
)


class ParseTests(SynchronousTestCase):
    def parse(self, text: bytes, uid: bool = False) -> Search:
        return parse(Arguments((text,)), uid)

    def test_forms(self) -> None:
        plain = self.parse(b" ALL")
        self.assertEqual((plain.options, plain.program.steps), (None, (All(),)))
        extended = self.parse(b" return (save count) charset utf-8 seen", uid=True)
        self.assertTrue(extended.uid)
        self.assertEqual(extended.options, {ReturnOption.SAVE, ReturnOption.COUNT})
        self.assertEqual(extended.program.steps, (HasFlag(SEEN),))

    def test_which_uid_searches_hold_expunge_back(self) -> None:
        """
        RFC 7162 §3.2.10.2: not "during a UID SEARCH command that contains message numbers in the
        search criteria".
        """
        self.assertTrue(names_numbers(self.parse(b" NOT (1 SEEN)", uid=True)))
        self.assertFalse(names_numbers(self.parse(b" UID 1 $ SEEN", uid=True)))

    def test_order_is_fixed(self) -> None:
        for text in (b"", b" ", b" RETURN", b" RETURN ()", b" CHARSET UTF-8 RETURN () ALL"):
            self.assertRaises(Bad, self.parse, text)

    def test_mutated_commands(self) -> None:
        """A parser takes what comes, or says Bad."""
        taken = 0
        for segments in mutated(CORPUS, 3000, seed=20):
            try:
                parse(Arguments(segments), False)
            except Bad:
                continue
            taken += 1
        self.assertGreater(taken, 100)


class RunTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.world = World()

    def test_messages_that_cannot_be_read(self) -> None:
        """They are left out, and the answer says so."""
        for body in (b"x", b"x", b"x"):
            self.world.account.deliver(b"\r\n" + body)
        self.world.account.damage("INBOX", 2)
        client = self.world.logged_in()
        client.ask(b"SELECT INBOX")
        self.assertEqual(
            client.ask(b"SEARCH BODY x"),
            b"* SEARCH 1 3\r\nx OK Messages left out that cannot be read here now: 1\r\n",
        )

    def test_bug_empties_the_variable(self) -> None:
        """A NO to a SEARCH with SAVE "sets the value ... to the empty sequence", ours too."""
        self.world.account.deliver(b"\r\nx")
        client = self.world.logged_in()
        client.ask(b"SELECT INBOX")
        client.ask(b"SEARCH RETURN (SAVE) ALL")
        self.world.account.fail_next(ZeroDivisionError(), "facts")
        self.assertIn(b"NO [SERVERBUG]", client.ask(b"SEARCH RETURN (SAVE) SUBJECT x"))
        self.assertEqual(client.ask(b"SEARCH $"), b"* SEARCH\r\nx OK SEARCH completed\r\n")

    def test_many_keys(self) -> None:
        self.world.account.deliver(b"Subject: x\r\n\r\nx")
        client = self.world.logged_in()
        client.ask(b"SELECT INBOX")
        keys = b" ".join([b"UNSEEN"] * (SEARCH_KEYS_MAX - 1))
        self.assertIn(b"* SEARCH 1\r\n", client.ask(b"SEARCH SUBJECT x " + keys))
        self.assertIn(b"x BAD", client.ask(b"SEARCH SEEN SUBJECT x " + keys))

    def test_client_that_leaves(self) -> None:
        """The search ends with it."""
        self.world.account.deliver(b"\r\nx")
        client = self.world.logged_in()
        client.ask(b"SELECT INBOX")
        self.world.account.hold()
        client.send(b"x SEARCH SUBJECT x\r\n")
        client.vanish()
        self.world.account.release()
        self.assertEqual(client.received(), b"")
        self.assertEqual(self.world.observer.faults, [])
