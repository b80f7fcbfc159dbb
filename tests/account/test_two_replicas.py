# SPDX-License-Identifier: GPL-3.0-or-later
"""Two replicas of one account that exchange operations: what is done here is seen there."""

from collections.abc import Awaitable, Sequence
from typing import TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.account.account import AccountSession
from pluto_tw.account.database import MemoryDatabase
from pluto_tw.account.digests import Digest, digest
from pluto_tw.account.exchange import (
    Taken,
    Trouble,
    checkpoint,
    ops_since,
    receive,
    vector,
)
from pluto_tw.account.opened import OpenedMailbox
from pluto_tw.account.site import UID_WAIT_SECONDS
from pluto_tw.crdt.dots import Vector
from pluto_tw.crdt.resync import Checkpoint
from pluto_tw.crdt.uids import STRIPE
from pluto_tw.mail.changes import Exposed, Touched, Vanished
from pluto_tw.mail.codes import UNAVAILABLE
from pluto_tw.mail.errors import No
from pluto_tw.mail.flags import flag_set
from pluto_tw.mail.messages import Appended, NewMessage, StoreMode
from pluto_tw.mail.names import INBOX, MailboxName
from pluto_tw.mail.sets import NumberSet
from tests.account.accounts import Node, site_of

T = TypeVar("T")

WORK = MailboxName("Work")


class Replica:
    """One of two nodes, with a session of the account that both have."""

    def __init__(self, clock: Clock, slot: int, database: MemoryDatabase) -> None:
        self.heard: set[int] = {0, 1}
        site = site_of(clock, slot, {0, 1} - {slot}, heard=lambda: frozenset(self.heard))
        self.node = Node(database, site)
        self.open()

    def open(self) -> None:
        self.session: AccountSession = self.node.store.session("fred", "fred")
        self.account = self.node.store.account("fred")


