# SPDX-License-Identifier: GPL-3.0-or-later
from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.crdt.records import BOX, PLACEMENT, WALKED, Box, Records
from pluto_tw.crdt.transaction import Missing, Transaction
from tests.support.cluster import Cluster
from tests.support.histories import NAMES, History, random_steps
from tests.support.records import MemoryRecords


def ranges(records: Records, known: MemoryRecords, limit: int) -> dict[str, object]:
    """The answers of all range reads, over keys that *known* has."""
    boxes = known.tables[BOX.number]
    vv = (10**9,) * 6
    found: dict[str, object] = {
        "all boxes": list(records.boxes_after(-1, limit)),
        "walking": list(records.walking(limit)),
        "pending": list(records.pending(0, limit)),
        "pending later": list(records.pending(3, limit)),
        "subscriptions": list(records.subscriptions_after("", limit)),
        "metas": list(records.metas_after(-2, "", limit)),
        "members": list(records.members()),
        "folds": sorted((f.dot, f.bid, f.pids, f.row) for f in records.folds(vv, 10**9)),
        "log": [list(records.log_after(slot, 2, limit)) for slot in range(4)],
    }
    for name in NAMES:
        found[f"named {name}"] = list(records.boxes_named(name))
        found[f"below {name}"] = list(records.boxes_below(name))
    for bid, box in boxes.items():
        found[f"in {bid}"] = list(records.placements_in(bid, 1, limit))
        found[f"exposed {bid}"] = records.exposed(box.home, bid)
        found[f"pending in {bid}"] = list(records.pending_in(bid, 0, limit))
    return found


class OverlayTests(SynchronousTestCase):
    def test_staged_ranges_are_those_after_the_commit(self) -> None:
        """Events are computed on the staged state, which must look as it will be."""
        compared = 0
        for seed in range(25):
            cluster = Cluster("ABC")
            history = History(cluster)
            for step in random_steps(seed, 130):
                for site in cluster.sites.values():
                    if len(site.staged) > 1:
                        after = site.records.copy()
                        for tx in site.staged:
                            after.commit(tx)
                        for limit in (2, 1000):
                            self.assertEqual(
                                ranges(site.top(), after, limit), ranges(after, after, limit)
                            )
                        compared += 1
                        cluster.flush(site.name)
                history.step(step)
        self.assertGreater(compared, 20)


class TransactionTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.records = MemoryRecords()
        self.tx = Transaction(self.records, 0, 32, 0)

    def test_records_below_are_not_changed(self) -> None:
        self.tx.edit(BOX, 0).walk = 7
        self.assertEqual(self.tx.box(0).walk, 7)
        found = self.records.get(BOX, 0)
        assert found is not None
        self.assertEqual(found.walk, WALKED)

    def test_what_is_not_there_cannot_be_edited(self) -> None:
        """An operation that names what is missing halts the account."""
        with self.assertRaises(Missing):
            self.tx.edit(PLACEMENT, b"none")
        with self.assertRaises(Missing):
            self.tx.box(99)
        with self.assertRaises(Missing):
            self.tx.placement(b"none")
        self.tx.delete(BOX, 0)
        with self.assertRaises(Missing):
            self.tx.edit(BOX, 0)

    def test_made_and_deleted_leaves_no_trace(self) -> None:
        self.assertTrue(self.tx.is_empty)
        self.tx.put(BOX, 64, Box(64, "x", (1, 64), 5))
        self.assertFalse(self.tx.is_empty)
        self.tx.delete(BOX, 64)
        self.assertTrue(self.tx.is_empty)
