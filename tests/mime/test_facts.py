# SPDX-License-Identifier: GPL-3.0-or-later
"""The facts at rest: what is read back is what was written, all else is refused."""

import contextlib

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.mime.facts import FACTS_VERSION, decode, encode
from pluto_tw.mime.scanner import scan
from tests.mime.corpus import crlf, messages

MESSAGE = crlf(
    b"Subject: x\nFrom: Zo\xc3\xab <z@x.org>\nContent-Type: multipart/mixed; boundary=b\n\n"
    b"--b\n\nhi\n"
)


class FactsTests(SynchronousTestCase):
    def test_facts_come_back(self) -> None:
        for message in messages().values():
            facts = scan(message)
            self.assertEqual(decode(encode(facts)), facts)

    def test_facts_are_compact(self) -> None:
        """Of one message: its header, and some 60 octets a part."""
        facts = scan(MESSAGE)
        self.assertLess(len(encode(facts)), len(facts.header) + 60 * len(facts.parts) + 100)

    def test_another_version_is_refused(self) -> None:
        data = encode(scan(MESSAGE))
        self.assertEqual(data[1], FACTS_VERSION)
        newer = data[:1] + bytes([FACTS_VERSION + 1]) + data[2:]
        self.assertRaises(ValueError, decode, newer)

    @given(st.binary(max_size=100))
    def test_anything_else_is_refused(self, data: bytes) -> None:
        self.assertRaises(ValueError, decode, data)

    @given(st.data())
    def test_damaged_facts_raise_nothing_but_value_error(self, data: st.DataObject) -> None:
        octets = bytearray(encode(scan(MESSAGE)))
        for _ in range(data.draw(st.integers(1, 4))):
            octets[data.draw(st.integers(0, len(octets) - 1))] = data.draw(st.integers(0, 255))
        with contextlib.suppress(ValueError):
            decode(bytes(octets))
