# SPDX-License-Identifier: GPL-3.0-or-later
import random
from collections.abc import AsyncIterator, Sequence

from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.imap import fragments, pace
from pluto_tw.imap.commands import fetch
from pluto_tw.imap.commands.fetch import Fetch
from pluto_tw.imap.fetch_items import Attribute
from pluto_tw.imap.fetch_response import GATHERED_OCTETS_MAX
from pluto_tw.imap.grammar import Arguments
from pluto_tw.imap.pace import RESPONSE_OCTETS
from pluto_tw.imap.ports import FACTS_MAX, Outcome
from pluto_tw.imap.selected import SET_OCTETS_MAX
from pluto_tw.mail.codes import UNAVAILABLE
from pluto_tw.mail.errors import Bad, No
from pluto_tw.mail.messages import Stored
from pluto_tw.mail.sets import NumberSet
from tests.support.connection import Client, World

CHUNK = 64 * 1024


def message(subject: str, octets: int = 20) -> bytes:
    header = b"Subject: %b\r\n\r\n" % subject.encode()
    return header + b"x" * (octets - len(header))


def parsed(text: bytes, *, uid: bool = False) -> Fetch:
    return fetch.parse(Arguments([text]), uid)


class ParseTests(SynchronousTestCase):
    def test_uid_fetch_adds_uid(self) -> None:
        r"""RFC 9051 §6.4.9: "MUST implicitly include the UID message data item"."""
        self.assertEqual(parsed(b" 1:* (FLAGS)", uid=True).items, (Attribute.UID, Attribute.FLAGS))
        self.assertEqual(
            parsed(b" 1:* (FLAGS UID)", uid=True).items, (Attribute.FLAGS, Attribute.UID)
        )
        self.assertEqual(parsed(b" 1:* FLAGS").items, (Attribute.FLAGS,))

    def test_changedsince_adds_modseq(self) -> None:
        """RFC 7162 §3.1.4.1: "it implicitly adds the MODSEQ FETCH message data item"."""
        value = parsed(b" 1:5 (FLAGS) (changedsince 77)", uid=True)
        self.assertEqual(value.items, (Attribute.UID, Attribute.MODSEQ, Attribute.FLAGS))
        self.assertEqual(value.changed_since, 77)
        self.assertFalse(value.vanished)
        self.assertTrue(parsed(b" 1 UID (VANISHED CHANGEDSINCE 1)", uid=True).vanished)

    def test_saved_messages(self) -> None:
        self.assertIsNone(parsed(b" $ FLAGS").messages)

    def test_a_trailing_space_is_forgiven(self) -> None:
        parsed(b" 1 (FLAGS) ")

    def test_what_is_malformed_is_bad(self) -> None:
        for text in (
            b"",
            b" 1",
            b" 1:* ",
            b" 0 FLAGS",
            b" 1  FLAGS",
            b" 1 FLAGS UID",
            b" 1 FLAGS ()",
            b" 1 FLAGS (CHANGEDSINCE)",
            b" 1 FLAGS (CHANGEDSINCE x)",
            b" 1 FLAGS (CHANGEDSINCE 9223372036854775808)",
            b" 1 FLAGS (CHANGEDSINCE 1 CHANGEDSINCE 1)",
            b" 1 FLAGS (CHANGEDSINCE 1 VANISHED VANISHED)",
            b" 1 FLAGS (VANISHED)",
            b" 1 FLAGS (UNKNOWN)",
            b" 1 FLAGS CHANGEDSINCE 1",
        ):
            self.assertRaises(Bad, parsed, text, uid=True)
        self.assertRaises(Bad, parsed, b" 1 FLAGS (CHANGEDSINCE 1 VANISHED)")

    def test_mutations_raise_nothing_but_bad(self) -> None:
        """A seeded walk around what clients send."""
        chance = random.Random(9051)
        commands = [
            b" 1:* (UID FLAGS RFC822.SIZE BODY.PEEK[HEADER.FIELDS (FROM TO)] INTERNALDATE)",
            b' 2,4:7,9 BODY[1.2.HEADER.FIELDS.NOT ("Subject" "X\\"Y")]<0.100>',
            b" $ (BINARY.PEEK[1.2]<5.6> BINARY.SIZE[3] BODY[1.MIME] RFC822.TEXT)",
            b" 1:* ALL (CHANGEDSINCE 12345 VANISHED)",
        ]
        alphabet = b' ()[]<>.,:*$"\\\0\r\n\x80\xff{}%0123456789ABFYfields-'
        parsed_count = 0
        for _ in range(5000):
            octets = bytearray(chance.choice(commands))
            for _ in range(chance.randrange(1, 5)):
                place = chance.randrange(len(octets) + 1)
                match chance.randrange(3):
                    case 0:
                        octets.insert(place, chance.choice(alphabet))
                    case 1:
                        del octets[place : place + chance.randrange(1, 6)]
                    case _:
                        other = chance.choice(commands)
                        start = chance.randrange(len(other))
                        octets[place:place] = other[start : start + chance.randrange(12)]
            try:
                parsed(bytes(octets), uid=chance.random() < 0.5)
            except Bad:
                continue
            parsed_count += 1
        self.assertGreater(parsed_count, 100, "some mutations are commands")


class FetchTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.world = World()
        self.account = self.world.account

    def select(self, command: bytes = b"SELECT INBOX") -> Client:
        client = self.world.logged_in()
        assert b"x OK [READ-" in client.ask(command)
        return client

    def deliver(self, *messages: bytes) -> None:
        for octets in messages:
            self.account.deliver(octets)


class UnavailableTests(FetchTests):
    """What becomes of messages that cannot be answered."""

    def test_others_are_answered(self) -> None:
        self.deliver(message("a"), message("b"), message("c"))
        self.account.damage("INBOX", 2)
        self.assertEqual(
            self.select().ask(b"FETCH 1:3 (UID BODY.PEEK[]<0.10>)"),
            b"* 1 FETCH (UID 1 BODY[]<0> {10}\r\nSubject: a)\r\n"
            b"* 3 FETCH (UID 3 BODY[]<0> {10}\r\nSubject: c)\r\n"
            b"x NO [UNAVAILABLE] the message cannot be read here\r\n",
        )

    def test_flags_that_it_set_are_told_nevertheless(self) -> None:
        self.deliver(message("a"), message("b"))
        self.account.damage("INBOX", 1)
        client = self.select()
        self.assertEqual(
            client.ask(b"FETCH 1:2 BODY[]<0.10>"),
            b"* 2 FETCH (FLAGS (\\Recent \\Seen) BODY[]<0> {10}\r\nSubject: b)\r\n"
            b"* 1 FETCH (UID 1 FLAGS (\\Recent \\Seen))\r\n"
            b"x NO [UNAVAILABLE] the message cannot be read here\r\n",
        )
        self.assertEqual(client.ask(b"NOOP"), b"x OK NOOP completed\r\n")

    def test_what_needs_no_body_is_answered(self) -> None:
        self.deliver(message("a"))
        self.account.damage("INBOX", 1)
        answer = self.select().ask(b"FETCH 1 (RFC822.SIZE ENVELOPE BODY.PEEK[HEADER])")
        self.assertIn(b"BODY[HEADER] {14}\r\nSubject: a\r\n\r\n)", answer)
        self.assertTrue(answer.endswith(b"x OK FETCH completed\r\n"))

    def test_facts_that_one_message_lacks_are_asked_one_by_one(self) -> None:
        self.deliver(message("a"), message("b"), message("c"))
        client = self.select()
        error = No(UNAVAILABLE, "not scanned")
        self.account.fail_next(error, "facts")
        mailbox = client.session.the_mailbox.mailbox
        had = mailbox.facts

        async def facts(uids: Sequence[int]) -> object:
            if list(uids) == [2]:
                raise error
            return await had(uids)

        self.patch(mailbox, "facts", facts)
        answer = client.ask(b"FETCH 1:3 (UID BODY)")
        self.assertEqual(answer.count(b"* 1 FETCH (UID 1 BODY ("), 1)
        self.assertEqual(answer.count(b"* 3 FETCH (UID 3 BODY ("), 1)
        self.assertEqual(answer.count(b"FETCH (UID"), 2)
        self.assertTrue(answer.endswith(b"x NO [UNAVAILABLE] not scanned\r\n"))

    def test_an_encoding_that_nobody_knows(self) -> None:
        """RFC 9051 §7.5.2: "MUST fail the request and issue a "NO" response"."""
        self.deliver(b"Content-Transfer-Encoding: x-own\r\n\r\nbody", message("b"))
        client = self.select()
        for command, answer in (
            (b"BINARY.PEEK[1]<0.3>", b"BINARY[1]<0> {3}\r\nxxx"),
            (b"BINARY.SIZE[1]", b"BINARY.SIZE[1] 6"),
        ):
            # The body of the second message goes out before it is known what that of the first is.
            self.assertEqual(
                client.ask(b"FETCH 1:2 (BODY.PEEK[]<0.4> %b)" % command),
                b"* 2 FETCH (BODY[]<0> {4}\r\nSubj %b)\r\n" % answer
                + b"x NO [UNKNOWN-CTE] the Content-Transfer-Encoding of the part is not known\r\n",
            )

    def assert_broken_off(self, client: Client, answer: bytes) -> None:
        """The connection ends in the middle of a literal, and nothing is said behind that."""
        self.assertTrue(client.wire.closed)
        self.assertTrue(client.session.is_over())
        self.assertNotIn(b"BYE", answer)
        self.assertNotIn(b"x NO", answer)
        client.send(b"y NOOP\r\n")
        self.assertEqual(client.received(), b"")

    def test_damage_within_a_literal_ends_the_connection(self) -> None:
        self.deliver(message("a", 3 * CHUNK), message("b"))
        self.account.damage("INBOX", 1, octets=2 * CHUNK)
        client = self.select()
        answer = client.ask(b"FETCH 1:2 (BODY.PEEK[])\r\ny UID EXPUNGE 1")
        self.assert_broken_off(client, answer)
        self.assertTrue(answer.startswith(b"* 1 FETCH (BODY[] {%d}\r\n" % (3 * CHUNK)))
        self.assertLess(len(answer), 3 * CHUNK)
        self.assertEqual(self.world.observer.commands[-1], ("FETCH", Outcome.NO))

    def test_a_bug_within_a_literal_ends_the_connection(self) -> None:
        self.deliver(message("a", 3 * CHUNK))
        self.account.damage("INBOX", 1, octets=CHUNK, error=ZeroDivisionError("a bug"))
        client = self.select()
        self.assert_broken_off(client, client.ask(b"FETCH 1 (BODY.PEEK[])"))
        self.assertEqual(self.world.observer.commands[-1], ("FETCH", Outcome.FAULT))
        self.assertEqual(len(self.world.observer.faults), 1)

    def test_a_bug_before_it_is_answered(self) -> None:
        self.deliver(message("a"))
        self.account.damage("INBOX", 1, error=ZeroDivisionError("a bug"))
        answer = self.select().ask(b"FETCH 1 (BODY.PEEK[])")
        self.assertTrue(answer.startswith(b"x NO [SERVERBUG]"))

    def test_a_body_of_another_size_is_a_bug(self) -> None:
        self.deliver(message("a", 2 * CHUNK))
        client = self.select()
        mailbox = client.session.the_mailbox.mailbox

        class ShortBody:
            size = 2 * CHUNK

            async def read(self, start: int, length: int) -> AsyncIterator[bytes]:
                yield b"x" * CHUNK

        self.patch(mailbox, "body", lambda uid: ShortBody())
        self.assert_broken_off(client, client.ask(b"FETCH 1 (BODY.PEEK[])"))
        self.assertEqual(len(self.world.observer.faults), 1)


