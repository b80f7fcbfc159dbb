# SPDX-License-Identifier: GPL-3.0-or-later
"""What `docs/bad-input.md` says of malformed and hostile input, on a whole session."""

import tracemalloc

from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.imap.commands.append import MESSAGES_MAX
from pluto_tw.imap.commands.authenticate import ROUNDS_MAX
from pluto_tw.imap.commands.enable import NAMES_MAX
from pluto_tw.imap.commands.id import FIELD_OCTETS_MAX, PAIRS_MAX, VALUE_OCTETS_MAX
from pluto_tw.imap.commands.list import PATTERNS_MAX
from pluto_tw.imap.cursor import DEPTH_MAX, LIST_ITEMS_MAX
from pluto_tw.imap.framing import AFTER_LOGIN, BEFORE_LOGIN, LITERAL_OCTETS_MAX
from pluto_tw.imap.ports import Challenge
from pluto_tw.imap.reader import (
    COMMAND_LITERAL_OCTETS_MAX,
    COMMAND_LITERALS_MAX,
    PRELOGIN_LITERAL_OCTETS_MAX,
)
from pluto_tw.imap.search_keys import SEARCH_KEYS_MAX
from pluto_tw.imap.session import BAD_DELAY_SECONDS, BADS_FREE, BADS_MAX
from pluto_tw.mail import names
from pluto_tw.mail.flags import KEYWORD_OCTETS_MAX
from pluto_tw.mail.patterns import PATTERN_OCTETS_MAX
from pluto_tw.mail.sets import SET_RANGES_MAX
from tests.support.connection import Client, World

#: The most that one connection may make us hold before login beyond what it is held in: a line and
#: literals, and one feed, twice while they are copied.
PRELOGIN_HELD_OCTETS_MAX = 3 * (BEFORE_LOGIN.line_octets_max + PRELOGIN_LITERAL_OCTETS_MAX)


class BadInputTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.world = World()
        self.client = self.world.logged_in()

    def tearDown(self) -> None:
        self.assertEqual(self.world.observer.faults, [])

    def before_login(self) -> Client:
        client = self.world.connect()
        client.received()
        return client

    def answer(self, octets: bytes, client: Client | None = None) -> bytes:
        """What comes when *octets* are sent."""
        client = client or self.client
        client.send(octets)
        return client.received()

    def assert_answered(self, octets: bytes, answer: bytes, client: Client | None = None) -> None:
        """*octets* are answered so, in one line, and a NOOP behind them with OK."""
        self.assertEqual(
            self.answer(octets + b"\r\nb NOOP\r\n", client),
            answer + b"\r\nb OK NOOP completed\r\n",
        )

    def assert_ended(self, octets: bytes, bye: bytes, client: Client | None = None) -> None:
        """*octets* are answered so last, and the connection is closed."""
        client = client or self.client
        self.assertTrue(self.answer(octets, client).endswith(bye + b"\r\n"))
        self.assertTrue(client.wire.closed)


