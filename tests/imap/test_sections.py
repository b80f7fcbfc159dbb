# SPDX-License-Identifier: GPL-3.0-or-later
import base64
from collections.abc import AsyncIterator, Coroutine
from typing import Any, TypeVar

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.imap import sections
from pluto_tw.imap.fetch_items import Attribute, Section, parse_items
from pluto_tw.imap.grammar import Arguments
from pluto_tw.imap.sections import DECODED_OCTETS_MAX, Stream
from pluto_tw.mail.codes import CANNOT, UNKNOWN_CTE
from pluto_tw.mail.errors import No
from pluto_tw.mime.scanner import scan

T = TypeVar("T")


class RecordingBody:
    """A message's octets, in small chunks; remembers what was read."""

    def __init__(self, octets: bytes, chunk_octets: int = 7) -> None:
        self.size = len(octets)
        self.reads: list[tuple[int, int]] = []
        self._octets = octets
        self._chunk_octets = chunk_octets

    async def read(self, start: int, length: int) -> AsyncIterator[bytes]:
        assert start >= 0 and length > 0 and start + length <= self.size
        self.reads.append((start, length))
        for low in range(start, start + length, self._chunk_octets):
            yield self._octets[low : min(low + self._chunk_octets, start + length)]


class Message:
    """A message, and what is told of it."""

    def __init__(self, octets: bytes, chunk_octets: int = 7) -> None:
        self.octets = octets
        self.facts = scan(octets)
        self.body = RecordingBody(octets, chunk_octets)
        self.steps = 0

    async def step(self) -> None:
        self.steps += 1

    def value(self, text: bytes) -> bytes | Stream:
        item = section(text)
        sections.check(item, self.facts)
        return now(sections.value(item, self.facts, self.body, self.step))

    def told(self, text: bytes) -> bytes:
        """The value with the octets of its stream."""
        value = self.value(text)
        return value if isinstance(value, bytes) else now(whole(value))


async def whole(stream: Stream) -> bytes:
    octets = b"".join([chunk async for chunk in stream.chunks])
    assert len(octets) == stream.size > 0
    return stream.announcement() + octets


def now(work: Coroutine[Any, Any, T]) -> T:
    """What *work*, which waits for nothing, returns."""
    try:
        work.send(None)
    except StopIteration as stop:
        value: T = stop.value
        return value
    raise AssertionError("it waits")


def section(text: bytes) -> Section:
    [item] = parse_items(Arguments([text]))
    assert not isinstance(item, Attribute)
    return item


def literal(octets: bytes) -> bytes:
    return b"{%d}\r\n%b" % (len(octets), octets)


HEADER = b"From: a@b\r\nSubject: one\r\n two\r\nX-Last: 3\r\n\r\n"
TEXT = b"0123456789\r\nabcdefghij\r\n"
PLAIN = HEADER + TEXT
MIXED = (
    b"Subject: s\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
    b"--b\r\nContent-Transfer-Encoding: base64\r\n\r\n%b\r\n"
    b"--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: inner\r\nTo: c@d\r\n\r\nInner text\r\n"
    b"--b\r\nContent-Transfer-Encoding: x-own\r\n\r\n?\r\n"
    b"--b\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=E4=\r\n=00\r\n--b--\r\n"
)


def mixed(data: bytes) -> bytes:
    return MIXED % base64.encodebytes(data).replace(b"\n", b"\r\n").removesuffix(b"\r\n")


