# SPDX-License-Identifier: GPL-3.0-or-later
"""Commits: nothing is told before them, and one that fails leaves nothing behind."""

from collections.abc import Sequence
from typing import NoReturn

from pluto_tw.account.failures import Trouble
from pluto_tw.account.mailbox import Mailbox
from pluto_tw.account.opened import OpenedMailbox
from pluto_tw.account.records import StoredRecords
from pluto_tw.account.saving import Saving
from pluto_tw.account.work import Work
from pluto_tw.account.writer import Outcome, Writer
from pluto_tw.mail.changes import Ended, Exposed, Touched
from pluto_tw.mail.codes import ALREADYEXISTS, NONEXISTENT, UNAVAILABLE
from pluto_tw.mail.errors import No
from pluto_tw.mail.flags import flag_set
from pluto_tw.mail.messages import StoreMode
from pluto_tw.mail.names import INBOX, MailboxName
from tests.account.case import pages_max
from tests.account.replica_case import ALL, WORK, ReplicaCase
from tests.support.hop import HeldHop


class OrderTests(ReplicaCase):
    """Nothing is told before COMMIT."""

    def setUp(self) -> None:
        super().setUp()
        self.hop = HeldHop()
        self.addCleanup(self.hop.finish)
        self.append()
        self.crash(self.hop)
        opening = self.begun(self.session.open(INBOX, False, self.woken))
        self.hop.finish()
        self.opened = self.successResultOf(opening)
        self.wakes = 0
        self.in_order: list[str] = []
        self.node.store.peers_woken = lambda identity: self.in_order.append("peers")

    def woken(self) -> None:
        self.wakes += 1
        self.in_order.append("session")

    def test_nothing_is_told_before_the_commit(self) -> None:
        storing = self.begun(self.opened.store(ALL, StoreMode.ADD, flag_set(["\\Seen"]), None))
        storing.addCallback(lambda stored: self.in_order.append("answer"))
        self.hop.run()
        self.assertNoResult(storing)
        self.assertEqual((self.opened.position(), self.in_order), (0, []))
        self.assertEqual(self.opened.flags(self.opened.uids()), [frozenset()])
        self.hop.tell()
        self.assertEqual(self.in_order, ["session", "peers", "answer"])
        self.assertEqual(self.opened.position(), 1)

    def test_events_that_come_meanwhile_share_the_next_commit(self) -> None:
        count = self.node.shard.count
        before = count.transactions
        flags = ("\\Seen", "\\Flagged", "\\Answered", "$a")
        work = [
            self.begun(self.opened.store(ALL, StoreMode.ADD, flag_set([flag]), None))
            for flag in flags
        ]
        self.hop.finish()
        for storing in work:
            self.assertTrue(self.successResultOf(storing).changed)
        self.assertEqual(count.transactions, before + 2)
        self.assertEqual(self.opened.position(), len(flags))
        modseqs = [
            change.modseq for change in self.opened.changes(0) or () if isinstance(change, Touched)
        ]
        self.assertEqual(modseqs, sorted(set(modseqs)))

    def test_command_sees_what_is_staged(self) -> None:
        first = self.begun(self.session.create(WORK, frozenset()))
        second = self.begun(self.session.create(WORK, frozenset()))
        self.assertNoResult(second)
        self.hop.finish()
        self.successResultOf(first)
        self.assertEqual(self.failureResultOf(second, No).value.code, ALREADYEXISTS)

    def test_refusal_that_rests_on_what_is_staged_fails_with_it(self) -> None:
        """The CREATE that it was refused for never was."""
        pages_max(self.database.connection, 0)
        appending = self.begin_append(b"x" * 60_000)
        first = self.begun(self.session.create(WORK, frozenset()))
        second = self.begun(self.session.create(WORK, frozenset()))
        self.hop.finish()
        for work in (appending, first, second):
            self.assertEqual(self.failureResultOf(work, No).value.code, UNAVAILABLE)

    def test_load_misses_nothing_that_is_committed_meanwhile(self) -> None:
        self.opened.close()
        self.crash(self.hop)
        at_first: list[int] = []

        def opened(mailbox: OpenedMailbox) -> OpenedMailbox:
            at_first.extend(mailbox.uids())
            return mailbox

        opening = self.begun(self.session.open(INBOX, False, self.woken)).addCallback(opened)
        appending = self.begin_append(b"second")
        # The commit and the load in either order, told in either order.
        self.hop.run()
        self.hop.run()
        self.hop.tell()
        self.hop.tell()
        self.hop.finish()
        [uid] = self.successResultOf(appending).uids
        self.assertEqual(at_first, [1])
        mailbox = self.successResultOf(opening)
        self.assertEqual(list(mailbox.uids()), [1, uid])
        [change] = mailbox.changes(0) or ()
        assert isinstance(change, Exposed)
        self.assertEqual(list(change.uids), [uid])

    def test_load_waits_until_what_it_saw_is_told(self) -> None:
        self.opened.close()
        self.crash(self.hop)
        appending = self.begin_append(b"second")
        self.hop.run()
        opening = self.begun(self.session.open(INBOX, False, self.woken))
        self.hop.finish()
        [uid] = self.successResultOf(appending).uids
        opened = self.successResultOf(opening)
        self.assertEqual((list(opened.uids()), opened.position()), ([1, uid], 0))

    def test_mailbox_that_is_deleted_while_it_is_loaded(self) -> None:
        """What the load sees is newer than what was told, and then is not there."""
        creating = self.begun(self.session.create(WORK, frozenset()))
        self.hop.finish()
        self.successResultOf(creating)
        appending = self.begin_append(b"mail", name=WORK)
        self.hop.finish()
        self.successResultOf(appending)
        self.crash(self.hop)
        deleting = self.begun(self.session.delete(WORK))
        self.hop.run()
        opening = self.begun(self.session.open(WORK, False, self.woken))
        self.hop.finish()
        self.successResultOf(deleting)
        self.assertEqual(self.failureResultOf(opening, No).value.code, NONEXISTENT)


