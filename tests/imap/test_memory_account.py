# SPDX-License-Identifier: GPL-3.0-or-later
"""The account that other tests stand on keeps the contract; and what only it can do."""

from twisted.internet.defer import Deferred

from pluto_tw.imap.ports import Account
from pluto_tw.mail.changes import Ended, Exposed, Touched, Vanished
from pluto_tw.mail.codes import UNAVAILABLE
from pluto_tw.mail.errors import No
from pluto_tw.mail.flags import DELETED
from pluto_tw.mail.messages import NewMessage, StoreMode
from pluto_tw.mail.names import INBOX
from pluto_tw.mail.sets import EMPTY, NumberSet
from pluto_tw.mail.uids import ModSeq
from tests.contract import appends, histories, logs, names, views, writes
from tests.contract.case import ANY, MESSAGE, AccountCase, Mail, Wanted, flags, name, uids
from tests.support.account import MemoryAccount


class InMemory(AccountCase):
    """Accounts in memory."""

    def make_account(self, wanted: Wanted = ANY) -> Account:
        return self.made(wanted)

    def made(self, wanted: Wanted = ANY) -> MemoryAccount:
        account = MemoryAccount(waiting=self.waiting)
        if wanted.octets_max is not None:
            account.limits.octets_max = wanted.octets_max
        if wanted.log_changes_max is not None:
            account.limits.log_changes_max = wanted.log_changes_max
        return account

    def another_session(self, account: Account) -> Account:
        return account


class Slow(InMemory):
    """Accounts whose every awaited call really waits."""

    def setUp(self) -> None:
        super().setUp()
        self.accounts: list[MemoryAccount] = []

    def made(self, wanted: Wanted = ANY) -> MemoryAccount:
        account = super().made(wanted)
        account.hold()
        self.accounts.append(account)
        return account

    def drive(self) -> None:
        super().drive()
        for account in self.accounts:
            account.release()
            account.hold()


class Foreign(InMemory):
    """Accounts that take each client for one that comes from another replica."""

    def made(self, wanted: Wanted = ANY) -> MemoryAccount:
        account = super().made(wanted)
        account.foreign = True
        return account


class NamesTests(InMemory, names.NamesContract):
    pass


class AppendsTests(InMemory, appends.AppendsContract):
    pass


class LogsTests(InMemory, logs.LogsContract):
    pass


class ViewsTests(InMemory, views.ViewsContract):
    pass


class WritesTests(InMemory, writes.WritesContract):
    pass


class HistoriesTests(InMemory, histories.HistoriesContract):
    pass


class SlowNamesTests(Slow, names.NamesContract):
    pass


class SlowAppendsTests(Slow, appends.AppendsContract):
    pass


class SlowLogsTests(Slow, logs.LogsContract):
    pass


class SlowViewsTests(Slow, views.ViewsContract):
    pass


class SlowWritesTests(Slow, writes.WritesContract):
    pass


class ForeignHistoriesTests(Foreign, histories.HistoriesContract):
    pass


class CallsTests(InMemory):
    """Calls that wait, and calls that fail."""

    def test_held_call_changes_nothing_until_it_is_released(self) -> None:
        """`hold`: "before they read or change anything, until `release`"."""
        account = self.made()
        account.deliver(MESSAGE)
        viewer = self.view(account)
        account.hold()
        first = Deferred.fromCoroutine(
            viewer.mailbox.store(uids(1), StoreMode.ADD, flags("\\Seen"), None)
        )
        second = Deferred.fromCoroutine(account.status(INBOX))
        self.assertNoResult(first)
        self.assertEqual((viewer.news(), account.turns.in_flight), ([], 2))
        account.deliver(MESSAGE, flags=flags("\\Seen"))
        account.release()
        self.assertEqual(self.successResultOf(first).changed, uids(1))
        self.assertEqual(self.successResultOf(second).unseen, 0)
        self.assertEqual([type(change) for change in viewer.news()], [Exposed, Touched])

    def test_call_fails_when_asked_to(self) -> None:
        """`fail_next`: "raises *error* and does nothing"; one call only."""
        account = self.made()
        account.fail_next(No(UNAVAILABLE, "later"))
        self.refuses(UNAVAILABLE, account.create(name("Work"), frozenset()))
        self.assertEqual(self.names(account).keys(), {"INBOX"})

    def test_call_that_fails_can_be_named(self) -> None:
        """`fail_next`: "of *method* if one is named"; any exception, as our bugs have."""
        account = self.made()
        account.fail_next(ZeroDivisionError(), "append")
        message = self.new_message(account, Mail())
        self.now(account.admit(INBOX, [1]))
        self.failureResultOf(self.started(account.append(INBOX, [message])), ZeroDivisionError)
        self.now(account.append(INBOX, [message]))

    def test_body_that_is_not_here(self) -> None:
        """Ports, `read`: "No(UNAVAILABLE) comes before the first chunk"."""
        account = self.made()
        uid = account.deliver(MESSAGE)
        account.damage(INBOX, uid)
        viewer = self.view(account)
        body = viewer.mailbox.body(uid)
        self.assertEqual(body.size, len(MESSAGE))
        self.refuses(UNAVAILABLE, anext(body.read(0, 1)))
        self.refuses(UNAVAILABLE, anext(body.read(5, 1)))

    def test_body_that_breaks_in_the_middle(self) -> None:
        """Ports, `read`: "damage found later raises too, and no more octets follow"."""
        account = self.made()
        account.chunk_octets = 4
        uid = account.deliver(b"0123456789")
        account.damage(INBOX, uid, 6, OSError("damaged"))
        body = self.view(account).mailbox.body(uid)
        got: list[bytes] = []

        async def read() -> None:
            async for chunk in body.read(1, 9):
                got.append(chunk)

        self.failureResultOf(self.started(read()), OSError)
        self.assertEqual(got, [b"1234", b"5"])

    def test_upload_of_another_length_is_our_bug(self) -> None:
        """Ports, `NewMessage`: "all of its octets were written to *upload*"."""
        account = self.made()
        for wrong in (b"", b"1234"):
            upload = account.upload(5)
            self.now(upload.write(wrong))
            message = NewMessage(upload, frozenset(), None)
            work = self.started(account.append(INBOX, [message]))
            self.failureResultOf(work, AssertionError)
        work_of_six = self.started(account.upload(5).write(b"123456"))
        self.failureResultOf(work_of_six, AssertionError)
        self.assertEqual(self.now(account.status(INBOX)).messages, 0)

    def test_new_uids_may_be_unknown(self) -> None:
        """Ports, `Appended`, `Copied`: "empty if the new UIDs are not known yet"."""
        account = self.made()
        account.tells_uids = False
        viewer = self.view(account)
        self.assertEqual(self.append(account, INBOX, Mail()).uids, ())
        viewer.catch_up()
        copied = self.now(viewer.mailbox.copy(uids(*viewer.uids), INBOX))
        self.assertEqual((copied.source, copied.target, copied.messages), ((), (), 1))


