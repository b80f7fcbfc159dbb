# SPDX-License-Identifier: GPL-3.0-or-later
"""
The contract of a selected mailbox: what sessions see in it, and for how long.

What docstrings quote after "Ports"
is said in `pluto_tw.imap.ports`, after "Changes" in `pluto_tw.mail.changes`.
"""

from pluto_tw.mail.changes import Ended
from pluto_tw.mail.codes import NONEXISTENT
from pluto_tw.mail.flags import RECENT, Flags
from pluto_tw.mail.messages import StoreMode
from pluto_tw.mail.names import INBOX
from pluto_tw.mail.sets import EMPTY
from pluto_tw.mail.uids import Uid
from tests.contract.case import AccountCase, Mail, Viewer, Wanted, flags, name, uids


class ViewsContract(AccountCase):
    """Sessions that have a mailbox selected."""

    # Opening.

    def test_open_mailbox_says_what_it_is(self) -> None:
        """Ports, `OpenMailbox`: "A mailbox as one session selected it"."""
        account = self.make_account()
        self.create(account, "Work")
        numbers = self.fill(account, 3, box="Work")
        for read_only in (False, True):
            mailbox = self.view(account, "Work", read_only=read_only).mailbox
            self.assertEqual((mailbox.name, mailbox.read_only), ("Work", read_only))
            self.assertEqual(mailbox.mailbox_id, self.names(account)["Work"].mailbox_id)
            self.assertEqual(mailbox.uid_validity, self.uid_validity(account, "Work"))
            self.assertEqual(list(mailbox.uids()), numbers)
            self.assertGreater(mailbox.uid_next(), numbers[-1])

    def test_missing_mailbox_cannot_be_opened(self) -> None:
        """Ports, `open`: "No: NONEXISTENT"."""
        account = self.make_account()
        self.refuses(NONEXISTENT, account.open(name("Work"), False, lambda: None))

    def test_highest_modseq_of_an_empty_mailbox(self) -> None:
        """Ports, `highest_modseq`: "At least 1"."""
        account = self.make_account()
        self.create(account, "Work")
        for box in (INBOX, "Work"):
            self.assertGreaterEqual(self.view(account, box).mailbox.highest_modseq(), 1)

    # Messages that have vanished.

    def test_vanished_messages_stay_readable_until_told(self) -> None:
        """Ports: "what the session shows stays readable ... until the session says by `told`"."""
        account = self.make_account()
        numbers = self.append(account, INBOX, Mail(b"first", flags("$a")), Mail(b"second")).uids
        viewer, other = self.view(account), self.view(self.another_session(account))
        ids = viewer.email_ids()
        facts = self.now(viewer.mailbox.facts(numbers))
        self.expunge(other, *numbers)
        other.catch_up()
        self.fill(account, 1)
        mailbox = viewer.mailbox
        self.assertEqual(list(mailbox.flags(numbers)), [flags("$a \\Deleted"), flags("\\Deleted")])
        self.assertEqual(list(mailbox.sizes(numbers)), [5, 6])
        self.assertEqual(viewer.email_ids(), ids)
        self.assertEqual(self.now(mailbox.facts(numbers)), facts)
        self.assertEqual(len(mailbox.modseqs(numbers)), 2)
        self.assertEqual(len(mailbox.internal_dates(numbers)), 2)
        self.assertEqual([self.octets(viewer, uid) for uid in numbers], [b"first", b"second"])
        viewer.catch_up()
        self.assertEqual(len(viewer.uids), 1)

    def test_prefix_of_the_log_stays_readable(self) -> None:
        """Ports, `told`: "messages vanished before may go", those that vanished behind it stay."""
        account = self.make_account()
        viewer, other = self.view(account), self.view(account)
        [first] = self.fill(account, 1)
        self.expunge(other, first)
        [second] = self.append(account, INBOX, Mail(b"second")).uids
        self.expunge(other, second)
        # Up to the exposure of the second: it is gone already, but not in this view.
        while second not in viewer.uids:
            viewer.catch_up(1)
        self.assertEqual(viewer.uids, [second])
        self.assertEqual(self.octets(viewer, second), b"second")
        self.assertEqual(list(viewer.mailbox.sizes([second])), [6])

    def test_messages_stay_readable_where_the_log_is_too_short(self) -> None:
        """Ports: "what the session shows stays readable, also when it has vanished for others"."""
        account = self.make_account(Wanted(log_changes_max=2))
        numbers = self.fill(account, 4)
        viewer, other = self.view(account), self.view(account)
        for uid in numbers:
            self.expunge(other, uid)
        self.assertIsNone(viewer.mailbox.changes(viewer.position))
        self.assertEqual(set(viewer.flags().values()), {flags("\\Deleted")})

    # The mailbox ends.

    def test_deleted_mailbox_ends_its_sessions(self) -> None:
        """Changes, `Ended`: "Nothing follows it in the log"."""
        account = self.make_account()
        self.create(account, "Work")
        [uid] = self.append(account, name("Work"), Mail(b"octets")).uids
        viewer = self.view(self.another_session(account), "Work")
        self.now(account.delete(name("Work")))
        self.drive()
        self.assertGreater(viewer.wakes, 0)
        self.assertIsInstance(viewer.news()[-1], Ended)
        position = viewer.mailbox.position()
        self.assertEqual(self.octets(viewer, uid), b"octets", "the view holds it still")
        self.create(account, "Work")
        self.fill(account, 1, box="Work")
        self.assertEqual(viewer.mailbox.position(), position)

    def test_writes_to_an_ended_mailbox_do_nothing(self) -> None:
        """Ports: "Messages that are gone already are left out, never revived"."""
        account = self.make_account()
        self.create(account, "Work")
        numbers = self.fill(account, 2, "\\Deleted", box="Work")
        viewer = self.view(account, "Work")
        self.now(account.delete(name("Work")))
        position = viewer.mailbox.position()
        stored = self.store(viewer, numbers, StoreMode.ADD, "\\Seen")
        self.assertEqual((stored.changed, stored.gone), (EMPTY, uids(*numbers)))
        self.assertEqual(self.now(viewer.mailbox.expunge(uids(*numbers))), EMPTY)
        self.assertEqual(self.now(viewer.mailbox.copy(uids(*numbers), INBOX)).messages, 0)
        self.assertEqual(self.now(viewer.mailbox.move(uids(*numbers), INBOX)).messages, 0)
        self.assertEqual(viewer.mailbox.position(), position)
        self.assertEqual(self.now(account.status(INBOX)).messages, 0)

    # Keywords, \Recent, what the core derives.

    def test_keywords_are_the_same_object_until_there_is_a_new_one(self) -> None:
        """Ports, `keywords`: "the same object as long as there is no new one"."""
        account = self.make_account()
        numbers = self.fill(account, 2, "$a \\Seen")
        viewer = self.view(account)
        keywords = viewer.mailbox.keywords()
        self.assertEqual(keywords, flags("$a"))
        self.store(viewer, numbers, StoreMode.REPLACE, "\\Flagged")
        self.fill(account, 1, "$a")
        self.assertIs(viewer.mailbox.keywords(), keywords, "once used is enough")
        self.assertTrue(viewer.mailbox.takes_new_keywords())
        self.store(viewer, numbers, StoreMode.ADD, "$b")
        self.assertEqual(viewer.mailbox.keywords(), flags("$a $b"))
        self.assertEqual(self.view(account).mailbox.keywords(), flags("$a $b"))

    def test_keywords_are_a_mailbox_s(self) -> None:
        """Ports, `keywords`: those in use, or once used, in this mailbox."""
        account = self.make_account()
        self.create(account, "Work")
        self.fill(account, 1, "$a", box="Work")
        self.assertEqual(self.view(account).mailbox.keywords(), frozenset())

    def test_first_spelling_of_a_keyword_stays(self) -> None:
        """RFC 9051 §9, note 1: flags are compared without regard to case."""
        account = self.make_account()
        [uid] = self.fill(account, 1, "MyLabel")
        viewer = self.view(account)
        self.fill(account, 1, "MYLABEL")
        viewer.catch_up()
        self.assertEqual(set(viewer.flags().values()), {flags("MyLabel")})
        self.assertEqual(self.store(viewer, [uid], StoreMode.ADD, "mylabel").changed, EMPTY)
        self.assertEqual(self.store(viewer, [uid], StoreMode.REMOVE, "mylabel").changed, uids(uid))
        self.assertEqual(viewer.flags()[uid], frozenset())
        self.store(viewer, [uid], StoreMode.REPLACE, "mylabeL another")
        self.assertEqual(viewer.flags()[uid], flags("MyLabel another"))
        self.assertEqual(viewer.mailbox.keywords(), flags("MyLabel another"))

    def test_flags_hold_no_recent(self) -> None:
        r"""Ports, `flags`: "Without `\Recent`"."""
        account = self.make_account()
        self.fill(account, 1, "\\Seen")
        viewer = self.view(account)
        viewer.mailbox.claim_recent()
        found: Flags = frozenset().union(*viewer.flags().values())
        self.assertNotIn(RECENT, found)

    def test_message_is_recent_in_one_session(self) -> None:
        r"""Ports, `claim_recent`: "`\Recent` in this session and in no other"."""
        account = self.make_account()
        first = self.fill(account, 2)
        reader = self.view(account, read_only=True)
        self.assertEqual(self.now(account.status(INBOX)).recent, 2, "EXAMINE claims none")
        viewer, other = self.view(account), self.view(self.another_session(account))
        self.assertEqual(self.claimed(viewer), first)
        self.assertEqual(self.claimed(other), [])
        self.assertEqual(self.now(account.status(INBOX)).recent, 0)
        second = self.fill(account, 2)
        self.assertEqual(self.now(account.status(INBOX)).recent, 2)
        other.catch_up()
        self.assertEqual(self.claimed(other), second)
        viewer.catch_up()
        self.assertEqual(self.claimed(viewer), [])
        reader.catch_up()

    def claimed(self, viewer: Viewer) -> list[Uid]:
        lowest = viewer.mailbox.claim_recent()
        return [Uid(uid) for uid in viewer.uids if uid >= lowest]

    def test_what_is_derived_is_shared(self) -> None:
        """Ports, `derived`: "shared by all sessions that have it selected"."""
        account = self.make_account()
        self.create(account, "Work")
        viewer, other = self.view(account), self.view(self.another_session(account))
        viewer.mailbox.derived["envelope", 1] = b"an envelope"
        self.assertEqual(other.mailbox.derived["envelope", 1], b"an envelope")
        self.assertNotIn(("envelope", 1), self.view(account, "Work").mailbox.derived)
