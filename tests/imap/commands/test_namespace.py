# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests of pluto_tw.imap.commands.namespace."""

from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.imap.commands.namespace import Namespace, parse
from pluto_tw.imap.grammar import Arguments
from pluto_tw.mail.errors import Bad
from tests.support.connection import World


class NamespaceTests(SynchronousTestCase):
    def test_no_arguments(self) -> None:
        self.assertEqual(parse(Arguments([b""]), False), Namespace())
        with self.assertRaises(Bad):
            parse(Arguments([b" a"]), False)

    def test_the_separator_is_that_of_the_account(self) -> None:
        """RFC 9051 §6.3.10, example 1: `* NAMESPACE (("" "/")) NIL NIL`."""
        world = World()
        world.account.separator = "/"
        self.assertEqual(
            world.logged_in().ask(b"NAMESPACE"),
            b'* NAMESPACE (("" "/")) NIL NIL\r\nx OK NAMESPACE completed\r\n',
        )
