# SPDX-License-Identifier: GPL-3.0-or-later
"""Parameters of Content-Type and Content-Disposition: RFC 2045 §5.1, RFC 2231."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.mime.parameters import PARAMETERS_MAX, parameter, parse


class ParseTests(SynchronousTestCase):
    def test_forms(self) -> None:
        for value, expected in (
            (b"text/plain", (b"text/plain", ())),
            (b"text/plain;", (b"text/plain", ())),
            (b"text/plain; charset=us-ascii", (b"text/plain", ((b"charset", b"us-ascii"),))),
            (b"a/b;A=1 ; B = 2;c=3;", (b"a/b", ((b"a", b"1"), (b"b", b"2"), (b"c", b"3")))),
            (b'a/b; n="a;b=c"', (b"a/b", ((b"n", b"a;b=c"),))),
            (b'a/b; n="a\\"b\\\\c"', (b"a/b", ((b"n", b'a"b\\c'),))),
            (b"text/plain (x; y=z); charset=utf-8 (c)", (b"text/plain", ((b"charset", b"utf-8"),))),
            (b'a/b; n="a (b)"', (b"a/b", ((b"n", b"a (b)"),))),
            (b"", (b"", ())),
            (b"; a=b", (b"", ((b"a", b"b"),))),
        ):
            self.assertEqual(parse(value), expected, value)

    def test_broken_forms(self) -> None:
        for value, expected in (
            (b"a/b; name=my file.txt; x=y", ((b"name", b"my file.txt"), (b"x", b"y"))),
            (b'a/b; name="no end; x=y', ((b"name", b"no end; x=y"),)),
            (b'a/b; name="junk" behind; x=y', ((b"name", b"junk"), (b"x", b"y"))),
            (b"a/b; flowed; =x; ;; y=", ((b"y", b""),)),
            (b"a/b; c=1; c=2", ((b"c", b"1"),)),
            (b'a/b; "c"=1; d=2', ((b"d", b"2"),)),
        ):
            self.assertEqual(parse(value)[1], expected, value)

    def test_limit(self) -> None:
        many = b"a/b" + b"".join(b"; n%d=x" % number for number in range(500))
        self.assertEqual(len(parse(many)[1]), PARAMETERS_MAX)

    @given(
        st.lists(st.sampled_from([b";", b"=", b'"', b"\\", b"a", b"*0", b"*", b"%C3", b"(", b")"]))
    )
    def test_anything_is_parsed(self, pieces: list[bytes]) -> None:
        for name, _ in parse(b"a/b;" + b"".join(pieces))[1]:
            self.assertEqual(name, name.lower())


class ContinuationTests(SynchronousTestCase):
    def test_plain_sections_are_joined(self) -> None:
        """RFC 9051 §7.5.2: "baz*0", "baz*1", and "baz*2" are returned as "baz"."""
        value = b'message/external-body; access-type=URL; URL*0="ftp://"; URL*1="cs.utk.edu/x.tar"'
        self.assertEqual(
            parse(value)[1], ((b"access-type", b"URL"), (b"url", b"ftp://cs.utk.edu/x.tar"))
        )

    def test_encoded_sections_are_joined_as_one_encoded_parameter(self) -> None:
        """RFC 2231 §4.1, its example."""
        value = (
            b"a/b; title*0*=us-ascii'en'This%20is%20even%20more%20; "
            b'title*1*=%2A%2A%2Afun%2A%2A%2A%20; title*2="isn\'t it!"'
        )
        (told,) = parse(value)[1]
        self.assertEqual(
            told,
            (
                b"title*",
                b"us-ascii'en'This%20is%20even%20more%20%2A%2A%2Afun%2A%2A%2A%20isn%27t%20it!",
            ),
        )
        self.assertEqual(parameter([told], b"title"), "This is even more ***fun*** isn't it!")

    def test_sections_in_any_order(self) -> None:
        self.assertEqual(parse(b"a/b; n*1=b; n*0=a; x=y")[1], ((b"n", b"ab"), (b"x", b"y")))

    def test_gaps(self) -> None:
        """Quoted: "neither leading zeroes nor gaps in the sequence are allowed"."""
        self.assertEqual(
            parse(b"a/b; n*0=a; n*2=c; m*1=b; k*00=d")[1],
            (
                (b"n", b"a"),
                (b"m*1", b"b"),
                (b"k*00", b"d"),
            ),
        )

    def test_charset_missing_in_the_first_section(self) -> None:
        (told,) = parse(b"a/b; n*0=a%; n*1*=%C3%A9")[1]
        self.assertEqual(told, (b"n*", b"''a%25%C3%A9"))
        self.assertEqual(parameter([told], b"n"), "a%é")


class ParameterTests(SynchronousTestCase):
    def test_encoded_form_is_preferred(self) -> None:
        pairs = parse(b"a; filename=cafe.txt; filename*=iso-8859-1''caf%E9.txt")[1]
        self.assertEqual(parameter(pairs, b"filename"), "café.txt")

    def test_encoded_words_are_decoded(self) -> None:
        pairs = parse(b'a; filename="=?utf-8?q?caf=C3=A9?=.txt"')[1]
        self.assertEqual(parameter(pairs, b"filename"), "café.txt")

    def test_broken_encoding_is_read(self) -> None:
        for written, text in (
            (b"caf%C3%A9", "café"),
            (b"utf-8'caf%C3%A9", "utf-8'café"),
            (b"x-no''caf%C3%A9%", "café%"),
        ):
            self.assertEqual(parameter([(b"n*", written)], b"n"), text)

    def test_none(self) -> None:
        self.assertIsNone(parameter([(b"a", b"b")], b"c"))
