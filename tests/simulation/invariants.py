# SPDX-License-Identifier: GPL-3.0-or-later
"""
What must hold at every moment, and at the end.

I1 equal vectors mean equal accounts, at any time, and both are what the oracle says;
I2 in the end all replicas show the same UIDs and UIDVALIDITY, and nothing is hidden;
I3 follows from the oracle: it alone decides what is lost;
I4 (UIDVALIDITY, UID) names one placement, everywhere and for ever;
I5 at each replica UIDs are exposed ascending, and UIDNEXT never falls;
I6 a UIDVALIDITY belongs to one mailbox, and what a name shows never falls at a replica.
I7 is in `clients.py`; I8 is an exception of the rules; I9, how often messages are renumbered, is
looked at in `world.py` where nothing but one cut disturbs.
"""

from collections.abc import Callable, Sequence

from pluto_tw.crdt.dots import Vector
from pluto_tw.crdt.ops import Op
from tests.simulation.node import Node, Shown
from tests.simulation.oracle import Observable, Oracle


class Violation(Exception):
    """An invariant does not hold."""

    def __init__(self, invariant: str, text: str) -> None:
        super().__init__(invariant, text)
        self.invariant = invariant
        self.text = text

    def __str__(self) -> str:
        return f"{self.invariant}: {self.text}"


class Watch:
    """
    Sees each commit of each node.

    *every*: how many commits of a node pass between two comparisons with the oracle.
    """

    def __init__(self, note: Callable[[str], None], every: int = 10) -> None:
        #: All operations that were ever committed anywhere, by dot.
        self.ops: dict[int, Op] = {}
        self.exposures = 0
        self.renumbered = 0
        self.reissued = 0
        self.judged = 0
        self._note = note
        self._every = every
        self._commits: dict[int, int] = {}
        self._letters: dict[tuple[int, int], bytes] = {}
        self._mailboxes: dict[int, int] = {}
        self._shown: dict[int, dict[int, Shown]] = {}
        self._uid_next: dict[tuple[int, int], int] = {}
        self._highest: dict[tuple[int, int], int] = {}
        self._floor: dict[tuple[int, str], int] = {}
        self._judgements: dict[Vector, Observable] = {}

    def committed(self, node: Node, ops: Sequence[Op]) -> None:
        """*node* has committed, and made *ops* in it."""
        for op in ops:
            if op.dot in self.ops and self.ops[op.dot] != op:
                raise Violation("dots", f"{op.dot:#x} names two operations")
            self.ops[op.dot] = op
        if node.is_loading():
            return
        shown = node.shown()
        before = self._shown.get(node.slot, {})
        for key, mailbox in shown.items():
            if before.get(key) != mailbox:
                self._compare(node, key, before.get(key), mailbox)
        self._shown[node.slot] = shown
        commits = self._commits.get(node.slot, 0) + 1
        self._commits[node.slot] = commits
        if commits % self._every == 0 or node.vector() in self._judgements:
            self.judge(node)

    def _compare(self, node: Node, key: int, before: Shown | None, now: Shown) -> None:
        slot, v = node.slot, now.uid_validity
        where = f"node {slot}, {now.name} (box {now.primary}, v{v})"
        old = before.uids if before is not None else {}
        fresh = now.uids.keys() - old.keys()
        gone = old.keys() - now.uids.keys()
        if before is not None and before.uid_validity != v:
            self.reissued += 1
        if self._mailboxes.setdefault(v, now.primary) != now.primary:
            raise Violation("I6", f"{where}: box {self._mailboxes[v]} has the same UIDVALIDITY")
        floor = self._floor.get((slot, now.name), 0)
        if v < floor:
            raise Violation("I6", f"{where}: the name showed {floor} before")
        self._floor[slot, now.name] = v
        # A key is (box, generation of its UIDs): they go on where only v is raised, and where the
        # mailbox was away for a while.
        if fresh and min(fresh) < self._uid_next.get((slot, key), 1):
            raise Violation("I5", f"{where}: exposes {min(fresh)}, had shown more")
        if now.uid_next < self._uid_next.get((slot, key), 1):
            raise Violation("I5", f"{where}: UIDNEXT {now.uid_next} fell")
        if now.uids and max(now.uids) >= now.uid_next:
            raise Violation("I5", f"{where}: UIDNEXT {now.uid_next} is not above all UIDs")
        self._uid_next[slot, key] = now.uid_next
        if now.highest_modseq < self._highest.get((slot, key), 0):
            raise Violation("modseq", f"{where}: HIGHESTMODSEQ {now.highest_modseq} fell")
        if (fresh or gone) and now.highest_modseq == self._highest.get((slot, key)):
            raise Violation("modseq", f"{where}: HIGHESTMODSEQ stands still")
        self._highest[slot, key] = now.highest_modseq
        for uid in sorted(now.uids):
            pid = now.uids[uid]
            if self._letters.setdefault((v, uid), pid) != pid:
                raise Violation("I4", f"{where}: UID {uid} names two messages")
        self.exposures += len(fresh)
        moved = {old[uid] for uid in gone} & {now.uids[uid] for uid in fresh}
        self.renumbered += len(moved)
        if fresh or gone:
            self._note(f"{where}: exposes {sorted(fresh)}, vanishes {sorted(gone)}")

    def judge(self, node: Node) -> None:
        """I1: *node* shows what all must show that have the operations it has."""
        vector = node.vector()
        expected = self._judgements.get(vector)
        if expected is None:
            self.judged += 1
            expected = Oracle(self._of(vector)).observable()
            self._judgements[vector] = expected
        found = node.observable()
        if found != expected:
            raise Violation("I1", f"node {node.slot} at {vector}: {difference(found, expected)}")

    def end(self, nodes: Sequence[Node]) -> None:
        """I2: *nodes* have all exchanged all, and nothing is under way."""
        vectors = {node.slot: node.vector() for node in nodes}
        if len(set(vectors.values())) != 1:
            raise Violation("I2", f"operations do not get everywhere: {vectors}")
        first = nodes[0].shown()
        for node in nodes:
            self.judge(node)
            shown = node.shown()
            for key, mailbox in shown.items():
                where = f"node {node.slot}, {mailbox.name}"
                if mailbox.outstanding:
                    raise Violation("I2", f"{where}: {sorted(mailbox.outstanding)} outstanding")
                if key not in first or (mailbox.uids, mailbox.uid_validity, mailbox.name) != (
                    first[key].uids,
                    first[key].uid_validity,
                    first[key].name,
                ):
                    raise Violation(
                        "I2", f"{where}: shows {mailbox}, node {nodes[0].slot} {first.get(key)}"
                    )
            if shown.keys() != first.keys():
                raise Violation("I2", f"node {node.slot}: other mailboxes")
            self._whole(node)

    def _whole(self, node: Node) -> None:
        """Each visible message is exposed, under the UID of its highest claim."""
        oracle = Oracle(self._of(node.vector()))
        observable = oracle.observable()
        shown = {mailbox.name: mailbox for mailbox in node.shown().values()}
        for name, mailbox in observable.mailboxes.items():
            claims = oracle.claims(mailbox.primary, mailbox.gen)
            expected = {claims.get(pid, 0) & 0xFFFFFFFF: pid for pid in mailbox.letters}
            if name not in shown or shown[name].uids != expected:
                raise Violation("I2", f"node {node.slot}, {name}: UIDs are not those claimed")

    def _of(self, vector: Vector) -> list[Op]:
        return [op for op in self.ops.values() if _has(vector, op)]


