# SPDX-License-Identifier: GPL-3.0-or-later
"""
What an account must look like, from the set of all operations and their happens-before alone.

Written from the specification, not from the code that it judges: no state that is changed step by
step, no merging, no folding, no order of delivery. Each question is answered by looking at all
operations that bear on it. Slow, and plain.

An operation *a* happened before *b* if a's dot is in b's vector; two of which neither happened
before the other are concurrent. A *mark* is something that an operation left on a message: interest
(a tag), an expunge, a flag's value. Marks travel along every MOVE that had not seen them.

Decides nothing about UIDs but which claim is the highest. Which UIDs a replica shows while it lacks
operations depends on its own history, and is held to account in `invariants.py`.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from pluto_tw.crdt.dots import Vector
from pluto_tw.crdt.ops import Add, Annotate, Cl, Del, Ep, Exp, Mk, Mv, Op, Ren, Rv, St, Sub
from pluto_tw.crdt.pids import birth_pid, moved_pid

INBOX_BID = 0
INBOX_V = 1

#: The sequencer of a new account: counter 0, slot 0.
FIRST_SEQUENCER = 1 << 5

DELETED = "\\Deleted"


@dataclass(frozen=True, slots=True)
class Letter:
    """A visible message; *email* is its EMAILID, as the pid of the first APPEND."""

    box: int
    email: bytes
    blob: bytes
    date: tuple[int, int]
    flags: frozenset[str]


@dataclass(frozen=True, slots=True)
class Mailbox:
    """All boxes of one name. *uid_validity* and *gen* are those of the primary box."""

    primary: int
    uid_validity: int
    gen: int
    boxes: frozenset[int]
    letters: dict[bytes, Letter]


@dataclass(frozen=True, slots=True)
class Observable:
    """What all replicas that have the same operations show alike; UIDs are not in it."""

    mailboxes: dict[str, Mailbox]
    subscriptions: frozenset[str]
    #: By (bid, entry), bid -1 for the server; those of dead boxes are nobody's to see.
    annotations: dict[tuple[int, str], bytes]
    #: Special-use attributes of each box that is alive and has some.
    uses: dict[int, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Mark:
    """*flag* None: interest, or an expunge if *value* is false; else the flag's new value."""

    op: Op
    flag: str | None
    value: bool


@dataclass(slots=True)
class Birth:
    """What never changes of a placement; *source* is the pid that it was moved from."""

    box: int
    email: bytes
    blob: bytes
    date: tuple[int, int]
    source: bytes | None
    moves_in: list[Op] = field(default_factory=list)


def knows(op: Op, other: Op) -> bool:
    """Whether *other* happened before *op*."""
    return within(op.vector, other.dot)


def within(vector: Vector, dot: int) -> bool:
    """Whether *vector* has the operation *dot*."""
    slot = dot & 31
    return slot < len(vector) and vector[slot] >= dot >> 5


def concurrent(a: Op, b: Op) -> bool:
    """Whether neither had seen the other."""
    return a.dot != b.dot and not knows(a, b) and not knows(b, a)


