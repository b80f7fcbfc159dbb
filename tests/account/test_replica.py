# SPDX-License-Identifier: GPL-3.0-or-later
"""The one path of every write: order, failure, restart, what is left behind."""

from collections.abc import Awaitable, Sequence
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.account.account import AccountSession
from pluto_tw.account.database import MemoryDatabase
from pluto_tw.account.exchange import digest
from pluto_tw.account.failures import Trouble
from pluto_tw.account.opened import OpenedMailbox
from pluto_tw.account.replica import FOLD_SECONDS, LOG_MARGIN_SECONDS
from pluto_tw.account.site import Limits
from pluto_tw.account.work import Work
from pluto_tw.account.writer import Outcome, Writer
from pluto_tw.mail.changes import Ended, Exposed, Touched, Vanished
from pluto_tw.mail.codes import ALREADYEXISTS, UNAVAILABLE
from pluto_tw.mail.errors import No
from pluto_tw.mail.flags import flag_set
from pluto_tw.mail.messages import Appended, NewMessage, Stored, StoreMode
from pluto_tw.mail.names import INBOX, MailboxName
from pluto_tw.mail.sets import NumberSet
from pluto_tw.mail.uids import UID_MAX
from tests.account.accounts import Node, site_of
from tests.account.case import pages_max
from tests.support.hop import HeldHop

T = TypeVar("T")

WORK = MailboxName("Work")
ALL = NumberSet.from_ranges([(1, UID_MAX)])


class ReplicaCase(SynchronousTestCase):
    """Has `node`, alone on a database in memory, and a session of one account there."""

    limits = Limits()

    def setUp(self) -> None:
        self.clock = Clock()
        self.database = MemoryDatabase("memory", bytes(16))
        self.addCleanup(self.database.destroy)
        self.node = Node(self.database, site_of(self.clock, limits=self.limits))
        self.login()

    def login(self) -> None:
        self.session: AccountSession = self.node.store.session("fred", "fred")
        self.account = self.node.store.account("fred")

    def crash(self, hop: HeldHop | None = None) -> None:
        """What was not committed is gone, and all that was in memory."""
        self.node.restart(hop)
        self.login()

    def begun(self, work: Awaitable[T]) -> "Deferred[T]":
        async def run() -> T:
            return await work

        return Deferred.fromCoroutine(run())

    def now(self, work: Awaitable[T]) -> T:
        return self.successResultOf(self.begun(work))

    def begin_append(
        self, octets: bytes, text: str = "", name: str = INBOX
    ) -> "Deferred[Appended]":
        upload = self.session.upload(len(octets))
        self.now(upload.write(octets))
        message = NewMessage(upload, flag_set(text.split()), None)
        return self.begun(self.session.append(MailboxName(name), [message]))

    def append(self, octets: bytes = b"octets", text: str = "", name: str = INBOX) -> int:
        [uid] = self.successResultOf(self.begin_append(octets, text, name)).uids
        return uid

    def open(self, name: str = INBOX) -> OpenedMailbox:
        return self.now(self.session.open(MailboxName(name), False, lambda: None))

    def store(self, opened: OpenedMailbox, text: str, uids: NumberSet = ALL) -> Stored:
        return self.now(opened.store(uids, StoreMode.ADD, flag_set(text.split()), None))

    def expunge(self, opened: OpenedMailbox, *uids: int) -> None:
        self.store(opened, "\\Deleted", NumberSet.of(uids))
        self.now(opened.expunge(NumberSet.of(uids)))

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        return self.database.connection.execute(sql).fetchall()

    def digest(self) -> bytes:
        work = self.begun(digest(self.account))
        while not work.called:
            self.clock.advance(0)
        return self.successResultOf(work).digest


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


