# SPDX-License-Identifier: GPL-3.0-or-later
"""How the scanner takes messages apart: offsets, chunks, broken structure, limits."""

import sys
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.mime import scanner, structure
from pluto_tw.mime.facts import Facts
from pluto_tw.mime.scanner import scan
from tests.fuzz.mime import HOSTILE, PIECES, inputs, try_one
from tests.mime.consistency import check, scan_in_chunks
from tests.mime.corpus import CRAFTED, crlf, messages


def bodies(message: bytes, facts: Facts) -> list[bytes]:
    """The bodies of the parts that have no parts."""
    return [message[slice(*part.body)] for part in facts.parts if not part.children]


def headers(message: bytes, facts: Facts) -> list[bytes]:
    return [message[slice(*part.header)] for part in facts.parts]


def kinds(facts: Facts) -> list[str]:
    return [f"{part.media_type.decode()}/{part.subtype.decode()}" for part in facts.parts]


class OffsetTests(SynchronousTestCase):
    def test_example_of_rfc_2046(self) -> None:
        """RFC 2046 §5.1.1: the line end before a boundary belongs to the boundary."""
        message = crlf(CRAFTED["RFC 2046 simple boundary"])
        facts = scan(message)
        self.assertEqual(kinds(facts), ["multipart/mixed", "text/plain", "text/plain"])
        first, second = bodies(message, facts)
        self.assertTrue(first.endswith(b"NOT end with a linebreak."))
        self.assertTrue(second.endswith(b"DOES end with a linebreak.\r\n"))
        self.assertEqual([part.lines for part in facts.parts[1:]], [1, 2])
        self.assertEqual(headers(message, facts)[1], b"\r\n")

    def test_line_feed_alone_ends_lines(self) -> None:
        message = CRAFTED["RFC 2046 simple boundary"]
        facts = scan(message)
        self.assertTrue(bodies(message, facts)[0].endswith(b"NOT end with a linebreak."))
        self.assertTrue(bodies(message, facts)[1].endswith(b"DOES end with a linebreak.\n"))

    def test_carriage_return_alone_is_data(self) -> None:
        message = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\none\r--b\r\r\n--b--"
        self.assertEqual(bodies(message, scan(message)), [b"one\r--b\r"])

    def test_epilogue_and_preamble_belong_to_the_multipart_alone(self) -> None:
        message = crlf(CRAFTED["multipart that is not closed"]) + b"--b--\r\nepilogue"
        facts = scan(message)
        self.assertEqual(bodies(message, facts), [b"one", b"two"])
        self.assertEqual(facts.parts[0].body.end, len(message))

    def test_lines_are_line_ends(self) -> None:
        self.assertEqual(scan(b"\r\na\r\nb\r\nc").parts[0].lines, 2)

    def test_embedded_message_has_its_own_header(self) -> None:
        message = crlf(CRAFTED["message in a multipart"])
        facts = scan(message)
        self.assertEqual(
            kinds(facts),
            ["multipart/mixed", "text/plain", "message/rfc822", "multipart/mixed"]
            + ["text/plain"] * 2,
        )
        embedded = facts.parts[2]
        assert embedded.envelope is not None
        self.assertEqual(embedded.envelope.subject, b"inner")
        self.assertEqual(embedded.children, (3,))
        self.assertTrue(headers(message, facts)[3].startswith(b"Subject: inner\r\n"))
        self.assertEqual(facts.parts[3].parent, 2)


class ChunkTests(SynchronousTestCase):
    def test_every_message_of_the_corpus_in_chunks(self) -> None:
        """The result is independent of chunking."""
        for name, message in messages().items():
            facts = scan(message)
            check(message, facts)
            for sizes in ([1], [7], [64, 1]):
                self.assertEqual(scan_in_chunks(message, sizes), facts, (name, sizes))

    @settings(max_examples=300, deadline=None)
    @given(
        st.lists(st.sampled_from(PIECES), max_size=20),
        st.lists(st.integers(1, 30), min_size=1, max_size=5),
    )
    def test_any_message_in_any_chunks(self, pieces: list[bytes], sizes: list[int]) -> None:
        message = b"".join(pieces)
        facts = scan(message)
        check(message, facts)
        self.assertEqual(scan_in_chunks(message, sizes), facts)

    @settings(max_examples=200, deadline=None)
    @given(st.binary(max_size=300))
    def test_any_octets(self, message: bytes) -> None:
        check(message, scan(message))

    def test_random_messages(self) -> None:
        """A few thousand of those that `tests.fuzz.mime` makes without end."""
        for number, message in zip(range(2000), inputs(99), strict=False):
            try_one(message, number % 8 == 0)