class FailureTests(ReplicaCase):
    """A commit that fails leaves nothing behind."""

    def full(self) -> None:
        """No page more; freed ones are used up."""
        connection = self.database.connection
        connection.execute("CREATE TABLE filler (data BLOB)")
        pages_max(connection, 0)

    def test_full_disk_refuses_and_keeps_what_was_acknowledged(self) -> None:
        kept = self.append(b"x" * 30_000)
        viewer = self.open()
        before = self.digest()
        self.full()
        work = self.begin_append(b"y" * 60_000)
        self.assertEqual(self.failureResultOf(work, No).value.code, UNAVAILABLE)
        self.assertEqual((list(viewer.uids()), viewer.position()), ([kept], 0))
        self.assertEqual(self.digest(), before)
        self.database.connection.execute("PRAGMA max_page_count = 100000")
        self.clock.advance(10)
        again = self.append(b"y" * 60_000)
        self.assertEqual(list(viewer.uids()), [kept, again])
        [change] = viewer.changes(0) or ()
        self.assertIsInstance(change, Exposed)

    def test_quota_is_as_before_a_commit_that_failed(self) -> None:
        self.append(b"12345")
        self.full()
        self.failureResultOf(self.begin_append(b"y" * 60_000), No)
        self.assertEqual(self.account.commits.staged.quota_octets, 5)
        self.assertEqual(self.now(self.session.status(INBOX)).messages, 1)

    def test_what_was_durable_after_all_is_told(self) -> None:
        """M5: "After an error of COMMIT itself ... the account read again"."""
        kept = self.append()
        viewer = self.open()
        done = Writer.transact

        def broken(writer: Writer, lanes: Sequence[Sequence[Work]]) -> Outcome:
            """What is seen of a disk that fails after it has done its work."""
            outcome = done(writer, lanes)
            assert outcome == Outcome({})
            return Outcome({}, Trouble.BROKEN, OSError("an error"))

        patch = self.patch(Writer, "transact", broken)
        appending = self.begin_append(b"second")
        patch.restore()
        self.assertEqual(self.failureResultOf(appending, No).value.code, UNAVAILABLE)
        self.assertEqual(list(viewer.uids()), [kept, kept + 1])
        [change] = viewer.changes(0) or ()
        self.assertIsInstance(change, Exposed)
        self.assertEqual(self.append(b"third"), kept + 2)

    def test_what_was_not_durable_is_not_told(self) -> None:
        kept = self.append()
        viewer = self.open()

        def broken(writer: Writer, lanes: Sequence[Sequence[Work]]) -> Outcome:
            return Outcome({}, Trouble.BROKEN, OSError("an error"))

        patch = self.patch(Writer, "transact", broken)
        appending = self.begin_append(b"second")
        patch.restore()
        self.failureResultOf(appending, No)
        self.assertEqual((list(viewer.uids()), viewer.position()), ([kept], 0))
        self.assertEqual(self.append(b"third"), kept + 1)


