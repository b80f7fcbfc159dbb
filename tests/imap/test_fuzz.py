# SPDX-License-Identifier: GPL-3.0-or-later
"""A few thousand random inputs in each run; many more are run by hand, see `docs/bad-input.md`."""

from random import Random

from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.imap.framing import AFTER_LOGIN
from pluto_tw.imap.table import ROWS
from tests.fuzz import framing, session
from tests.fuzz.believer import Believer, Unbelievable, reduced
from tests.fuzz.streams import COMMANDS, RULES, UID_FORMS, WAIT, command, expand

#: Inputs here, a few seconds of them.
SESSION_INPUTS = 6000
FRAMING_INPUTS = 3000


class FuzzTests(SynchronousTestCase):
    def test_sessions_survive_whatever_comes(self) -> None:
        """Each command answered once, nothing raised, always in step, memory within its bound."""
        reports: list[str] = []
        try:
            session.run(SESSION_INPUTS, 20_000, reports.append)
        except Exception as error:
            raise AssertionError("\n".join([*reports, repr(error)])) from error

    def test_framing_survives_whatever_comes(self) -> None:
        """Random octets, by a second reading of the rules."""
        for seed in range(FRAMING_INPUTS):
            try:
                framing.check_input(Random(seed))
            except Exception as error:
                raise AssertionError(f"seed {seed}: {error!r}") from error


class StreamTests(SynchronousTestCase):
    def test_every_command_of_the_table_is_made(self) -> None:
        """And no other: a new command gets its grammar here too."""
        self.assertEqual([*COMMANDS], [row.name.encode() for row in ROWS])
        self.assertEqual([*UID_FORMS], [row.name.encode() for row in ROWS if row.has_uid_form])

    def test_every_rule_can_be_expanded(self) -> None:
        random = Random(0)
        for name in RULES:
            for _ in range(200):
                expand(random, b"<%b>" % name)

    def test_a_command_of_the_grammar_keeps_to_the_framing(self) -> None:
        """Literals have the octets that they announce, so a command is one command."""
        random = Random(1)
        for name in COMMANDS:
            for _ in range(200):
                stream = command(random, name, b"tag").replace(WAIT, b"")
                events = framing.expected_events(
                    stream + framing.LAST.text + b"\r\n", AFTER_LOGIN, lambda _: True
                )
                self.assertEqual(events[-1], framing.LAST, stream)


class BelieverTests(SynchronousTestCase):
    """The client that checks must itself notice what is wrong."""

    def setUp(self) -> None:
        self.believer = Believer()
        self.believer.take(b"* FLAGS (\\Seen)\r\n* 3 EXISTS\r\na OK SELECT completed\r\n")

    def test_responses_that_cannot_be_believed(self) -> None:
        for data in (
            b"* 2 EXISTS\r\n",
            b"* 4 EXPUNGE\r\n",
            b"* 0 EXPUNGE\r\n",
            b"* 4 RECENT\r\n",
            b"* 4 FETCH (UID 4)\r\n",
            b"* 1 FETCH (UID)\r\n",
            b"* 1 FETCH (UID 1\r\n",
            b'* 1 FETCH (ENVELOPE ("\xc3\xa4"))\r\n',
            b'* 1 FETCH (ENVELOPE ("a"b"))\r\n',
            b"* 1 FETCH (FLAGS (\\Odd))\r\n",
            b"* 1 FETCH (UID 1)\r\n* 1 FETCH (UID 2)\r\n",
            b"* 1 FETCH (BODY[] {5}\r\nab)\r\n",
            b"* 1 FETCH (BODY[] {1}\r\n\0)\r\n",
            b"* VANISHED 1:4\r\n",
            b'* LIST () "."\r\n',
            b"* STATUS INBOX MESSAGES 1\r\n",
            b"* FROBNICATED\r\n",
            b"a MAYBE\r\n",
            b"a OK \r\n",
            b"a OK no end",
            b"* BYE gone\r\n* 4 EXISTS\r\n",
            b"* 1 EXPUNGE\r\na OK FETCH completed\r\n",
        ):
            self.setUp()
            with self.subTest(data=data), self.assertRaises(Unbelievable):
                self.believer.take(data)

    def test_responses_that_can(self) -> None:
        self.believer.take(
            b'* 1 FETCH (UID 5 FLAGS (\\Seen \\Recent) BODY[HEADER.FIELDS ("a]b" {3}\r\nx)y)]<0>'
            b' {4}\r\n)\r\n( ENVELOPE ((("\\"" NIL)(NIL "b")) NIL))\r\n'
            b"* VANISHED 6\r\n* 1 EXPUNGE\r\na OK UID FETCH completed\r\n"
        )
        self.believer.compare([(9, frozenset())])

    def test_only_the_last_response_may_be_unfinished(self) -> None:
        self.believer.take(b"* 2 EXPUNGE\r\n* 1 FETCH (BODY[] {9}\r\nab", is_last=True)
        self.believer.compare([(1, frozenset()), (3, frozenset())])

    def test_a_difference_to_the_truth(self) -> None:
        self.believer.take(b"* 2 FETCH (UID 7 FLAGS ())\r\n")
        none: frozenset[str] = frozenset()
        truths: tuple[list[tuple[int, frozenset[str]]] | None, ...] = (
            None,
            [(6, none), (7, none)],
            [(6, none), (8, none), (9, none)],
            [(6, none), (7, frozenset({"\\Seen"})), (9, none)],
        )
        for truth in truths:
            self.assertRaises(Unbelievable, self.believer.compare, truth)

    def test_lists_are_reduced(self) -> None:
        self.assertEqual(reduced(b'A ("x (" ((1 2)(3))(4) BODY[1 (B)]<0>) ()'), b"A s s")
