# SPDX-License-Identifier: GPL-3.0-or-later
"""Lines, literals and the way back into step after each error."""

from random import Random

from hypothesis import example, given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.imap.framing import (
    AFTER_LOGIN,
    BEFORE_LOGIN,
    LINE_START_OCTETS,
    LITERAL_OCTETS_MAX,
    NEED_DATA,
    Event,
    Framer,
    FramingLimits,
    Hopeless,
    Line,
    LineTooLong,
    LiteralAnnounced,
    LiteralChunk,
)
from tests.fuzz.framing import (
    LIMITS,
    check_input,
    drive,
    expected_events,
    random_stream,
    small_only,
)

#: Inputs of the fuzz script that each run of the tests repeats.
FUZZ_INPUTS = 2000


def events_of(stream: bytes, limits: FramingLimits = LIMITS, accept: bool = True) -> list[Event]:
    return drive(Framer(limits), [stream], lambda announced: accept)


class LineTests(SynchronousTestCase):
    def test_crlf_ends_a_line(self) -> None:
        """RFC 9051 §2.2: "All interactions are in the form of lines, that is, ending with CRLF"."""
        self.assertEqual(events_of(b"a NOOP\r\nb NOOP\r\n"), [Line(b"a NOOP"), Line(b"b NOOP")])

    def test_bare_lf_ends_a_line(self) -> None:
        self.assertEqual(events_of(b"a NOOP\nb NOOP\r\n"), [Line(b"a NOOP"), Line(b"b NOOP")])

    def test_cr_alone_does_not_end_a_line(self) -> None:
        self.assertEqual(events_of(b"a\rb\r\r\n"), [Line(b"a\rb\r")])

    def test_nul_is_passed_on(self) -> None:
        self.assertEqual(events_of(b"a \0\r\n"), [Line(b"a \0")])

    def test_empty_line_is_a_line(self) -> None:
        self.assertEqual(events_of(b"\r\n\n"), [Line(b""), Line(b"")])

    def test_part_of_a_line_needs_data(self) -> None:
        framer = Framer()
        framer.feed(b"a NOOP\r")
        self.assertIs(framer.next_event(), NEED_DATA)
        self.assertEqual(framer.buffered, 7)
        framer.feed(b"\n")
        self.assertEqual(framer.next_event(), Line(b"a NOOP"))
        self.assertEqual(framer.buffered, 0)

    def test_pipelined_commands_wait_until_asked_for(self) -> None:
        """RFC 9051 §5.5: the client "MAY send another command without waiting"."""
        framer = Framer()
        framer.feed(b"a NOOP\r\nb NOOP\r\n")
        self.assertEqual(framer.next_event(), Line(b"a NOOP"))
        self.assertEqual(framer.buffered, 8)

    def test_each_octet_is_searched_once(self) -> None:
        """A client that sends single octets costs us no more than in proportion to them."""

        class CountingBuffer(bytearray):
            searched = 0

            def find(self, sub: object, start: object = 0, end: object = None) -> int:
                assert isinstance(sub, bytes)
                assert isinstance(start, int)
                self.searched += len(self) - start
                return super().find(sub, start)

        for stream in (b"x" * 150 + b"\r\n", b"x" * 400 + b"\r\n"):
            framer = Framer(FramingLimits(line_octets_max=200, drain_octets_max=500))
            framer._buffer = buffer = CountingBuffer()
            drive(framer, [bytes([octet]) for octet in stream], lambda announced: True)
            self.assertLessEqual(buffer.searched, 2 * len(stream))


