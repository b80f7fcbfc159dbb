# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests of pluto_tw.imap.commands.delete; its dialogues are `tests/transcripts/delete.txt`."""

from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.imap.command import State
from pluto_tw.imap.commands.delete import Delete, parse
from pluto_tw.imap.grammar import Arguments
from pluto_tw.mail.codes import UNAVAILABLE
from pluto_tw.mail.errors import Bad, No
from tests.support.connection import Client, World


class ParseTests(SynchronousTestCase):
    def test_one_name(self) -> None:
        self.assertEqual(parse(Arguments([b' "a b"']), False), Delete("a b"))
        for text in (b"", b" ", b" a b"):
            with self.assertRaises(Bad):
                parse(Arguments([text]), False)


class SelectedTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.world = World()
        self.client = self.in_work()

    def in_work(self) -> Client:
        client = self.world.logged_in()
        client.ask(b"CREATE Work")
        self.assertIn(b"x OK", client.ask(b"SELECT Work"))
        return client

    def test_the_session_goes_on_without_a_mailbox(self) -> None:
        answer = self.client.ask(b"DELETE Work")
        self.assertRegex(answer, rb"\A\* OK \[CLOSED\] [^\r]+\r\nx OK DELETE completed\r\n\Z")
        self.assertIs(self.client.session.state, State.AUTHENTICATED)
        self.assertFalse(self.client.wire.closed)

    def test_a_refusal_leaves_it_selected(self) -> None:
        self.world.account.fail_next(No(UNAVAILABLE, "not now"), "delete")
        self.assertIn(b"x NO [UNAVAILABLE]", self.client.ask(b"DELETE Work"))
        self.assertIs(self.client.session.state, State.SELECTED)

    def test_a_client_that_leaves_meanwhile_is_no_fault(self) -> None:
        for calls in (0, 1):
            client = self.in_work()
            self.world.account.hold()
            client.send(b"a DELETE Work\r\n")
            for _ in range(calls):
                self.world.account.release()
                self.world.account.hold()
            client.vanish()
            self.world.account.release()
            self.assertEqual(self.world.observer.faults, [])

    def test_of_two_that_delete_it_one_is_told_that_it_is_gone(self) -> None:
        other = self.in_work()
        self.world.account.hold()
        self.client.send(b"a DELETE Work\r\n")
        other.send(b"b DELETE Work\r\n")
        while self.world.account.turns.in_flight:
            self.world.account.release()
            self.world.account.hold()
        self.world.account.release()
        self.assertIn(b"a OK DELETE completed", self.client.received())
        self.assertRegex(other.received(), rb"\A\* BYE \[UNAVAILABLE\]")
        self.assertEqual(self.world.observer.faults, [])