def _has(vector: Vector, op: Op) -> bool:
    slot = op.dot & 31
    return slot < len(vector) and vector[slot] >= op.dot >> 5


def difference(found: Observable, expected: Observable) -> str:
    """Where two views of the account differ, in words."""
    parts = []
    for name in sorted(found.mailboxes.keys() | expected.mailboxes.keys()):
        here, there = found.mailboxes.get(name), expected.mailboxes.get(name)
        if here == there:
            continue
        if here is None or there is None:
            parts.append(f"{name} must {'not ' if there is None else ''}exist")
            continue
        if (here.primary, here.uid_validity, here.gen, here.boxes) != (
            there.primary,
            there.uid_validity,
            there.gen,
            there.boxes,
        ):
            parts.append(f"{name}: {here.primary, here.boxes} for {there.primary, there.boxes}")
        for pid in sorted(here.letters.keys() | there.letters.keys()):
            if here.letters.get(pid) != there.letters.get(pid):
                parts.append(
                    f"{name}: {pid.hex()}: {here.letters.get(pid)} for {there.letters.get(pid)}"
                )
    if found.subscriptions != expected.subscriptions:
        parts.append(f"subscriptions {sorted(found.subscriptions ^ expected.subscriptions)}")
    if found.annotations != expected.annotations:
        parts.append(f"annotations {found.annotations} for {expected.annotations}")
    if found.uses != expected.uses:
        parts.append(f"special use {found.uses} for {expected.uses}")
    return "; ".join(parts)
