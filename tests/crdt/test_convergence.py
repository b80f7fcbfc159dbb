# SPDX-License-Identifier: GPL-3.0-or-later
"""The algebra: order, duplicates, merging and folding make no difference."""

from random import Random

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.crdt import exposure, mailboxes, snapshot
from pluto_tw.crdt.codec import decode_op
from pluto_tw.crdt.dots import SLOT_BITS, SLOT_MASK, covers, is_below, raised
from pluto_tw.crdt.ops import Op
from pluto_tw.crdt.records import ACCOUNT, BOX, CONTEXT, FOLD, META, PLACEMENT, SUBSCRIPTION, VIEW
from pluto_tw.crdt.replica import Moment, Replica
from pluto_tw.crdt.rules import Rules
from tests.support.cluster import START_MS, Cluster, observable, shown
from tests.support.histories import ACTIONS, History, Step, random_steps
from tests.support.records import MemoryRecords

_steps = st.lists(
    st.tuples(st.integers(0, len(ACTIONS) - 1), *[st.integers(0, 59)] * 4), max_size=60
)
_fast = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])


class Passive(Rules):
    """Rules of an onlooker, who makes no operations."""

    def bounces_late(self, holder: bool) -> bool:
        return False

    def is_below_floor(self, v: int, floor: int) -> bool:
        return False


class Onlooker:
    """A replica that only receives; nothing folds there, since nobody acknowledges anything."""

    def __init__(self) -> None:
        self.records = MemoryRecords()
        self.replica = Replica(31, [0, 1, 2, 3, 31], Passive())
        self.moment = Moment(START_MS + 10**8, 0.0)

    def receive(self, ops: list[Op]) -> None:
        tx = self.replica.receive(self.records, self.moment, ops)
        assert not tx.ops
        self.records.commit(tx)
        while tx.more:
            tx = self.replica.tick(self.records, self.moment)
            self.records.commit(tx)

    def merge(self, other: "Onlooker") -> None:
        account = other.records.get(ACCOUNT, 0)
        assert account is not None
        first = snapshot.header(account)
        pieces = []
        cursor: snapshot.Cursor | None = snapshot.Cursor()
        while cursor is not None:
            piece, cursor = snapshot.read_piece(
                other.records, first, cursor, octets_most=300, read_most=2
            )
            pieces.append(snapshot.decode_piece(snapshot.encode(piece)))
        last = snapshot.trailer(account)
        tx = self.replica.merge(self.records, self.moment, first, pieces, last)
        self.records.commit(tx)
        while tx.more:
            tx = self.replica.tick(self.records, self.moment)
            self.records.commit(tx)


def replicated(records: MemoryRecords) -> dict[str, object]:
    """All replicated fields, in a form that can be compared."""
    account = records.get(ACCOUNT, 0)
    assert account is not None
    placements = {}
    for pid, p in records.tables[PLACEMENT.number].items():
        claims = {**p.other, p.key: p.claim << 1 | p.bounced}
        placements[pid] = (
            p.box,
            p.email,
            p.order,
            p.tags,
            sorted(p.rms),
            {target: sorted(moves) for target, moves in p.moved.items()},
            {flag: sorted(values) for flag, values in p.entries.items()},
            {key: claim for key, claim in claims.items() if claim},
        )
    return {
        "account": (account.vv, account.heads, account.sequencer, account.maxv),
        "boxes": {
            b.bid: (b.name, b.named, b.v, b.gen, b.tags, sorted(b.rens), sorted(b.dels))
            for b in records.tables[BOX.number].values()
        },
        "placements": placements,
        "maxuid": {
            key: view.maxuid for key, view in records.tables[VIEW.number].items() if view.maxuid
        },
        "subscriptions": {
            name: sorted(s.entries) for name, s in records.tables[SUBSCRIPTION.number].items()
        },
        "metas": {at: (m.value, m.written) for at, m in records.tables[META.number].items()},
    }


def played(steps: list[Step], sites: int, snapshots: bool = True) -> Cluster:
    """A cluster after a history that ended quietly."""
    cluster = Cluster("ABCDE"[:sites])
    for slot, site in enumerate(cluster.sites.values()):
        site.skew_ms = slot * 77_000 - 100_000
    History(cluster, snapshots).play(steps)
    cluster.settle()
    return cluster


def operations(cluster: Cluster) -> list[Op]:
    """All operations of a cluster in which nothing was pruned."""
    site = next(iter(cluster.sites.values()))
    found = []
    for slot in range(len(site.account().vv)):
        found += [decode_op(logged.data) for logged in site.records.log_after(slot, 0, 10**9)]
    return found


