# SPDX-License-Identifier: GPL-3.0-or-later
"""Part numbers: the example of RFC 9051 §6.4.5.1, message for message."""

from typing import Literal

from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.mime.facts import Span
from pluto_tw.mime.scanner import scan
from pluto_tw.mime.section import find, span

# "Here is an example of a complex message with some of its part specifiers".
MESSAGE = b"""\
Subject: outer
Content-Type: multipart/mixed; boundary=o

--o
Content-Type: text/plain

1
--o
Content-Type: application/octet-stream

2
--o
Content-Type: message/rfc822

Subject: three
Content-Type: multipart/mixed; boundary=t

--t
Content-Type: text/plain

3.1
--t
Content-Type: application/octet-stream

3.2
--t--
--o
Content-Type: multipart/mixed; boundary=f

--f
Content-Type: image/gif

4.1
--f
Content-Type: message/rfc822

Subject: four two
Content-Type: multipart/mixed; boundary=g

--g
Content-Type: text/plain

4.2.1
--g
Content-Type: multipart/alternative; boundary=h

--h
Content-Type: text/plain

4.2.2.1
--h
Content-Type: text/richtext

4.2.2.2
--h--
--g--
--f--
--o--
"""

Specifier = Literal["", "HEADER", "TEXT", "MIME"]


class SectionTests(SynchronousTestCase):
    def octets(self, message: bytes, section: str) -> bytes | None:
        """The octets of a section as FETCH writes it, None where there is none."""
        words = section.split(".") if section else []
        what: Specifier = ""
        for known in ("HEADER", "TEXT", "MIME"):
            if words and words[-1] == known:
                what = known
                words.pop()
        found = span(scan(message), tuple(int(word) for word in words), what)
        return None if found is None else message[slice(*found)]

    def test_example(self) -> None:
        for leaf in ("1", "2", "3.1", "3.2", "4.1", "4.2.1", "4.2.2.1", "4.2.2.2"):
            self.assertEqual(self.octets(MESSAGE, leaf), leaf.encode())
        header = b"Subject: outer\nContent-Type: multipart/mixed; boundary=o\n\n"
        self.assertEqual(self.octets(MESSAGE, "HEADER"), header)
        self.assertEqual(self.octets(MESSAGE, "TEXT"), MESSAGE[len(header) :])
        self.assertEqual(self.octets(MESSAGE, ""), MESSAGE)
        for section, subject in (("3", b"three"), ("4.2", b"four two")):
            embedded = self.octets(MESSAGE, f"{section}.HEADER")
            assert embedded is not None
            self.assertTrue(embedded.startswith(b"Subject: " + subject))
            self.assertTrue(embedded.endswith(b"\n\n"))
            text = self.octets(MESSAGE, f"{section}.TEXT")
            assert text is not None
            self.assertEqual(self.octets(MESSAGE, section), embedded + text)
        self.assertEqual(self.octets(MESSAGE, "4.1.MIME"), b"Content-Type: image/gif\n\n")
        self.assertEqual(self.octets(MESSAGE, "3.MIME"), b"Content-Type: message/rfc822\n\n")

    def test_media_types(self) -> None:
        part = find(scan(MESSAGE), (4, 2, 2))
        assert part is not None
        self.assertEqual(part.subtype, b"alternative")

    def test_sections_that_do_not_exist(self) -> None:
        """HEADER and TEXT need a message, MIME a number."""
        for section in ("0", "5", "1.1", "3.3", "4.1.1", "4.2.2.3", "4.2.1.1", "1.HEADER"):
            self.assertIsNone(self.octets(MESSAGE, section), section)
        for section in ("2.TEXT", "4.HEADER", "MIME", "5.MIME", "4.2.2.TEXT"):
            self.assertIsNone(self.octets(MESSAGE, section), section)

    def test_message_that_is_no_multipart_has_part_1(self) -> None:
        """Quoted: "MIME messages that are not multipart [...] only have a part 1"."""
        message = b"Subject: x\r\n\r\ntext"
        self.assertEqual(self.octets(message, "1"), b"text")
        self.assertEqual(self.octets(message, "1.MIME"), b"Subject: x\r\n\r\n")
        self.assertIsNone(self.octets(message, "2"))
        self.assertIsNone(self.octets(message, "1.1"))
        self.assertIsNone(self.octets(message, "1.HEADER"))

    def test_embedded_message_that_is_no_multipart(self) -> None:
        message = (
            b"Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: message/rfc822\n\n"
            b"Subject: x\n\ntext\n--b--"
        )
        self.assertEqual(self.octets(message, "1.1"), b"text")
        self.assertEqual(self.octets(message, "1.1.MIME"), b"Subject: x\n\n")
        self.assertEqual(self.octets(message, "1.TEXT"), b"text")
        self.assertIsNone(self.octets(message, "1.1.1"))
        self.assertIsNone(self.octets(message, "1.2"))

    def test_message_whose_whole_text_is_a_message(self) -> None:
        message = b"Content-Type: message/rfc822\n\nSubject: x\n\ntext"
        self.assertEqual(self.octets(message, "1"), b"Subject: x\n\ntext")
        self.assertEqual(self.octets(message, "1.HEADER"), b"Subject: x\n\n")
        self.assertEqual(self.octets(message, "1.1"), b"text")
        self.assertEqual(self.octets(message, "HEADER"), b"Content-Type: message/rfc822\n\n")

    def test_empty_path_is_the_message(self) -> None:
        facts = scan(MESSAGE)
        self.assertEqual(find(facts, ()), facts.parts[0])
        self.assertEqual(span(facts, (), ""), Span(0, len(MESSAGE)))
