# SPDX-License-Identifier: GPL-3.0-or-later
"""
The records on SQLite answer as the records in memory do, whatever happened to an account.

Two replicas of an account do random things and exchange operations. Beside each, every commit is
stored in `MemoryRecords` too; then all questions that the rules can ask are asked of both, and of
an account that was just read from the database.
"""

from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar, cast

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.account.database import MemoryDatabase
from pluto_tw.account.records import REMEMBERED_MAX, StoredRecords
from pluto_tw.account.staging import Staged
from pluto_tw.account.statements import checkpoint
from pluto_tw.crdt.codec import decode_op
from pluto_tw.crdt.dots import SEQ_MAX, SLOT_BITS, seq_of
from pluto_tw.crdt.records import (
    BOX,
    FOLD,
    LOG,
    PARKED,
    PLACEMENT,
    TABLES,
    Box,
    Records,
    Table,
)
from pluto_tw.mail.errors import No
from pluto_tw.mail.flags import flag_set
from pluto_tw.mail.messages import NewMessage, StoreMode
from pluto_tw.mail.names import INBOX, MailboxName
from pluto_tw.mail.sets import NumberSet
from pluto_tw.mail.uids import UID_MAX
from tests.account.accounts import Node, site_of
from tests.support.records import MemoryRecords

T = TypeVar("T")

NAMES = (INBOX, MailboxName("Work"), MailboxName("Work.sub"), MailboxName("Home"))
FLAGS = ("", "\\Seen", "\\Deleted", "$a B", "b \\Flagged")
ALL = NumberSet.from_ranges([(1, UID_MAX)])


@dataclass(frozen=True)
class Step:
    """What happens at a replica; *a* and *b* say to what."""

    kind: str
    site: int
    a: int
    b: int


KINDS = (
    "append",
    "append",
    "append",
    "create",
    "delete",
    "rename",
    "store",
    "store",
    "expunge",
    "copy",
    "move",
    "subscribe",
    "ship",
    "ship",
    "wait",
    "restart",
)

steps = st.builds(
    Step, st.sampled_from(KINDS), st.integers(0, 1), st.integers(0, 31), st.integers(0, 31)
)
histories = st.integers(1, 40).flatmap(lambda n: st.lists(steps, min_size=n, max_size=n))


class Site:
    """A replica, and the records in memory beside it."""

    def __init__(self, clock: Clock, slot: int) -> None:
        self.clock = clock
        self.database = MemoryDatabase("memory", bytes([slot]) * 16)
        site = site_of(clock, slot, {1 - slot}, heard=lambda: frozenset({0, 1}))
        self.node = Node(self.database, site)
        self.memory = MemoryRecords()
        self.open()

    def open(self) -> None:
        self.session = self.node.store.session("fred", "fred")
        self.account = self.node.store.account("fred")
        commits = self.account.commits
        tell = commits._tell

        def tell_both(staged: Staged) -> None:
            self.memory.commit(staged.records)
            tell(staged)

        commits._tell = tell_both

    def run(self, work: Awaitable[T]) -> None:
        """*work*, whatever it is refused for; it may wait for others."""

        async def run() -> None:
            try:
                await work
            except No:
                return

        Deferred.fromCoroutine(run()).addErrback(self.failures.append)

    failures: ClassVar[list[object]] = []

    def append(self, step: Step) -> None:
        octets = b"message %d" % step.b
        upload = self.session.upload(len(octets))
        self.run(upload.write(octets))
        message = NewMessage(upload, flag_set(FLAGS[step.b % 5].split()), None)
        self.run(self.session.append(NAMES[step.a % 4], [message]))

    def create(self, step: Step) -> None:
        uses = frozenset({"\\Sent"}) if step.b == 0 else frozenset()
        self.run(self.session.create(NAMES[step.a % 4], uses))

    def delete(self, step: Step) -> None:
        self.run(self.session.delete(NAMES[step.a % 4]))

    def rename(self, step: Step) -> None:
        self.run(self.session.rename(NAMES[step.a % 4], NAMES[step.b % 4]))

    def subscribe(self, step: Step) -> None:
        self.run(self.session.subscribe(NAMES[step.a % 4], step.b % 2 == 0))

    def store(self, step: Step) -> None:
        async def work() -> None:
            opened = await self.session.open(NAMES[step.a % 4], False, lambda: None)
            mode = list(StoreMode)[step.b % 3]
            uids = NumberSet.of(uid for uid in opened.uids() if step.b >> uid % 5 & 1)
            await opened.store(uids, mode, flag_set(FLAGS[step.b % 5].split()), None)
            opened.close()

        self.run(work())

    def expunge(self, step: Step) -> None:
        async def work() -> None:
            opened = await self.session.open(NAMES[step.a % 4], False, lambda: None)
            await opened.expunge(ALL)
            opened.close()

        self.run(work())

    def copy(self, step: Step, move: bool = False) -> None:
        async def work() -> None:
            opened = await self.session.open(NAMES[step.a % 4], False, lambda: None)
            uids = NumberSet.of(uid for uid in opened.uids() if step.b >> uid % 5 & 1)
            await (opened.move if move else opened.copy)(uids, NAMES[step.b % 4])
            opened.close()

        self.run(work())

    def move(self, step: Step) -> None:
        self.copy(step, True)

    def wait(self, step: Step) -> None:
        self.clock.advance(step.a)

    def restart(self, step: Step) -> None:
        self.node.restart()
        self.open()

    def take(self, other: "Site") -> None:
        """Some of what the other one has, and all that it states."""
        known, theirs = self.account.commits.stored, other.account.commits.stored
        ops = [
            decode_op(logged.data)
            for slot in range(2)
            for logged in theirs.log_after(slot, seq_of(known.scalars.vv, slot), 100)
        ]
        self.run(self.account.receive(ops, checkpoint(other.account)))