class HeaderTests(SynchronousTestCase):
    def test_line_without_colon_continues_the_field(self) -> None:
        """RFC 7103 §7.2: "append a single space and the content of line 4 to that of line 3"."""
        facts = scan(crlf(CRAFTED["line without a colon"]))
        self.assertEqual(
            facts.envelope.subject, b"This is your reminder about the football game tonight"
        )

    def test_text_without_header_is_all_body(self) -> None:
        facts = scan(b"just text\r\n\r\nand more")
        self.assertEqual((facts.parts[0].header.end, facts.parts[0].body.start), (0, 0))
        self.assertEqual(facts.preview, "just text and more")

    def test_lines_behind_an_unfinished_header_are_body(self) -> None:
        message = b"Subject: x\r\nbody begins here\r\nand goes on\r\n"
        facts = scan(message)
        self.assertEqual(facts.header, b"Subject: x\r\n")
        self.assertEqual(facts.envelope.subject, b"x")
        self.assertEqual(facts.parts[0].lines, 2)

    def test_mbox_line_is_passed_over(self) -> None:
        facts = scan(b"From jane Mon Jun 10 10:11:09 2024\nSubject: x\n\nhi")
        self.assertEqual(facts.envelope.subject, b"x")
        self.assertTrue(facts.header.startswith(b"From jane"))

    def test_boundary_ends_a_header(self) -> None:
        message = crlf(CRAFTED["parts without bodies"])
        facts = scan(message)
        self.assertEqual(headers(message, facts)[1:], [b"", b"\r\n", b"Content-Type: a/b\r\n"])
        self.assertEqual(bodies(message, facts), [b"", b"", b""])

    def test_multipart_whose_empty_line_is_missing(self) -> None:
        message = crlf(CRAFTED["multipart without an empty line"])
        facts = scan(message)
        self.assertEqual(bodies(message, facts), [b"one"])
        self.assertTrue(facts.header.endswith(b"boundary=b\r\n"))

    def test_flags_of_octets(self) -> None:
        self.assertTrue(scan(b"\r\n\0").binary)
        self.assertTrue(scan("Subject: ü".encode()).eight_bit)
        self.assertFalse(scan(b"Subject: u").eight_bit)


class MultipartTests(SynchronousTestCase):
    def test_multipart_without_boundary_has_one_plain_part(self) -> None:
        """RFC 9051 §9, body-type-mpart: at least one body."""
        for name in ("multipart without a boundary", "multipart whose boundary is missing"):
            message = crlf(CRAFTED[name])
            facts = scan(message)
            self.assertEqual(kinds(facts), ["multipart/mixed", "text/plain"])
            self.assertEqual(facts.parts[1].body, facts.parts[0].body)

    def test_outer_boundary_ends_inner_parts(self) -> None:
        """RFC 2046 §5.1.2: "to recognize outer level boundary markers at ANY level of nesting"."""
        message = crlf(CRAFTED["outer boundary ends the inner multipart"])
        facts = scan(message)
        self.assertEqual(bodies(message, facts), [b"one", b"two"])
        self.assertEqual([part.parent for part in facts.parts], [-1, 0, 1, 0])

    def test_same_boundary_twice_is_the_innermost(self) -> None:
        message = crlf(CRAFTED["same boundary twice"])
        facts = scan(message)
        self.assertEqual([part.parent for part in facts.parts], [-1, 0, 1, 0])
        self.assertEqual(bodies(message, facts), [b"one", b"two"])

    def test_boundary_line_is_exact_but_for_white_space(self) -> None:
        """RFC 2046 §5.1.1: transport-padding, nothing else, may follow."""
        message = crlf(CRAFTED["boundary with text behind"])
        self.assertEqual(bodies(message, scan(message)), [b"one\r\n--bc\r\n--b c\r\n--b--x"])
        message = crlf(CRAFTED["boundary with white space"])
        self.assertEqual(bodies(message, scan(message)), [b"one", b"two"])

    def test_what_follows_the_closing_boundary_is_no_part(self) -> None:
        message = crlf(CRAFTED["parts after the closing boundary"])
        self.assertEqual(bodies(message, scan(message)), [b"one"])

    def test_digest_defaults_to_messages(self) -> None:
        """RFC 2046 §5.1.5."""
        facts = scan(crlf(CRAFTED["digest"]))
        self.assertEqual(
            kinds(facts),
            [
                *("multipart/digest", "message/rfc822", "text/plain"),
                *("text/plain", "message/rfc822", "text/plain"),
            ],
        )

    def test_part_without_header_in_a_digest_is_the_message(self) -> None:
        message = crlf(CRAFTED["digest without empty lines"])
        facts = scan(message)
        self.assertEqual(bodies(message, facts)[1], b"not a header\r\n\r\nx")