class BugTests(ReplicaCase):
    """A bug after COMMIT: what is durable is answered, and memory is what the database has."""

    def bugs(self) -> int:
        return len(self.flushLoggedErrors(KeyError))

    def wrong(self, *anything: object) -> NoReturn:
        raise KeyError("a bug")

    def check(self, *uids: int) -> None:
        """Sessions, memory and database agree, and go on."""
        self.assertEqual(list(self.open().uids()), list(uids))
        before = self.digest()
        self.node.restart()
        self.login()
        self.assertEqual(self.digest(), before)
        self.assertEqual(self.append(b"more"), uids[-1] + 1)

    def test_session_that_cannot_be_woken_is_alone_with_it(self) -> None:
        first = self.append(b"first")
        wakes: list[int] = []
        self.now(self.session.open(INBOX, False, self.wrong))
        self.now(self.session.open(INBOX, False, lambda: wakes.append(1)))
        second = self.append(b"second")
        self.assertEqual((wakes, self.bugs()), ([1], 1))
        self.check(first, second)

    def test_peers_that_cannot_be_woken_delay_nobody(self) -> None:
        viewer = self.open()
        self.node.store.peers_woken = self.wrong
        uid = self.append(b"first")
        self.assertEqual((list(viewer.uids()), self.bugs()), ([uid], 1))
        self.check(uid)

    def test_what_cannot_be_told_ends_what_shows_it(self) -> None:
        """The command is answered; who has the mailbox open begins anew, and misses nothing."""
        first = self.append(b"first")
        wakes: list[int] = []
        viewer = self.now(self.session.open(INBOX, False, lambda: wakes.append(1)))
        woken: list[str] = []
        self.node.store.peers_woken = woken.append
        patch = self.patch(Mailbox, "tell", self.wrong)
        second = self.append(b"second")
        patch.restore()
        self.assertEqual((self.bugs(), woken, wakes), (1, ["fred"], [1]))
        [change] = viewer.changes(0) or ()
        self.assertIsInstance(change, Ended)
        viewer.close()
        self.check(first, second)

    def test_what_is_staged_above_it_is_refused(self) -> None:
        """Its maker is told, and can do it again."""
        self.append(b"first")
        hop = HeldHop()
        self.addCleanup(hop.finish)
        self.crash(hop)
        creating = self.begun(self.session.create(WORK, frozenset()))
        later = self.begun(self.session.create(MailboxName("Later"), frozenset()))
        patch = self.patch(StoredRecords, "adopt", self.wrong)
        hop.step()
        patch.restore()
        hop.finish()
        self.successResultOf(creating)
        self.assertEqual(self.failureResultOf(later, No).value.code, UNAVAILABLE)
        self.assertEqual(self.bugs(), 1)
        again = self.begun(self.session.create(WORK, frozenset()))
        hop.finish()
        self.assertEqual(self.failureResultOf(again, No).value.code, ALREADYEXISTS)

    def test_commit_that_cannot_be_made_leaves_nothing_behind(self) -> None:
        uid = self.append(b"first")
        patch = self.patch(Saving, "work", self.wrong)
        creating = self.begun(self.session.create(WORK, frozenset()))
        patch.restore()
        self.assertEqual(self.failureResultOf(creating, No).value.code, UNAVAILABLE)
        self.assertEqual(self.bugs(), 1)
        self.now(self.session.create(WORK, frozenset()))
        self.check(uid)

    def test_what_was_durable_after_all_and_cannot_be_told(self) -> None:
        """Trouble, and a bug on the way out of it: memory is what the database has all the same."""
        first = self.append(b"first")
        self.now(self.session.open(INBOX, False, lambda: None))
        done = Writer.transact

        def broken(writer: Writer, lanes: Sequence[Sequence[Work]]) -> Outcome:
            done(writer, lanes)
            return Outcome({}, Trouble.BROKEN, OSError("an error"))

        patches = [self.patch(Writer, "transact", broken), self.patch(Mailbox, "tell", self.wrong)]
        appending = self.begin_append(b"second")
        for patch in patches:
            patch.restore()
        self.assertEqual(self.failureResultOf(appending, No).value.code, UNAVAILABLE)
        self.assertEqual(self.bugs(), 1)
        self.check(first, first + 1)