class LiteralTests(SynchronousTestCase):
    def test_synchronising_literal(self) -> None:
        self.assertEqual(
            events_of(b"a LOGIN {5}\r\nalice {6}\r\nsecret\r\nb NOOP\r\n"),
            [
                LiteralAnnounced(b"a LOGIN ", 5, synchronising=True, binary=False),
                LiteralChunk(b"alice", 0),
                LiteralAnnounced(b" ", 6, synchronising=True, binary=False),
                LiteralChunk(b"secret", 0),
                Line(b""),
                Line(b"b NOOP"),
            ],
        )

    def test_non_synchronising_literal(self) -> None:
        """RFC 7888 §3, the example."""
        self.assertEqual(
            events_of(b"A001 LOGIN {11+}\r\nFRED FOOBAR {7+}\r\nfat man\r\n"),
            [
                LiteralAnnounced(b"A001 LOGIN ", 11, synchronising=False, binary=False),
                LiteralChunk(b"FRED FOOBAR", 0),
                LiteralAnnounced(b" ", 7, synchronising=False, binary=False),
                LiteralChunk(b"fat man", 0),
                Line(b""),
            ],
        )

    def test_literal8(self) -> None:
        """RFC 4466 §3: literal8 = "~{" number ["+"] "}" CRLF *OCTET."""
        self.assertEqual(
            events_of(b"a APPEND x ~{2}\r\n\0\n ~{1+}\r\n\r\n")[:3],
            [
                LiteralAnnounced(b"a APPEND x ", 2, synchronising=True, binary=True),
                LiteralChunk(b"\0\n", 0),
                LiteralAnnounced(b" ", 1, synchronising=False, binary=True),
            ],
        )

    def test_octets_come_as_they_arrive(self) -> None:
        framer = Framer()
        framer.feed(b"a APPEND x {5}\r\n")
        framer.next_event()
        framer.accept()
        self.assertIs(framer.next_event(), NEED_DATA)
        framer.feed(b"ab")
        self.assertEqual(framer.next_event(), LiteralChunk(b"ab", 3))
        self.assertIs(framer.next_event(), NEED_DATA)
        framer.feed(b"cde\r\n")
        self.assertEqual(framer.next_event(), LiteralChunk(b"cde", 0))
        self.assertEqual(framer.next_event(), Line(b""))

    def test_empty_literal_is_one_empty_chunk(self) -> None:
        framer = Framer()
        framer.feed(b"a APPEND x {0}\r\n")
        framer.next_event()
        framer.accept()
        self.assertEqual(framer.next_event(), LiteralChunk(b"", 0))

    def test_only_the_very_end_of_a_line_announces(self) -> None:
        for line in (
            *(b'a "{5}"', b"a {5} ", b"a {5+} b", b"a {}", b"a {+}", b"a 5}", b"a {5-}", b"a {-5}"),
            *(b"a {5++}", b"a {5}}", b"a {{5}x}", b"a { 5}", b"a {0x5}", b"{5"),
        ):
            self.assertEqual(events_of(line + b"\r\n"), [Line(line)])

    def test_announcement_counts_whatever_stands_before_it(self) -> None:
        """RFC 7888 §3: "MUST check the end of every received line"."""
        for before in (b"", b'a "unfinished ', b"a foo", b"a {5", b"{"):
            self.assertEqual(
                events_of(before + b"{1}\r\n"), [LiteralAnnounced(before, 1, True, False)]
            )

    def test_leading_zeros_are_digits(self) -> None:
        """RFC 9051 §9: number64 = 1*DIGIT."""
        self.assertEqual(events_of(b"{007}\r\n"), [LiteralAnnounced(b"", 7, True, False)])

    def test_largest_size(self) -> None:
        self.assertEqual(
            events_of(b"{9223372036854775807}\r\n"),
            [LiteralAnnounced(b"", LITERAL_OCTETS_MAX, True, False)],
        )

    def test_impossible_size_of_a_waiting_client_is_a_plain_line(self) -> None:
        """The grammar answers BAD, the client sends no literal: both are in step."""
        for digits in (b"9223372036854775808", b"9" * 20, b"9" * 100, b"0" * 30 + b"5"):
            line = b"a APPEND x {" + digits + b"}"
            self.assertEqual(events_of(line + b"\r\nb NOOP\r\n"), [Line(line), Line(b"b NOOP")])

    def test_impossible_size_on_its_way_is_hopeless(self) -> None:
        for digits in (b"9223372036854775808", b"9" * 20, b"9" * 100, b"0" * 30 + b"5"):
            events = events_of(b"a APPEND x {" + digits + b"+}\r\nb NOOP\r\n")
            self.assertEqual(events, [Hopeless("literal too large")])

    def test_answering_what_was_not_asked_is_an_error(self) -> None:
        framer = Framer()
        self.assertRaises(RuntimeError, framer.accept)
        self.assertRaises(RuntimeError, framer.refuse)
        framer.feed(b"{1}\r\n")
        framer.next_event()
        self.assertRaises(RuntimeError, framer.next_event)
        self.assertRaises(RuntimeError, framer.next_line)
        framer.accept()
        self.assertRaises(RuntimeError, framer.accept)
        self.assertRaises(RuntimeError, framer.next_line)