class Oracle:
    """The judge of one set of operations, which must hold all that any of them had seen."""

    def __init__(self, ops: Iterable[Op]) -> None:
        self._ops = sorted(ops, key=lambda op: (sum(op.vector), op.dot))
        self._births: dict[bytes, Birth] = {}
        self._own: dict[bytes, list[Mark]] = {}
        self._moved: set[bytes] = set()
        self._marks: dict[bytes, list[Mark]] = {}
        self._interest: dict[int, list[Op]] = {INBOX_BID: []}
        self._rens: dict[int, list[Op]] = {}
        self._dels: dict[int, list[Op]] = {}
        # Causes come first in this order, so whatever an operation names is known by then.
        for op in self._ops:
            self._read(op)
        for pid in self._births:
            self._inherit(pid)

    # Reading the operations.

    def _read(self, op: Op) -> None:
        body = op.body
        if isinstance(body, Mk):
            self._interest[op.dot] = [op]
        elif isinstance(body, Ren):
            for bid, _name in body.names:
                self._rens.setdefault(bid, []).append(op)
                self._interest[bid].append(op)
        elif isinstance(body, Del):
            for bid in body.bids:
                self._dels.setdefault(bid, []).append(op)
        elif isinstance(body, Add):
            self._read_add(op, body)
        elif isinstance(body, Mv):
            self._read_mv(op, body)
        elif isinstance(body, Exp):
            for pid in body.pids:
                self._own[pid].append(Mark(op, None, False))
                # What outlives it is not marked for the next EXPUNGE.
                self._own[pid].append(Mark(op, DELETED, False))
                self._interest[self._births[pid].box].append(op)
        elif isinstance(body, St):
            self._read_st(op, body)

    def _read_add(self, op: Op, body: Add) -> None:
        for index, message in enumerate(body.messages):
            pid = birth_pid(op.dot, index)
            self._births[pid] = Birth(
                body.bid, message.email or pid, message.blob, (message.date, message.zone), None
            )
            self._own[pid] = [Mark(op, None, True)]
            self._own[pid].extend(Mark(op, flag, True) for flag in message.flags)
        self._interest[body.bid].append(op)

    def _read_mv(self, op: Op, body: Mv) -> None:
        self._interest[body.bid].append(op)
        for pid, flags in zip(body.pids, body.flags, strict=True):
            source = self._births[pid]
            self._interest[source.box].append(op)
            self._moved.add(pid)
            target = moved_pid(pid, body.bid)
            if target not in self._births:
                self._births[target] = Birth(body.bid, source.email, source.blob, source.date, pid)
                self._own[target] = []
            self._births[target].moves_in.append(op)
            self._own[target].append(Mark(op, None, True))
            self._own[target].extend(Mark(op, flag, True) for flag in flags)

    def _read_st(self, op: Op, body: St) -> None:
        for change in body.changes:
            for pid in change.pids:
                self._own[pid].append(Mark(op, change.flag, change.value))
                if body.keep:
                    self._own[pid].append(Mark(op, None, True))
                self._interest[self._births[pid].box].append(op)

    def _inherit(self, pid: bytes) -> list[Mark]:
        """All marks of *pid*: its own, and those of its source that some MOVE had not seen."""
        found = self._marks.get(pid)
        if found is None:
            birth = self._births[pid]
            found = list(self._own[pid])
            if birth.source is not None:
                for mark in self._inherit(birth.source):
                    if any(not knows(mv, mark.op) for mv in birth.moves_in):
                        found.append(mark)
                        # Interest that comes to a message keeps its box too.
                        if mark.flag is None and mark.value:
                            self._interest[birth.box].append(mark.op)
            self._marks[pid] = found
        return found

    # Boxes.

    def _effective(self, bid: int) -> list[Op]:
        """The DELETEs of a box that no concurrent RENAME of it voids."""
        return [
            delete
            for delete in self._dels.get(bid, ())
            if not any(concurrent(delete, ren) for ren in self._rens.get(bid, ()))
        ]

    def _is_alive(self, bid: int) -> bool:
        if bid == INBOX_BID:
            return True
        effective = self._effective(bid)
        return any(not any(knows(delete, op) for delete in effective) for op in self._interest[bid])

    def _name(self, bid: int) -> str:
        if bid == INBOX_BID:
            return "INBOX"
        return max(self._names(bid))[1]

    def _names(self, bid: int) -> Iterator[tuple[tuple[int, int], str]]:
        for op in self._ops:
            if isinstance(op.body, Mk) and op.dot == bid:
                yield (op.hlc, op.dot), op.body.name
            elif isinstance(op.body, Ren):
                for named, name in op.body.names:
                    if named == bid:
                        yield (op.hlc, op.dot), name

    def _validities(self, bid: int) -> tuple[int, int]:
        """UIDVALIDITY, and gen: the one with which the UIDs last began again, or 0."""
        given = [(0, INBOX_V)] if bid == INBOX_BID else []
        for op in self._ops:
            if isinstance(op.body, Mk) and op.dot == bid:
                given.append((0, op.body.v))
            elif isinstance(op.body, Rv) and op.body.bid == bid:
                # What was given for UIDs that have begun again since does not count.
                given.append((op.body.v if op.body.restart else op.body.gen, op.body.v))
        gen, v = max(given)
        return v, gen

    # Messages.

    def _is_visible(self, pid: bytes) -> bool:
        if pid in self._moved:
            return False
        removals = [
            mark.op for mark in self._marks[pid] if mark.flag is None and not mark.value
        ] + self._effective(self._births[pid].box)
        return any(
            not any(knows(removal, mark.op) for removal in removals)
            for mark in self._marks[pid]
            if mark.flag is None and mark.value
        )

    def _flags(self, pid: bytes) -> frozenset[str]:
        """Writes that a later one had seen count no more; of concurrent ones see `_holds`."""
        writes: dict[str, list[Mark]] = {}
        for mark in self._marks[pid]:
            if mark.flag is not None:
                writes.setdefault(mark.flag, []).append(mark)
        return frozenset(flag for flag, marks in writes.items() if _holds(flag, marks))

    # The whole.

    def observable(self) -> Observable:
        """What each replica that has just these operations must show."""
        alive = sorted(bid for bid in self._interest if self._is_alive(bid))
        by_name: dict[str, list[int]] = {}
        for bid in alive:
            by_name.setdefault(self._name(bid), []).append(bid)
        letters: dict[int, dict[bytes, Letter]] = {bid: {} for bid in self._interest}
        for pid, birth in self._births.items():
            if self._is_visible(pid):
                letters[birth.box][pid] = Letter(
                    birth.box, birth.email, birth.blob, birth.date, self._flags(pid)
                )
        mailboxes = {}
        for name, bids in by_name.items():
            primary = max(bids, key=lambda bid: (bid == INBOX_BID, self._validities(bid)[0]))
            v, gen = self._validities(primary)
            union = {pid: letter for bid in bids for pid, letter in letters[bid].items()}
            mailboxes[name] = Mailbox(primary, v, gen, frozenset(bids), union)
        # A visible message implies that its box is alive.
        assert not any(found for bid, found in letters.items() if bid not in alive)
        return Observable(
            mailboxes, self._subscriptions(), self._annotations(set(alive)), self._uses(alive)
        )

    def _subscriptions(self) -> frozenset[str]:
        writes: dict[str, list[Mark]] = {}
        for op in self._ops:
            if isinstance(op.body, Sub):
                mark = Mark(op, op.body.name, op.body.value)
                writes.setdefault(op.body.name, []).append(mark)
        return frozenset(name for name, marks in writes.items() if _holds(name, marks))

    def _annotations(self, alive: set[int]) -> dict[tuple[int, str], bytes]:
        newest: dict[tuple[int, str], tuple[tuple[int, int], bytes | None]] = {}
        for op in self._ops:
            body = op.body
            if isinstance(body, Annotate) and (body.bid == -1 or body.bid in alive):
                key = (body.bid, body.entry)
                written = (op.hlc, op.dot)
                if key not in newest or newest[key][0] < written:
                    newest[key] = (written, body.value)
        return {key: value for key, (_, value) in newest.items() if value is not None}

    def _uses(self, alive: Iterable[int]) -> dict[int, tuple[str, ...]]:
        made = {op.dot: op.body.use for op in self._ops if isinstance(op.body, Mk) and op.body.use}
        return {bid: made[bid] for bid in alive if bid in made}

    def sequencer(self) -> int:
        """Who gives final UIDs: the highest that was ever named."""
        named = [op.body.sequencer for op in self._ops if isinstance(op.body, Ep)]
        return max([FIRST_SEQUENCER, *named])

    def claims(self, bid: int, gen: int) -> dict[bytes, int]:
        """The highest claim, `epoch << 32 | uid`, of each placement under this key."""
        highest: dict[bytes, int] = {}
        for op in self._ops:
            body = op.body
            if isinstance(body, Cl) and (body.bid, body.gen) == (bid, gen):
                for pid, uid in zip(body.pids, body.uids, strict=True):
                    highest[pid] = max(highest.get(pid, 0), body.epoch << 32 | uid)
        return highest


def _holds(flag: str, marks: list[Mark]) -> bool:
    """
    The value that concurrent writes of one flag add up to.

    A set wins over a clear; for \\Deleted the clear wins, since that loses no mail.
    """
    last = [mark for mark in marks if not any(knows(other.op, mark.op) for other in marks)]
    return all(mark.value for mark in last) if flag == DELETED else any(m.value for m in last)
