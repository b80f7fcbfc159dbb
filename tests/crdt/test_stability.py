# SPDX-License-Identifier: GPL-3.0-or-later
from itertools import pairwise

from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.crdt import commands
from pluto_tw.crdt.ops import Message
from pluto_tw.crdt.records import BOX, CONTEXT, FOLD, HEAD, LOG, PARKED, PLACEMENT
from pluto_tw.mail.messages import StoreMode
from pluto_tw.mail.names import INBOX, MailboxName
from tests.support.cluster import Cluster

_N = MailboxName("N")


class FoldCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.cluster = Cluster("AB")
        self.a = self.cluster.sites["A"]
        self.create(_N)

    def create(self, name: MailboxName) -> None:
        self.cluster.command("A", lambda r, t: commands.create(r, t, name, (), "."))

    def append(self, name: MailboxName = INBOX, count: int = 1, at: str = "A") -> list[bytes]:
        messages = [Message(b"hash", 1, 0, 0)] * count
        made = self.cluster.command(at, lambda r, t: commands.append(r, t, name, messages))
        return list(made.pids)

    def remove(self, pids: list[bytes]) -> None:
        self.cluster.command("A", lambda r, t: commands.remove(r, t, pids))

    def delete(self, name: MailboxName) -> None:
        self.cluster.command("A", lambda r, t: commands.delete(r, t, name))

    def rest(self) -> None:
        """Everything is everywhere, and acknowledged."""
        self.cluster.settle()
        for _ in range(2):
            self.cluster.deliver("A", "B")
            self.cluster.deliver("B", "A")

    def count(self, at: str = "A") -> int:
        return len(self.cluster.sites[at].records.tables[PLACEMENT.number])


