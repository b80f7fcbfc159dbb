# SPDX-License-Identifier: GPL-3.0-or-later
"""The header of the PROXY protocol, version 2, as octets."""

import contextlib
import struct
from functools import partial
from socket import AF_INET, AF_INET6, inet_ntop

from hypothesis import example, given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.net.proxy import (
    REST_OCTETS_MAX,
    SIGNATURE,
    Client,
    Header,
    HeaderRefused,
    read_header,
    write_header,
)

ADDRESSES = st.one_of(
    st.binary(min_size=4, max_size=4).map(partial(inet_ntop, AF_INET)),
    st.binary(min_size=16, max_size=16).map(partial(inet_ntop, AF_INET6)),
    st.just(""),
)
TLS = st.sampled_from(["", "TLSv1.3", "TLSv1.3 TLS_AES_256_GCM_SHA384"])


@st.composite
def headers(draw: st.DrawFn) -> Header:
    host = draw(ADDRESSES)
    client = Client(host, draw(st.integers(0, 65535)) if host else 0, draw(TLS))
    subnet = draw(st.none() | st.text(st.characters(codec="utf-8"), max_size=20))
    return Header(client, subnet, draw(st.none() | st.integers(0, 2**63 - 1)))


def raw(command: int, family: int, rest: bytes, length: int | None = None) -> bytes:
    return SIGNATURE + struct.pack("!BBH", command, family, length or len(rest)) + rest


class HeaderTests(SynchronousTestCase):
    @given(headers(), st.binary(max_size=40))
    @example(Header(Client("::1", 1, "TLSv1.3"), "a", 1), b"")
    def test_what_is_written_is_read(self, header: Header, behind: bytes) -> None:
        octets = write_header(header)
        self.assertEqual(read_header(octets + behind), (header, len(octets)))

    @given(headers(), st.data())
    def test_less_than_all_is_not_enough(self, header: Header, data: st.DataObject) -> None:
        octets = write_header(header)
        cut = data.draw(st.integers(0, len(octets) - 1))
        self.assertIsNone(read_header(octets[:cut]))

    @given(st.binary(max_size=300))
    def test_nothing_but_a_refusal_is_raised(self, rest: bytes) -> None:
        for family in (0x11, 0x21, 0x31):
            for octets in (rest, raw(0x21, family, rest)):
                with contextlib.suppress(HeaderRefused):
                    read_header(octets)

    def test_sample(self) -> None:
        """§2.2: source, destination, their ports; the example is 192.0.2.1:40000."""
        octets = raw(0x21, 0x11, bytes([192, 0, 2, 1, 198, 51, 100, 1]) + b"\x9c\x40\x03\xe1")
        self.assertEqual(read_header(octets), (Header(Client("192.0.2.1", 40000)), 28))

    def test_local_speaks_for_itself(self) -> None:
        for octets in (raw(0x20, 0, b""), raw(0x20, 0x11, b"x" * 12), raw(0x21, 0, b"xyz")):
            self.assertEqual(read_header(octets), (Header(None), len(octets)))
        self.assertEqual(read_header(write_header(Header(None))), (Header(None), 16))

    def test_unknown_additions_are_passed_over(self) -> None:
        rest = bytes(12) + b"\x04\0\x03abc" + b"\xe0\0\x01a"
        self.assertEqual(
            read_header(raw(0x21, 0x11, rest)), (Header(Client("0.0.0.0", 0), "a"), 16 + len(rest))
        )

    def test_refusals(self) -> None:
        for octets in (
            b"PROXY TCP4 192.0.2.1 198.51.100.1 40000 993\r\n",
            b"a LOGIN",
            raw(0x11, 0x11, bytes(12)),
            raw(0x22, 0x11, bytes(12)),
            raw(0x21, 0x12, bytes(12)),
            raw(0x21, 0x77, bytes(12)),
            raw(0x21, 0x11, bytes(11)),
            raw(0x21, 0x21, bytes(35)),
            raw(0x21, 0x11, bytes(12) + b"\x20"),
            raw(0x21, 0x11, bytes(12) + b"\x20\0\x09a"),
            raw(0x21, 0x11, bytes(12) + b"\x20\0\x01a"),
            raw(0x21, 0x11, bytes(12) + b"\xe1\0\x01x"),
            raw(0x21, 0x11, bytes(12) + b"\xe0\0\x01\xff"),
            raw(0x21, 0x11, b"", REST_OCTETS_MAX + 1),
        ):
            with self.assertRaises(HeaderRefused, msg=repr(octets)):
                read_header(octets)

    def test_names_of_hosts_are_not_written(self) -> None:
        with self.assertRaises(ValueError):
            write_header(Header(Client("localhost", 1)))
