# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests of pluto_tw.mail.utf7. Twisted's codec of the same encoding is the oracle."""

from hypothesis import example, given
from hypothesis import strategies as st
from twisted.mail.imap4 import decoder as twisted_decoder
from twisted.mail.imap4 import encoder as twisted_encoder
from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.mail.utf7 import decode, encode

names = st.text(st.characters(exclude_categories=["Cs"]))
#: Twisted rests on Python's UTF-7, where these stand for themselves, and encodes them wrongly.
twisted_names = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\t\n\r"))
#: Short strings of what matters to the decoder, so that many are nearly right.
wire_like = st.lists(
    st.sampled_from([b"&", b"-", b"AOk", b"AOk-", b"&AOk-", b"A", b"/", b",", b"+", b"a", b"~"])
).map(b"".join)

#: Names of RFC 3501 §5.1.3, and those at each length of the last base64 group.
KNOWN = {
    "~peter/mail/\u53f0\u5317/\u65e5\u672c\u8a9e": b"~peter/mail/&U,BTFw-/&ZeVnLIqe-",
    "\u53f0\u5317\u65e5\u672c\u8a9e": b"&U,BTF2XlZyyKng-",
    "\u263a!": b"&Jjo-!",
    "": b"",
    "&": b"&-",
    "&&": b"&-&-",
    "R&D": b"R&-D",
    "é&": b"&AOk-&-",
    "&é": b"&-&AOk-",
    "-é-": b"-&AOk--",
    "Entwürfe": b"Entw&APw-rfe",
    "\U0001f4ec": b"&2D3c7A-",
    "\x00\n\x7f": b"&AAAACgB,-",
}


class EncodeTests(SynchronousTestCase):
    def test_known_names(self) -> None:
        """The examples of RFC 3501 §5.1.3 among them."""
        for name, wire in KNOWN.items():
            self.assertEqual(encode(name), wire)

    def test_lone_surrogate_is_refused(self) -> None:
        """It has no UTF-16 form."""
        for name in ("\ud800", "a\udc00", "\udc00\ud800"):
            self.assertRaises(ValueError, encode, name)

    @given(twisted_names)
    def test_agrees_with_twisted(self, name: str) -> None:
        """An independent encoder of RFC 3501 §5.1.3 writes the same."""
        self.assertEqual((encode(name), len(name)), twisted_encoder(name))

    @given(names)
    def test_is_printable_ascii(self, name: str) -> None:
        """RFC 3501 §5.1: "Mailbox names are 7-bit."."""
        self.assertTrue(all(0x20 <= octet <= 0x7E for octet in encode(name)))


class DecodeTests(SynchronousTestCase):
    def assert_refused(self, *wires: bytes) -> None:
        for wire in wires:
            with self.assertRaises(ValueError, msg=repr(wire)):
                decode(wire)

    def test_known_names(self) -> None:
        """The examples of RFC 3501 §5.1.3 among them."""
        for name, wire in KNOWN.items():
            self.assertEqual(decode(wire), name)

    def test_shift_without_end_is_refused(self) -> None:
        """RFC 3501 §5.1.3: "all names start in US-ASCII, and MUST end in US-ASCII"."""
        self.assert_refused(b"&", b"a&", b"&Jjo", b"&Jjo!", b"&&-", b"&-&")

    def test_superfluous_shift_is_refused(self) -> None:
        """RFC 3501 §5.1.3: "not permitted because it contains a superfluous shift"."""
        self.assert_refused(b"&U,BTFw-&ZeVnLIqe-", b"&AOk-&AOk-")

    def test_printable_ascii_in_base64_is_refused(self) -> None:
        """RFC 3501 §5.1.3: "MUST NOT be used to represent any printing US-ASCII character"."""
        self.assert_refused(b"&AGE-", b"&AOkAYQ-", b"&AGEA6Q-", b"&ACY-")

    def test_bits_at_the_end_that_are_not_zero_are_refused(self) -> None:
        """They would give one name several forms."""
        self.assertEqual(decode(b"&AOk-"), "é")
        self.assert_refused(b"&AOl-", b"&AOm-", b"&AOn-", b"&AOkA6R-")

    def test_surplus_or_missing_digits_are_refused(self) -> None:
        """A run of base64 holds whole UTF-16 units, and no digit more."""
        self.assert_refused(b"&A-", b"&AO-", b"&AOkA-", b"&AOkAA-", b"&AOkAAAA-")

    def test_other_alphabets_are_refused(self) -> None:
        """RFC 3501 §5.1.3: "," is used instead of "/", and there is no padding."""
        self.assertEqual(decode(b"&U,A-"), "\u53f0")
        self.assert_refused(b"&U/A-", b"&AOk=-", b"& AOk-", b"&AO\nk-", b"&U_A-")

    def test_lone_surrogates_are_refused(self) -> None:
        """U+D83D without its low half, and the halves in the wrong order."""
        self.assert_refused(b"&2D0-", b"&3Oc-", b"&3OzYPQ-")

    def test_octets_outside_printable_ascii_are_refused(self) -> None:
        """RFC 3501 §5.1.3: all other characters "are represented in modified BASE64"."""
        self.assert_refused(*(bytes([octet]) for octet in (*range(0x20), *range(0x7F, 0x100))))
        self.assert_refused("é".encode(), b"&AOk-\xe9")

    @given(names)
    def test_undoes_encode(self, name: str) -> None:
        """`decode(encode(name)) == name`."""
        self.assertEqual(decode(encode(name)), name)

    @given(st.binary() | wire_like)
    @example(b"&AOk-&-&AOk-")
    def test_each_name_has_one_form(self, wire: bytes) -> None:
        """Whatever is accepted is what `encode` makes of it, and Twisted reads the same."""
        try:
            name = decode(wire)
        except ValueError:
            return
        self.assertEqual(encode(name), wire)
        self.assertEqual(twisted_decoder(wire), (name, len(wire)))
