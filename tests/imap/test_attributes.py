# SPDX-License-Identifier: GPL-3.0-or-later
from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.imap import attributes
from pluto_tw.imap.fetch_items import Attribute
from pluto_tw.imap.selected import Features
from pluto_tw.mail.flags import FLAGGED
from pluto_tw.mail.messages import InternalDate
from pluto_tw.mime.scanner import scan
from tests.support.connection import World

OCTETS = b"Subject: s\r\n\r\ntext"


class AttributesTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.account = (world := World()).account
        self.account.deliver(OCTETS, date=InternalDate(825_000_000, 60), thread_id="T9")
        self.account.deliver(OCTETS, flags=frozenset({FLAGGED}), date=InternalDate(0, -90))
        self.client = world.logged_in()
        self.client.ask(b"EXAMINE INBOX")

    def texts(self, attribute: Attribute) -> list[bytes]:
        selected = self.client.session.the_mailbox
        facts = [scan(OCTETS)] * 2 if attribute in attributes.OF_FACTS else []
        return attributes.texts(attribute, selected, selected.uids, Features(), facts)

    def test_every_attribute_has_its_form(self) -> None:
        """RFC 9051 §7.5.2; RFC 7162 §7 "fetch-mod-resp"; RFC 8474 §7."""
        mailbox = self.client.session.the_mailbox.mailbox
        modseqs = mailbox.modseqs([1, 2])
        envelope = b'ENVELOPE (NIL "s" NIL NIL NIL NIL NIL NIL NIL NIL)'
        body = b'("text" "plain" ("charset" "us-ascii") NIL NIL "7BIT" 4 0'
        for attribute, expected in {
            Attribute.UID: [b"UID 1", b"UID 2"],
            Attribute.FLAGS: [b"FLAGS ()", b"FLAGS (\\Flagged)"],
            Attribute.MODSEQ: [b"MODSEQ (%d)" % modseq for modseq in modseqs],
            Attribute.INTERNALDATE: [
                b'INTERNALDATE "22-Feb-1996 15:40:00 +0100"',
                b'INTERNALDATE "31-Dec-1969 22:30:00 -0130"',
            ],
            Attribute.RFC822_SIZE: [b"RFC822.SIZE 18", b"RFC822.SIZE 18"],
            Attribute.EMAILID: [b"EMAILID (M1)", b"EMAILID (M2)"],
            Attribute.THREADID: [b"THREADID (T9)", b"THREADID NIL"],
            Attribute.ENVELOPE: [envelope] * 2,
            Attribute.BODY: [b"BODY " + body + b")"] * 2,
            Attribute.BODYSTRUCTURE: [b"BODYSTRUCTURE " + body + b" NIL NIL NIL NIL)"] * 2,
        }.items():
            self.assertEqual(self.texts(attribute), expected)

    def test_lines_hold_the_attributes_in_their_order(self) -> None:
        selected = self.client.session.the_mailbox
        self.assertEqual(
            attributes.lines(
                [Attribute.FLAGS, Attribute.UID], selected, [7, 9], [1, 2], Features()
            ),
            [b"* 7 FETCH (FLAGS () UID 1)\r\n", b"* 9 FETCH (FLAGS (\\Flagged) UID 2)\r\n"],
        )