class LineTests(BadInputTestCase):
    def test_too_long_before_login(self) -> None:
        line = b"a NOOP " + b"x" * BEFORE_LOGIN.line_octets_max
        self.assert_answered(line, b"a BAD the command is too long", self.before_login())

    def test_too_long_after_login(self) -> None:
        line = b"a NOOP " + b"x" * AFTER_LOGIN.line_octets_max
        self.assert_answered(line, b"a BAD the command is too long")

    def test_without_end(self) -> None:
        for client, limits in (
            (self.before_login(), BEFORE_LOGIN),
            (self.client, AFTER_LOGIN),
        ):
            octets = limits.line_octets_max + limits.drain_octets_max + 2
            piece = b"x" * 2**16
            for _ in range(octets // len(piece) + 1):
                client.send(piece)
                self.assertLessEqual(client.session._reader._framer.buffered, 2 * len(piece))
            self.assertTrue(client.received().endswith(b"* BYE [CLIENTBUG] line too long\r\n"))
            self.assertTrue(client.wire.closed)

    def test_memory_before_login(self) -> None:
        """Whatever comes, and however it is cut."""
        hostile = (
            b"x" * 60_000,
            b"a LOGIN {4096+}\r\n" + b"x" * 60_000,
            b"a" + b" {0+}\r\n" * 7_000,
            b"a LOGIN " + b"(" * 60_000,
            b"a ID (" + b"x " * 8_000 + b")\r\n",
            b'a LOGIN "' + b"\\\\" * 30_000,
            b"\r\n" * 30_000,
        )
        for octets in hostile:
            client = self.before_login()
            tracemalloc.start()
            for place in range(0, len(octets), 1000):
                client.send(octets[place : place + 1000])
            held = tracemalloc.get_traced_memory()[0]
            tracemalloc.stop()
            self.assertLess(held, PRELOGIN_HELD_OCTETS_MAX + len(octets), octets[:20])
            client.vanish()

    def test_empty(self) -> None:
        self.assert_answered(b"", b"* BAD expected a tag where the command ends")

    def test_bare_line_feed(self) -> None:
        self.assertEqual(self.answer(b"a NOOP\n"), b"a OK NOOP completed\r\n")

    def test_nul(self) -> None:
        self.assert_answered(b"a NO\0OP", b"a BAD unknown command")
        self.assert_answered(
            b'a STATUS "a\0" (SIZE)', b"a BAD expected a quoted string at octet 10"
        )

    def test_octets_above_127(self) -> None:
        self.assert_answered(b"a NO\xffOP", b"a BAD unknown command")
        self.assert_answered(
            b"a STATUS \xff (SIZE)", b"a BAD expected an atom or a string at octet 10"
        )
        self.assert_answered(
            b'a STATUS "\xc3\xa4" (SIZE)', b"a BAD expected ASCII in a quoted string at octet 10"
        )
        self.client.ask(b"ENABLE IMAP4rev2")
        self.assert_answered(b'a STATUS "\xff" (SIZE)', b"a BAD octets above 127 must be UTF-8")
        self.assert_answered(b'a STATUS "\xc3\xa4" (SIZE)', b"a NO [NONEXISTENT] no such mailbox")


class LiteralTests(BadInputTestCase):
    def test_too_large_for_one_that_waits(self) -> None:
        self.assert_answered(
            b"a LOGIN {%d}" % (PRELOGIN_LITERAL_OCTETS_MAX + 1),
            b"a BAD [TOOBIG] literals of one command hold at most 4096 octets",
            self.before_login(),
        )
        self.assert_answered(
            b"a STATUS {%d}" % (COMMAND_LITERAL_OCTETS_MAX + 1),
            b"a BAD [TOOBIG] literals of one command hold at most 65536 octets",
        )

    def test_too_large_and_on_its_way(self) -> None:
        size = PRELOGIN_LITERAL_OCTETS_MAX + 1
        self.assert_answered(
            b"a LOGIN {%d+}\r\n" % size + b"x" * size + b" x",
            b"a BAD [TOOBIG] literals of one command hold at most 4096 octets",
            self.before_login(),
        )

    def test_larger_than_we_drop(self) -> None:
        self.assert_ended(
            b"a LOGIN {%d+}\r\n" % (BEFORE_LOGIN.drain_octets_max + 1),
            b"* BYE [CLIENTBUG] literal too large",
            self.before_login(),
        )
        self.assert_ended(
            b"a STATUS {%d+}\r\n" % (AFTER_LOGIN.drain_octets_max + 1),
            b"* BYE [CLIENTBUG] literal too large",
        )

    def test_beyond_all_numbers(self) -> None:
        """One that waits is an ordinary line, and no line ends so."""
        self.assert_answered(
            b"a STATUS {%d}" % (LITERAL_OCTETS_MAX + 1),
            b"a BAD expected an atom or a string at octet 10",
        )
        self.assert_ended(
            b"a STATUS {%d+}\r\n" % (LITERAL_OCTETS_MAX + 1),
            b"* BYE [CLIENTBUG] literal too large",
        )

    def test_too_many(self) -> None:
        self.client.ask(b"SELECT INBOX")
        self.assert_answered(
            b"a SEARCH TEXT" + b" {0+}\r\n" * (COMMAND_LITERALS_MAX + 1),
            b"a BAD [LIMIT] a command has at most 1000 literals",
        )

    def test_nul(self) -> None:
        self.assert_answered(
            b"a STATUS {1+}\r\n\0 (SIZE)", b"a BAD expected a literal without NUL at octet 10"
        )
        self.assert_answered(b"a STATUS ~{1+}\r\nx (SIZE)", b"a BAD expected a literal at octet 10")

    def test_messages_in_one_append(self) -> None:
        self.assert_answered(
            b"a APPEND INBOX" + b" {1+}\r\nx" * (MESSAGES_MAX + 1),
            b"a NO [LIMIT] at most 100 messages in one APPEND",
        )

    def test_cut_off(self) -> None:
        """Nothing of it stays."""
        self.client.send(b"a APPEND INBOX {1000}\r\nSubject: x\r\n")
        self.client.vanish()
        other = self.world.logged_in()
        self.assertIn(b"MESSAGES 0", other.ask(b"STATUS INBOX (MESSAGES)"))


class CommandTests(BadInputTestCase):
    def test_unknown(self) -> None:
        self.assert_answered(b"a FROBNICATE x", b"a BAD unknown command")
        self.assert_answered(b"a UID NOOP", b"a BAD unknown command")

    def test_another_protocol(self) -> None:
        """A browser, and a client that expects TLS here."""
        self.assert_answered(b"GET / HTTP/1.1", b"GET BAD unknown command")
        hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"
        self.assertEqual(self.answer(hello), b"")
        self.assertEqual(self.answer(b"\r\n"), b"* BAD expected a tag at octet 1\r\n")

    def test_wrong_state(self) -> None:
        self.assert_answered(
            b"a SELECT INBOX",
            b"a BAD SELECT is not possible when not authenticated",
            self.before_login(),
        )
        self.assert_answered(b"a FETCH 1 ALL", b"a BAD FETCH is not possible when authenticated")
        self.assert_answered(
            b"a LOGIN user secret", b"a BAD LOGIN is not possible when authenticated"
        )

    def test_idle_without_done(self) -> None:
        self.assertEqual(
            self.answer(b"a IDLE\r\nb NOOP\r\nc NOOP\r\n"),
            b"+ idling\r\na BAD expected DONE\r\nc OK NOOP completed\r\n",
        )

    def test_text_of_the_client_is_never_repeated(self) -> None:
        """It may be a password; all of ours is printable ASCII."""
        for octets in (b"a LOGIN hunter2", b"a hunter2", b'a LOGIN "hunter2', b"a LOGIN hunter2{"):
            self.assertNotIn(b"hunter2", self.answer(octets + b"\r\n", self.before_login()))


class AuthenticationTests(BadInputTestCase):
    def test_no_base64(self) -> None:
        client = self.before_login()
        self.assertEqual(
            self.answer(b"a AUTHENTICATE PLAIN\r\n!!\r\n", client),
            b"+ \r\na BAD the response is not base64\r\n",
        )
        self.assert_answered(
            b"a AUTHENTICATE PLAIN !!", b"a BAD expected the end of the command at octet 22", client
        )

    def test_no_message_of_the_mechanism(self) -> None:
        self.assert_answered(
            b"a AUTHENTICATE PLAIN AAAA",
            b"a NO [AUTHENTICATIONFAILED] not a message of PLAIN",
            self.before_login(),
        )

    def test_an_exchange_without_end(self) -> None:
        client = self.before_login()
        client.send(b"a AUTHENTICATE X-ASK\r\n")

        async def respond(response: bytes | None) -> Challenge:
            return Challenge(b"")

        [exchange] = self.world.realm.exchanges
        self.patch(exchange, "respond", respond)
        answer = self.answer(b"\r\n" * ROUNDS_MAX, client)
        self.assertTrue(answer.endswith(b"a BAD the exchange does not end\r\n"))
        self.assertTrue(exchange.cancelled)

    def test_cleartext_behind_starttls(self) -> None:
        """CVE-2011-0411: it is not taken as sent inside TLS."""
        client = self.world.connect(secure=False, tls_available=True)
        client.received()
        answer = self.answer(b"a STARTTLS\r\nb LOGIN user secret\r\nc LOGIN {6+}\r\nus", client)
        self.assertEqual(answer, b"a OK Begin TLS negotiation now\r\n")
        client.secure()
        self.assert_answered(b"d NOOP", b"d OK NOOP completed", client)
        self.assertEqual(self.world.observer.users, ["user"])


class ArgumentTests(BadInputTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.world.account.deliver(b"A: b\r\n\r\n")
        self.client.ask(b"SELECT INBOX")

    def test_nesting(self) -> None:
        for deep in (b"(" * 5_000, b"NOT " * 5_000, b"OR ALL " * 5_000):
            self.assert_answered(b"a SEARCH " + deep, b"a BAD nested deeper than %d" % DEPTH_MAX)

    def test_search_keys(self) -> None:
        self.assert_answered(
            b"a SEARCH" + b" ALL" * (SEARCH_KEYS_MAX + 1),
            b"a BAD a search has at most %d keys" % SEARCH_KEYS_MAX,
        )

    def test_items_of_a_list(self) -> None:
        fields = b" ".join([b"X"] * (LIST_ITEMS_MAX + 1))
        self.assert_answered(
            b"a FETCH 1 BODY.PEEK[HEADER.FIELDS (" + fields + b")]",
            b"a BAD more than %d items in a list" % LIST_ITEMS_MAX,
        )

    def test_elements_of_a_set(self) -> None:
        self.assert_answered(
            b"a UID FETCH 1" + b",1" * SET_RANGES_MAX + b" FLAGS",
            b"a BAD a set has at most %d elements" % SET_RANGES_MAX,
        )

    def test_a_set_of_everything(self) -> None:
        """Costs what there is, not what is named."""
        answer = self.answer(b"a UID FETCH 1:4294967295,1:* UID\r\n")
        self.assertEqual(answer, b"* 1 FETCH (UID 1)\r\na OK UID FETCH completed\r\n")

    def test_message_numbers(self) -> None:
        self.assert_answered(b"a FETCH 2 UID", b"a BAD the mailbox has 1 messages")
        self.assert_answered(b"a UID FETCH 2 UID", b"a OK UID FETCH completed")
        self.assertIn(b"* SEARCH\r\na OK", self.answer(b"a SEARCH 2\r\n"))

    def test_numbers(self) -> None:
        for number in (b"0", b"4294967296", b"9" * 5_000, b"-1", b"1x"):
            self.assertIn(b"a BAD ", self.answer(b"a FETCH " + number + b" UID\r\n"))

    def test_offsets(self) -> None:
        """Of the largest number; nothing is left there."""
        self.assertEqual(
            self.answer(b"a FETCH 1 BODY.PEEK[]<9223372036854775807.9223372036854775807>\r\n"),
            b'* 1 FETCH (BODY[]<9223372036854775807> "")\r\na OK FETCH completed\r\n',
        )

    def test_dates(self) -> None:
        for date in (b"31-Feb-2024", b"1-Foo-2024", b"1-Jan-99999"):
            self.assertIn(b"a BAD ", self.answer(b"a SEARCH ON " + date + b"\r\n"))
        for date in (b"31-Feb-2024 00:00:00 +0000", b"01-Jan-2024 24:00:00 +0000"):
            self.assertIn(b"a BAD ", self.answer(b'a APPEND INBOX "' + date + b'" {1}\r\n'))

    def test_charset(self) -> None:
        answer = self.answer(b"a SEARCH CHARSET X-NONE TEXT x\r\n")
        self.assertTrue(answer.startswith(b"a NO [BADCHARSET"), answer)

    def test_names_to_enable(self) -> None:
        answer = self.answer(b"a ENABLE" + b" x" * (NAMES_MAX + 1) + b"\r\n")
        self.assertTrue(answer.startswith(b"a BAD expected fewer names "), answer)

    def test_identification(self) -> None:
        pair = b'"%b" "%b"'
        for pairs in (
            [pair % (b"x", b"x")] * (PAIRS_MAX + 1),
            [pair % (b"x" * (FIELD_OCTETS_MAX + 1), b"x")],
            [pair % (b"x", b"x" * (VALUE_OCTETS_MAX + 1))],
        ):
            self.assertIn(b"a BAD ", self.answer(b"a ID (" + b" ".join(pairs) + b")\r\n"))


class NameTests(BadInputTestCase):
    def test_no_modified_utf7(self) -> None:
        for name in (b"R&D", b"&AOQ", b"&AGE-", b"&2AA-", b"{2+}\r\na\x1b"):
            self.assert_answered(
                b"a CREATE " + name, b"a BAD a mailbox name must be in modified UTF-7"
            )

    def test_impossible(self) -> None:
        for name in (
            b'""',
            b"a..b",
            b".a",
            b"#news",
            b'"a*b"',
            b".".join([b"d"] * (names.DEPTH_MAX + 1)),
            b"n" * (names.NAME_OCTETS_MAX + 1),
        ):
            self.assertIn(b"a NO [CANNOT] ", self.answer(b"a CREATE " + name + b"\r\n"), name)

    def test_patterns(self) -> None:
        """A pattern of nothing but wildcards is matched in the time of any other."""
        pattern = b"*%" * (PATTERN_OCTETS_MAX // 2)
        self.assertIn(b"a OK ", self.answer(b'a LIST "" ' + pattern + b"x\r\n"))
        patterns = b" ".join([b"x"] * (PATTERNS_MAX + 1))
        answer = self.answer(b'a LIST "" (' + patterns + b")\r\n")
        self.assertTrue(answer.startswith(b"a NO [LIMIT] "), answer)

    def test_keywords(self) -> None:
        self.world.account.limits.keywords_max = 1
        self.world.account.deliver(b"A: b\r\n\r\n")
        self.client.ask(b"SELECT INBOX")
        long = b"x" * (KEYWORD_OCTETS_MAX + 1)
        for flags in (long, b"k1 k2"):
            answer = self.answer(b"a STORE 1 +FLAGS (" + flags + b")\r\n")
            self.assertTrue(answer.startswith(b"a NO [LIMIT] "), answer)
        answer = self.answer(b"a STORE 1 +FLAGS (\\Recent)\r\n")
        self.assertTrue(answer.startswith(b"a BAD "), answer)


class FloodTests(BadInputTestCase):
    def test_malformed_commands(self) -> None:
        self.client.send(b"x\r\n" * (BADS_MAX + 2))
        self.assertEqual(self.client.received().count(b"x BAD"), BADS_FREE)
        for _ in range(BADS_MAX - BADS_FREE):
            self.world.clock.advance(BAD_DELAY_SECONDS)
        answer = self.client.received()
        self.assertEqual(answer.count(b"x BAD"), BADS_MAX - BADS_FREE)
        self.assertTrue(
            answer.endswith(b"* BYE [CLIENTBUG] too many malformed commands\r\n"), answer
        )

    def test_commands_of_a_client_that_does_not_read(self) -> None:
        """It is not read on before it has taken the answer."""
        self.world.account.deliver(b"A: b\r\n\r\n" + b"x" * 1_000_000)
        self.client.ask(b"SELECT INBOX")
        self.client.wire.block()
        answer = self.answer(b"a FETCH 1 BODY.PEEK[]\r\n" * 1_000)
        self.assertLess(len(answer), 2 * 64 * 1024)
        self.assertGreater(self.client.wire.waiting, 20_000)
        self.client.vanish()
