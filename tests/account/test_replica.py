# SPDX-License-Identifier: GPL-3.0-or-later
"""One account at this replica: restart, what is forgotten, bodies, counts."""

import tempfile
import tracemalloc
from pathlib import Path

from pluto_tw.account.database import FileDatabase
from pluto_tw.account.opened import OpenedMailbox
from pluto_tw.account.pace import FOLD_SECONDS, LOG_MARGIN_SECONDS, PRUNE_SECONDS
from pluto_tw.account.replica import PAUSE_SECONDS, PINNED_SECONDS
from pluto_tw.mail.changes import Ended, Vanished
from pluto_tw.mail.codes import UNAVAILABLE
from pluto_tw.mail.errors import No
from pluto_tw.mail.messages import NewMessage
from pluto_tw.mail.names import INBOX, MailboxName
from pluto_tw.mail.sets import NumberSet
from tests.account.accounts import Node, site_of
from tests.account.case import copy
from tests.account.replica_case import ALL, WORK, ReplicaCase
from tests.account.test_shard import BreakingDatabase
from tests.support.hop import HeldHop


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


class DoubtTests(ReplicaCase):
    """A COMMIT of which nobody knows whether it was done, and which was."""

    def setUp(self) -> None:
        super().setUp()
        self.breaking = BreakingDatabase(True)
        self.addCleanup(self.breaking.destroy)
        self.node = Node(self.breaking, site_of(self.clock))
        self.login()

    def test_peers_are_woken(self) -> None:
        """Else they would hear of it only when something else happens to the account."""
        woken: list[int] = []
        self.account.peers_woken = lambda: woken.append(1)
        creating = self.begun(self.session.create(WORK, frozenset()))
        self.failureResultOf(creating, No)
        self.now(self.session.mailboxes())
        found = self.breaking.connection.execute("SELECT name FROM box ORDER BY name").fetchall()
        self.assertEqual(found, [("INBOX",), ("Work",)])
        self.assertEqual(woken, [1])


class FileTests(ReplicaCase):
    """The same on a disk."""

    def setUp(self) -> None:
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.directory = Path(temporary.name)
        super().setUp()

    def on(self, path: Path) -> None:
        database = FileDatabase(path, lambda: bytes(16), may_create=True)
        self.addCleanup(database.finish)
        self.node = Node(database, site_of(self.clock))
        self.login()

    def test_what_was_answered_is_in_a_copy_of_the_files(self) -> None:
        """As a crash at any moment would leave them."""
        path = self.directory / "shard.db"
        self.on(path)
        copies = []
        for number in range(4):
            self.append(b"%d" % number)
            self.store(self.open(), f"k{number}")
            target = self.directory / f"copy{number}.db"
            copy(path, target)
            copies.append((target, self.digest()))
        self.node.stop()
        for target, before in copies:
            self.on(target)
            self.assertEqual(self.digest(), before)
            self.node.stop()


class FoldTests(ReplicaCase):
    """What is stable is forgotten, and bodies go when nobody needs them."""

    def fold(self) -> None:
        for _ in range(5):
            self.clock.advance(PINNED_SECONDS)

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
        """Folding leaves alone what a session still shows."""
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

    def test_message_stays_that_vanishes_in_what_is_not_told(self) -> None:
        """A fold that is computed while the EXPUNGE is on its way to the disk."""
        uid = self.append(b"first")
        self.store(self.open(), "\\Deleted")
        hop = HeldHop()
        self.addCleanup(hop.finish)
        self.crash(hop)
        opening = self.begun(self.session.open(INBOX, False, lambda: None))
        hop.finish()
        viewer = self.successResultOf(opening)
        expunging = self.begun(viewer.expunge(ALL))
        self.clock.advance(FOLD_SECONDS)
        hop.finish()
        self.successResultOf(expunging)
        self.assertEqual(list(viewer.uids()), [])
        reading = self.begun(viewer.facts([uid]))
        hop.finish()
        self.assertEqual(self.successResultOf(reading)[0].size, 5)
        self.assertEqual(self.rows("SELECT count(*) FROM message"), [(1,)])

    def test_fold_waits_for_the_commit_in_flight(self) -> None:
        """Folding is computed on what is committed, with nothing staged above it."""
        uid = self.append(b"first")
        self.store(self.open(), "\\Deleted")
        hop = HeldHop()
        self.addCleanup(hop.finish)
        self.crash(hop)
        opening = self.begun(self.session.open(INBOX, False, lambda: None))
        hop.finish()
        opened = self.successResultOf(opening)
        expunging = self.begun(opened.expunge(ALL))
        self.clock.advance(FOLD_SECONDS)
        self.assertTrue(self.account.commits.staged.is_empty, "the fold is not staged behind it")
        self.assertEqual(hop.given, 1)
        opened.close()
        hop.finish()
        self.successResultOf(expunging)
        self.clock.advance(FOLD_SECONDS)
        hop.finish()
        self.assertEqual(self.rows("SELECT count(*) FROM message"), [(0,)], "nobody shows it")
        self.assertEqual(uid, 1)

    def test_fold_comes_when_the_account_rests(self) -> None:
        """One that is written to without a pause is folded as soon as there is one."""
        uid = self.append(b"first")
        opened = self.open()
        self.expunge(opened, uid)
        opened.close()
        hop = HeldHop()
        self.addCleanup(hop.finish)
        self.crash(hop)
        before = self.begun(self.session.subscribe(WORK, True))
        for number in range(6):
            self.clock.advance(FOLD_SECONDS)
            after = self.begun(self.session.subscribe(WORK, number % 2 == 1))
            hop.step()
            self.successResultOf(before)
            self.assertEqual(self.rows("SELECT count(*) FROM message"), [(1,)])
            before = after
        hop.finish()
        self.clock.advance(PAUSE_SECONDS)
        hop.finish()
        self.assertEqual(self.rows("SELECT count(*) FROM message"), [(0,)])

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
        self.clock.advance(PRUNE_SECONDS)
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

    def test_large_append_streams(self) -> None:
        """Issue: "memory stays under 2 MiB for 50 MB"."""
        chunk = b"0123456789abcdef" * 4095 + b"0123456789abcd\r\n"
        header = b"Subject: large\r\n\r\n"
        count = (50 * 1024 * 1024 - len(header)) // len(chunk)
        size = len(header) + count * len(chunk)
        self.append()
        tracemalloc.start()
        try:
            upload = self.session.upload(size)
            self.now(upload.write(header))
            for _ in range(count):
                self.now(upload.write(chunk))
            message = NewMessage(upload, frozenset(), None)
            [uid] = self.now(self.session.append(INBOX, [message])).uids
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        self.assertLess(peak, 2 * 1024 * 1024)
        opened = self.open()
        self.assertEqual(opened.sizes([uid]), [size])
        self.assertEqual(self.now(opened.facts([uid]))[0].size, size)

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
