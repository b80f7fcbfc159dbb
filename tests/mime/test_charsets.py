# SPDX-License-Identifier: GPL-3.0-or-later
"""Octets to text: known charsets, unknown ones, wrong ones, chunks."""

import codecs

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.mime import charsets
from pluto_tw.mime.charsets import Reader, codec, to_text


class ToTextTests(SynchronousTestCase):
    def test_known_charsets(self) -> None:
        for charset, written, text in (
            (b"utf-8", "é".encode(), "é"),
            (b"ISO_8859-1", b"\xe9", "é"),
            (b"iso-8859-1", b"\x80", "€"),
            (b'"koi8-r"', "Привет".encode("koi8-r"), "Привет"),
            (b"ISO-2022-JP", "こんにちは".encode("iso-2022-jp"), "こんにちは"),
            (b"Shift_JIS", "日本".encode("cp932"), "日本"),
            (b"gb2312", "你好".encode("gb2312"), "你好"),
            (b"big5", "你好".encode("big5"), "你好"),
            (b"ks_c_5601-1987", "한글".encode("euc-kr"), "한글"),
            (b"utf-16", "é".encode("utf-16"), "é"),
        ):
            self.assertEqual(to_text(written, charset), text, charset)

    def test_unknown_missing_and_wrong_charsets(self) -> None:
        """RFC 7103 §7.6."""
        for charset in (b"", b"us-ascii", b"x-unknown", b"utf-8", b"\xff\0"):
            self.assertEqual(to_text("é".encode(), charset), "é")
            self.assertEqual(to_text(b"caf\xe9 \xc3\xa9", charset), "café é")

    def test_codecs_that_are_no_charsets_are_not_used(self) -> None:
        for name in (b"zlib", b"rot13", b"hex", b"punycode", b"idna", b"unicode_escape", b"utf-7"):
            self.assertIsNone(codec(name))

    def test_all_codecs_exist(self) -> None:
        for name in charsets._CODECS.values():
            codecs.lookup(name)

    def test_broken_octets_are_replaced(self) -> None:
        self.assertEqual(to_text(b"a\xff\xff", b"shift_jis")[0], "a")
        self.assertIn("\ufffd", to_text(b"\x81", b"gb2312"))


class ReaderTests(SynchronousTestCase):
    @given(
        st.binary(),
        st.lists(st.integers(1, 5), min_size=1),
        st.sampled_from([b"", b"x", *(name.encode() for name in charsets._CODECS)]),
    )
    def test_chunks_do_not_matter(self, octets: bytes, sizes: list[int], charset: bytes) -> None:
        reader = Reader(charset)
        text, position, turn = "", 0, 0
        while position < len(octets):
            size = sizes[turn % len(sizes)]
            text += reader.feed(octets[position : position + size])
            position, turn = position + size, turn + 1
        text += reader.finish()
        self.assertEqual(text, to_text(octets, charset))
        text.encode()