class StreamTests(FetchTests):
    """Large messages and slow clients."""

    def test_a_message_comes_as_it_was_appended(self) -> None:
        octets = message("a", 5 * CHUNK + 17)
        self.deliver(octets)
        self.account.chunk_octets = 10_000
        self.assertEqual(
            self.select().ask(b"UID FETCH 1 BODY.PEEK[]"),
            b"* 1 FETCH (UID 1 BODY[] {%d}\r\n%b)\r\nx OK UID FETCH completed\r\n"
            % (len(octets), octets),
        )

    def test_a_client_that_does_not_read_holds_no_message_in_memory(self) -> None:
        self.deliver(message("a", 40 * CHUNK))
        client = self.select()
        client.wire.block()
        begin = client.ask(b"FETCH 1 (BODY.PEEK[])")
        self.assertLess(len(begin), RESPONSE_OCTETS + CHUNK + 100)
        client.wire.unblock()
        rest = client.received()
        self.assertTrue(rest.endswith(b")\r\nx OK FETCH completed\r\n"))
        self.assertGreater(len(begin) + len(rest), 40 * CHUNK)

    def test_a_client_that_does_not_read_flags_holds_no_answer_in_memory(self) -> None:
        self.deliver(*[message("a")] * 10)
        client = self.select()
        for items in (b"(FLAGS)", b"(FLAGS RFC822.SIZE)", b"(ENVELOPE)"):
            self.patch(fetch, "FACTS_MAX", 2)
            self.patch(fetch, "LINES_MAX", 2)
            self.patch(fragments, "BLOCK_MESSAGES", 2)
            self.patch(pace, "RESPONSE_OCTETS", 60)
            client.wire.block()
            begin = client.ask(b"FETCH 1:10 " + items)
            self.assertLess(begin.count(b"\r\n"), 5)
            client.wire.unblock()
            rest = client.received()
            self.assertEqual((begin + rest).count(b" FETCH ("), 10)

    def test_a_client_that_is_gone_ends_it(self) -> None:
        self.deliver(message("a", 40 * CHUNK))
        client = self.select()
        client.wire.block()
        client.send(b"x FETCH 1 (BODY.PEEK[])\r\n")
        client.vanish()
        self.assertEqual(self.world.observer.faults, [])

    def test_many_long_values_are_not_gathered_without_end(self) -> None:
        """Thirty times a header that the facts hold whole."""
        self.deliver(b"Subject: %b\r\n\r\n" % (b"x" * 30_000))
        client = self.select()
        items = b" ".join(b"BODY.PEEK[HEADER]<%d.30000>" % place for place in range(100))
        client.wire.block()
        begin = client.ask(b"FETCH 1 (" + items + b")")
        self.assertLess(len(begin), GATHERED_OCTETS_MAX + CHUNK)
        client.wire.unblock()
        self.assertTrue(client.received().endswith(b")\r\nx OK FETCH completed\r\n"))

    def test_the_view_stays_while_it_is_told(self) -> None:
        """New and vanished messages are told behind the answer, whose numbers do not shift."""
        self.deliver(message("a", 4 * CHUNK), message("b", 4 * CHUNK))
        client = self.select()
        client.wire.block()
        begin = client.ask(b"UID FETCH 1:* (BODY.PEEK[])")
        self.account.remove("INBOX", 1)
        self.deliver(message("c"))
        client.wire.unblock()
        answer = begin + client.received()
        self.assertTrue(
            answer.endswith(
                b"x)\r\n* 1 EXPUNGE\r\n* 2 EXISTS\r\n* 2 RECENT\r\nx OK UID FETCH completed\r\n"
            )
        )
        self.assertEqual(answer.count(b" FETCH (UID"), 2)
        self.assertIn(b"\r\n* 2 FETCH (UID 2 ", answer)