class RefuseTests(SynchronousTestCase):
    def test_waiting_client_sends_its_next_command(self) -> None:
        self.assertEqual(
            events_of(b"a APPEND x {999}\r\nb NOOP\r\n", accept=False)[1:], [Line(b"b NOOP")]
        )

    def test_octets_on_their_way_are_dropped_with_the_rest_of_the_command(self) -> None:
        self.assertEqual(
            events_of(b"a APPEND x {8+}\r\n\r\nb NOOP more\r\nc NOOP\r\n", accept=False)[1:],
            [Line(b"c NOOP")],
        )

    def test_further_literals_of_that_command_are_dropped(self) -> None:
        stream = b"a LOGIN {3+}\r\nx\r\n {4+}\r\ny\r\nz\r\nb NOOP\r\n"
        self.assertEqual(events_of(stream, accept=False)[1:], [Line(b"b NOOP")])

    def test_a_synchronising_literal_ends_that_command(self) -> None:
        """The client has got its tagged answer and will not send those octets."""
        stream = b"a LOGIN {3+}\r\nx\r\n {4}\r\nb NOOP\r\n"
        self.assertEqual(events_of(stream, accept=False)[1:], [Line(b"b NOOP")])

    def test_nothing_is_said_while_octets_are_dropped(self) -> None:
        framer = Framer(LIMITS)
        framer.feed(b"a APPEND x {100+}\r\n" + b"x" * 40)
        framer.next_event()
        framer.refuse()
        self.assertIs(framer.next_event(), NEED_DATA)
        self.assertEqual(framer.buffered, 0)
        framer.feed(b"x" * 60 + b" y")
        self.assertIs(framer.next_event(), NEED_DATA)
        framer.feed(b"\r\nb NOOP\r\n")
        self.assertEqual(framer.next_event(), Line(b"b NOOP"))

    def test_more_than_we_drain_is_hopeless(self) -> None:
        limits = FramingLimits(line_octets_max=160, drain_octets_max=100)
        fits = b"a APPEND x {98+}\r\n" + b"x" * 98 + b"\r\nb NOOP\r\n"
        self.assertEqual(events_of(fits, limits, accept=False)[1:], [Line(b"b NOOP")])
        for stream in (
            b"a APPEND x {101+}\r\n",
            b"a APPEND x {98+}\r\n" + b"x" * 98 + b"y\r\n",
            b"a APPEND x {50+}\r\n" + b"x" * 50 + b"{50+}\r\n",
            b"a APPEND x {50+}\r\n" + b"x" * 50 + b"y" * 51,
        ):
            events = events_of(stream + b"b NOOP\r\n", limits, accept=False)
            self.assertIsInstance(events[-1], Hopeless)

    def test_hopeless_stays_so_and_holds_nothing(self) -> None:
        framer = Framer(LIMITS)
        framer.feed(b"a APPEND x {1000+}\r\nb NOOP\r\n")
        framer.next_event()
        framer.refuse()
        for _ in range(3):
            self.assertIsInstance(framer.next_event(), Hopeless)
            self.assertIsInstance(framer.next_line(), Hopeless)
            framer.feed(b"b NOOP\r\n")
            self.assertEqual(framer.buffered, 0)
        framer.drop()
        self.assertIsInstance(framer.next_event(), Hopeless)


