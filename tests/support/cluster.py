# SPDX-License-Identifier: GPL-3.0-or-later
"""
Replicas of one account in memory, with a network that does what it is told.

`Cluster` checks after each commit what must hold at one replica (`check`), and on `settle` that all
are equal. Failures are AssertionErrors that name the replica.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TypeVar

from pluto_tw.crdt import codec, snapshot
from pluto_tw.crdt.codec import Segment, decode_op
from pluto_tw.crdt.commands import Mailbox, is_subscribed, mailbox
from pluto_tw.crdt.dots import is_below, make_dot, seq_of
from pluto_tw.crdt.mailboxes import exposed_in, group
from pluto_tw.crdt.ops import Op
from pluto_tw.crdt.predicates import flags_of, is_settled, is_visible
from pluto_tw.crdt.records import (
    ACCOUNT,
    BOX,
    META,
    NOWHERE,
    PENDING,
    PLACEMENT,
    SUBSCRIPTION,
    VIEW,
    WALKED,
    AccountRecord,
    Placement,
    Records,
)
from pluto_tw.crdt.replica import Moment, Replica
from pluto_tw.crdt.resync import Checkpoint, Kind, outstanding, since
from pluto_tw.crdt.rules import Rules
from pluto_tw.crdt.stability import FOLD_MAX
from pluto_tw.crdt.transaction import Transaction
from pluto_tw.mail.changes import Ended, Exposed, Touched, Vanished
from tests.support.oracle import Oracle
from tests.support.records import MemoryRecords

T = TypeVar("T")

#: When tests begin: 2026-09-21 in milliseconds.
START_MS = 1_790_000_000_000


@dataclass
class Site:
    """One replica of the account."""

    name: str
    slot: int
    rules: Rules
    replica: Replica
    records: MemoryRecords
    skew_ms: int = 0
    #: Placements whose wait for a claim goes on.
    waits: set[bytes] = field(default_factory=set)
    #: What sessions know from the logs: for each key the UIDs shown.
    told: dict[int, set[int]] = field(default_factory=dict)
    #: The highest UID ever exposed for each key.
    highest: dict[int, int] = field(default_factory=dict)
    #: The vector that each peer is known to have.
    known: dict[str, tuple[int, ...]] = field(default_factory=dict)
    #: Where a snapshot that is being loaded comes from, how it began, and how far it is.
    loading: "tuple[str, snapshot.Header, snapshot.Cursor] | None" = None

    #: Events computed one on the other, that will be committed together.
    staged: list[Transaction] = field(default_factory=list)
    holding: bool = False

    def account(self) -> AccountRecord:
        found = self.records.get(ACCOUNT, 0)
        assert found is not None
        return found

    def top(self) -> Records:
        """The state that the next event is computed on."""
        return self.staged[-1] if self.staged else self.records


@dataclass
class Cache:
    """What a client knows of one mailbox."""

    v: int
    modseq: int
    messages: dict[int, tuple[bytes, frozenset[str]]]


class Cluster:
    """*names* of replicas, in the order of their slots; the first one is the sequencer."""

    #: Placements folded at once.
    fold_most = FOLD_MAX

    def __init__(self, names: Iterable[str], rules: Callable[[], Rules] = Rules) -> None:
        self.names = list(names)
        self.make_rules = rules
        self.ms = START_MS
        self.cuts: set[frozenset[str]] = set()
        self.sites: dict[str, Site] = {}
        #: Which placement each (UIDVALIDITY, UID) names, for ever.
        self.meaning: dict[tuple[int, int], bytes] = {}
        self.validities: dict[int, int] = {}
        self.floors: dict[tuple[str, str], int] = {}
        #: Batches on their way: to whom, operations, checkpoint.
        self.mail: list[tuple[str, list[Op], Checkpoint]] = []
        #: Every operation that was committed where it was made.
        self.ops: list[Op] = []
        self.stamps: dict[int, int] = {}
        #: How often a message that was shown was shown again under another UID, at all replicas.
        self.renumbered = 0
        #: Set while a check is on; scripts of mutants look at the end alone.
        self.checks = True
        self.slots = {name: slot for slot, name in enumerate(self.names)}
        for name in self.names:
            self.sites[name] = self._site(name)

    def _site(self, name: str) -> Site:
        slot = self.slots[name]
        rules = self.make_rules()
        records = MemoryRecords()
        return Site(name, slot, rules, self._replica(slot, rules), records)

    def _replica(self, slot: int, rules: Rules) -> Replica:
        return Replica(slot, self.slots.values(), rules, rank=slot)

    # Time and links.

    def moment(self, site: Site) -> Moment:
        heard = frozenset(
            other.slot for other in self.sites.values() if self.linked(site.name, other.name)
        )
        return Moment(self.ms + site.skew_ms, (self.ms - START_MS) / 1000, heard)

    def linked(self, a: str, b: str) -> bool:
        return a == b or frozenset((a, b)) not in self.cuts

    # Events.

    def commit(self, site: Site, tx: Transaction) -> None:
        self.ms += 1
        if tx.is_empty:
            return
        if site.holding:
            site.staged.append(tx)
        else:
            self._commit(site, tx)

    def flush(self, name: str) -> None:
        """Commits what was held."""
        site = self.sites[name]
        site.holding = False
        staged, site.staged = site.staged, []
        for tx in staged:
            self._commit(site, tx)

    def _commit(self, site: Site, tx: Transaction) -> None:
        for op in tx.ops:
            self.ops.append(op)
            self.stamps[op.dot] = op.hlc
            for slot, seq in enumerate(op.vector):
                seen = self.stamps[make_dot(slot, seq)] if seq else 0
                # Those of one transaction share a stamp, and follow by their dots.
                assert (seen, make_dot(slot, seq)) < (op.hlc, op.dot), (
                    f"{site.name} stamps {op} below what it has seen"
                )
        for pid, new in tx.staged(PLACEMENT).items():
            old = site.records.get(PLACEMENT, pid)
            if new is not None and old is not None and old.uid and new.uid:
                self.renumbered += (old.uid, old.key) != (new.uid, new.key)
        served = site.account().gate is None
        site.records.commit(tx)
        site.replica.committed(tx, self.moment(site))
        site.waits.update(tx.waits)
        for pid in list(site.waits):
            placement = site.records.get(PLACEMENT, pid)
            if placement is None or placement.claim:
                site.waits.discard(pid)
        self._tell(site, tx, served)
        if self.checks:
            self.check(site)

    def command(self, name: str, run: Callable[[Rules, Transaction], T]) -> T:
        site = self.sites[name]
        tx, result = site.replica.command(site.top(), self.moment(site), run)
        self.commit(site, tx)
        while tx.more:
            tx = site.replica.tick(site.top(), self.moment(site))
            self.commit(site, tx)
        return result

    def deliver(self, source: str, target: str, most: int = 10**9) -> int:
        """Sends what *target* lacks, in one batch, with a checkpoint; how much was applied."""
        a, b = self.sites[source], self.sites[target]
        if not self.linked(source, target) or not a.rules.serves(a.account()) or b.loading:
            return 0
        base, vv = a.account().base, b.account().vv
        if b.account().gate is None and not is_below(base, vv):
            return self.send_state(source, target)
        segments = self._lacking(a, b)[:most]
        data = codec.encode_batch(segments)
        ops = [op for segment in codec.decode_batch(data) for op in segment.ops]
        return self.hand(b, ops, a.replica.checkpoint(a.records))

    def post(self, source: str, target: str, most: int) -> None:
        """Sends a batch that arrives at some time, or never."""
        a, b = self.sites[source], self.sites[target]
        if a.rules.serves(a.account()) and is_below(a.account().base, b.account().vv):
            ops = [op for segment in self._lacking(a, b)[:most] for op in segment.ops]
            self.mail.append((target, ops, a.replica.checkpoint(a.records)))

    def arrive(self, at: int, again: bool) -> None:
        """One of the batches on their way arrives, in any order; *again*: and will once more."""
        if self.mail:
            target, ops, checkpoint = self.mail[at % len(self.mail)]
            if not again:
                del self.mail[at % len(self.mail)]
            if not self.sites[target].loading:
                self.hand(self.sites[target], ops, checkpoint)

    def hand(self, b: Site, ops: list[Op], checkpoint: Checkpoint) -> int:
        """*b* gets *ops* and what their sender stated."""
        tx = b.replica.receive(b.top(), self.moment(b), ops, checkpoint)
        taken = tx.taken
        self.commit(b, tx)
        while tx.more:
            tx = b.replica.tick(b.top(), self.moment(b))
            self.commit(b, tx)
        return taken

    def _lacking(self, a: Site, b: Site) -> list[Segment]:
        found = []
        vv = b.account().vv
        for slot in range(len(a.account().vv)):
            for logged in a.records.log_after(slot, seq_of(vv, slot), 10**9):
                found.append((decode_op(logged.data), logged.head))
        found.sort(key=lambda pair: (pair[0].hlc, pair[0].dot))
        return [Segment(b"", (op,)) for op, _ in found]

    def send_state(self, source: str, target: str) -> int:
        """The state of *source*, merged at once into *target*, which goes on serving."""
        a, b = self.sites[source], self.sites[target]
        first = snapshot.header(a.account())
        pieces = []
        cursor: snapshot.Cursor | None = snapshot.Cursor()
        while cursor is not None:
            piece, cursor = snapshot.read_piece(a.records, first, cursor)
            pieces.append(snapshot.decode_piece(snapshot.encode(piece)))
        last = snapshot.trailer(a.account())
        before = b.account().vv
        tx = b.replica.merge(b.top(), self.moment(b), first, pieces, last)
        self.commit(b, tx)
        while tx.more:
            tx = b.replica.tick(b.top(), self.moment(b))
            self.commit(b, tx)
        self.hand(b, [], a.replica.checkpoint(a.records))
        return int(b.account().vv != before)

    def join(self, name: str, source: str) -> None:
        """A new replica begins to load the state of *source*."""
        for each in self.sites:
            self.flush(each)
        slot = self.slots[name] = len(self.slots)
        site = self.sites[name] = self._site(name)
        account = self.sites[source].account()
        for other in self.sites.values():
            other.replica.members = frozenset(self.slots.values()) - {other.slot}
        first = snapshot.decode_header(snapshot.encode(snapshot.header(account)))
        self.sites[source].replica.pins[slot] = first.stable
        site.loading = source, first, snapshot.Cursor()
        self.commit(site, site.replica.load(site.records, self.moment(site), [first]))

    def load(self, name: str) -> None:
        """The next piece of the snapshot, read as its records are now."""
        site = self.sites[name]
        if site.loading is None:
            return
        source, first, cursor = site.loading
        a = self.sites[source]
        if not self.linked(source, name):
            return
        piece, after = snapshot.read_piece(a.records, first, cursor, octets_most=200, read_most=3)
        parts: list[snapshot.Header | snapshot.Piece | snapshot.Trailer] = [
            snapshot.decode_piece(snapshot.encode(piece))
        ]
        if after is None:
            last = snapshot.trailer(a.account())
            parts += [first, snapshot.decode_trailer(snapshot.encode(last))]
            site.loading = None
            del a.replica.pins[site.slot]
        else:
            site.loading = source, first, after
        self.commit(site, site.replica.load(site.records, self.moment(site), parts))

    def expire(self, name: str) -> None:
        """The waits at a replica end."""
        site = self.sites[name]
        if site.account().gate is None:
            pids = sorted(site.waits)
            site.waits.clear()
            self.commit(site, site.replica.wait_ended(site.top(), self.moment(site), pids))

    def tick(self, name: str) -> None:
        site = self.sites[name]
        for _ in range(1000):
            tx = site.replica.tick(site.top(), self.moment(site))
            self.commit(site, tx)
            if not tx.more:
                return
        raise AssertionError(f"{name} never has done")

    def fold(self, name: str) -> None:
        site = self.sites[name]
        for _ in range(1000):
            tx = site.replica.fold(site.top(), self.moment(site), limit=self.fold_most)
            self.commit(site, tx)
            if not tx.more:
                return
        raise AssertionError(f"{name} never has folded")

    def prune(self, name: str) -> None:
        site = self.sites[name]
        self.commit(site, site.replica.prune(site.top(), self.moment(site), -60_000))

    def crash(self, name: str) -> None:
        """What is volatile is lost; waits begin again. Who takes a snapshot is kept on disk."""
        site = self.sites[name]
        site.staged.clear()
        site.holding = False
        pins = site.replica.pins
        site.replica = self._replica(site.slot, site.rules)
        site.replica.pins = pins
        row = 0
        while True:
            pids, row = site.replica.unclaimed(site.records, row)
            site.waits.update(pids)
            if not row:
                return

    # The end.

    def settle(self, seconds: int = 60) -> None:
        """Heals all links, lets time pass, and delivers until nothing moves."""
        self.cuts.clear()
        for name in self.sites:
            self.flush(name)
        for _ in range(seconds):
            self.ms += 1000
            moved = 0
            for name in self.sites:
                while self.sites[name].loading:
                    self.load(name)
            for a in self.sites:
                for b in self.sites:
                    if a != b:
                        moved += self.deliver(a, b)
            for name in self.sites:
                self.expire(name)
                self.tick(name)
            busy = any(
                site.waits or site.replica.is_busy(site.records) for site in self.sites.values()
            )
            if not moved and not busy:
                break
        else:
            states = {
                site.name: site.records.tables[PENDING.number] for site in self.sites.values()
            }
            raise AssertionError(f"never comes to rest: {states}")
        for name in self.sites:
            self.check(self.sites[name])
        self.equal()

    def equal(self) -> None:
        """I1, I2 and I3: all replicas show the same, and what follows from all operations."""
        first, *others = self.sites.values()
        truth = Oracle(self.ops).observable()
        found = observable(first.records)
        assert found == truth, f"{first.name} shows\n{found}\nbut it should be\n{truth}"
        for other in others:
            assert first.account().vv == other.account().vv, (first.name, other.name)
            a, b = observable(first.records), observable(other.records)
            assert a == b, f"{first.name} and {other.name} differ:\n{a}\n{b}"
            a, b = shown(first.records), shown(other.records)
            assert a == b, f"{first.name} and {other.name} show different UIDs:\n{a}\n{b}"

    # Checks.

    def _tell(self, site: Site, tx: Transaction, served: bool) -> None:
        for key, changes in tx.changes.items():
            uids = site.told.setdefault(key, set())
            for change in changes:
                match change:
                    case Exposed():
                        for uid in change.uids:
                            assert uid > site.highest.get(key, 0) or not served, (
                                f"{site.name} exposes {uid} of {key} below its UIDNEXT"
                            )
                        site.highest[key] = max(site.highest.get(key, 0), change.uids.high)
                        uids.update(change.uids)
                    case Vanished():
                        uids.difference_update(change.uids)
                    case Touched() | Ended():
                        pass

    def check(self, site: Site) -> None:
        """What holds at one replica after each commit."""
        records = site.records
        if site.account().gate is not None:
            return
        visible = 0
        shown_uids: dict[int, set[int]] = {}
        for placement in records.tables[PLACEMENT.number].values():
            box = records.get(BOX, placement.box)
            assert box is not None, f"{site.name}: no box of {placement}"
            if box.home == NOWHERE:
                assert not is_visible(records, placement, box) or box.walk != WALKED, placement
                continue
            exposed = placement.uid and placement.era == box.era and placement.key == box.home
            if exposed:
                uid, key = placement.uid, box.home
                uids = shown_uids.setdefault(key, set())
                assert uid not in uids, f"{site.name}: UID {uid} twice"
                uids.add(uid)
                primary = records.get(BOX, key >> 32)
                assert primary is not None
                known = self.meaning.setdefault((primary.v, uid), placement.pid)
                assert known == placement.pid, f"{site.name}: ({primary.v},{uid}) has two meanings"
                view = records.get(VIEW, key)
                assert view is not None and uid < view.unext
                assert is_visible(records, placement, box), f"{site.name} shows {placement}"
            if is_visible(records, placement, box):
                visible += 1
                pending = records.get(PENDING, placement.pid)
                settled = exposed and is_settled(placement)
                assert settled or pending is not None or box.walk != WALKED, (
                    f"{site.name}: {placement} is not outstanding"
                )
        for key, uids in site.told.items():
            assert uids == shown_uids.get(key, set()), f"{site.name}: logs of {key} are wrong"
        for name in {box.name for box in records.tables[BOX.number].values()}:
            boxes = group(records, name)
            if boxes:
                v = boxes[0].v
                assert self.validities.setdefault(v, boxes[0].bid) == boxes[0].bid, (
                    f"{site.name}: UIDVALIDITY {v} has two mailboxes"
                )
                assert v >= self.floors.setdefault((site.name, name), v), (
                    f"{site.name}: UIDVALIDITY of {name} fell"
                )
                self.floors[site.name, name] = v

    # Clients.

    def sync(self, name: str, mailbox_name: str, cache: Cache | None) -> Cache | None:
        """What a client knows after SELECT with QRESYNC, and a check that it is all true."""
        self.flush(name)
        site = self.sites[name]
        found = mailbox(site.records, mailbox_name)
        if found is None:
            return None
        new = resynchronised(site, found, cache)
        now = view_of(site, found)
        assert new == now, (
            f"a client at {name} believes {new}, but {mailbox_name} is {now}; it knew {cache}"
        )
        highest = site.records.get(VIEW, found.key)
        return Cache(found.v, highest.hm if highest is not None else 1, now)


def view_of(site: Site, found: Mailbox) -> dict[int, tuple[bytes, frozenset[str]]]:
    """The mailbox as its replica shows it: pid and flags of each UID."""
    return {p.uid: (p.pid, flags_of(p.entries)) for p in placements_of(site, found)}


def placements_of(site: Site, found: Mailbox) -> list[Placement]:
    """The exposed placements of a mailbox, ascending by UID."""
    placements = [p for box in found.boxes for p in exposed_in(site.records, box)]
    return sorted(placements, key=lambda p: p.uid)


def resynchronised(
    site: Site, found: Mailbox, cache: Cache | None
) -> dict[int, tuple[bytes, frozenset[str]]]:
    """The cache after the answer of *site* to a client that brings it. RFC 7162 §3.2.5."""
    exposed = {p.uid: p for p in placements_of(site, found)}
    if cache is None or cache.v != found.v:
        return view_of(site, found)
    meaning = since(site.rules, site.records, site.slot, found.key, cache.modseq)
    bmsq = {box.bid: box.bmsq for box in found.boxes}
    told = {uid for uid, p in exposed.items() if max(p.msq, bmsq[p.box]) > meaning.y}
    if meaning.kind is Kind.OWN:
        gone = {
            uid
            for m, uids in site.records.vanished.get(found.key, ())
            if m > meaning.y
            for uid in cache.messages
            if uid in uids
        } - set(exposed)
    else:
        gone = set(cache.messages) - set(exposed)
    if meaning.kind is Kind.COVERED:
        for box in found.boxes:
            pending = outstanding(site.rules, site.records, box)
            for uid, p in exposed.items():
                if p.box == box.bid and (pending is None or p.pid in {q.pid for q in pending}):
                    told.add(uid)
    new = {uid: known for uid, known in cache.messages.items() if uid not in gone}
    new.update({uid: (exposed[uid].pid, flags_of(exposed[uid].entries)) for uid in told})
    return new


def observable(records: MemoryRecords) -> dict[str, object]:
    """What is the same at all replicas that have the same operations."""
    found: dict[str, object] = {}
    boxes = records.tables[BOX.number]
    for name in sorted({box.name for box in boxes.values()}):
        living = group(records, name)
        if living:
            bids = {box.bid for box in living}
            found[name] = (
                living[0].bid,
                living[0].v,
                sorted(
                    (p.pid, sorted(flags_of(p.entries)))
                    for p in records.tables[PLACEMENT.number].values()
                    if p.box in bids and is_visible(records, p, boxes[p.box])
                ),
            )
    found["subscriptions"] = sorted(
        name for name in records.tables[SUBSCRIPTION.number] if is_subscribed(records, name)
    )
    found["annotations"] = {at: m.value for at, m in records.tables[META.number].items()}
    return found


def shown(records: MemoryRecords) -> dict[str, object]:
    """Names, UIDVALIDITY and UIDs as clients see them."""
    found: dict[str, object] = {}
    for name in sorted({box.name for box in records.tables[BOX.number].values()}):
        living = group(records, name)
        if living:
            found[name] = (
                living[0].v,
                sorted((p.uid, p.pid) for box in living for p in exposed_in(records, box)),
            )
    return found