class CostTests(FetchTests):
    """What is asked of the mailbox, and how often."""

    def test_facts_are_asked_in_slices(self) -> None:
        self.deliver(*[message("a")] * (2 * FACTS_MAX + 1))
        client = self.select()
        mailbox = client.session.the_mailbox.mailbox
        had = mailbox.facts
        asked: list[int] = []

        async def facts(uids: Sequence[int]) -> object:
            asked.append(len(uids))
            return await had(uids)

        self.patch(mailbox, "facts", facts)
        answer = client.ask(b"FETCH 1:* (ENVELOPE BODY BODYSTRUCTURE BODY.PEEK[HEADER] UID)")
        self.assertEqual(answer.count(b" FETCH ("), 2 * FACTS_MAX + 1)
        self.assertEqual(asked, [FACTS_MAX, FACTS_MAX, 1])
        asked.clear()
        client.ask(b"FETCH 1:* (UID FLAGS RFC822.SIZE INTERNALDATE EMAILID BODY.PEEK[] BINARY[])")
        self.assertEqual(asked, [])

    def test_seen_is_stored_once_for_all(self) -> None:
        self.deliver(*[message("a")] * (FACTS_MAX + 5))
        client = self.select()
        client.ask(b"UID STORE 3 +FLAGS.SILENT \\Seen")
        mailbox = client.session.the_mailbox.mailbox
        had = mailbox.mark_seen
        stored: list[NumberSet] = []

        async def mark_seen(uids: NumberSet) -> Stored:
            stored.append(uids)
            return await had(uids)

        self.patch(mailbox, "mark_seen", mark_seen)
        answer = client.ask(b"UID FETCH 1:* (BODY[TEXT]<0.1>)")
        self.assertEqual(stored, [NumberSet.from_ranges([(1, 2), (4, FACTS_MAX + 5)])])
        self.assertEqual(answer.count(b"FLAGS (\\Recent \\Seen) UID "), FACTS_MAX + 4)
        self.assertIn(b"* 3 FETCH (UID 3 BODY", answer)
        client.ask(b"UID FETCH 1:* (BODY[TEXT]<0.1>)")
        self.assertEqual(len(stored), 1)

    def test_others_run_in_between(self) -> None:
        self.deliver(*[message("a")] * 300)
        client = self.select()
        self.patch(self.world.service.waiting, "seconds", iter(range(10**6)).__next__)
        client.send(b"x UID FETCH 1:* (FLAGS)\r\n")
        self.assertLess(len(b"".join(client.wire.written)), 10_000)
        self.assertEqual(client.received().count(b" FETCH ("), 300)