class LineTooLongTests(SynchronousTestCase):
    def test_rfc_2683_length_fits_before_login(self) -> None:
        """RFC 2683 §3.2.1.5: "should allow for a command line of at least 8000 octets"."""
        line = b"a" * 8000
        self.assertEqual(events_of(line + b"\r\n", BEFORE_LOGIN), [Line(line)])

    def test_ten_thousand_numbers_fit_after_login(self) -> None:
        """RFC 2683 §3.2.1.5 tells of a client that enumerates the messages of a mailbox."""
        line = b"a UID FETCH " + b",".join(b"%d" % uid for uid in range(100_000, 110_000))
        self.assertEqual(events_of(line + b"\r\n", AFTER_LOGIN), [Line(line)])

    def test_limit_is_exact(self) -> None:
        for line_end in (b"\n", b"\r\n"):
            self.assertEqual(events_of(b"x" * 160 + line_end), [Line(b"x" * 160)])
            self.assertEqual(events_of(b"x" * 161 + line_end), [LineTooLong(b"x" * 128)])

    def test_said_once_and_before_the_line_ends(self) -> None:
        framer = Framer(LIMITS)
        framer.feed(b"tag " + b"x" * 160)
        event = framer.next_event()
        self.assertEqual(event, LineTooLong(b"tag " + b"x" * (LINE_START_OCTETS - 4)))
        self.assertIs(framer.next_event(), NEED_DATA)
        framer.feed(b"x" * 50 + b"\r\nb NOOP\r\n")
        self.assertEqual(framer.next_event(), Line(b"b NOOP"))

    def test_its_literal_on_its_way_is_dropped(self) -> None:
        stream = b"a " + b"x" * 160 + b"{8+}\r\nc NOOP\r\n rest\r\nb NOOP\r\n"
        self.assertEqual(events_of(stream)[1:], [Line(b"b NOOP")])

    def test_its_literal_that_waits_is_not(self) -> None:
        stream = b"a " + b"x" * 160 + b"{8}\r\nb NOOP\r\n"
        self.assertEqual(events_of(stream)[1:], [Line(b"b NOOP")])

    def test_its_impossible_literal_is_hopeless(self) -> None:
        for digits in (b"9" * 19, b"9" * 20, b"9" * 60):
            stream = b"a " + b"x" * 160 + b"{" + digits + b"+}\r\nb NOOP\r\n"
            self.assertEqual(events_of(stream)[1:], [Hopeless("literal too large")])

    def test_lines_of_one_command_count_together(self) -> None:
        """Else a command of empty literals could hold any number of segments."""
        self.assertIn(
            LineTooLong(b"{0+"), events_of(b"{0+}\r\n" * 100, FramingLimits(163 - 4 * 8, 1000))
        )
        events = events_of(b"{0+}\r\n" * 41)
        self.assertEqual(len([event for event in events if isinstance(event, LiteralChunk)]), 40)
        self.assertEqual(events[-1], LineTooLong(b""))

    def test_count_begins_again_with_each_command(self) -> None:
        for end in (b"\r\n", b"{5}\r\n"):
            stream = (b"x" * 100 + end) * 9
            self.assertNotIn(LineTooLong, map(type, events_of(stream, accept=False)))

    def test_endless_line_is_hopeless(self) -> None:
        framer = Framer(LIMITS)
        events = drive(framer, [b"x" * 50] * 20, small_only)
        self.assertEqual(events, [LineTooLong(b"x" * 128), Hopeless("line too long")])
        self.assertEqual(framer.buffered, 0)

    def test_limits_can_be_raised_at_login(self) -> None:
        framer = Framer(LIMITS)
        framer.limits = AFTER_LOGIN
        self.assertEqual(drive(framer, [b"x" * 1000 + b"\r\n"], small_only), [Line(b"x" * 1000)])

    def test_limits_leave_room_for_the_start(self) -> None:
        self.assertRaises(ValueError, FramingLimits, LINE_START_OCTETS - 1, 0)


