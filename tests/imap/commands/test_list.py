# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests of pluto_tw.imap.commands.list; what it lists is in `tests/transcripts/list.txt`."""

from collections.abc import Sequence
from dataclasses import replace

from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.imap.commands.list import PATTERNS_MAX, List, parse
from pluto_tw.imap.grammar import Arguments
from pluto_tw.imap.listing import Criteria
from pluto_tw.imap.pace import RESPONSE_OCTETS
from pluto_tw.imap.status_items import StatusItem
from pluto_tw.mail.codes import NONEXISTENT, UNAVAILABLE
from pluto_tw.mail.errors import Bad, No
from pluto_tw.mail.mailboxes import MailboxEntry
from pluto_tw.mail.names import INBOX, MailboxName
from pluto_tw.mail.waiting import SLICE_SECONDS
from pluto_tw.net.waiting import ReactorWaiting
from tests.support.connection import World

BASIC = List("", ("%",), Criteria(), False, (), False)
EXTENDED = replace(BASIC, extended=True)


def parsed(text: bytes, *, utf8: bool = False) -> List:
    return parse(Arguments([text], utf8=utf8), False)


class ParseTests(SynchronousTestCase):
    def test_basic_syntax(self) -> None:
        self.assertEqual(parsed(b' "" %'), BASIC)
        self.assertEqual(parsed(b' "" "%"'), BASIC)
        self.assertEqual(parsed(b" a.b c]*"), replace(BASIC, reference="a.b", patterns=("c]*",)))
        self.assertEqual(parsed(b' "" ""'), replace(BASIC, patterns=("",)))

    def test_any_of_three_forms_is_extended_syntax(self) -> None:
        """RFC 9051 §6.3.9: "one or more of the following conditions"."""
        self.assertEqual(parsed(b' () "" %'), EXTENDED)
        self.assertEqual(parsed(b' "" (%)'), EXTENDED)
        self.assertEqual(parsed(b' "" % RETURN ()'), EXTENDED)

    def test_patterns_are_decoded(self) -> None:
        self.assertEqual(parsed(b' "" (&APw-* INBOX)').patterns, ("ü*", "INBOX"))
        self.assertEqual(parsed(' "" "ü*"'.encode(), utf8=True).patterns, ("ü*",))

    def test_selection_options_come_in_any_order_and_number(self) -> None:
        """
        RFC 9051 §6.3.9: "if the client does this, the server MUST act as if it received the
        option only once. The order in which options are specified ... is not significant".
        """
        selected = replace(EXTENDED, criteria=Criteria(subscribed=True), return_subscribed=True)
        recursive = replace(selected, criteria=Criteria(subscribed=True, recursive=True))
        for options, value in (
            (b"SUBSCRIBED", selected),
            (b"subscribed SUBSCRIBED REMOTE", selected),
            (b"RecursiveMatch SUBSCRIBED", recursive),
            (b"SUBSCRIBED REMOTE RECURSIVEMATCH", recursive),
            (b"REMOTE", EXTENDED),
            (b"SPECIAL-USE", replace(EXTENDED, criteria=Criteria(special_use=True))),
        ):
            self.assertEqual(parsed(b' (%b) "" %%' % options), value)

    def test_recursivematch_needs_something_to_match(self) -> None:
        """RFC 9051 §6.3.9.1: "The server MUST return a BAD tagged response in such case"."""
        for options in (b"RECURSIVEMATCH", b"RECURSIVEMATCH REMOTE"):
            with self.assertRaises(Bad):
                parsed(b' (%b) "" %%' % options)

    def test_return_options(self) -> None:
        value = parsed(b' "" % RETURN (STATUS (UNSEEN) CHILDREN SPECIAL-USE STATUS (SIZE UNSEEN))')
        self.assertEqual(value, replace(EXTENDED, status=(StatusItem.UNSEEN, StatusItem.SIZE)))
        self.assertEqual(
            parsed(b' "" % RETURN (SUBSCRIBED)'), replace(EXTENDED, return_subscribed=True)
        )

    def test_unknown_options_are_bad(self) -> None:
        """RFC 9051 §6.3.9: "MUST respond to options it does not recognize with a BAD"."""
        for text in (
            b' (VENDOR.X) "" %',
            b' (CHILDREN) "" %',
            b' "" % RETURN (RECURSIVEMATCH)',
            b' "" % RETURN (MYRIGHTS)',
            b' "" % RETURN SUBSCRIBED',
            b' "" % UNRETURN ()',
        ):
            with self.assertRaises(Bad):
                parsed(text)