class RecordsTests(SynchronousTestCase):
    def test_answers_are_those_of_records_in_memory(self) -> None:
        @settings(max_examples=60)
        @given(histories)
        def check(history: list[Step]) -> None:
            clock = Clock()
            sites = [Site(clock, 0), Site(clock, 1)]
            try:
                for step in history:
                    site = sites[step.site]
                    if step.kind == "ship":
                        site.take(sites[1 - step.site])
                    else:
                        getattr(site, step.kind)(step)
                    self.assertEqual(Site.failures, [])
                    assert site.account.halted == ""
                for site in sites:
                    if site.account.commits.stored.exists:
                        self.compare(site)
            finally:
                Site.failures.clear()
                for site in sites:
                    site.database.destroy()

        check()

    def compare(self, site: Site) -> None:
        live = site.account.commits.stored
        fresh = StoredRecords(site.node.shard, site.node.ground.numbers, live.identity)
        for records in (live, fresh):
            self.compare_records(site.memory, records)
        for bid in site.memory.tables[BOX.number]:
            self.assertEqual(live.tally(bid), fresh.tally(bid))
        self.assertEqual(
            (live.quota_messages, live.quota_octets), (fresh.quota_messages, fresh.quota_octets)
        )

        self.compare_counts(site)

    def compare_counts(self, site: Site) -> None:
        """What is kept is what counting gives."""
        read = site.node.shard.read
        exposed = (
            "FROM placement p JOIN message m ON m.id = p.id JOIN box b ON b.id = p.box "
            "LEFT JOIN view v ON v.bid = b.home_bid AND v.gen = b.home_gen "
            "AND v.account = b.account WHERE p.uid > 0 AND p.era = b.era "
            "AND b.home_bid IS coalesce(p.key_bid, b.bid) AND b.home_gen IS coalesce(p.key_gen, 0)"
        )
        counted = read(
            "SELECT b.bid, count(*), sum(m.size), sum(p.flags & 8 = 0), "
            f"sum(p.flags & 4 <> 0), sum(p.uid >= v.recent_from) {exposed} GROUP BY b.bid"
        )
        kept = read(
            "SELECT bid, messages, octets, unseen, deleted, recent FROM box "
            "WHERE messages > 0 OR octets > 0 OR unseen > 0 OR deleted > 0 OR recent > 0"
        )
        self.assertEqual(sorted(kept), sorted(counted))
        shown = {row for (row,) in read(f"SELECT m.id {exposed}")}
        shown |= {row for (row,) in read("SELECT message FROM pending")}
        sizes = dict(read("SELECT id, size FROM message"))
        quota = (len(shown), sum(sizes[row] for row in shown))
        self.assertEqual(read("SELECT messages, octets FROM account"), [quota])

    def compare_records(self, memory: MemoryRecords, stored: Records) -> None:
        for table in TABLES:
            found: dict[Any, Any] = memory.tables[table.number]
            any_table = cast("Table[Any, Any]", table)
            for key, record in found.items():
                self.assertEqual(stored.get(any_table, key), record, table.name)
        for dot, bid in memory.tables[FOLD.number]:
            self.assertIsNone(stored.get(FOLD, (dot, bid + 12345)))
            self.assertEqual(
                sorted(map(repr, stored.folds_of(dot))), sorted(map(repr, memory.folds_of(dot)))
            )
        boxes: list[Box] = list(memory.tables[BOX.number].values())
        for box in boxes:
            self.assertEqual([*stored.boxes_named(box.name)], [*memory.boxes_named(box.name)])
            self.assertEqual([*stored.boxes_below(box.name)], [*memory.boxes_below(box.name)])
            for after in (0, 2):
                self.assertEqual(
                    [*stored.placements_in(box.bid, after, 3)],
                    [*memory.placements_in(box.bid, after, 3)],
                )
                self.assertEqual(
                    [*stored.pending_in(box.bid, after, 3)], [*memory.pending_in(box.bid, after, 3)]
                )
            self.assertEqual(stored.exposed(box.home, box.bid), memory.exposed(box.home, box.bid))
        for after in (-1, 0, 40):
            self.assertEqual([*stored.boxes_after(after, 3)], [*memory.boxes_after(after, 3)])
            self.assertEqual([*stored.pending(after, 3)], [*memory.pending(after, 3)])
        self.assertEqual(list(stored.walking(5)), list(memory.walking(5)))
        for slot in range(3):
            for seq in (0, 3):
                self.assertEqual(
                    [*stored.log_after(slot, seq, 4)], [*memory.log_after(slot, seq, 4)]
                )
        for stable in ((), (3,), (100, 100)):
            self.assertEqual(
                sorted(map(repr, stored.folds(stable, 1000))),
                sorted(map(repr, memory.folds(stable, 1000))),
            )
        for name in ("", "Work"):
            self.assertEqual(
                [*stored.subscriptions_after(name, 2)], [*memory.subscriptions_after(name, 2)]
            )
        self.assertEqual([*stored.metas_after(-2, "", 5)], [*memory.metas_after(-2, "", 5)])
        self.assertEqual([*stored.members()], [*memory.members()])