class RawLineTests(SynchronousTestCase):
    def test_braces_have_no_meaning(self) -> None:
        """What answers a continuation request of AUTHENTICATE or IDLE is a line, no command."""
        framer = Framer()
        framer.feed(b"DONE {5+}\r\n{99999999999999999999+}\na NOOP\r\n")
        self.assertEqual(framer.next_line(), Line(b"DONE {5+}"))
        self.assertEqual(framer.next_line(), Line(b"{99999999999999999999+}"))
        self.assertEqual(framer.next_event(), Line(b"a NOOP"))
        self.assertIs(framer.next_line(), NEED_DATA)

    def test_too_long_is_skipped_without_regard_to_braces(self) -> None:
        framer = Framer(LIMITS)
        framer.feed(b"x" * 170 + b"{8+}\r\nDONE\r\n")
        self.assertEqual(framer.next_line(), LineTooLong(b"x" * 128))
        self.assertEqual(framer.next_line(), Line(b"DONE"))

    def test_waits_for_what_a_refused_command_left(self) -> None:
        framer = Framer(LIMITS)
        framer.feed(b"a APPEND x {5+}\r\n12")
        framer.next_event()
        framer.refuse()
        self.assertIs(framer.next_line(), NEED_DATA)
        framer.feed(b"345\r\nDONE\r\n")
        self.assertEqual(framer.next_line(), Line(b"DONE"))


class DropTests(SynchronousTestCase):
    def test_what_was_sent_in_the_clear_is_forgotten(self) -> None:
        """RFC 9051 §6.2.1: nothing pipelined behind STARTTLS may count as sent inside TLS."""
        for sent in (b"b LOGIN a b\r\n", b"b LOGI", b"b LOGIN {5+}\r\nab", b"x" * 200):
            framer = Framer(LIMITS)
            framer.feed(b"a STARTTLS\r\n" + sent)
            framer.next_event()
            framer.drop()
            self.assertEqual(framer.buffered, 0)
            self.assertEqual(drive(framer, [b"c NOOP\r\n"], small_only), [Line(b"c NOOP")])

    def test_open_literals_are_forgotten(self) -> None:
        framer = Framer(LIMITS)
        framer.feed(b"b LOGIN {5+}\r\nab")
        framer.next_event()
        framer.drop()
        self.assertRaises(RuntimeError, framer.accept)
        self.assertEqual(drive(framer, [b"c NOOP\r\n"], small_only), [Line(b"c NOOP")])


class ChunkingTests(SynchronousTestCase):
    @given(st.integers(0, 2**32), st.lists(st.integers(0, 600), max_size=8))
    def test_events_do_not_depend_on_the_cuts(self, seed: int, cuts: list[int]) -> None:
        stream = random_stream(Random(seed))
        places = sorted(min(cut, len(stream)) for cut in cuts)
        chunks = [
            stream[start:end]
            for start, end in zip([0, *places], [*places, len(stream)], strict=True)
        ]
        self.assertEqual(
            drive(Framer(LIMITS), chunks, small_only), drive(Framer(LIMITS), [stream], small_only)
        )

    @given(st.binary(max_size=300))
    @example(b"{5+}\n123")
    @example(b"x" * 160 + b"\r")
    @example(b"x" * 161 + b"\r")
    def test_single_octets_give_what_the_rules_say(self, stream: bytes) -> None:
        octets = [bytes([octet]) for octet in stream]
        self.assertEqual(
            drive(Framer(LIMITS), octets, small_only), expected_events(stream, LIMITS, small_only)
        )

    def test_random_streams(self) -> None:
        """`python -m tests.fuzz.framing` runs as many of these as one likes."""
        for seed in range(FUZZ_INPUTS):
            check_input(Random(seed))