class BehindTheBackTests(InMemory):
    """What other sessions, sites and the delivery of mail do."""

    def setUp(self) -> None:
        super().setUp()
        self.account = self.made()
        for number in range(3):
            self.account.deliver(b"%d" % number, thread_id=f"T{number}")
        self.viewer = self.view(self.account)

    def test_mail_arrives(self) -> None:
        """`deliver`: "A message arrives", and sessions are woken."""
        uid = self.account.deliver(MESSAGE, flags=flags("$a"))
        self.assertEqual(self.viewer.wakes, 1)
        self.viewer.catch_up()
        self.assertEqual(self.viewer.uids, [1, 2, 3, uid])
        self.assertEqual(list(self.viewer.mailbox.thread_ids([2, uid])), ["T1", None])

    def test_messages_vanish_without_the_flag(self) -> None:
        """`remove`: "whatever their flags"."""
        self.account.remove(INBOX, 1, 3)
        self.assertEqual(self.viewer.vanished()[0].uids, uids(1, 3))
        self.assertNotIn(DELETED, self.viewer.flags()[1])
        self.assertEqual(self.viewer.wakes, 1)

    def test_messages_get_other_uids(self) -> None:
        """Changes, `Vanished`: "or go on under another UID that is exposed later in the log"."""
        ids = self.viewer.email_ids()
        fresh = self.account.renumber(INBOX, 1, 2)
        self.assertEqual([type(change) for change in self.viewer.news()], [Vanished, Exposed])
        self.viewer.catch_up()
        self.assertEqual(self.viewer.uids, [3, *fresh])
        self.assertEqual(self.viewer.email_ids(), [ids[2], ids[0], ids[1]])

    def test_modseq_rises_alone(self) -> None:
        """Changes, `Touched`: "*flags* says whether their flags changed as well"."""
        before = self.viewer.flags()
        modseq = self.account.raise_modseq(INBOX, 2)
        self.assertEqual(self.viewer.news(), [Touched(modseq, uids(2), False)])
        self.assertEqual(self.viewer.flags(), before)

    def test_another_mailbox_takes_the_name(self) -> None:
        """Changes, `Ended`: "deleted, or another took its name"."""
        self.account.replace(INBOX)
        self.assertIsInstance(self.viewer.news()[-1], Ended)
        self.assertEqual(self.octets(self.viewer, 1), b"0")
        fresh = self.view(self.account)
        self.assertEqual(fresh.uids, [])
        self.assertGreater(fresh.mailbox.uid_validity, self.viewer.mailbox.uid_validity)
        self.assertNotEqual(fresh.mailbox.mailbox_id, self.viewer.mailbox.mailbox_id)

    def test_client_of_another_replica_is_told_more(self) -> None:
        """Ports, `changed_since`: "A superset, where *modseq* was told by another replica"."""
        self.account.remove(INBOX, 2)
        mailbox, newest = self.viewer.mailbox, self.viewer.mailbox.highest_modseq()
        self.account.foreign = True
        self.assertEqual(self.now(mailbox.changed_since(newest)), uids(1, 3))
        self.assertEqual(self.now(mailbox.vanished_since(newest, None)), uids(2))
        everything = NumberSet.from_ranges([(1, 9)])
        self.assertEqual(
            self.now(mailbox.vanished_since(newest, everything)), everything - uids(1, 3)
        )
        self.assertEqual(self.now(mailbox.vanished_since(ModSeq(1), EMPTY)), EMPTY)

    def test_what_was_derived_is_dropped(self) -> None:
        """Ports, `derived`: "Dropped when memory is short"."""
        self.viewer.mailbox.derived["key"] = "value"
        self.account.drop_derived()
        self.assertEqual(len(self.viewer.mailbox.derived), 0)