class BodyTests(SynchronousTestCase):
    def test_the_whole_message_needs_no_facts(self) -> None:
        item = section(b"BODY[]")
        self.assertFalse(sections.needs_facts(item))
        body = RecordingBody(PLAIN)
        value = now(sections.value(item, None, body, Message(PLAIN).step))
        assert isinstance(value, Stream)
        self.assertEqual(body.reads, [], "nothing is read before somebody wants it")
        self.assertEqual(now(whole(value)), literal(PLAIN))

    def test_the_header_is_told_without_the_body(self) -> None:
        message = Message(PLAIN)
        for text, expected in (
            (b"BODY[HEADER]", HEADER),
            (b"BODY[HEADER]<6.3>", b"a@b"),
            (b"BODY[HEADER.FIELDS (x-last SUBJECT)]", HEADER[11:]),
            (b"BODY[HEADER.FIELDS.NOT (x-last SUBJECT)]", b"From: a@b\r\n\r\n"),
            (b"BODY[HEADER.FIELDS (subject)]<9.5>", b"one\r\n"),
            (b"BODY[HEADER.FIELDS (to)]", b"\r\n"),
        ):
            self.assertEqual(message.told(text), literal(expected), text)
        self.assertEqual(message.body.reads, [])

    def test_only_the_wanted_octets_are_read(self) -> None:
        message = Message(PLAIN)
        self.assertEqual(message.told(b"BODY[TEXT]<3.4>"), literal(b"3456"))
        self.assertEqual(message.body.reads, [(len(HEADER) + 3, 4)])

    def test_every_partial_is_a_slice(self) -> None:
        """RFC 9051 §6.4.5: "If the starting octet is beyond the end ..., an empty string"."""
        message = Message(PLAIN)
        for text, octets in ((b"TEXT", TEXT), (b"", PLAIN), (b"1", TEXT), (b"HEADER", HEADER)):
            for start in (0, 1, len(octets) - 1, len(octets), len(octets) + 1, 2**63 - 1):
                for length in (1, 5, len(octets), 2**63 - 1):
                    expected = octets[start : start + length]
                    self.assertEqual(
                        message.told(b"BODY[%b]<%d.%d>" % (text, start, length)),
                        literal(expected) if expected else b'""',
                    )

    def test_what_is_missing_is_nil(self) -> None:
        message = Message(mixed(b"data"))
        for text in (b"BODY[5]", b"BODY[1.1]", b"BODY[1.HEADER]", b"BODY[2.2]<0.5>", b"BINARY[9]"):
            self.assertEqual(message.told(text), b"NIL", text)
        self.assertEqual(message.told(b"BINARY.SIZE[9]"), b"0")
        self.assertEqual(message.body.reads, [])

    def test_an_empty_section_is_not_missing(self) -> None:
        self.assertEqual(Message(HEADER).told(b"BODY[TEXT]"), b'""')
        self.assertEqual(Message(HEADER).told(b"BINARY[1]"), b'""')
        self.assertEqual(Message(b"").told(b"BODY[]"), b'""')

    def test_fields_of_a_message_within(self) -> None:
        message = Message(mixed(b"data"))
        self.assertEqual(message.told(b"BODY[2.HEADER.FIELDS (TO)]"), literal(b"To: c@d\r\n\r\n"))
        self.assertEqual(message.told(b"BODY[2.HEADER.FIELDS (TO)]<4.3>"), literal(b"c@d"))
        self.assertEqual(message.told(b"BODY[2.TEXT]"), literal(b"Inner text"))

    def test_fields_of_a_header_that_is_not_kept_whole(self) -> None:
        """The facts hold the start of a long header only; the body is read for the rest."""
        long = b"X-Long: %b\r\n" % (b"x" * 900)
        message = Message(long * 100 + HEADER, chunk_octets=4096)
        self.assertFalse(message.facts.header_complete)
        self.assertEqual(
            message.told(b"BODY[HEADER.FIELDS (x-last)]"), literal(b"X-Last: 3\r\n\r\n")
        )
        self.assertEqual(message.body.reads, [(0, len(long) * 100 + len(HEADER))])

    def test_fields_beyond_all_measure_are_left_out(self) -> None:
        """`HEADER_OCTETS_MAX` bounds the memory; what is told still ends with the empty line."""
        long = b"X-Long: %b\r\n" % (b"x" * 990)
        message = Message(b"To: a\r\n" + long * 1100 + HEADER, chunk_octets=65536)
        told = message.told(b"BODY[HEADER.FIELDS (to from)]")
        self.assertEqual(told, literal(b"To: a\r\n\r\n"))
        not_long = message.told(b"BODY[HEADER.FIELDS.NOT (to from)]")
        self.assertTrue(not_long.endswith(b"x\r\n\r\n"))
        self.assertEqual(
            message.body.reads, [(0, sections.HEADER_OCTETS_MAX)] * 2, "and no more is read"
        )

    def test_nul_is_told_as_another_octet(self) -> None:
        """RFC 9051 §9 note 3: "MUST NOT be used anywhere"; the length stays."""
        message = Message(b"X: \0\r\n\r\n\0text")
        self.assertEqual(message.told(b"BODY[]"), literal(b"X: \x80\r\n\r\n\x80text"))
        self.assertEqual(message.told(b"BODY[HEADER]"), literal(b"X: \x80\r\n\r\n"))