class RestartTests(ReplicaCase):
    """All that clients were told is there again."""

    def history(self) -> None:
        self.now(self.session.create(MailboxName("Work.sub"), frozenset({"\\Sent"})))
        self.now(self.session.subscribe(WORK, True))
        for number in range(6):
            self.append(b"%d" % number, "\\Seen $a" if number % 2 else "")
        opened = self.open()
        self.store(opened, "\\Flagged MyLabel", NumberSet.of([2, 3]))
        self.now(opened.copy(NumberSet.of([1, 2]), WORK))
        self.now(opened.move(NumberSet.of([3]), WORK))
        self.expunge(opened, 4)
        self.now(self.session.rename(MailboxName("Work.sub"), MailboxName("Sent")))
        opened.close()

    def seen(self) -> object:
        """What clients see of all mailboxes."""
        found: list[object] = [sorted(map(repr, self.now(self.session.mailboxes())))]
        found.append(self.now(self.session.subscriptions()))
        for name in ("INBOX", "Work", "Sent"):
            opened = self.open(name)
            uids = opened.uids()
            found.append(
                [
                    self.now(self.session.status(MailboxName(name))),
                    list(uids),
                    opened.flags(uids),
                    opened.modseqs(uids),
                    opened.email_ids(uids),
                    opened.sizes(uids),
                    opened.internal_dates(uids),
                    opened.uid_next(),
                    opened.highest_modseq(),
                    opened.uid_validity,
                    self.now(opened.facts(uids)),
                ]
            )
            opened.close()
        return found

    def test_restart_shows_the_same(self) -> None:
        self.history()
        before, digest = self.seen(), self.digest()
        self.node.stop()
        self.node.restart()
        self.login()
        self.assertEqual(self.seen(), before)
        self.assertEqual(self.digest(), digest)

    def test_crash_shows_the_same(self) -> None:
        self.history()
        before = self.seen()
        self.crash()
        self.assertEqual(self.seen(), before)

    def test_history_goes_on_after_a_restart(self) -> None:
        self.history()
        newest = self.open()
        modseq, uid_next = newest.highest_modseq(), newest.uid_next()
        self.crash()
        self.assertEqual(self.append(), uid_next)
        opened = self.open()
        self.assertGreater(opened.highest_modseq(), modseq)
        self.assertEqual(
            list(self.now(opened.vanished_since(modseq, None))), [], "nothing since then"
        )
        self.expunge(opened, 1)
        self.assertEqual(list(self.now(opened.vanished_since(modseq, None))), [1])
        earlier = self.now(opened.vanished_since(type(modseq)(32), None))
        self.assertEqual(list(earlier), [1, 3, 4])

    def test_recent_is_remembered_by_an_orderly_stop(self) -> None:
        self.append()
        opened = self.open()
        self.assertEqual(opened.claim_recent(), 1)
        opened.close()
        self.session.close()
        self.node.stop()
        self.node.restart()
        self.login()
        self.assertEqual(self.now(self.session.status(INBOX)).recent, 0)
        self.assertEqual(self.open().claim_recent(), 2)

    def test_account_that_nobody_wrote_to_is_not_stored(self) -> None:
        self.now(self.session.mailboxes())
        self.assertEqual(self.rows("SELECT * FROM account"), [])
        self.append()
        self.assertEqual(self.rows("SELECT name FROM account"), [("fred",)])

    def test_foreign_keys_hold(self) -> None:
        self.history()
        self.assertEqual(self.rows("PRAGMA foreign_key_check"), [])
        self.assertEqual(self.rows("PRAGMA integrity_check"), [("ok",)])


class FoldTests(ReplicaCase):
    """What is stable is forgotten, and bodies go when nobody needs them."""

    def fold(self) -> None:
        for _ in range(5):
            self.clock.advance(FOLD_SECONDS)

    def test_expunged_message_goes_with_its_body(self) -> None:
        first, second = self.append(b"first"), self.append(b"second")
        opened = self.open()
        self.expunge(opened, first)
        opened.told(opened.position())
        self.fold()
        self.assertEqual(self.rows("SELECT size FROM message"), [(6,)])
        self.assertEqual(self.rows("SELECT count(*) FROM placement"), [(1,)])
        self.assertEqual(self.rows("SELECT size, refs FROM body"), [(6, 1)])
        self.assertEqual(self.rows("SELECT * FROM fold"), [])
        self.assertEqual(self.rows("SELECT * FROM context"), [])
        self.assertEqual(list(opened.uids()), [second])

    def test_message_that_a_session_shows_stays(self) -> None:
        """DECISIONS 10: "folding skips pinned rows"."""
        uid = self.append(b"first")
        viewer, other = self.open(), self.open()
        self.expunge(other, uid)
        other.told(other.position())
        self.fold()
        self.assertEqual(self.rows("SELECT count(*) FROM message"), [(1,)])
        self.assertEqual(self.now(viewer.facts([uid]))[0].size, 5)
        viewer.told(viewer.position())
        self.append(b"another")
        self.store(other, "\\Seen")
        self.fold()
        self.assertEqual(self.rows("SELECT size FROM message"), [(7,)])

    def test_deleted_mailbox_goes(self) -> None:
        self.now(self.session.create(WORK, frozenset()))
        self.append(name=WORK)
        viewer = self.open(WORK)
        self.now(self.session.delete(WORK))
        self.assertIsInstance((viewer.changes(0) or ())[-1], Ended)
        self.fold()
        self.assertEqual(self.now(viewer.facts([1]))[0].size, 6, "the view holds it still")
        viewer.close()
        self.append()
        self.store(self.open(), "\\Seen")
        self.fold()
        self.assertEqual(self.rows("SELECT name FROM box"), [("INBOX",)])
        self.assertEqual(self.rows("SELECT count(*) FROM message"), [(1,)])

    def test_log_is_pruned_after_a_day(self) -> None:
        self.append()
        self.fold()
        self.assertEqual(self.rows("SELECT count(*) FROM log"), [(2,)])
        self.clock.advance(LOG_MARGIN_SECONDS)
        self.store(self.open(), "\\Seen")
        self.fold()
        self.assertEqual(self.rows("SELECT count(*) FROM log"), [(1,)])

    def test_copies_share_a_body(self) -> None:
        self.append(b"octets")
        self.append(b"octets")
        opened = self.open()
        self.now(opened.copy(ALL, INBOX))
        self.assertEqual(self.rows("SELECT refs FROM body"), [(4,)])
        self.expunge(opened, *opened.uids()[:3])
        opened.told(opened.position())
        self.fold()
        self.assertEqual(self.rows("SELECT refs FROM body"), [(1,)])


