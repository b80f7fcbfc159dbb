# SPDX-License-Identifier: GPL-3.0-or-later
"""What the sets in a search program name."""

from array import array
from typing import cast

from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.imap.grammar import Arguments
from pluto_tw.imap.search_keys import parse_program
from pluto_tw.imap.search_program import Program
from pluto_tw.imap.selected import Selected
from pluto_tw.mail.search import Key, Uids
from pluto_tw.mail.sets import EMPTY, NumberSet


class View:
    """As much of a `Selected` as sets are looked up in."""

    def __init__(self, *uids: int, saved: NumberSet = EMPTY) -> None:
        self.uids = array("I", uids)
        self.saved = saved


def program(text: str) -> Program:
    return parse_program(Arguments((text.encode("ascii"),)))


def key(text: str, view: View | None = None) -> Key:
    return program(text).resolve(cast(Selected, view or View()))


class SetTests(SynchronousTestCase):
    def test_uids(self) -> None:
        view = View(3, 5, 9)
        self.assertEqual(key("UID 5:7", view), Uids(NumberSet.parse(b"5:7")))
        self.assertEqual(key("UID *", view), Uids(NumberSet.parse(b"9")))
        self.assertEqual(key("UID 20:*", view), Uids(NumberSet.parse(b"9:20")))

    def test_numbers(self) -> None:
        """Sequence numbers become the UIDs that the view has at those places."""
        view = View(3, 5, 9, 12)
        for text, uids in (("1", (3,)), ("2:3", (5, 9)), ("*", (12,)), ("4,1", (3, 12))):
            named = key(text, view)
            assert isinstance(named, Uids)
            self.assertEqual(named.uids.select(view.uids), list(uids))

    def test_numbers_beyond_the_mailbox(self) -> None:
        """They name nothing; a range to "*" names the last message."""
        self.assertEqual(key("1:*"), Uids(EMPTY))
        self.assertEqual(key("5", View(3, 5)), Uids(EMPTY))
        self.assertEqual(key("9:*", View(3, 5)), Uids(NumberSet.parse(b"5")))
        self.assertEqual(key("UID 1:*"), Uids(EMPTY))

    def test_saved(self) -> None:
        """RFC 9051 §6.4.4.4: of `UID $` and `$` "the result of the command would be the same"."""
        view = View(3, 5, 9, saved=NumberSet.parse(b"3,9"))
        self.assertEqual(key("$", view), Uids(NumberSet.parse(b"3,9")))
        self.assertEqual(key("UID $", view), Uids(NumberSet.parse(b"3,9")))

    def test_which_programs_name_numbers(self) -> None:
        self.assertTrue(program("SEEN OR ALL (NOT 7)").names_numbers)
        self.assertFalse(program("UID 7 $ SEEN").names_numbers)
