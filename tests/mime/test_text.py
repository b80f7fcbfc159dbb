# SPDX-License-Identifier: GPL-3.0-or-later
"""The text that SEARCH sees."""

from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.mime.folding import fold
from pluto_tw.mime.scanner import scan
from pluto_tw.mime.text import HEADER_SEARCHED_OCTETS_MAX, passages, reader_of
from tests.mime.corpus import CRAFTED, crlf, messages


def texts(message: bytes, with_header: bool, size: int = 7) -> list[str]:
    """The text of each passage."""
    found = []
    for passage in passages(scan(message), with_header):
        reader = reader_of(passage)
        octets = message[slice(*passage.span)]
        pieces = [reader.feed(octets[at : at + size]) for at in range(0, len(octets), size)]
        found.append("".join(pieces) + reader.finish())
    return found


def contains(message: bytes, needle: str, with_header: bool) -> bool:
    return any(fold(needle) in fold(text) for text in texts(message, with_header))


class PassageTests(SynchronousTestCase):
    def test_body_leaves_out_the_header_of_the_message_only(self) -> None:
        """RFC 9051 §6.4.4: BODY "doesn't match any header fields", TEXT does."""
        message = crlf(CRAFTED["message in a multipart"])
        self.assertFalse(contains(message, "jane@example.org", False))
        self.assertTrue(contains(message, "jane@example.org", True))
        for needle in ("see below", "inner", "TWO", "message/rfc822"):
            self.assertTrue(contains(message, needle, False), needle)

    def test_only_text_is_searched(self) -> None:
        message = b"Content-Type: multipart/a; boundary=b\n\nPREAMBLE\n--b\n"
        message += b"Content-Type: image/png\n\nPIXELS\n--b--\nEPILOGUE\n"
        for needle in ("preamble", "pixels", "epilogue"):
            self.assertFalse(contains(message, needle, True), needle)
        self.assertTrue(contains(message, "image/png", False))

    def test_encodings_are_undone(self) -> None:
        for name, message in messages().items():
            if name.startswith("text/plain utf-8") and "alone" in name:
                self.assertTrue(contains(message, "grüsse".replace("ss", "ß"), False), name)
                self.assertTrue(contains(message, "日本語", False), name)

    def test_encoded_words_in_headers_are_decoded(self) -> None:
        self.assertTrue(contains(crlf(CRAFTED["encoded-words"]), "KELD JØRN", True))

    def test_unknown_encoding_is_searched_as_it_stands(self) -> None:
        message = b"Content-Transfer-Encoding: x-uuencode\n\n=41 begin"
        self.assertEqual(texts(message, False), ["=41 begin"])

    def test_headers_are_held_up_to_a_limit(self) -> None:
        message = b"A: " + b"x" * (HEADER_SEARCHED_OCTETS_MAX + 100) + b"\n\n"
        self.assertEqual(len(texts(message, True, 1000)[0]), HEADER_SEARCHED_OCTETS_MAX + 1)