class BodyTests(ReplicaCase):
    """Bodies that are damaged, and large ones."""

    def read(self, opened: OpenedMailbox, uid: int) -> bytes:
        body = opened.body(uid)

        async def run() -> bytes:
            return b"".join([chunk async for chunk in body.read(0, body.size)])

        return self.now(run())

    def test_damaged_body_is_never_served(self) -> None:
        uid = self.append(b"octets")
        opened = self.open()
        self.assertEqual(self.read(opened, uid), b"octets")
        self.database.connection.execute("UPDATE chunk SET data = x'6f637465747a'")
        body = opened.body(uid)

        async def run() -> list[bytes]:
            return [chunk async for chunk in body.read(0, 3)]

        error = self.failureResultOf(self.begun(run()), No).value
        self.assertEqual(error.code, UNAVAILABLE)
        self.assertEqual(self.rows("SELECT state FROM body"), [(2,)])
        # The same octets once more mend it.
        self.append(b"octets")
        self.assertEqual(self.read(opened, uid), b"octets")

    def test_refused_append_leaves_no_body(self) -> None:
        octets = b"x" * 200_000
        upload = self.session.upload(len(octets))
        self.now(upload.write(octets))
        message = NewMessage(upload, frozenset(), None)
        self.failureResultOf(self.begun(self.session.append(WORK, [message])), No)
        upload.abandon()
        self.clock.advance(1)
        self.assertEqual(self.rows("SELECT count(*) FROM chunk"), [(0,)])
        self.assertEqual(self.rows("SELECT count(*) FROM upload"), [(0,)])


class TallyTests(ReplicaCase):
    """Counts are what counting would give."""

    def check(self) -> None:
        counted = self.rows(
            "SELECT count(*), coalesce(sum(m.size), 0), coalesce(sum(p.flags & 8 = 0), 0), "
            "coalesce(sum(p.flags & 4 <> 0), 0) FROM placement p JOIN message m ON m.id = p.id "
            "JOIN box b ON b.id = p.box WHERE p.uid > 0 AND p.era = b.era "
            "AND b.home_bid IS NOT NULL"
        )
        kept = self.rows("SELECT sum(messages), sum(octets), sum(unseen), sum(deleted) FROM box")
        self.assertEqual(kept, counted)
        quota = self.rows("SELECT messages, octets FROM account")
        self.assertEqual(quota, [counted[0][:2]])

    def test_counts_follow_every_command(self) -> None:
        self.now(self.session.create(WORK, frozenset()))
        for number in range(8):
            self.append(b"x" * (number + 1), "\\Seen" if number % 2 else "$a")
            self.check()
        opened = self.open()
        self.store(opened, "\\Seen", NumberSet.of([1, 2]))
        self.check()
        self.now(opened.copy(NumberSet.of([1, 2, 3]), WORK))
        self.check()
        self.now(opened.move(NumberSet.of([4, 5]), WORK))
        self.check()
        self.expunge(opened, 1, 6)
        self.check()
        self.now(self.session.rename(INBOX, MailboxName("old")))
        self.check()
        self.now(self.session.delete(WORK))
        self.check()
        for _ in range(5):
            self.clock.advance(FOLD_SECONDS)
        self.check()
        self.crash()
        self.append()
        self.check()

    def test_vanishings_stay_bounded(self) -> None:
        for number in range(3):
            self.append(b"%d" % number)
        opened = self.open()
        self.expunge(opened, 2)
        [change] = [c for c in opened.changes(0) or () if isinstance(c, Vanished)]
        self.assertEqual(self.rows("SELECT msq, low, high FROM vanished"), [(change.modseq, 2, 2)])