class TwoReplicasTests(SynchronousTestCase):
    """Slot 0 is the sequencer of a new account."""

    def setUp(self) -> None:
        self.clock = Clock()
        # The sequencer takes its time after a start.
        self.a = self.replica(0)
        self.b = self.replica(1)
        self.clock.advance(10)

    def replica(self, slot: int) -> Replica:
        database = MemoryDatabase(f"node {slot}", bytes([slot]) * 16)
        self.addCleanup(database.destroy)
        return Replica(self.clock, slot, database)

    # What tests do.

    def now(self, work: Awaitable[T]) -> T:
        async def run() -> T:
            return await work

        running = Deferred.fromCoroutine(run())
        while not running.called and any(c.time <= self.clock.seconds() for c in self.clock.calls):
            self.clock.advance(0)
        return self.successResultOf(running)

    def begin_append(
        self, replica: Replica, octets: bytes, name: MailboxName = INBOX
    ) -> "Deferred[Appended]":
        upload = replica.session.upload(len(octets))
        self.now(upload.write(octets))
        message = NewMessage(upload, flag_set(()), None)
        return Deferred.fromCoroutine(replica.session.append(name, [message]))

    def append(self, replica: Replica, octets: bytes, name: MailboxName = INBOX) -> list[int]:
        return list(self.successResultOf(self.begin_append(replica, octets, name)).uids)

    def open(self, replica: Replica, name: MailboxName = INBOX) -> OpenedMailbox:
        opened = self.now(replica.session.open(name, False, lambda: None))
        self.addCleanup(opened.close)
        return opened

    def ship(self, sender: Replica, receiver: Replica) -> list[Taken]:
        """All that *receiver* lacks, bodies first."""
        stated = checkpoint(sender.account)
        taken = []
        for batch in self.batches(sender, vector(receiver.account)):
            found = self.now(receive(receiver.account, batch, stated))
            if found.missing:
                for hash, _ in found.missing:
                    self.ship_body(sender, receiver, hash)
                found = self.now(receive(receiver.account, batch, stated))
            taken.append(found)
        if not taken:
            self.now(receiver.account.receive([], stated))
        return taken

    def batches(self, sender: Replica, known: Vector = ()) -> list[bytes]:
        """All that who has *known* lacks."""
        batches = ops_since(sender.account, known)
        assert batches is not None
        return list(batches)

    def ship_body(self, sender: Replica, receiver: Replica, hash: bytes) -> None:
        query = "SELECT id, size FROM body WHERE hash = ?"
        [(number, size)] = sender.node.shard.read(query, (hash,))
        upload = receiver.node.ground.bodies.upload(size)

        async def run() -> None:
            async for chunk in sender.node.ground.bodies.body(number, size).read(0, size):
                await upload.write(chunk)
            await receiver.node.ground.bodies.keep(await upload.finish())
            upload.abandon()

        self.now(run())

    def exchange(self, rounds: int = 4) -> None:
        """Until both have everything, and have told each other."""
        for _ in range(rounds):
            self.ship(self.a, self.b)
            self.ship(self.b, self.a)
            self.clock.advance(1.1)

    def same(self) -> None:
        """Both show the same."""
        mine, theirs = self.now(self.digest(self.a)), self.now(self.digest(self.b))
        self.assertEqual(mine, theirs)
        self.assertFalse(mine.outstanding)

    async def digest(self, replica: Replica) -> Digest:
        work = Deferred.fromCoroutine(digest(replica.account))
        while not work.called:
            self.clock.advance(0)
        return await work

    def octets(self, replica: Replica, uid: int) -> bytes:
        body = self.open(replica).body(uid)

        async def read() -> bytes:
            return b"".join([chunk async for chunk in body.read(0, body.size)])

        return self.now(read())

    # At the sequencer.

    def test_append_at_the_sequencer_is_seen_there(self) -> None:
        viewer = self.open(self.b)
        uids = self.append(self.a, b"one")
        self.assertTrue(uids)
        self.ship(self.a, self.b)
        self.assertEqual(list(viewer.uids()), uids)
        self.assertEqual(self.octets(self.b, uids[0]), b"one")
        [change] = viewer.changes(0) or ()
        self.assertIsInstance(change, Exposed)
        self.same()

    def test_session_is_woken_by_a_write_elsewhere(self) -> None:
        wakes: list[int] = []
        opened = self.now(self.b.session.open(INBOX, False, lambda: wakes.append(1)))
        self.append(self.a, b"one")
        self.ship(self.a, self.b)
        self.assertEqual(wakes, [1])
        opened.close()

    def test_peers_are_woken_by_commits(self) -> None:
        woken: list[str] = []
        self.a.node.store.peers_woken = woken.append
        self.append(self.a, b"one")
        self.assertEqual(woken, ["fred"])

    # Away from it.

    def test_append_waits_for_the_sequencer(self) -> None:
        """The wait ends when every message of the command is exposed here."""
        appending = self.begin_append(self.b, b"one")
        self.assertNoResult(appending)
        self.assertEqual(list(self.open(self.b).uids()), [])
        self.ship(self.b, self.a)
        self.assertNoResult(appending)
        self.ship(self.a, self.b)
        uids = list(self.successResultOf(appending).uids)
        self.assertEqual(uids, list(self.open(self.a).uids()))
        self.assertEqual(uids, list(self.open(self.b).uids()))

    def test_append_claims_by_itself_after_the_wait(self) -> None:
        """M7: "When it ends without a cl, the origin emits the provisional cl"."""
        appending = self.begin_append(self.b, b"one")
        self.clock.advance(UID_WAIT_SECONDS * 0.9)
        self.assertNoResult(appending)
        self.clock.advance(UID_WAIT_SECONDS)
        uids = list(self.successResultOf(appending).uids)
        self.assertEqual(uids, list(self.open(self.b).uids()))
        self.assertTrue(uids)
        self.exchange()
        self.assertEqual(list(self.open(self.a).uids()), uids, "adopted as it is")
        self.same()

    def test_append_does_not_wait_for_a_silent_sequencer(self) -> None:
        """Claimed at once when the sequencer is not heard."""
        self.b.heard.clear()
        self.assertTrue(self.append(self.b, b"one"))

    def test_copy_and_move_wait_too(self) -> None:
        self.now(self.a.session.create(WORK, frozenset()))
        self.append(self.a, b"one")
        self.ship(self.a, self.b)
        opened = self.open(self.b)
        everything = NumberSet.from_ranges([(1, 2**32 - 1)])
        for work in (opened.copy(everything, WORK), opened.move(everything, WORK)):
            copying = Deferred.fromCoroutine(work)
            self.assertNoResult(copying)
            self.ship(self.b, self.a)
            self.ship(self.a, self.b)
            copied = self.successResultOf(copying)
            self.assertEqual(len(copied.target), 1)
        self.assertEqual(len(self.open(self.a, WORK).uids()), 2)
        self.assertEqual(list(opened.uids()), [])
        self.exchange()
        self.same()

    def test_wait_begins_again_after_a_crash(self) -> None:
        """M7: "and again at start-up for each own visible placement without a claim"."""
        self.begin_append(self.b, b"one")
        self.b.node.restart()
        self.b.open()
        opened = self.open(self.b)
        self.assertEqual(list(opened.uids()), [])
        self.clock.advance(UID_WAIT_SECONDS * 1.1)
        self.assertEqual(len(opened.uids()), 1)

    # Apart, then together again.

    def test_both_append_while_cut(self) -> None:
        """No UID means two messages; renumbered ones vanish and come again."""
        self.append(self.a, b"base")
        self.exchange()
        self.a.heard.clear()
        self.b.heard.clear()
        at_a, at_b = self.open(self.a), self.open(self.b)
        mine = [self.append(self.a, b"a%d" % n)[0] for n in range(3)]
        theirs = [self.append(self.b, b"b%d" % n)[0] for n in range(3)]
        self.assertFalse(set(mine) & set(theirs))
        self.exchange()
        self.assertEqual(list(at_a.uids()), list(at_b.uids()))
        self.assertEqual(len(at_a.uids()), 7)
        changes = [*(at_a.changes(0) or ()), *(at_b.changes(0) or ())]
        self.assertTrue(any(isinstance(change, Vanished) for change in changes))
        for opened, replica in ((at_a, self.a), (at_b, self.b)):
            texts = {self.octets(replica, uid) for uid in opened.uids()}
            self.assertEqual(texts, {b"base", b"a0", b"a1", b"a2", b"b0", b"b1", b"b2"})
        self.same()

    def test_renumbered_message_is_read_under_its_old_uid(self) -> None:
        """A STORE or FETCH by the old UID reaches the right message."""
        self.b.heard.clear()
        viewer = self.open(self.b)
        [old] = self.append(self.b, b"theirs")
        viewer.told(viewer.position())
        for n in range(STRIPE + 1):
            self.append(self.a, b"mine %d" % n)
        self.exchange()
        self.assertNotIn(old, viewer.uids())
        flagged = flag_set(["\\Flagged"])
        stored = self.now(viewer.store(NumberSet.of([old]), StoreMode.ADD, flagged, None))
        self.assertEqual(stored.changed, NumberSet.of([old]))
        self.assertEqual(list(viewer.flags([old])), [flagged])
        [new] = [uid for uid in viewer.uids() if viewer.flags([uid]) == [flagged]]
        self.assertEqual(viewer.email_ids([old]), viewer.email_ids([new]))
        self.assertEqual(self.octets(self.b, new), b"theirs")
        self.exchange()
        self.same()

    def test_flags_of_both_are_kept(self) -> None:
        [uid] = self.append(self.a, b"one")
        self.exchange()
        for replica, text in ((self.a, "\\Seen"), (self.b, "$b")):
            flags = flag_set([text])
            self.now(self.open(replica).store(NumberSet.of([uid]), StoreMode.ADD, flags, None))
        self.exchange()
        for replica in (self.a, self.b):
            self.assertEqual(self.open(replica).flags([uid]), [flag_set(["\\Seen", "$b"])])
        self.same()

    def test_mailboxes_of_one_name_become_one(self) -> None:
        """Two CREATEs of one name at the same time give one mailbox."""
        for replica, text in ((self.a, b"a"), (self.b, b"b")):
            replica.heard.clear()
            self.now(replica.session.create(WORK, frozenset()))
            self.append(replica, text, WORK)
        viewers = [self.open(replica, WORK) for replica in (self.a, self.b)]
        self.exchange()
        for replica in (self.a, self.b):
            self.assertEqual(len(self.open(replica, WORK).uids()), 2)
            status = self.now(replica.session.status(WORK))
            self.assertEqual((status.messages, status.size, status.unseen), (2, 2, 2))
        self.assertEqual(sum(viewer.changes(0) is not None for viewer in viewers), 2)
        self.same()

    def test_delete_and_append_keep_the_new_message(self) -> None:
        self.now(self.a.session.create(WORK, frozenset()))
        self.append(self.a, b"old", WORK)
        self.exchange()
        self.b.heard.clear()
        self.now(self.a.session.delete(WORK))
        self.append(self.b, b"new", WORK)
        self.exchange()
        for replica in (self.a, self.b):
            status = self.now(replica.session.status(WORK))
            self.assertEqual((status.messages, status.size), (1, 3))
        self.same()

    # What the protocol needs.

    def test_body_comes_before_the_operation(self) -> None:
        """A batch is taken up to the first operation whose body is missing."""
        self.append(self.a, b"one")
        [batch] = self.batches(self.a)
        taken = self.now(receive(self.b.account, batch))
        self.assertEqual([size for _, size in taken.missing], [3])
        self.assertEqual((taken.operations, vector(self.b.account)), (0, ()))

    def test_lost_body_does_not_block(self) -> None:
        """The operation is taken, and its body marked as missing."""
        [uid] = self.append(self.a, b"one")
        [batch] = self.batches(self.a)
        missing = self.now(receive(self.b.account, batch)).missing
        lost = frozenset(hash for hash, _ in missing)
        self.assertEqual(self.now(receive(self.b.account, batch, None, lost)).operations, 2)
        opened = self.open(self.b)
        self.assertEqual(list(opened.uids()), [uid])
        error = self.failureResultOf(Deferred.fromCoroutine(opened.facts([uid])), No)
        self.assertEqual(error.value.code, UNAVAILABLE)
        self.ship_body(self.a, self.b, missing[0][0])
        self.assertEqual(self.octets(self.b, uid), b"one")

    def test_batch_taken_twice_changes_nothing(self) -> None:
        self.append(self.a, b"one")
        batches = self.batches(self.a)
        self.ship(self.a, self.b)
        before = vector(self.b.account)
        for batch in batches:
            self.assertEqual(self.now(receive(self.b.account, batch)).operations, 0)
        self.assertEqual(vector(self.b.account), before)

    def test_what_a_peer_states_waits_for_the_next_commit(self) -> None:
        """M6: "T, Cov and ack are kept in memory and written with the account's next"."""
        self.append(self.a, b"one")
        self.exchange()
        count = self.a.node.shard.count
        before = count.transactions
        self.now(self.a.account.receive([], Checkpoint(1, 1 << 40, vector(self.b.account))))
        self.assertEqual(count.transactions, before)
        self.append(self.a, b"two")
        self.assertEqual(count.transactions, before + 1)
        [(cov,)] = self.a.node.shard.read("SELECT cov FROM peer WHERE slot = 1")
        self.assertGreaterEqual(cov, 1 << 40)

    def test_octets_that_are_no_batch_are_refused(self) -> None:
        for octets in (b"\xc1", b"\x92\x01\x91\x90"):
            taken = self.now(receive(self.b.account, octets))
            self.assertEqual(taken, Taken(refused=Trouble.MALFORMED))

    def test_database_that_was_put_back_is_found(self) -> None:
        """A peer that knows more of this replica than itself shows that it was put back."""
        self.append(self.a, b"one")
        self.ship(self.a, self.b)
        other = self.replica(0)
        stated = Checkpoint(1, 1, vector(self.b.account))
        taken = self.now(receive(other.account, b"\x92\x01\x90", stated))
        self.assertEqual((taken.refused, taken.slot), (Trouble.BEHIND, 0))

    def test_fork_is_found_by_the_first_operation(self) -> None:
        """Also when it has made as many operations since, or fewer."""
        self.append(self.a, b"one")
        self.ship(self.a, self.b)
        other = self.replica(0)
        self.append(other, b"another")
        self.append(other, b"and another")
        batches = self.batches(other, vector(self.b.account))
        taken = self.now(receive(self.b.account, batches[0]))
        self.assertEqual((taken.refused, taken.slot), (Trouble.FORKED, 0))

    def test_client_goes_from_one_replica_to_the_other(self) -> None:
        """A client hears of a superset of what changed, and of all that vanished."""
        uids = [self.append(self.a, b"%d" % n)[0] for n in range(4)]
        self.exchange()
        at_a, at_b = self.open(self.a), self.open(self.b)
        modseq = at_a.highest_modseq()
        gone = NumberSet.of(uids[:1])
        self.now(at_b.store(gone, StoreMode.ADD, flag_set(["\\Deleted"]), None))
        self.now(at_b.expunge(gone))
        self.now(at_b.store(NumberSet.of(uids[1:2]), StoreMode.ADD, flag_set(["\\Seen"]), None))
        changed = self.now(at_b.changed_since(modseq))
        vanished = self.now(at_b.vanished_since(modseq, NumberSet.of(uids)))
        self.assertIn(uids[1], changed)
        self.assertEqual(vanished, gone)
        unknown = self.now(at_b.vanished_since(modseq, None))
        self.assertTrue(uids[0] in unknown and uids[1] not in unknown)

    def test_touch_elsewhere_is_told(self) -> None:
        [uid] = self.append(self.a, b"one")
        self.exchange()
        viewer = self.open(self.b)
        start = viewer.position()
        at_a = self.open(self.a)
        self.now(at_a.store(NumberSet.of([uid]), StoreMode.ADD, flag_set(["\\Seen"]), None))
        self.ship(self.a, self.b)
        [change] = viewer.changes(start) or ()
        assert isinstance(change, Touched)
        self.assertTrue(change.flags)

    def tallies(self, replicas: Sequence[Replica]) -> list[tuple[int, int]]:
        return [
            (r.account.commits.stored.quota_messages, r.account.commits.stored.quota_octets)
            for r in replicas
        ]

    def test_quota_counts_what_is_held_back_too(self) -> None:
        self.begin_append(self.b, b"12345")
        self.assertEqual(self.tallies([self.b]), [(1, 5)])
        self.exchange()
        self.assertEqual(self.tallies([self.a, self.b]), [(1, 5)] * 2)
        opened = self.open(self.a)
        everything = NumberSet.from_sorted(opened.uids())
        self.now(opened.store(everything, StoreMode.ADD, flag_set(["\\Deleted"]), None))
        self.now(opened.expunge(everything))
        self.exchange()
        self.assertEqual(self.tallies([self.a, self.b]), [(0, 0)] * 2)
