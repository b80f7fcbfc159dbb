# SPDX-License-Identifier: GPL-3.0-or-later
"""Addresses of the configuration."""

from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.node.addresses import Address, read_address, read_listening_address


class AddressTests(SynchronousTestCase):
    def test_names_and_numbers(self) -> None:
        for text, address in (
            ("mail.example.org:993", Address("mail.example.org", 993)),
            ("192.0.2.1:1", Address("192.0.2.1", 1)),
            ("[2001:db8::1]:65535", Address("2001:db8::1", 65535)),
        ):
            self.assertEqual(read_address(text), address)
            self.assertEqual(str(address), text)

    def test_other_forms_are_refused(self) -> None:
        for text in (
            "",
            "host",
            "host:",
            ":1",
            "host:0",
            "host:65536",
            "host:-1",
            "host:x",
            "2001:db8::1:993",
            "host:\u0661",
            "host: 1",
        ):
            with self.assertRaises(ValueError, msg=text):
                read_address(text)

    def test_listening(self) -> None:
        for text, address in (
            (":993", Address("", 993)),
            ("127.0.0.1:0", Address("127.0.0.1", 0)),
            ("localhost:143", Address("127.0.0.1", 143)),
            ("[::]:993", Address("::", 993)),
        ):
            self.assertEqual(read_listening_address(text), address)

    def test_names_are_not_listened_on(self) -> None:
        """They may be somebody else's tomorrow."""
        with self.assertRaises(ValueError):
            read_listening_address("mail.example.org:993")

    def test_loopback(self) -> None:
        for host, is_loopback in (
            ("127.0.0.1", True),
            ("127.9.9.9", True),
            ("::1", True),
            ("", False),
            ("::", False),
            ("0.0.0.0", False),
            ("x", False),
        ):
            self.assertEqual(Address(host, 1).is_loopback, is_loopback, host)
