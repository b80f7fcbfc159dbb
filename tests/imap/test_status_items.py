# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests of pluto_tw.imap.status_items."""

from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.imap.grammar import Arguments
from pluto_tw.imap.status_items import StatusItem, status_items, status_response
from pluto_tw.mail.errors import Bad
from pluto_tw.mail.mailboxes import MailboxStatus
from pluto_tw.mail.names import MailboxName
from pluto_tw.mail.uids import ModSeq, Uid, UidValidity

STATUS = MailboxStatus(
    mailbox_id="F2-x_y",
    uid_validity=UidValidity(1364851417),
    uid_next=Uid(242344),
    highest_modseq=ModSeq(2**63 - 1),
    messages=8,
    unseen=7,
    deleted=6,
    size=2**62,
    recent=5,
)


def items(text: bytes) -> tuple[StatusItem, ...]:
    arguments = Arguments([text])
    found = status_items(arguments)
    arguments.end()
    return found


class StatusItemsTests(SynchronousTestCase):
    def test_items_keep_the_order_of_the_client_and_come_once(self) -> None:
        self.assertEqual(
            items(b"(unseen MESSAGES Unseen)"), (StatusItem.UNSEEN, StatusItem.MESSAGES)
        )

    def test_there_is_at_least_one_and_all_are_known(self) -> None:
        for text in (b"()", b"(NONE)", b"MESSAGES", b"(MESSAGES", b"( MESSAGES)", b"(MESSAGESX)"):
            with self.assertRaises(Bad):
                items(text)


class StatusResponseTests(SynchronousTestCase):
    def test_each_item_has_its_form(self) -> None:
        """RFC 9051 §9 "status-att-val", RFC 7162 §7, RFC 8474 §7, RFC 7889 §5."""
        line = status_response(
            MailboxName("a b"), StatusItem, STATUS, append_octets_max=257890, utf8=False
        )
        self.assertEqual(
            line,
            b'* STATUS "a b" (MESSAGES 8 UIDNEXT 242344 UIDVALIDITY 1364851417 UNSEEN 7 DELETED 6'
            b" SIZE 4611686018427387904 RECENT 5 HIGHESTMODSEQ 9223372036854775807"
            b" MAILBOXID (F2-x_y) APPENDLIMIT 257890)\r\n",
        )