class FoldsTests(SynchronousTestCase):
    def test_parked_folds_are_passed_over(self) -> None:
        """Any number of RENAMEs that wait for a DELETE hide nothing behind them."""
        site = Site(Clock(), 0)
        self.addCleanup(site.database.destroy)
        site.create(Step("create", 0, 1, 1))
        for number in range(6):
            site.rename(Step("rename", 0, 1 + 2 * (number % 2), 3 - 2 * (number % 2)))
        stored, connection = site.account.commits.stored, site.database.connection
        everything = (SEQ_MAX,)
        folds = stored.folds(everything, 1000)
        self.assertGreater(len(folds), 3)
        for fold in folds[:-1]:
            connection.execute(
                "UPDATE fold SET above = ? WHERE seq = ?", (PARKED, fold.dot >> SLOT_BITS)
            )
        self.assertEqual([*stored.folds(everything, 1)], [folds[-1]])


class PrefetchTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.site = Site(Clock(), 0)
        self.addCleanup(self.site.database.destroy)
        for number in range(REMEMBERED_MAX // 4):
            self.site.append(Step("append", 0, 0, number))

    def test_prefetched_records_are_those_read_one_by_one(self) -> None:
        stored = self.site.account.commits.stored
        one_by_one = {p.pid: p for p in stored.placements_in(0, 0, 1000)}
        rows = sorted(p.row for p in one_by_one.values())
        for some in (rows, rows[::7], rows[:1], []):
            fresh = StoredRecords(
                self.site.node.shard, self.site.node.ground.numbers, stored.identity
            )
            fresh.prefetch(0, some)
            for pid, placement in one_by_one.items():
                self.assertEqual(fresh.get(PLACEMENT, pid), placement)

    def test_nothing_is_remembered_for_ever(self) -> None:
        stored = self.site.account.commits.stored
        for logged in stored.log_after(0, 0, 1000):
            stored.get(LOG, logged.dot)
            stored.get(LOG, logged.dot + (1 << SLOT_BITS + 20))
        stored.forget()
        self.assertLessEqual(len(stored._kept[LOG.number]), REMEMBERED_MAX)