class ChangedTests(FetchTests):
    """CHANGEDSINCE and VANISHED beyond the transcripts."""

    def test_only_changed_messages_are_told(self) -> None:
        self.deliver(*[message("a")] * 9)
        client = self.select()
        client.ask(b"FETCH 1 MODSEQ")
        before = client.session.the_mailbox.highest_modseq
        for uid in (2, 3, 7):
            self.account.raise_modseq("INBOX", uid)
        answer = client.ask(b"FETCH 1:6,8:9 (UID) (CHANGEDSINCE %d)" % before)
        told = [line for line in answer.split(b"\r\n") if b"FETCH (MODSEQ" in line]
        self.assertEqual([line.split()[1] for line in told], [b"2", b"3"])

    def test_from_another_replica_more_may_be_told(self) -> None:
        """The mailbox gives at least what changed; its own mod-sequences say nothing of others."""
        self.deliver(*[message("a")] * 3)
        self.account.foreign = True
        answer = self.select().ask(b"FETCH 1:* UID (CHANGEDSINCE 1000)")
        self.assertEqual(answer.count(b"FETCH (MODSEQ"), 3)

    def test_vanished_sets_are_told_in_lines_that_clients_can_hold(self) -> None:
        self.deliver(*[message("a")] * 6000)
        self.account.remove("INBOX", *range(2, 6000, 2))
        client = self.world.logged_in()
        client.ask(b"ENABLE QRESYNC")
        client.ask(b"SELECT INBOX")
        answer = client.ask(b"UID FETCH 1:* (UID) (CHANGEDSINCE 1 VANISHED)")
        lines = answer.split(b"\r\n")
        vanished = [line for line in lines if line.startswith(b"* VANISHED (EARLIER) ")]
        self.assertGreater(len(vanished), 1)
        self.assertEqual(lines[: len(vanished)], vanished, "before all FETCH responses")
        self.assertLess(max(map(len, vanished)), SET_OCTETS_MAX + 100)
        told = NumberSet.parse(b",".join(line.split()[-1] for line in vanished))
        self.assertEqual(told, NumberSet.of(range(2, 6000, 2)))

    def test_the_saved_result_is_what_vanished_is_asked_of(self) -> None:
        self.deliver(*[message("a")] * 4)
        client = self.world.logged_in()
        client.ask(b"ENABLE QRESYNC")
        client.ask(b"SELECT INBOX")
        client.session.the_mailbox.saved = NumberSet.of([2, 3])
        self.account.remove("INBOX", 1, 2)
        client.ask(b"NOOP")
        self.assertEqual(
            client.ask(b"UID FETCH $ (UID) (CHANGEDSINCE 1 VANISHED)").split(b"\r\n")[0],
            b"* VANISHED (EARLIER) 2",
        )


class KeywordTests(FetchTests):
    def test_a_keyword_that_comes_in_between_is_announced_first(self) -> None:
        """RFC 9051 §7.3.5: FLAGS "identifies the flags ... that are applicable"."""
        self.deliver(*[message("a", 4 * CHUNK)] * 2)
        client, other = self.select(), self.select()
        self.patch(fetch, "FACTS_MAX", 1)
        client.wire.block()
        begin = client.ask(b"FETCH 1:2 (FLAGS BODY.PEEK[])")
        other.ask(b"STORE 2 +FLAGS.SILENT (Harbour)")
        client.wire.unblock()
        answer = begin + client.received()
        announced, used = answer.index(b"* FLAGS ("), answer.index(b"* 2 FETCH (FLAGS (")
        self.assertLess(announced, used)
        self.assertIn(b"Harbour", answer[announced:used])
        self.assertIn(b"Harbour", answer[used:])