class FoldTests(FoldCase):
    def test_nothing_is_folded_before_all_have_it(self) -> None:
        pids = self.append(count=3)
        self.rest()
        self.remove(pids)
        self.cluster.fold("A")
        self.assertEqual(self.count(), 3)
        self.rest()
        self.cluster.fold("A")
        self.assertEqual(self.count(), 0)
        self.assertEqual(self.count("B"), 3)

    def test_slices(self) -> None:
        """A large DELETE is folded by a thousand placements; the box goes last."""
        self.append(_N, 2500)
        self.rest()
        self.delete(_N)
        self.rest()
        counts = []
        while True:
            tx = self.a.replica.fold(self.a.records, self.cluster.moment(self.a))
            self.a.records.commit(tx)
            counts.append(self.count())
            if not tx.more:
                break
        steps = [before - after for before, after in pairwise([2500, *counts])]
        self.assertEqual((max(steps) <= 1000, counts[-1]), (True, 0))
        self.assertEqual(list(self.a.records.tables[BOX.number]), [0])
        self.assertEqual(self.a.records.tables[FOLD.number], {})
        self.assertEqual(self.a.records.tables[CONTEXT.number], {})

    def test_limit(self) -> None:
        """No more placements are folded at once than the caller wants."""
        pids = self.append(count=7)
        self.rest()
        self.remove(pids)
        self.rest()
        left = []
        while self.count():
            moment = self.cluster.moment(self.a)
            tx = self.a.replica.fold(self.a.records, moment, limit=3)
            self.a.records.commit(tx)
            left.append((self.count(), tx.more))
        self.assertEqual(left, [(4, True), (1, True), (0, False)])

    def test_operations_without_placements_are_work_too(self) -> None:
        """However many there are, it is told that more are left."""
        for number in range(5):
            name = MailboxName(f"M{number}")
            self.create(name)
            self.rest()
            self.delete(name)
        self.rest()
        rounds = 0
        while self.a.records.tables[FOLD.number]:
            tx = self.a.replica.fold(self.a.records, self.cluster.moment(self.a), limit=2)
            self.a.records.commit(tx)
            rounds += 1
            self.assertEqual(tx.more, bool(self.a.records.tables[FOLD.number]))
        self.assertGreater(rounds, 2)

    def test_pinned_placements_stay(self) -> None:
        """A placement stays readable while a session's view holds its UID."""
        pids = self.append(count=3)
        self.rest()
        self.remove(pids)
        self.rest()
        moment = self.cluster.moment(self.a)
        tx = self.a.replica.fold(self.a.records, moment, lambda pid: pid == pids[1])
        self.a.records.commit(tx)
        self.assertFalse(tx.more, "what is pinned is no work")
        self.assertEqual(list(self.a.records.tables[PLACEMENT.number]), [pids[1]])
        self.cluster.fold("A")
        self.assertEqual(self.count(), 0)

    def test_pinned_placements_of_a_deleted_box_stay(self) -> None:
        pids = self.append(_N, 5)
        self.rest()
        self.delete(_N)
        self.rest()
        more = []
        for _ in range(3):
            moment = self.cluster.moment(self.a)
            tx = self.a.replica.fold(self.a.records, moment, lambda pid: pid == pids[1])
            self.a.records.commit(tx)
            more.append(tx.more)
        self.assertEqual(more, [True, False, False])
        self.assertEqual(list(self.a.records.tables[PLACEMENT.number]), [pids[1]])
        self.cluster.fold("A")
        self.assertEqual(self.count(), 0)
        self.assertEqual(list(self.a.records.tables[BOX.number]), [0])

    def test_stable_interest_is_kept(self) -> None:
        """An EXPUNGE that met a STORE is folded; the message stays."""
        pids = self.append()
        self.rest()
        self.cluster.cuts.add(frozenset("AB"))
        self.remove(pids)
        self.cluster.command(
            "B", lambda r, t: commands.store(r, t, pids, StoreMode.ADD, frozenset({"\\Seen"}))
        )
        self.rest()
        self.cluster.fold("A")
        (placement,) = self.a.records.tables[PLACEMENT.number].values()
        self.assertEqual(placement.rms, ())
        self.cluster.check(self.a)
        self.cluster.equal()

    def test_what_is_moved_away_is_forgotten(self) -> None:
        pids = self.append()
        self.rest()
        self.cluster.command("A", lambda r, t: commands.move(r, t, pids, _N))
        self.rest()
        self.cluster.fold("A")
        (placement,) = self.a.records.tables[PLACEMENT.number].values()
        self.assertNotEqual(placement.pid, pids[0])

    def test_a_rename_stays_as_long_as_a_delete(self) -> None:
        """RENAMEs are kept while the box has DELETEs, whose voidness hangs on them."""
        self.append(_N)
        self.rest()
        self.cluster.cuts.add(frozenset("AB"))
        self.cluster.command("A", lambda r, t: commands.rename(r, t, _N, MailboxName("Z"), "."))
        self.cluster.command("B", lambda r, t: commands.delete(r, t, _N))
        self.cluster.cuts.clear()
        self.cluster.deliver("B", "A")
        (box,) = [b for b in self.a.records.tables[BOX.number].values() if b.bid]
        self.assertEqual((len(box.rens), len(box.dels), box.effective), (1, 1, ()))
        parked = self.a.records.tables[FOLD.number][box.rens[0], box.bid]
        parked.row = PARKED
        self.rest()
        for _ in range(2):
            self.cluster.fold("A")
        (box,) = [b for b in self.a.records.tables[BOX.number].values() if b.bid]
        self.assertEqual((box.rens, box.dels), ((), ()))
        self.cluster.equal()


class PruneTests(FoldCase):
    def test_stable_operations_leave_the_log(self) -> None:
        for _ in range(300):
            self.append()
        self.rest()
        self.cluster.prune("A")
        account = self.a.account()
        self.assertEqual(account.base, account.stable)
        self.assertEqual(self.a.records.tables[LOG.number], {})
        kept = [dot >> 5 for dot in self.a.records.tables[HEAD.number]]
        self.assertEqual(kept, [256, 512])

    def test_a_margin_is_kept(self) -> None:
        """So that a peer that was away for a day needs no snapshot."""
        self.append()
        self.rest()
        moment = self.cluster.moment(self.a)
        tx = self.a.replica.prune(self.a.records, moment, 86_400_000)
        self.assertTrue(tx.is_empty)

    def test_what_a_new_member_lacks_is_kept(self) -> None:
        """
        It begins with the log where there is one. If that was cut off behind it, it had operations,
        so that it took no snapshot, and could not get the others.
        """
        self.append()
        self.rest()
        self.a.replica.members |= {7}
        tx = self.a.replica.prune(self.a.records, self.cluster.moment(self.a), -60_000)
        self.assertTrue(tx.is_empty)

    def test_what_a_snapshot_needs_is_kept(self) -> None:
        self.append()
        self.rest()
        self.a.replica.pins[7] = ()
        moment = self.cluster.moment(self.a)
        self.assertTrue(self.a.replica.prune(self.a.records, moment, -60_000).is_empty)