def shuffled(ops: list[Op], random: Random) -> list[Op]:
    """*ops* in a random order that causality allows."""
    left = sorted(ops, key=lambda op: (op.hlc, op.dot))
    done: tuple[int, ...] = ()
    order = []

    while left:
        # Each origin's next operation, where all that it had seen is there.
        heads: dict[int, Op] = {}
        for op in left:
            heads.setdefault(op.dot & SLOT_MASK, op)
        ready = [op for op in heads.values() if is_below(op.vector, done)]
        op = random.choice(ready)
        order.append(op)
        left.remove(op)
        done = raised(done, op.dot & SLOT_MASK, op.dot >> SLOT_BITS)
    return order


class ConvergenceTests(SynchronousTestCase):
    @_fast
    @given(_steps, st.integers(2, 5))
    def test_any_history_converges(self, steps: list[Step], sites: int) -> None:
        """I1-I8 of every history, with state sent at times; `Cluster` looks after them."""
        cluster = played(steps, sites)
        before = [(observable(s.records), shown(s.records)) for s in cluster.sites.values()]
        for name in cluster.sites:
            cluster.fold(name)
        after = [(observable(s.records), shown(s.records)) for s in cluster.sites.values()]
        self.assertEqual(before, after, "folding can be observed")

    @_fast
    @given(_steps, st.integers(2, 4), st.randoms(use_true_random=False))
    def test_order_and_duplicates_make_no_difference(
        self, steps: list[Step], sites: int, random: Random
    ) -> None:
        """Strong eventual consistency: equal operations make equal replicated state."""
        ops = operations(played(steps, sites, snapshots=False))
        states = []
        for _ in range(2):
            onlooker = Onlooker()
            order = shuffled(ops, random)
            at = 0
            while at < len(order):
                count = random.randint(1, 5)
                again = [random.choice(order[: at + 1])] if random.random() < 0.3 else []
                onlooker.receive([*again, *order[at : at + count]])
                at += count
            onlooker.receive(order)
            states.append(replicated(onlooker.records))
        self.assertEqual(states[0], states[1])

    @_fast
    @given(_steps, st.integers(2, 4), st.randoms(use_true_random=False))
    def test_merging_state_equals_delivering_operations(
        self, steps: list[Step], sites: int, random: Random
    ) -> None:
        ops = operations(played(steps, sites, snapshots=False))
        one, two = shuffled(ops, random), shuffled(ops, random)
        one = one[: random.randint(0, len(one))]
        two = two[: random.randint(0, len(two))]
        left, right, both = Onlooker(), Onlooker(), Onlooker()
        left.receive(one)
        right.receive(two)
        known = {op.dot for op in one} | {op.dot for op in two}
        both.receive([op for op in shuffled(ops, random) if op.dot in known])
        left.merge(right)
        self.assertEqual(replicated(left.records), replicated(both.records))
        right.merge(both)
        self.assertEqual(replicated(right.records), replicated(both.records))
        before = replicated(left.records)
        left.merge(right)
        self.assertEqual(replicated(left.records), before, "a merge of the same is no change")

    def test_some_seeds(self) -> None:
        """Longer histories than Hypothesis makes."""
        for seed in range(12):
            played(random_steps(seed, 150), 2 + seed % 4)

    def test_slices_make_no_difference(self) -> None:
        """Walking, sequencing, folding and opening by twos and threes."""
        self.patch(exposure, "WORK_MAX", 3)
        self.patch(mailboxes, "SLICE", 2)
        self.patch(Cluster, "fold_most", 2)
        for seed in range(100, 112):
            played(random_steps(seed, 150), 2 + seed % 4)

    def test_a_settled_account_forgets(self) -> None:
        """When all have acknowledged everything, nothing is left to fold and no context kept."""
        cluster = played(random_steps(5, 150), 3)
        for _ in range(3):
            for a in cluster.sites:
                for b in cluster.sites:
                    if a != b:
                        cluster.deliver(a, b)
        for site in cluster.sites.values():
            cluster.fold(site.name)
            cluster.fold(site.name)
            account = site.account()
            self.assertEqual(account.stable, account.vv)
            self.assertTrue(all(covers(account.vv, d) for d in site.records.tables[CONTEXT.number]))
            self.assertEqual(len(site.records.tables[FOLD.number]), 0, "folds are left")
            self.assertEqual(len(site.records.tables[CONTEXT.number]), 0, "contexts are left")
            for placement in site.records.tables[PLACEMENT.number].values():
                self.assertEqual((placement.rms, placement.moved), ((), {}))
