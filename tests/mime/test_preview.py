# SPDX-License-Identifier: GPL-3.0-or-later
"""Previews: RFC 8970."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.mime.preview import PREVIEW_CHARACTERS_MAX, PREVIEW_HTML_OCTETS_MAX, preview
from pluto_tw.mime.scanner import scan
from tests.mime.corpus import CRAFTED, crlf


def of_html(octets: bytes) -> str:
    return preview(octets, b"8BIT", b"utf-8", True)


def of_text(octets: bytes, encoding: bytes = b"8BIT", charset: bytes = b"utf-8") -> str:
    return preview(octets, encoding, charset, False)


class PreviewTests(SynchronousTestCase):
    def test_white_space_is_one_space(self) -> None:
        self.assertEqual(of_text(b"\r\n  a\r\n\r\n b\tc  \xc2\xa0\r\n"), "a b c")

    def test_length(self) -> None:
        """RFC 8970 §3.3: 200 characters, whatever their octets."""
        self.assertEqual(len(of_text(b"x" * 5000)), PREVIEW_CHARACTERS_MAX)
        self.assertEqual(of_text("é".encode() * 2000), "é" * PREVIEW_CHARACTERS_MAX)
        self.assertEqual(of_text(b"a " * 5000), ("a " * 100).rstrip())

    def test_encodings_are_undone(self) -> None:
        self.assertEqual(of_text(b"caf=C3=A9=\r\n!", b"QUOTED-PRINTABLE"), "café!")
        self.assertEqual(of_text(b"Y2Fm6Q==", b"BASE64", b"iso-8859-1"), "café")

    def test_markup_goes(self) -> None:
        """RFC 8970 §3.3: "The server SHOULD remove any formatting markup"."""
        for written, text in (
            (b"<p>Hello <b>you</b> &amp; me</p>", "Hello you & me"),
            (b"<style>p {x: y}</style>a<!-- b > -->c<script>d</script >e", "a c e"),
            (b"<html><head><title>t</title><body>a", "a"),
            (b"1 < 2 and 3 > 2 <br", "1 < 2 and 3 > 2"),
            (b"<STYLE>never closed", ""),
            (b"&zwnj;&#8203;a&shy;b", "ab"),
        ):
            self.assertEqual(of_html(written), text, written)

    def test_text_behind_a_long_head_is_found(self) -> None:
        style = b"<style>" + b"p {margin: 0}\n" * 500 + b"</style>"
        self.assertEqual(of_html(style + b"text"), "text")

    @given(st.binary(max_size=3000), st.sampled_from([b"8BIT", b"BASE64", b"QUOTED-PRINTABLE"]))
    def test_any_octets_make_a_preview(self, octets: bytes, encoding: bytes) -> None:
        for is_html in (True, False):
            made = preview(octets, encoding, b"utf-16", is_html)
            self.assertLessEqual(len(made), PREVIEW_CHARACTERS_MAX)
            made.encode()


class PreviewedPartTests(SynchronousTestCase):
    def previewed(self, *parts: bytes) -> str:
        inside = b"".join(b"--b\n" + part + b"\n" for part in parts)
        return scan(b"Content-Type: multipart/mixed; boundary=b\n\n" + inside + b"--b--\n").preview

    def test_first_text(self) -> None:
        html, plain = b"Content-Type: text/html\n\n<p>one", b"\nplain"
        self.assertEqual(self.previewed(b"Content-Type: image/png\n\nx", html, plain), "one")
        self.assertEqual(self.previewed(plain, html), "plain")

    def test_text_without_words_is_passed_over(self) -> None:
        self.assertEqual(
            self.previewed(b"\n \n", b"Content-Type: text/html\n\n<br>", b"\ntwo"), "two"
        )

    def test_attachments_are_passed_over(self) -> None:
        self.assertEqual(scan(crlf(CRAFTED["only an attachment"])).preview, "")

    def test_text_of_an_embedded_message_counts(self) -> None:
        self.assertEqual(scan(crlf(CRAFTED["message in a message"])).preview, "inner text")

    def test_only_the_beginning_is_read(self) -> None:
        message = b"Content-Type: text/html\n\n<!--" + b" " * PREVIEW_HTML_OCTETS_MAX + b"-->text"
        self.assertEqual(scan(message).preview, "")
