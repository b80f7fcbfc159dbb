# SPDX-License-Identifier: GPL-3.0-or-later
"""Transfer decoding: RFC 2045 §6.7 and §6.8, in chunks of any size."""

import base64
import quopri

from hypothesis import example, given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.mime import transfer
from pluto_tw.mime.transfer import decode, decoder

ENCODINGS = (b"base64", b"QUOTED-PRINTABLE", b"7bit", b"8BIT", b"binary")
QUOTED_PIECES = [b"=", b" ", b"\t", b"\r", b"\n", b"\r\n", b"=\r\n", b"4", b"A", b"x", b"=41"]


def in_chunks(octets: bytes, encoding: bytes, sizes: list[int]) -> bytes:
    chosen = decoder(encoding)
    assert chosen is not None
    decoded, position, turn = b"", 0, 0
    while position < len(octets):
        size = sizes[turn % len(sizes)]
        decoded += chosen.feed(octets[position : position + size])
        position, turn = position + size, turn + 1
    return decoded + chosen.finish()


class DecoderTests(SynchronousTestCase):
    def test_unknown_encoding_has_none(self) -> None:
        """RFC 3516 §4.3: the caller answers UNKNOWN-CTE."""
        self.assertIsNone(decoder(b"x-uuencode"))
        self.assertEqual(decode(b"a", b"x-uuencode"), b"a")

    def test_identity(self) -> None:
        for encoding in (b"7BIT", b"8bit", b"BINARY", b""):
            self.assertEqual(decode(b"\0\xff=41", encoding), b"\0\xff=41")

    @given(st.binary(), st.lists(st.integers(1, 20), min_size=1), st.sampled_from(ENCODINGS))
    def test_chunks_do_not_matter(self, octets: bytes, sizes: list[int], encoding: bytes) -> None:
        self.assertEqual(in_chunks(octets, encoding, sizes), decode(octets, encoding))


class Base64Tests(SynchronousTestCase):
    @given(st.binary(), st.lists(st.integers(1, 20), min_size=1))
    def test_what_was_encoded_comes_back(self, octets: bytes, sizes: list[int]) -> None:
        self.assertEqual(in_chunks(base64.encodebytes(octets), b"BASE64", sizes), octets)

    def test_other_characters_are_passed_over(self) -> None:
        self.assertEqual(decode(b"S G*V\r\nsb-G\0\xff8=", b"base64"), b"Hello")

    def test_padding_ends_a_run_and_not_the_part(self) -> None:
        self.assertEqual(decode(b"SGVsbG8=SGVsbG8==\r\nSGVsbG8=", b"base64"), b"Hello" * 3)

    def test_run_that_ends_early_gives_its_whole_octets(self) -> None:
        for written, octets in (
            (b"SGVsbG8", b"Hello"),
            (b"SGVsb", b"Hel"),
            (b"S", b""),
            (b"=", b""),
        ):
            self.assertEqual(decode(written, b"base64"), octets)

    @given(st.lists(st.sampled_from([b"A", b"=", b"/w", b"\n", b"*"])), st.integers(1, 5))
    def test_broken_base64_in_chunks(self, pieces: list[bytes], size: int) -> None:
        octets = b"".join(pieces)
        self.assertEqual(in_chunks(octets, b"BASE64", [size]), decode(octets, b"BASE64"))


class QuotedPrintableTests(SynchronousTestCase):
    @given(st.binary())
    def test_what_was_encoded_comes_back(self, octets: bytes) -> None:
        """But CR and LF, which are line ends in this encoding; they are left out here."""
        octets = octets.replace(b"\r", b"").replace(b"\n", b"")
        encoded = quopri.encodestring(octets, quotetabs=True)
        self.assertEqual(decode(encoded, b"QUOTED-PRINTABLE"), octets)

    def test_rules(self) -> None:
        for written, octets in (
            (b"a=3Db=3db", b"a=b=b"),
            (b"soft=\r\nbreak=\nhere", b"softbreakhere"),
            (b"soft=  \r\nbreak", b"softbreak"),
            (b"white  \t\r\nspace \n x ", b"white\r\nspace\n x"),
            (b"protected=20\r\n", b"protected \r\n"),
            (b"at the end=", b"at the end"),
            (b"at the end= \r", b"at the end"),
            (b"x \n=20 ", b"x\n "),
        ):
            self.assertEqual(decode(written, b"QUOTED-PRINTABLE"), octets, written)

    def test_broken_escapes_stand_for_themselves(self) -> None:
        for written in (b"a=b", b"=4", b"==", b"=4x=", b"=\rx"):
            kept = written.removesuffix(b"=")
            self.assertEqual(decode(written, b"QUOTED-PRINTABLE"), kept)

    def test_line_ends_do_not_arise(self) -> None:
        self.assertEqual(decode(b"a\r \nb", b"QUOTED-PRINTABLE"), b"a\r \nb")
        self.assertEqual(decode(b"=4=\r\n1", b"QUOTED-PRINTABLE"), b"=41")

    @given(
        st.lists(st.sampled_from([*QUOTED_PIECES, b" " * 5, b" " * 6])),
        st.lists(st.integers(1, 9), min_size=1),
    )
    @example([b"=", b"\r", b" ", b"\n"], [1])
    @example([b" " * 6, b"\r\n"], [5, 1])
    def test_broken_text_in_chunks(self, pieces: list[bytes], sizes: list[int]) -> None:
        octets = b"".join(pieces)
        self.assertEqual(
            in_chunks(octets, b"QUOTED-PRINTABLE", sizes), decode(octets, b"QUOTED-PRINTABLE")
        )

    def test_long_white_space_is_data(self) -> None:
        """Nothing longer than `WHITE_SPACE_OCTETS_MAX` is held back."""
        limit = transfer.WHITE_SPACE_OCTETS_MAX
        for count, kept in ((limit, 0), (limit + 1, limit + 1), (5 * limit, 5 * limit)):
            octets = b"x" + b" " * count + b"\r\ny"
            expected = b"x" + b" " * kept + b"\r\ny"
            self.assertEqual(decode(octets, b"QUOTED-PRINTABLE"), expected)
            for size in (1, 100, limit, limit + 3):
                self.assertEqual(in_chunks(octets, b"QUOTED-PRINTABLE", [size]), expected)
