# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of users."""

from hypothesis import assume, example, given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.auth.names import NAME_OCTETS_MAX, account_key


class AccountKeyTests(SynchronousTestCase):
    def test_case_does_not_count(self) -> None:
        self.assertEqual(account_key("Fred@Example.ORG"), "fred@example.org")
        self.assertEqual(account_key("STRASSE"), account_key("straße"))

    def test_how_an_accent_is_encoded_does_not_count(self) -> None:
        self.assertEqual(account_key("Ren\u00e9"), account_key("rene\u0301"))

    def test_other_letters_are_other_users(self) -> None:
        self.assertNotEqual(account_key("rene"), account_key("rené"))

    def test_names_that_nobody_can_have(self) -> None:
        for name in ("", "a\0b", "a\r", "a\x85", "a\u2028", "\ud800", " a", "a\u00a0"):
            with self.assertRaises(ValueError, msg=repr(name)):
                account_key(name)

    def test_octets_are_limited(self) -> None:
        account_key("é" * (NAME_OCTETS_MAX // 2))
        with self.assertRaises(ValueError):
            account_key("é" * (NAME_OCTETS_MAX // 2 + 1))

    @given(st.text(max_size=20))
    @example("\u0345\u0301")
    @example("İ")
    def test_a_key_is_its_own_key(self, name: str) -> None:
        """So that a key may be passed on between nodes, and read again as a name."""
        try:
            key = account_key(name)
        except ValueError:
            assume(False)
        else:
            self.assertEqual(account_key(key), key)
