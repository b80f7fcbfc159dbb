# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests of pluto_tw.imap.list_response."""

from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.imap.list_response import (
    NONEXISTENT,
    NOSELECT,
    extended_item,
    list_response,
    old_name_responses,
)
from pluto_tw.imap.selected import Features
from pluto_tw.mail.names import INBOX, MailboxName

REV2 = Features(rev2=True, utf8=True)


class ListResponseTests(SynchronousTestCase):
    def test_a_name_is_in_the_form_of_the_session(self) -> None:
        self.assertEqual(
            list_response([], "/", "Entwürfe", utf8=False), b'* LIST () "/" Entw&APw-rfe\r\n'
        )
        self.assertEqual(
            list_response([], "/", "Entwürfe", utf8=True),
            '* LIST () "/" "Entwürfe"\r\n'.encode(),
        )

    def test_the_root_has_an_empty_name(self) -> None:
        line = list_response([NOSELECT], ".", "", utf8=False, word=b"LSUB")
        self.assertEqual(line, b'* LSUB (\\Noselect) "." ""\r\n')

    def test_extended_data_comes_last(self) -> None:
        item = extended_item(b"CHILDINFO", [b'"SUBSCRIBED"', b'"SPECIAL-USE"'])
        self.assertEqual(
            list_response([NONEXISTENT], ".", "a b", utf8=False, extended=item),
            b'* LIST (\\NonExistent) "." "a b" ("CHILDINFO" ("SUBSCRIBED" "SPECIAL-USE"))\r\n',
        )


class OldNameTests(SynchronousTestCase):
    def test_a_name_that_is_not_normalised_is_told_by_what_it_has_become(self) -> None:
        """RFC 9051 §6.3.9.7: `* LIST () "." "NewMailbox" ("OLDNAME" ("OldMailbox"))`."""
        self.assertEqual(
            old_name_responses("New Old", MailboxName("New"), ".", REV2),
            [b'* LIST () "." New ("OLDNAME" ("New Old"))\r\n'],
        )

    def test_a_name_that_is_the_same_is_not(self) -> None:
        self.assertEqual(old_name_responses("a", MailboxName("a"), ".", REV2), [])

    def test_inbox_is_not_another_name(self) -> None:
        """RFC 9051 §9 "mailbox": "All case variants of INBOX ... MUST be interpreted as INBOX"."""
        self.assertEqual(old_name_responses("iNbOx", INBOX, ".", REV2), [])

    def test_clients_that_may_not_know_it_are_not_told(self) -> None:
        """
        RFC 5258 §3: "The server MUST NOT return any extended data item unless the client has
        expressed its ability to support extended LIST responses".
        """
        self.assertEqual(old_name_responses("b", MailboxName("a"), ".", Features()), [])
        self.assertEqual(old_name_responses("b", MailboxName("a"), ".", Features(utf8=True)), [])