def calls(message: bytes) -> int:
    """How many calls, of Python and of C, it takes to scan *message*."""
    count = 0

    def note(frame: object, event: str, argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        scan(message)
    finally:
        sys.setprofile(before)
    return count


class WorkTests(SynchronousTestCase):
    def test_calls_grow_no_faster_than_the_message(self) -> None:
        """
        Four times the message is about four times the calls, six at most: what lies beyond a limit
        may cost more than what lies below it. A square would be sixteen times.

        What happens within one call is measured by `python -m tests.fuzz.mime --linear`.
        """
        for name, (first, piece) in HOSTILE.items():
            small, large = (
                calls(first + piece * (octets // len(piece))) for octets in (2000, 8000)
            )
            self.assertLessEqual(large, 6 * small, name)


class LimitTests(SynchronousTestCase):
    def test_parts(self) -> None:
        """Beyond the limit the rest of the message is body of the last part."""
        self.patch(structure, "PARTS_MAX", 5)
        message = b"Content-Type: multipart/mixed; boundary=b\n\n" + b"--b\n\nx\n" * 9 + b"--b--\n"
        facts = scan(message)
        check(message, facts)
        self.assertEqual(len(facts.parts), 4)
        self.assertEqual(facts.parts[3].body.end, len(message))

    def test_depth_of_multiparts(self) -> None:
        nested = b"".join(
            b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (depth, depth)
            for depth in range(3 * structure.DEPTH_MAX)
        )
        facts = scan(nested)
        check(nested, facts)
        self.assertEqual(len(facts.parts), structure.DEPTH_MAX + 1)
        self.assertEqual(kinds(facts)[-2:], ["multipart/mixed", "text/plain"])

    def test_depth_of_messages(self) -> None:
        nested = b"Content-Type: message/rfc822\n\n" * 3 * structure.DEPTH_MAX
        facts = scan(nested)
        check(nested, facts)
        self.assertEqual(len(facts.parts), structure.DEPTH_MAX + 1)

    def test_header_that_is_read_in_part_ends_where_it_ends(self) -> None:
        self.patch(scanner, "HEADER_OCTETS_MAX", 40)
        message = b"Subject: x\n" + b"A: b\n" * 50 + b"To: a@b\n\nbody"
        facts = scan(message)
        self.assertEqual(message[slice(*facts.parts[0].body)], b"body")
        self.assertEqual(facts.envelope.subject, b"x")
        self.assertEqual(facts.envelope.to, ())
        self.assertFalse(facts.header_complete)

    def test_header_kept(self) -> None:
        message = b"A: b\r\n" * 10_000 + b"\r\nbody"
        facts = scan(message)
        self.assertEqual(len(facts.header), scanner.HEADER_KEPT_OCTETS_MAX)
        self.assertFalse(facts.header_complete)
        self.assertEqual(facts.parts[0].header.end, 60_002)

    def test_all_headers_together(self) -> None:
        self.patch(scanner, "HEADERS_OCTETS_MAX", 120)
        part = b"--b\nSubject: 1234567890\n\nx\n"
        message = b"Content-Type: multipart/mixed; boundary=b\n\n" + part * 9
        facts = scan(message)
        check(message, facts)
        self.assertEqual(len(facts.parts), 5)

    def test_long_boundary_is_none(self) -> None:
        facts = scan(crlf(CRAFTED["boundary of 300 octets"]))
        self.assertEqual(kinds(facts), ["multipart/mixed", "text/plain"])

    def test_any_message_with_small_limits(self) -> None:
        for name, limit in (
            ("HEADER_OCTETS_MAX", 80),
            ("HEADERS_OCTETS_MAX", 300),
            ("HEADER_KEPT_OCTETS_MAX", 50),
            ("BOUNDARY_LINE_OCTETS_MAX", 14),
        ):
            self.patch(scanner, name, limit)
        self.patch(structure, "PARTS_MAX", 6)
        self.patch(structure, "DEPTH_MAX", 3)
        for _, message in zip(range(800), inputs(5), strict=False):
            try_one(message, True)

    def test_memory_is_bounded(self) -> None:
        """What is held between two chunks does not grow with the body or header."""
        chance = Random(1)
        for head in (b"Subject: x\n\n", b"Content-Type: multipart/a; boundary=b\n\n", b"A: "):
            fed = scanner.Scanner()
            fed.feed(head)
            for _ in range(300):
                fed.feed(chance.choice((b"x" * 5000, b"\n--c" * 1250, b"\n" * 5000, b"--" * 2500)))
            held = len(fed._tail) + sum(map(len, fed._block))
            self.assertLessEqual(held, scanner.HEADER_OCTETS_MAX + 5000)
            self.assertLessEqual(len(fed._tail), scanner.BOUNDARY_LINE_OCTETS_MAX + 1)
