# SPDX-License-Identifier: GPL-3.0-or-later
"""
What an account must show, computed from the set of all its operations by happens-before alone.

Independent of the rules: no records, no order of delivery, no folding, no merging. Slow and plain;
it says of each message why it is there. It knows nothing of UIDs, which are no function of the set.
"""

from collections.abc import Iterable
from functools import cache

from pluto_tw.crdt.dots import Vector, covers
from pluto_tw.crdt.ops import Add, Annotate, Del, Exp, Mk, Mv, Op, Ren, Rv, St, Sub
from pluto_tw.crdt.pids import birth_pid, moved_pid
from pluto_tw.mail.flags import DELETED


class Oracle:
    """All operations that were ever made."""

    def __init__(self, ops: Iterable[Op]) -> None:
        self.ops = {op.dot: op for op in ops}
        #: (bid, ...) of each placement, by how it came to be.
        self.box_of: dict[bytes, int] = {}
        #: Operations that put it there, named it with interest, removed it, wrote its flags.
        self.tags: dict[bytes, set[int]] = {}
        self.rms: dict[bytes, set[int]] = {}
        self.writes: dict[bytes, set[tuple[str, int, bool]]] = {}
        #: MOVEs to a placement: (dot, source); and from one.
        self.into: dict[bytes, set[tuple[int, bytes]]] = {}
        self.moved: set[bytes] = set()
        self.box_tags: dict[int, set[int]] = {0: set()}
        for op in self.ops.values():
            self._read(op)
        # Recursion is along MOVEs: none leads back.
        self.all_tags = cache(self._all_tags)
        self.all_rms = cache(self._all_rms)
        self.all_writes = cache(self._all_writes)

    def _read(self, op: Op) -> None:
        body, dot = op.body, op.dot
        match body:
            case Mk():
                self.box_tags.setdefault(dot, set()).add(dot)
            case Ren():
                for bid, _ in body.names:
                    self.box_tags.setdefault(bid, set()).add(dot)
            case Add():
                self.box_tags.setdefault(body.bid, set()).add(dot)
                for index, message in enumerate(body.messages):
                    self._put(birth_pid(dot, index), body.bid, dot, message.flags)
            case Mv():
                self.box_tags.setdefault(body.bid, set()).add(dot)
                for pid, flags in zip(body.pids, body.flags, strict=True):
                    target = moved_pid(pid, body.bid)
                    self._put(target, body.bid, dot, flags)
                    self.into.setdefault(target, set()).add((dot, pid))
                    self.moved.add(pid)
            case Exp():
                for pid in body.pids:
                    self.rms.setdefault(pid, set()).add(dot)
                    self.writes.setdefault(pid, set()).add((DELETED, dot, False))
            case St():
                for change in body.changes:
                    for pid in change.pids:
                        self.writes.setdefault(pid, set()).add((change.flag, dot, change.value))
                        if body.keep:
                            self.tags.setdefault(pid, set()).add(dot)
            case _:
                pass

    def _put(self, pid: bytes, bid: int, dot: int, flags: tuple[str, ...]) -> None:
        self.box_of[pid] = bid
        self.tags.setdefault(pid, set()).add(dot)
        self.writes.setdefault(pid, set()).update((flag, dot, True) for flag in flags)

    def seen(self, dot: int) -> Vector:
        return self.ops[dot].vector

    # What comes to a placement along MOVEs that had not seen it.

    def _all_tags(self, pid: bytes) -> frozenset[int]:
        found = set(self.tags.get(pid, ()))
        for move, source in self.into.get(pid, ()):
            found |= {t for t in self.all_tags(source) if not covers(self.seen(move), t)}
        return frozenset(found)

    def _all_rms(self, pid: bytes) -> frozenset[int]:
        found = set(self.rms.get(pid, ()))
        for move, source in self.into.get(pid, ()):
            found |= {r for r in self.all_rms(source) if not covers(self.seen(move), r)}
        return frozenset(found)

    def _all_writes(self, pid: bytes) -> frozenset[tuple[str, int, bool]]:
        found = set(self.writes.get(pid, ()))
        for move, source in self.into.get(pid, ()):
            found |= {w for w in self.all_writes(source) if not covers(self.seen(move), w[1])}
        return frozenset(found)

    # Mailboxes.

    def effective_dels(self, bid: int) -> list[int]:
        rens = [
            op
            for op in self.ops.values()
            if isinstance(op.body, Ren) and any(b == bid for b, _ in op.body.names)
        ]
        return [
            op.dot
            for op in self.ops.values()
            if isinstance(op.body, Del)
            and bid in op.body.bids
            and all(covers(r.vector, op.dot) or covers(op.vector, r.dot) for r in rens)
        ]

    def name(self, bid: int) -> str:
        if bid == 0:
            return "INBOX"
        made = self.ops[bid]
        assert isinstance(made.body, Mk)
        names = [((made.hlc, made.dot), made.body.name)]
        for op in self.ops.values():
            if isinstance(op.body, Ren):
                names += [((op.hlc, op.dot), name) for b, name in op.body.names if b == bid]
        return max(names)[1]

    def validity(self, bid: int) -> int:
        found = [(0, 1)]
        for op in self.ops.values():
            if isinstance(op.body, Rv) and op.body.bid == bid:
                found.append((op.body.v if op.body.restart else op.body.gen, op.body.v))
            elif isinstance(op.body, Mk) and op.dot == bid:
                found.append((0, op.body.v))
        return max(found)[1]

    def alive(self, bid: int) -> bool:
        """Interest in the box or in a message of it that no effective DELETE has seen."""
        if bid == 0:
            return True
        tags = set(self.box_tags.get(bid, ()))
        for pid, box in self.box_of.items():
            if box == bid:
                tags |= self.all_tags(pid)
        for op in self.ops.values():
            if isinstance(op.body, (Exp, Mv)):
                named = op.body.pids
            elif isinstance(op.body, St):
                named = tuple(pid for change in op.body.changes for pid in change.pids)
            else:
                continue
            if any(self.box_of[pid] == bid for pid in named):
                tags.add(op.dot)
        dels = self.effective_dels(bid)
        return any(all(not covers(self.seen(d), t) for d in dels) for t in tags)

    def visible(self, pid: bytes, dels: list[int]) -> bool:
        if pid in self.moved:
            return False
        removals = [*self.all_rms(pid), *dels]
        return any(all(not covers(self.seen(r), t) for r in removals) for t in self.all_tags(pid))

    def flags(self, pid: bytes) -> list[str]:
        by_key: dict[str, set[tuple[str, int, bool]]] = {}
        for write in self.all_writes(pid):
            by_key.setdefault(write[0].lower(), set()).add(write)
        found = []
        for key, writes in by_key.items():
            left = {w for w in writes if not any(covers(self.seen(x[1]), w[1]) for x in writes)}
            spellings = sorted(flag for flag, _, value in left if value)
            if spellings and (key != DELETED.lower() or all(value for _, _, value in left)):
                found.append(spellings[0])
        return sorted(found)

    # The whole.

    def observable(self) -> dict[str, object]:
        """As `tests.support.cluster.observable`."""
        groups: dict[str, list[int]] = {}
        bids = [0, *(op.dot for op in self.ops.values() if isinstance(op.body, Mk))]
        for bid in bids:
            if self.alive(bid):
                groups.setdefault(self.name(bid), []).append(bid)
        found: dict[str, object] = {}
        for name, members in sorted(groups.items()):
            primary = max(members, key=lambda b: (b == 0, self.validity(b), b))
            messages = []
            for bid in members:
                dels = self.effective_dels(bid)
                messages += [
                    (pid, self.flags(pid))
                    for pid, box in self.box_of.items()
                    if box == bid and self.visible(pid, dels)
                ]
            found[name] = primary, self.validity(primary), sorted(messages)
        found["subscriptions"] = self.subscriptions()
        found["annotations"] = self.annotations()
        return found

    def subscriptions(self) -> list[str]:
        writes: dict[str, list[Op]] = {}
        for op in self.ops.values():
            if isinstance(op.body, Sub):
                writes.setdefault(op.body.name, []).append(op)
        found = []
        for name, made in writes.items():
            left = [w for w in made if not any(covers(x.vector, w.dot) for x in made)]
            if any(isinstance(w.body, Sub) and w.body.value for w in left):
                found.append(name)
        return sorted(found)

    def annotations(self) -> dict[tuple[int, str], bytes | None]:
        newest: dict[tuple[int, str], tuple[tuple[int, int], bytes | None]] = {}
        for op in self.ops.values():
            if isinstance(op.body, Annotate):
                at = op.body.bid, op.body.entry
                stamp = op.hlc, op.dot
                if at not in newest or stamp > newest[at][0]:
                    newest[at] = stamp, op.body.value
        return {at: value for at, (_, value) in newest.items()}
