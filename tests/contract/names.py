# SPDX-License-Identifier: GPL-3.0-or-later
"""
The contract of an account's names: mailboxes that are made, renamed, deleted, subscribed to.

What docstrings quote after "Ports" is said in `pluto_tw.imap.ports`. The separator is `.`.
"""

import re

from pluto_tw.imap.ports import Account
from pluto_tw.mail.changes import Exposed, Vanished
from pluto_tw.mail.codes import ALREADYEXISTS, CANNOT, NONEXISTENT, TRYCREATE, USEATTR
from pluto_tw.mail.names import INBOX, NAME_OCTETS_MAX, SEPARATORS
from tests.contract.case import AccountCase, Mail, flags, name

_OBJECT_ID = re.compile(r"[A-Za-z0-9_-]{1,255}")


class NamesContract(AccountCase):
    """CREATE, DELETE, RENAME, SUBSCRIBE and what is left after them."""

    # What there is.

    def test_account_tells_who_and_how(self) -> None:
        """`separator`: "one of SEPARATORS"; `append_octets_max`: RFC 7889 §2, a number."""
        account = self.make_account()
        self.assertIn(account.separator, SEPARATORS)
        self.assertGreater(account.append_octets_max, 0)
        self.assertTrue(account.user)

    def test_inbox_is_there_from_the_beginning(self) -> None:
        """Ports: "All that exist, INBOX among them"."""
        account = self.make_account()
        self.assertIn(INBOX, self.names(account))
        self.assertEqual(self.now(account.status(INBOX)).messages, 0)

    def test_accounts_are_apart(self) -> None:
        """Ports: "One user's mail": another account has other mailboxes and messages."""
        account, other = self.make_account(), self.make_account()
        self.create(account, "Work")
        self.fill(account, 1)
        self.now(account.subscribe(name("Work"), True))
        self.assertNotIn("Work", self.names(other))
        self.assertEqual(self.now(other.status(INBOX)).messages, 0)
        self.assertEqual(self.now(other.subscriptions()), frozenset())

    def test_other_sessions_see_what_was_made(self) -> None:
        """Ports: "Awaited methods that change something return after the change is durable"."""
        account = self.make_account()
        other = self.another_session(account)
        self.create(account, "Work")
        self.fill(account, 2, box="Work")
        self.assertEqual(self.names(other), self.names(account))
        self.assertEqual(self.now(other.status(name("Work"))).messages, 2)

    def test_session_that_ends_leaves_the_others(self) -> None:
        """`close`: "The session has ended"."""
        account = self.make_account()
        other = self.another_session(account)
        self.create(other, "Work")
        other.close()
        self.assertIn("Work", self.names(account))

    # CREATE.

    def test_create_tells_the_mailbox_id(self) -> None:
        """Ports: "MAILBOXID, RFC 8474 §4: 1-255 characters of A-Z a-z 0-9 _ -"."""
        account = self.make_account()
        mailbox_id = self.now(account.create(name("Work"), frozenset()))
        self.create(account, "Home")
        ids = [entry.mailbox_id for entry in self.names(account).values()]
        self.assertEqual(self.names(account)["Work"].mailbox_id, mailbox_id)
        self.assertEqual(self.now(account.status(name("Work"))).mailbox_id, mailbox_id)
        self.assertTrue(all(_OBJECT_ID.fullmatch(i) for i in ids), ids)
        self.assertEqual(len(ids), len(set(ids)), "an identifier names one mailbox")

    def test_create_makes_missing_ancestors(self) -> None:
        """Ports: "Missing ancestors are created too"."""
        account = self.make_account()
        self.create(account, "a.b", "a.b.c.d")
        self.assertEqual(self.names(account).keys(), {"INBOX", "a", "a.b", "a.b.c", "a.b.c.d"})

    def test_create_of_what_exists_is_refused(self) -> None:
        """Ports: "No: ALREADYEXISTS"."""
        account = self.make_account()
        self.create(account, "Work")
        before = self.names(account)
        self.refuses(ALREADYEXISTS, account.create(name("Work"), frozenset()))
        self.refuses(ALREADYEXISTS, account.create(INBOX, frozenset()))
        self.assertEqual(self.names(account), before)

    def test_names_differ_by_case(self) -> None:
        """RFC 9051 §5.1: only INBOX is case-insensitive here; a name may hold any script."""
        account = self.make_account()
        self.create(account, "Work", "work", "INBOX.Arbeit", "Entwürfe")
        self.assertLessEqual(
            {"Work", "work", "INBOX.Arbeit", "Entwürfe"}, self.names(account).keys()
        )

    def test_create_gives_special_uses(self) -> None:
        """Ports: "Special-use attributes in the spelling of RFC 6154 §2"."""
        account = self.make_account()
        uses = frozenset({"\\Drafts", "\\Sent"})
        self.now(account.create(name("MySpecial"), uses))
        self.assertEqual(self.names(account)["MySpecial"].special_use, uses)

    def test_special_use_that_is_not_supported_is_refused(self) -> None:
        r"""RFC 6154 §3: "MUST NOT create the mailbox"; §5.3: "NO [USEATTR] \All not supported"."""
        account = self.make_account()
        self.refuses(USEATTR, account.create(name("a.b"), frozenset({"\\Sent", "\\Nonsense"})))
        self.assertEqual(self.names(account).keys(), {"INBOX"}, "its ancestors neither")

    def test_special_use_is_one_mailbox_s(self) -> None:
        """RFC 6154 §3: "cannot be assigned to the specified mailbox"."""
        account = self.make_account()
        sent = frozenset({"\\Sent"})
        self.now(account.create(name("Sent"), sent))
        self.refuses(USEATTR, account.create(name("Gesendet"), sent))
        self.assertNotIn("Gesendet", self.names(account))
        self.now(account.delete(name("Sent")))
        self.now(account.create(name("Gesendet"), sent))

    # DELETE.

    def test_deleted_mailbox_is_gone(self) -> None:
        """Ports: "No: NONEXISTENT"; `admit`: "No: TRYCREATE"."""
        account = self.make_account()
        self.create(account, "Work")
        message = self.new_message(account, Mail())
        self.now(account.delete(name("Work")))
        self.assertNotIn("Work", self.names(account))
        self.refuses(NONEXISTENT, account.delete(name("Work")))
        self.refuses(NONEXISTENT, account.status(name("Work")))
        self.refuses(NONEXISTENT, account.open(name("Work"), False, lambda: None))
        self.refuses(NONEXISTENT, account.rename(name("Work"), name("Home")))
        self.refuses(TRYCREATE, account.admit(name("Work"), [1]))
        self.refuses(TRYCREATE, account.append(name("Work"), [message]))

    def test_delete_leaves_inferiors(self) -> None:
        """Ports: "Inferiors stay"."""
        account = self.make_account()
        self.create(account, "a.b")
        self.fill(account, 1, box="a.b")
        self.now(account.delete(name("a")))
        self.assertEqual(self.names(account).keys(), {"INBOX", "a.b"})
        self.assertEqual(self.now(account.status(name("a.b"))).messages, 1)

    def test_inbox_cannot_be_deleted(self) -> None:
        """RFC 9051 §6.3.5: "It is an error to attempt to delete INBOX"."""
        account = self.make_account()
        self.refuses(CANNOT, account.delete(INBOX))
        self.assertIn(INBOX, self.names(account))

    def test_mailbox_that_is_made_again_is_another(self) -> None:
        """RFC 9051 §2.3.1.1: UIDVALIDITY "MUST be greater than the one used" before."""
        account = self.make_account()
        self.create(account, "Work")
        self.fill(account, 2, box="Work")
        before = self.now(account.status(name("Work")))
        self.now(account.delete(name("Work")))
        self.create(account, "Work")
        after = self.now(account.status(name("Work")))
        self.assertGreater(after.uid_validity, before.uid_validity)
        self.assertNotEqual(after.mailbox_id, before.mailbox_id)
        self.assertEqual(after.messages, 0)

    # RENAME.

    def test_rename_keeps_the_mailbox(self) -> None:
        """RFC 8474 §4: "MUST keep the same MAILBOXID for the source and destination"."""
        account = self.make_account()
        self.now(account.create(name("Work"), frozenset({"\\Archive"})))
        self.fill(account, 2, "\\Seen $a", box="Work")
        entry, status = self.names(account)["Work"], self.now(account.status(name("Work")))
        self.now(account.rename(name("Work"), name("Home")))
        self.assertNotIn("Work", self.names(account))
        renamed = self.names(account)["Home"]
        self.assertEqual(renamed.mailbox_id, entry.mailbox_id)
        self.assertEqual(renamed.special_use, entry.special_use)
        after = self.now(account.status(name("Home")))
        self.assertEqual(after.uid_validity, status.uid_validity)
        self.assertEqual((after.messages, after.uid_next), (2, status.uid_next))
        viewer = self.view(account, "Home")
        self.assertEqual(viewer.mailbox.name, "Home")
        self.assertEqual(set(viewer.flags().values()), {flags("\\Seen $a")})

    def test_rename_takes_inferiors_along(self) -> None:
        """Ports: "With inferiors." RFC 9051 §6.3.6."""
        account = self.make_account()
        self.create(account, "foo.bar.baz", "foobar")
        ids = {text: entry.mailbox_id for text, entry in self.names(account).items()}
        self.now(account.rename(name("foo"), name("zap")))
        after = {text: entry.mailbox_id for text, entry in self.names(account).items()}
        expected = {
            text.replace("foo", "zap") if text != "foobar" else text: i for text, i in ids.items()
        }
        self.assertEqual(after, expected)

    def test_rename_of_a_superior_that_is_no_mailbox(self) -> None:
        r"""RFC 9051 §6.3.6, example: `LIST (\Noselect) "/" foo`, `RENAME foo zowie`, OK."""
        account = self.make_account()
        self.create(account, "foo.bar")
        self.now(account.delete(name("foo")))
        self.now(account.rename(name("foo"), name("zowie")))
        self.assertEqual(self.names(account).keys(), {"INBOX", "zowie.bar"})

    def test_rename_makes_missing_superiors(self) -> None:
        """RFC 9051 §6.3.6: "SHOULD create any superior hierarchical names that are needed"."""
        account = self.make_account()
        self.create(account, "zap")
        self.now(account.rename(name("zap"), name("baz.rag.zowie")))
        self.assertEqual(self.names(account).keys(), {"INBOX", "baz", "baz.rag", "baz.rag.zowie"})

    def test_rename_is_refused(self) -> None:
        """Ports: "No: NONEXISTENT, ALREADYEXISTS, CANNOT"."""
        account = self.make_account()
        self.create(account, "a.x", "b")
        before = self.names(account)
        self.refuses(NONEXISTENT, account.rename(name("c"), name("d")))
        self.refuses(ALREADYEXISTS, account.rename(name("a"), name("b")))
        self.refuses(ALREADYEXISTS, account.rename(name("a"), name("a")))
        self.refuses(ALREADYEXISTS, account.rename(name("a"), INBOX))
        self.refuses(ALREADYEXISTS, account.rename(INBOX, name("a")))
        self.refuses(CANNOT, account.rename(name("a"), name("a.x.y")))
        self.assertEqual(self.names(account), before)

    def test_rename_whose_inferior_has_no_place_changes_nothing(self) -> None:
        """A name that is taken, or too long: `pluto_tw.mail.names.renamed`."""
        account = self.make_account()
        self.create(account, "a.x", "b.x", "a.long" + "g" * (NAME_OCTETS_MAX // 2))
        self.now(account.delete(name("b")))
        before = self.names(account)
        self.refuses(ALREADYEXISTS, account.rename(name("a"), name("b")))
        self.refuses(CANNOT, account.rename(name("a"), name("c" * (NAME_OCTETS_MAX // 2))))
        self.assertEqual(self.names(account), before)

    def test_rename_into_the_place_of_a_superior(self) -> None:
        """Names that are given up by the same RENAME are free."""
        account = self.make_account()
        self.create(account, "a.b.b")
        self.now(account.delete(name("a")))
        self.now(account.rename(name("a.b"), name("a")))
        self.assertEqual(self.names(account).keys(), {"INBOX", "a", "a.b"})

    def test_rename_of_inbox_moves_its_messages(self) -> None:
        """Ports: "INBOX moves its messages instead"; RFC 9051 §6.3.6: inferiors "unaffected"."""
        account = self.make_account()
        self.create(account, "INBOX.child")
        self.fill(account, 3, "\\Flagged $a")
        viewer = self.view(account)
        email_ids = viewer.email_ids()
        inbox_id = self.names(account)["INBOX"].mailbox_id
        self.now(account.rename(INBOX, name("old.mail")))
        self.assertEqual(self.names(account).keys(), {"INBOX", "INBOX.child", "old", "old.mail"})
        self.assertEqual(self.names(account)["INBOX"].mailbox_id, inbox_id)
        self.drive()
        self.assertGreater(viewer.wakes, 0)
        [change] = viewer.news()
        self.assertIsInstance(change, Vanished)
        viewer.catch_up()
        self.assertEqual(viewer.uids, [])
        moved = self.view(account, "old.mail")
        self.assertEqual(moved.email_ids(), email_ids)
        self.assertEqual(set(moved.flags().values()), {flags("\\Flagged $a")})

    def test_inbox_is_renamed_to_its_inferior(self) -> None:
        """RFC 9051 §6.3.6: its messages are moved to "a new mailbox with the given name"."""
        account = self.make_account()
        self.fill(account, 1)
        self.now(account.rename(INBOX, name("INBOX.old")))
        self.assertEqual(self.now(account.status(name("INBOX.old"))).messages, 1)
        self.assertEqual(self.now(account.status(INBOX)).messages, 0)

    def test_rename_alone_does_not_touch_a_selection(self) -> None:
        """`Ended`: "deleted, or another took its name" - a rename is neither."""
        account = self.make_account()
        self.create(account, "Work")
        viewer = self.view(account, "Work")
        self.now(account.rename(name("Work"), name("Home")))
        self.fill(account, 1, box="Home")
        [change] = viewer.news()
        self.assertIsInstance(change, Exposed)

    def test_uid_validity_of_a_name_never_falls(self) -> None:
        """RFC 9051 §2.3.1.1: name, UIDVALIDITY, UID name one "message on that server forever"."""
        account = self.make_account()
        self.create(account, "old", "Work")
        self.fill(account, 1, box="old")
        was = self.uid_validity(account, "Work")
        self.now(account.delete(name("Work")))
        self.now(account.rename(name("old"), name("Work")))
        self.assertGreater(self.uid_validity(account, "Work"), was)
        self.assertEqual(self.now(account.status(name("Work"))).messages, 1)
        self.create(account, "old")
        self.assertNotEqual(self.uid_validity(account, "old"), self.uid_validity(account, "Work"))

    # SUBSCRIBE.

    def test_subscriptions_are_names_alone(self) -> None:
        """Ports: "Names subscribed to; they need not exist"."""
        account = self.make_account()
        other = self.another_session(account)
        self.create(account, "Work")
        for text in ("Work", "none", "Work", "a.b"):
            self.now(account.subscribe(name(text), True))
        self.assertEqual(self.now(other.subscriptions()), frozenset({"Work", "none", "a.b"}))
        self.assertNotIn("none", self.names(account))
        self.now(account.subscribe(name("none"), False))
        self.now(account.subscribe(name("none"), False))
        self.assertEqual(self.now(other.subscriptions()), frozenset({"Work", "a.b"}))

    def test_subscriptions_stay_when_names_change(self) -> None:
        """RFC 9051 §6.3.7: "SHOULD NOT unilaterally remove an existing mailbox name"."""
        account = self.make_account()
        self.create(account, "Work", "Home")
        self.now(account.subscribe(name("Work"), True))
        self.now(account.subscribe(name("Home"), True))
        self.now(account.delete(name("Work")))
        self.now(account.rename(name("Home"), name("House")))
        self.assertEqual(self.now(account.subscriptions()), frozenset({"Work", "Home"}))

    def test_lists_belong_to_the_caller(self) -> None:
        """Ports: "Lists that they return belong to the caller"."""
        account: Account = self.make_account()
        self.fill(account, 1)
        viewer = self.view(account)
        entries, numbers = self.now(account.mailboxes()), viewer.mailbox.uids()
        changes = viewer.mailbox.changes(viewer.position)
        self.create(account, "Work")
        self.fill(account, 1)
        self.assertEqual([len(entries), len(numbers), len(changes or ())], [1, 1, 0])
