# SPDX-License-Identifier: GPL-3.0-or-later
"""COPY beyond what `tests/transcripts/copy.txt` shows."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.imap.commands.copy import Copy, copy_uid, parse
from pluto_tw.imap.grammar import Arguments
from pluto_tw.mail.errors import Bad
from pluto_tw.mail.messages import Copied
from pluto_tw.mail.sets import SequenceSet
from pluto_tw.mail.uids import Uid, UidValidity
from tests.imap.commands.mutated import mutated
from tests.support.connection import World

CORPUS = (b" 2:4 MEETING", b' 1:*,7 "a mailbox"', b" $ Entw&APw-rfe", b" * inbox")


class ParseTests(SynchronousTestCase):
    def test_forms(self) -> None:
        for text, expected in (
            (b" 2:4 MEETING", Copy(SequenceSet.parse(b"2:4"), False, "MEETING")),
            (b' $ "a b"', Copy(None, False, "a b")),
            (b" * Entw&APw-rfe ", Copy(SequenceSet.parse(b"*"), False, "Entwürfe")),
        ):
            self.assertEqual(parse(Arguments((text,)), False), expected)

    def test_what_is_no_copy(self) -> None:
        for text in (b"", b" 1", b" 1 ", b" a b", b" 0 b", b" 1 a b", b" 1 R&D", b" 1,$ b"):
            self.assertRaises(Bad, parse, Arguments((text,)), False)

    def test_mutated_commands(self) -> None:
        """A parser takes what comes, or says Bad."""
        taken = 0
        for segments in mutated(CORPUS, 3000, seed=22):
            try:
                parse(Arguments(segments), False)
            except Bad:
                continue
            taken += 1
        self.assertGreater(taken, 100)


def copied(source: list[int], target: list[int]) -> Copied:
    return Copied(UidValidity(38505), tuple(map(Uid, source)), tuple(map(Uid, target)), len(source))


def listed(uid_set: bytes) -> list[int]:
    """The UIDs in the order in which a client reads them."""
    uids: list[int] = []
    for element in uid_set.split(b","):
        low, _, high = element.partition(b":")
        uids += range(int(low), int(high or low) + 1)
    return uids


class CopyUidTests(SynchronousTestCase):
    def test_example(self) -> None:
        """The example of RFC 4315 §3."""
        self.assertEqual(
            copy_uid(copied([304, 319, 320], [3956, 3957, 3958])),
            b"[COPYUID 38505 304,319:320 3956:3958]",
        )

    def test_target_that_does_not_ascend(self) -> None:
        """RFC 4315 §3: the destination set "is in the same order" as the source."""
        self.assertEqual(
            copy_uid(copied([1, 2, 3, 4], [7, 5, 6, 4])), b"[COPYUID 38505 1:4 7,5:6,4]"
        )

    @given(st.lists(st.tuples(st.integers(1, 40), st.integers(1, 40)), min_size=1))
    def test_pairs_survive(self, pairs: list[tuple[int, int]]) -> None:
        """Both sets, read in their order, give the pairs again."""
        source = sorted({s for s, _ in pairs})
        target = list(dict.fromkeys(t for _, t in pairs))
        count = min(len(source), len(target))
        code = copy_uid(copied(source[:count], target[:count]))
        _, _, sources, targets = code.strip(b"[]").split(b" ")
        self.assertEqual(listed(sources), source[:count])
        self.assertEqual(listed(targets), target[:count])


class RunTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.world = World()
        for _ in range(3):
            self.world.account.deliver(b"\r\nx")
        self.client = self.world.logged_in()
        self.client.ask(b"CREATE Keep")
        self.client.ask(b"SELECT INBOX")

    def test_uids_that_are_not_known_in_time(self) -> None:
        """Then there is no COPYUID: clients search, RFC 4315 §3."""
        self.world.account.tells_uids = False
        self.assertEqual(self.client.ask(b"COPY 1:3 Keep"), b"x OK COPY completed\r\n")

    def test_uids_not_known_and_messages_gone(self) -> None:
        self.world.account.tells_uids = False
        self.world.account.remove("INBOX", 2)
        self.assertEqual(
            self.client.ask(b"COPY 1:3 Keep"),
            b"* 2 EXPUNGE\r\nx OK [EXPUNGEISSUED] Some of the messages no longer exist\r\n",
        )

    def test_numbers_are_those_that_the_client_knows(self) -> None:
        """A message that vanished elsewhere keeps its number until the client is told."""
        self.world.account.remove("INBOX", 1)
        self.assertEqual(
            self.client.ask(b"COPY 2 Keep"),
            b"* 1 EXPUNGE\r\nx OK [COPYUID 2 2 1] COPY completed\r\n",
        )
