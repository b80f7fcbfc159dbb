# SPDX-License-Identifier: GPL-3.0-or-later
"""What a header block says: MIME fields, envelope, defaults."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.mime.content import REMEMBERED_OCTETS_MAX, HeaderBlock, part_header
from pluto_tw.mime.facts import Address, Disposition
from pluto_tw.mime.headers import values
from pluto_tw.mime.scanner import scan
from tests.mime.corpus import CRAFTED, crlf
from tests.mime.test_headers import PIECES


class ContentTests(SynchronousTestCase):
    def test_all_fields(self) -> None:
        part = scan(crlf(CRAFTED["all content fields"])).parts[0]
        self.assertEqual((part.media_type, part.subtype), (b"text", b"html"))
        self.assertEqual(part.content_id, b"<part1@example.org>")
        self.assertEqual(part.description, b"a =?utf-8?q?page?=")
        self.assertEqual(part.md5, b"Q2hlY2sgSW50ZWdyaXR5IQ==")
        self.assertEqual(
            part.disposition,
            Disposition(b"inline", ((b"filename", b"a b.html"), (b"size", b"12"))),
        )
        self.assertEqual(part.language, (b"en", b"de", b"fr"))
        self.assertEqual(part.location, b"http://example.org/a")

    def test_defaults(self) -> None:
        """RFC 2045 §5.2 and §6.1."""
        part = scan(b"Subject: x\n\nhi").parts[0]
        self.assertEqual((part.media_type, part.subtype), (b"text", b"plain"))
        self.assertEqual(part.parameters, ((b"charset", b"us-ascii"),))
        self.assertEqual(part.encoding, b"7BIT")
        self.assertIsNone(part.disposition)

    def test_type_that_cannot_be_read_is_plain_text(self) -> None:
        for value in (b"text", b"/plain", b"text/", b"", b"a b/c", b"; charset=utf-8"):
            content = HeaderBlock(b"Content-Type: " + value + b"\n").content(False)
            self.assertEqual((content.media_type, content.subtype), (b"text", b"plain"), value)

    def test_case(self) -> None:
        content = HeaderBlock(
            b"CONTENT-TYPE: Text/HTML; CharSet=UTF-8\ncontent-transfer-encoding: Base64\n"
        ).content(False)
        self.assertEqual((content.media_type, content.subtype), (b"text", b"html"))
        self.assertEqual(content.parameters, ((b"charset", b"UTF-8"),))
        self.assertEqual(content.encoding, b"BASE64")

    def test_encoding_is_one_word(self) -> None:
        for value, encoding in (
            (b"quoted-printable", b"QUOTED-PRINTABLE"),
            (b"8bit (really); x", b"8BIT"),
            (b"(none)", b"7BIT"),
            (b"x-uuencode", b"X-UUENCODE"),
        ):
            block = HeaderBlock(b"Content-Transfer-Encoding: " + value + b"\n")
            self.assertEqual(block.content(False).encoding, encoding)

    def test_disposition_without_kind(self) -> None:
        """RFC 2183 §2.8."""
        block = HeaderBlock(b"Content-Disposition: ; filename=x\n")
        self.assertEqual(
            block.content(False).disposition, Disposition(b"attachment", ((b"filename", b"x"),))
        )
        for empty in (b"", b" ;"):
            block = HeaderBlock(b"Content-Disposition:" + empty + b"\n")
            self.assertIsNone(block.content(False).disposition)

    def test_remembered_headers_are_those_that_are_read(self) -> None:
        for octets in (b"Content-Type: a/b\n\n", b"x\n\n", b"", b"A: b\nc\n", b"X: " + b"y" * 500):
            for empty_line in (True, False):
                for digest in (True, False):
                    read = HeaderBlock(octets).part_header(False, empty_line, digest)
                    self.assertEqual(part_header(octets, empty_line, digest), read)
                    self.assertEqual(part_header(octets, empty_line, digest), read)

    def test_remembered_fields_are_those_that_are_read(self) -> None:
        for octets in (b"Content-Type: a/b\n\n", b"Content-ID:\n\n", b"Content-Type:\n\n"):
            for digest in (True, False):
                read = HeaderBlock(octets).content(digest)
                padded = octets[:-2] + b" " * REMEMBERED_OCTETS_MAX + octets[-2:]
                self.assertEqual(HeaderBlock(octets).content(digest), read)
                self.assertEqual(HeaderBlock(padded).content(digest), read)

    @given(st.lists(st.sampled_from(PIECES)))
    def test_values_are_those_of_the_fields(self, pieces: list[bytes]) -> None:
        octets = b"".join(pieces)
        for name in (b"a", b"to", b"b"):
            first = next(values(octets, name), None)
            self.assertEqual(HeaderBlock(octets).value(name), first)


class EnvelopeTests(SynchronousTestCase):
    JANE = Address(b"Jane", None, b"j", b"x.org")

    def test_sender_and_reply_to_default_to_from(self) -> None:
        """RFC 9051 §7.5.2: "absent [...], or are present but empty"."""
        for rest in (b"", b"Sender:\nReply-To: \n"):
            envelope = scan(b"From: Jane <j@x.org>\n" + rest + b"\n").envelope
            self.assertEqual(envelope.from_, (self.JANE,))
            self.assertEqual(envelope.sender, (self.JANE,))
            self.assertEqual(envelope.reply_to, (self.JANE,))
            self.assertEqual(envelope.to, ())

    def test_sender_and_reply_to_of_their_own(self) -> None:
        envelope = scan(b"From: a@b\nSender: Jane <j@x.org>\nReply-To: Jane <j@x.org>\n\n").envelope
        self.assertEqual(envelope.sender, (self.JANE,))
        self.assertEqual(envelope.reply_to, (self.JANE,))

    def test_absent_is_none_and_empty_is_empty(self) -> None:
        """RFC 9051 §7.5.2: NIL, or "the empty string"."""
        envelope = scan(b"Subject:\nDate: \n\n").envelope
        self.assertEqual((envelope.subject, envelope.date), (b"", b""))
        self.assertEqual((envelope.message_id, envelope.in_reply_to), (None, None))

    def test_repeated_fields(self) -> None:
        """RFC 5322 §4.5.3: address lists are combined. Of other fields the first counts."""
        envelope = scan(crlf(CRAFTED["repeated fields"])).envelope
        self.assertEqual(envelope.subject, b"one")
        self.assertEqual([each.mailbox for each in envelope.to], [b"a", b"b"])
        self.assertEqual([each.mailbox for each in envelope.from_], [b"c", b"d"])

    def test_text_is_unfolded_and_keeps_its_encoded_words(self) -> None:
        envelope = scan(b"Subject: =?utf-8?q?a?=\r\n\tb\r\n\r\n").envelope
        self.assertEqual(envelope.subject, b"=?utf-8?q?a?=\tb")


class KeptTests(SynchronousTestCase):
    def test_what_search_sort_and_thread_need(self) -> None:
        facts = scan(crlf(CRAFTED["RFC 5322 A.2"]))
        self.assertEqual(facts.base_subject, "SAYING HELLO")
        self.assertTrue(facts.subject_is_reply_or_forward)
        self.assertEqual(facts.message_id, b"3456@example.net")
        self.assertEqual(facts.references, (b"1234@local.machine.example",))
        self.assertEqual(facts.sent, 880128070)

    def test_empty_message(self) -> None:
        facts = scan(b"")
        self.assertEqual((facts.base_subject, facts.sent, facts.references), ("", None, ()))