class BinaryTests(SynchronousTestCase):
    def test_what_has_parts_is_refused(self) -> None:
        """RFC 9051 §6.4.5: "can only be requested for leaf body parts"."""
        forward = Message(b"Content-Type: message/rfc822\r\n\r\n" + PLAIN)
        for message, path in ((Message(mixed(b"")), b"2"), (forward, b"1")):
            for name in (b"BINARY", b"BINARY.PEEK", b"BINARY.SIZE"):
                error = self.assertRaises(No, message.value, b"%b[%b]" % (name, path))
                self.assertEqual(error.code, CANNOT)

    def test_an_unknown_encoding_is_refused(self) -> None:
        """RFC 3516 §4.3: "MUST fail the request and issue a "NO" response that contains"."""
        for name in (b"BINARY[3]", b"BINARY.PEEK[3]<0.1>", b"BINARY.SIZE[3]"):
            error = self.assertRaises(No, Message(mixed(b"")).value, name)
            self.assertEqual(error.code, UNKNOWN_CTE)

    def test_nul_needs_a_literal8_and_nothing_else_does(self) -> None:
        """RFC 3516 §4.3: "SHOULD return the data in a <string> instead of a <literal8>"."""
        message = Message(mixed(b"ab\0cd"))
        self.assertEqual(message.told(b"BINARY[1]"), b"~{5}\r\nab\0cd")
        self.assertEqual(message.told(b"BINARY[1]<0.2>"), b"{2}\r\nab")
        self.assertEqual(message.told(b"BINARY[1]<2.1>"), b"~{1}\r\n\0")
        self.assertEqual(message.told(b"BINARY[1]<3.9>"), b"{2}\r\ncd")
        self.assertEqual(message.told(b"BINARY[4]"), b"~{2}\r\n\xe4\0")

    def test_the_whole_message_is_told_as_it_is(self) -> None:
        message = Message(b"X: 1\r\n\r\n\0text")
        self.assertEqual(message.told(b"BINARY[]"), b"~{13}\r\nX: 1\r\n\r\n\0text")
        self.assertEqual(message.told(b"BINARY[]<9.2>"), b"{2}\r\nte")
        self.assertEqual(message.told(b"BINARY.SIZE[]"), b"13")

    def test_what_needs_no_decoding_is_read_once(self) -> None:
        message = Message(PLAIN)
        self.assertEqual(message.told(b"BINARY[1]<3.4>"), literal(b"3456"))
        self.assertEqual(message.told(b"BINARY.SIZE[1]"), b"%d" % len(TEXT))
        self.assertEqual(message.body.reads, [(len(HEADER) + 3, 4)])

    def test_what_is_long_is_decoded_twice_and_never_held(self) -> None:
        data = bytes(range(256)) * 1024
        message = Message(mixed(data), chunk_octets=4096)
        value = message.value(b"BINARY[1]")
        assert isinstance(value, Stream)
        self.assertTrue(value.binary)
        self.assertEqual(now(whole(value)), b"~{%d}\r\n%b" % (len(data), data))
        self.assertEqual(len(message.body.reads), 2)
        self.assertGreater(message.steps, len(data) // 4096, "others run in between")
        self.assertEqual(message.told(b"BINARY.SIZE[1]"), b"%d" % len(data))

    def test_a_short_partial_reads_no_further(self) -> None:
        data = b"x" * (4 * DECODED_OCTETS_MAX)
        message = Message(mixed(data), chunk_octets=4096)
        self.assertEqual(message.told(b"BINARY[1]<10.20>"), literal(b"x" * 20))
        self.assertLess(message.steps, 3)

    @given(
        st.binary(max_size=200),
        st.integers(0, 210),
        st.integers(1, 210),
        st.integers(1, 50),
    )
    def test_partials_count_decoded_octets(
        self, data: bytes, start: int, length: int, chunk_octets: int
    ) -> None:
        """RFC 3516 §4.2: "the <partial> arguments refer to the DECODED section data"."""
        message = Message(mixed(data), chunk_octets)
        wanted = data[start : start + length]
        expected = literal(wanted) if wanted else b'""'
        if b"\0" in wanted:
            expected = b"~" + expected
        self.assertEqual(message.told(b"BINARY[1]<%d.%d>" % (start, length)), expected)
        self.assertEqual(message.told(b"BINARY.SIZE[1]"), b"%d" % len(data))
