# SPDX-License-Identifier: GPL-3.0-or-later
"""STORE beyond what `tests/transcripts/store.txt` shows."""

from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.imap.commands.store import LINES_MAX, Store, parse
from pluto_tw.imap.grammar import Arguments
from pluto_tw.mail.errors import Bad, No
from pluto_tw.mail.flags import DELETED, SEEN, Flag
from pluto_tw.mail.messages import StoreMode
from pluto_tw.mail.sets import SequenceSet
from pluto_tw.mail.uids import ModSeq
from tests.imap.commands.mutated import mutated
from tests.support.connection import World

CORPUS = (
    b" 2:4 +FLAGS (\\Deleted)",
    b" 1:* -flags.silent \\Seen $Work x",
    b" $ FLAGS ()",
    b" 7,5,9 (UNCHANGEDSINCE 320162338) +FLAGS.SILENT (\\Deleted $Processed)",
    b" * (UNCHANGEDSINCE 0) FLAGS (\\Answered \\Flagged \\Draft)",
)


class ParseTests(SynchronousTestCase):
    def parse(self, text: bytes, uid: bool = False) -> Store:
        return parse(Arguments((text,)), uid)

    def test_forms(self) -> None:
        named = SequenceSet.parse(b"2:4")
        both = frozenset({SEEN, DELETED})
        for text, mode, silent in (
            (b"FLAGS", StoreMode.REPLACE, False),
            (b"+FLAGS", StoreMode.ADD, False),
            (b"-flags", StoreMode.REMOVE, False),
            (b"flags.Silent", StoreMode.REPLACE, True),
            (b"+FLAGS.SILENT", StoreMode.ADD, True),
            (b"-FLAGS.SILENT", StoreMode.REMOVE, True),
        ):
            for flags in (b"(\\seen \\Deleted)", b"\\Deleted \\SEEN", b"\\Deleted \\Seen "):
                self.assertEqual(
                    self.parse(b" 2:4 " + text + b" " + flags),
                    Store(named, False, mode, silent, both, None),
                )

    def test_saved_and_unchanged_since(self) -> None:
        self.assertEqual(
            self.parse(b" $ (unchangedsince 0) FLAGS ()", uid=True),
            Store(None, True, StoreMode.REPLACE, False, frozenset(), ModSeq(0)),
        )
        self.assertEqual(
            self.parse(b" $ (UNCHANGEDSINCE 9223372036854775807) FLAGS x").flags, {Flag("x")}
        )

    def test_what_is_no_store(self) -> None:
        for text in (
            b"",
            b" 1",
            b" 1 FLAGS",
            b" 1 FLAGS ",
            b" 1 *FLAGS (\\Seen)",
            b" 1 + FLAGS (\\Seen)",
            b" 1 FLAGS.QUIET (\\Seen)",
            b" 1 FLAGS (\\Recent)",
            b" 1 FLAGS (\\Unknown)",
            b" 1 FLAGS (\\Seen) \\Deleted",
            b" 1 FLAGS (\\Seen",
            b" 0 FLAGS (\\Seen)",
            b" 1 () FLAGS (\\Seen)",
            b" 1 (UNCHANGEDSINCE) FLAGS (\\Seen)",
            b" 1 (UNCHANGEDSINCE -1) FLAGS (\\Seen)",
            b" 1 (UNCHANGEDSINCE 9223372036854775808) FLAGS (\\Seen)",
            b" 1 (UNCHANGEDSINCE 1)",
            b" 1 (OTHER 1) FLAGS (\\Seen)",
        ):
            self.assertRaises(Bad, self.parse, text)

    def test_mutated_commands(self) -> None:
        """A parser takes what comes, or says Bad, or No to a keyword that is too long."""
        taken = 0
        for segments in mutated(CORPUS, 3000, seed=21):
            try:
                parse(Arguments(segments), False)
            except (Bad, No):
                continue
            taken += 1
        self.assertGreater(taken, 100)


class RunTests(SynchronousTestCase):
    def test_client_takes_what_it_is_told_in_pieces(self) -> None:
        """No more is made than the client has room for."""
        world = World()
        messages = 4 * LINES_MAX
        for _ in range(messages):
            world.account.deliver(b"\r\nx")
        client = world.logged_in()
        client.ask(b"SELECT INBOX")
        client.wire.block()
        client.send(b"a STORE 1:* (UNCHANGEDSINCE 1000000) +FLAGS (\\Seen)\r\n")
        first = client.received()
        self.assertGreater(len(first), 64 * 1024)
        self.assertLess(len(first), 128 * 1024)
        client.wire.unblock()
        told = first + client.received()
        self.assertEqual(told.count(b" FETCH "), messages)
        self.assertTrue(told.endswith(b"a OK STORE completed\r\n"))