class ManyMailboxes:
    """What an account with so many mailboxes, all subscribed to, answers."""

    def __init__(self, count: int) -> None:
        self.entries = [
            MailboxEntry(MailboxName(f"folder{n % 100}.sub{n}"), f"F{n}") for n in range(count)
        ]
        self.entries.append(MailboxEntry(INBOX, "F"))

    async def mailboxes(self) -> Sequence[MailboxEntry]:
        return self.entries

    async def subscriptions(self) -> frozenset[MailboxName]:
        return frozenset(entry.name for entry in self.entries)


class HurriedWaiting(ReactorWaiting):
    """Its clock is further on whenever it is looked at."""

    looks = 0

    def seconds(self) -> float:
        self.looks += 1
        return self.looks * SLICE_SECONDS / 10


class RunTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.world = World()

    def test_a_client_that_does_not_read_is_waited_for(self) -> None:
        self.patch(self.world.account, "mailboxes", ManyMailboxes(10_000).mailboxes)
        client = self.world.logged_in()
        client.wire.block()
        client.send(b'a LIST "" *\r\n')
        received = client.received()
        self.assertLess(len(received), RESPONSE_OCTETS + 100)
        client.wire.unblock()
        received += client.received()
        self.assertEqual(received.count(b"* LIST "), 10_001)
        self.assertTrue(received.endswith(b"a OK LIST completed\r\n"))

    def test_others_run_in_between(self) -> None:
        """Also where no name matches: it is the work that is divided, not what is told."""
        many = ManyMailboxes(1000)
        self.patch(self.world.account, "mailboxes", many.mailboxes)
        self.patch(self.world.account, "subscriptions", many.subscriptions)
        waiting = HurriedWaiting(self.world.clock, lambda: 0.0)
        self.world.service = replace(self.world.service, waiting=waiting)
        client = self.world.logged_in()
        for command in (b'LIST "" x', b'LIST (SUBSCRIBED RECURSIVEMATCH) "" x', b'LSUB "" x'):
            client.send(b"a " + command + b"\r\n")
            self.assertEqual(client.wire.written, [])
            self.assertTrue(client.received().startswith(b"a OK"))

    def test_a_client_that_leaves_meanwhile_is_no_fault(self) -> None:
        for command in (b'LIST "" *', b'LIST (SUBSCRIBED) "" * RETURN (STATUS (MESSAGES))'):
            for calls in range(1, 4):
                world = World()
                world.waiting.start(world.account.subscribe(INBOX, True))
                client = world.logged_in()
                world.account.hold()
                client.send(b"a " + command + b"\r\n")
                for _ in range(calls - 1):
                    world.account.release()
                    world.account.hold()
                client.vanish()
                world.account.release()
                world.settle()
                self.assertEqual(world.observer.faults, [])

    def test_a_mailbox_that_is_gone_since_is_told_as_such(self) -> None:
        r"""
        RFC 9051 §6.3.9.2: "the STATUS response MUST NOT be returned, and the LIST response MUST
        include the \NoSelect attribute", which \NonExistent implies.
        """
        client = self.world.logged_in()
        self.world.account.fail_next(No(NONEXISTENT, "gone"), "status")
        self.assertEqual(
            client.ask(b'LIST "" * RETURN (STATUS (MESSAGES))'),
            b'* LIST (\\NonExistent \\HasNoChildren) "." INBOX\r\nx OK LIST completed\r\n',
        )

    def test_a_status_that_cannot_be_had_is_left_out(self) -> None:
        """RFC 9051 §6.3.9.2: "it MAY drop the corresponding STATUS reply"."""
        client = self.world.logged_in()
        self.world.account.fail_next(No(UNAVAILABLE, "not now"), "status")
        self.assertEqual(
            client.ask(b'LIST "" * RETURN (STATUS (MESSAGES))'),
            b'* LIST (\\HasNoChildren) "." INBOX\r\nx OK LIST completed\r\n',
        )

    def test_patterns_are_limited(self) -> None:
        client = self.world.logged_in()
        patterns = b" ".join(b"a%d" % number for number in range(PATTERNS_MAX))
        self.assertEqual(client.ask(b'LIST "" (%b)' % patterns), b"x OK LIST completed\r\n")
        self.assertIn(b"x NO [LIMIT] ", client.ask(b'LIST "" (%b more)' % patterns))

    def test_the_separator_is_that_of_the_account(self) -> None:
        self.world.account.separator = "/"
        client = self.world.logged_in()
        client.ask(b"CREATE a/b.c/")
        self.assertEqual(
            client.ask(b'LIST "" a%'),
            b'* LIST (\\HasChildren) "/" a\r\nx OK LIST completed\r\n',
        )
        self.assertEqual(
            client.ask(b'LIST "" a/%'),
            b'* LIST (\\HasNoChildren) "/" a/b.c\r\nx OK LIST completed\r\n',
        )
