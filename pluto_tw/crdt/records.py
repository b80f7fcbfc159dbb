# SPDX-License-Identifier: GPL-3.0-or-later
"""
What is stored of one account: the records, their keys, and how the rules ask for them.

The rules never walk through a mailbox or account. They read records by key (`Records.get`) and
through a few range reads that take a limit; they write through a `Transaction`, which is itself a
`Records` over another. Who implements `Records` on a database stores, at the end, just the records
that the transaction staged.

A record that `get` returned is read only. To change one, `Transaction.edit` gives a copy. Tuples
and dictionaries within records are replaced, never changed in place, as copies share them.

Fields are of three kinds. *Replicated* ones are the same at all replicas that have the same
operations (until folding, which nobody can observe). *Immutable* ones are given by the operation
that made the record. *Local* ones are this replica's own and never leave it.
"""

from collections.abc import Sequence
from typing import Final, Generic, Protocol, TypeVar

from msgspec import Struct

from pluto_tw.crdt.dots import EMPTY, Vector
from pluto_tw.mail.sets import NumberSet

#: The box INBOX, the same in every account without an operation that makes it.
INBOX_BID: Final = 0

#: `Box.home` of a box that is not alive, and so in no mailbox.
NOWHERE: Final = -1

#: `Box.walk` when nothing is left to walk.
WALKED: Final = -1

#: `Fold.row` of a RENAME whose box still has DELETEs: it is passed over until they are folded.
PARKED: Final = -2

#: Entries of flags: for each spelling `dot << 1 | value` of the writes that none superseded.
Entries = dict[str, tuple[int, ...]]


def key_of(bid: int, gen: int) -> int:
    """
    Under which key a primary box's UIDs, claims and view are kept: `bid << 32 | gen`.

    *gen* is 0, or the UIDVALIDITY with which the box's UIDs last began again at 1.
    """
    return bid << 32 | gen


class AccountRecord(Struct):
    """The scalars of one account; there is always exactly one, under key 0."""

    #: Replicated: the operations applied. `heads` has the chain's hash for each entry.
    vv: Vector = EMPTY
    heads: tuple[bytes, ...] = ()
    #: Replicated: who gives final UIDs, `(counter + 1) << 5 | slot`; also the epoch of its claims.
    sequencer: int = 1 << 5
    #: Local: the newest mod-sequence.
    m: int = 0
    #: Local: above no UIDVALIDITY ever seen, here or anywhere that this replica knows of.
    maxv: int = 0
    #: Local: the vector up to which operations are known to be everywhere. Never falls.
    stable: Vector = EMPTY
    #: Local: operations up to here are no longer in the log.
    base: Vector = EMPTY
    #: Local: until `vv` has reached this vector the replica serves nobody. None: it serves.
    gate: Vector | None = None


class Box(Struct):
    """A mailbox as the operations know it; all boxes of one name are one mailbox to clients."""

    #: Immutable: the dot of the operation that made it; 0 is INBOX.
    bid: int
    #: Replicated: last writer wins by `named` = (stamp, dot).
    name: str
    named: tuple[int, int]
    #: Replicated: UIDVALIDITY, and for `gen` see `key_of`; the highest (gen, v) wins.
    v: int
    gen: int = 0
    #: Immutable: special-use attributes given by CREATE.
    use: tuple[str, ...] = ()
    #: Replicated: interest; dots of RENAMEs and DELETEs that are not folded yet.
    tags: Vector = EMPTY
    rens: tuple[int, ...] = ()
    dels: tuple[int, ...] = ()
    #: Local: the mod-sequence of the last RENAME or DELETE. A placement's mod-sequence, towards
    #: clients and everywhere in resynchronisation, is max(Placement.msq, Box.bmsq).
    bmsq: int = 0
    #: Local: the key of the mailbox it is shown in, or NOWHERE.
    home: int = NOWHERE
    #: Local: a placement is exposed only while its `era` is this one.
    era: int = 0
    #: Local: rows above this one are still to be placed in `home`; WALKED if none are. While it
    #: is not WALKED the whole box counts as outstanding.
    walk: int = WALKED
    #: Local: the DELETEs of `dels` that no RENAME voids.
    effective: tuple[int, ...] = ()


class Placement(Struct):
    """
    A message in a box.

    It is exposed to clients, under `uid` of the mailbox `Box.home`, iff `uid` is not 0, `era` is
    `Box.era` and `key` is `Box.home`.
    """

    #: Immutable, see `pids.py`; `email` is the pid of the first APPEND (EMAILID).
    pid: bytes
    box: int
    email: bytes
    #: Immutable: hash of the body, its octets, INTERNALDATE in POSIX seconds and its zone.
    blob: bytes
    size: int
    date: int
    zone: int
    #: Replicated: the least (stamp, dot, index) of the operations that put it here; messages get
    #: their UIDs in this order.
    order: tuple[int, int, int]
    #: Replicated: interest; dots of EXPUNGEs; for each target pid the dots of MOVEs to it.
    tags: Vector = EMPTY
    rms: tuple[int, ...] = ()
    moved: dict[bytes, tuple[int, ...]] = {}
    #: Replicated.
    entries: Entries = {}
    #: Replicated: the claim under `key`, `epoch << 32 | uid`, 0 if there is none; whether a replica
    #: said that it cannot show it under that UID.
    claim: int = 0
    bounced: bool = False
    #: Replicated: the same under other keys, `claim << 1 | bounced`.
    other: dict[int, int] = {}
    #: Local.
    key: int = INBOX_BID
    uid: int = 0
    era: int = 0
    msq: int = 0
    #: Local: which came first here; unique, ascending in the order of creation.
    row: int = 0


class View(Struct):
    """The UIDs of a primary box under one key."""

    key: int
    #: Local: above every UID ever exposed here. Never falls.
    unext: int = 1
    #: Replicated: the highest UID that any claim or bounce named.
    maxuid: int = 0
    #: Local: HIGHESTMODSEQ.
    hm: int = 0


class Context(Struct):
    """What the origin of an operation had seen when it made it; kept until all is folded."""

    dot: int
    vector: Vector


class Logged(Struct):
    """An operation in the log, in its canonical form (`codec.py`)."""

    dot: int
    data: bytes
    #: Local: the mod-sequence at which it was applied here.
    msq: int
    #: The chain's hash after it.
    head: bytes


class Head(Struct):
    """The chain's hash at an operation that is in the log no longer; one of each 256."""

    dot: int
    head: bytes


class Fold(Struct):
    """
    What is left to fold of one operation in one box, once it is stable.

    *pids*: the placements; *row*: how far all placements of the box were gone through (a DELETE),
    or PARKED.
    """

    dot: int
    bid: int
    pids: tuple[bytes, ...] = ()
    row: int = -1


class Pending(Struct):
    """
    A visible placement that is outstanding: it has no sequenced claim, or its claim bounced, or it
    is not exposed under its claim's UID.
    """

    pid: bytes
    bid: int
    row: int


class Floor(Struct):
    """Local: the highest UIDVALIDITY that was ever shown under a name."""

    name: str
    v: int


class Subscription(Struct):
    """Replicated: subscribed iff the value of any entry, `dot << 1 | value`, is true."""

    name: str
    entries: tuple[int, ...]


class Meta(Struct):
    """
    Replicated: an annotation of a box, or of the server (*bid* -1). RFC 5464.

    Last writer wins by *written* = (stamp, dot). *value* None: there is none.
    """

    bid: int
    entry: str
    value: bytes | None
    written: tuple[int, int]


class Member(Struct):
    """Replicated, in the subnet's own account: who has a slot, and since which operation."""

    slot: int
    replica: bytes
    name: str
    #: One of `members.State`.
    state: int
    #: The operation that gave the slot; of two at once the lower keeps it.
    added: int
    #: The operation that took it away, or 0.
    removed: int = 0


class Peer(Struct):
    """Local: what another replica has told. Losing the newest of it only makes answers larger."""

    slot: int
    #: The vector durable there, as far as it counts towards stability.
    ack: Vector = EMPTY
    #: All that it had shown up to this mod-sequence of its own is here.
    cov: int = 0
    #: Pairs (X, Y): all that was applied here up to Y it had at its own X.
    marks: tuple[tuple[int, int], ...] = ()


K = TypeVar("K", bound="int | str | bytes | tuple[int, int] | tuple[int, str]")
R = TypeVar("R", bound=Struct)


class Table(Generic[K, R]):
    """A kind of record and its key, for `Records.get`; *number* counts from 0 in `TABLES`."""

    __slots__ = ("name", "number")

    def __init__(self, number: int, name: str) -> None:
        self.number = number
        self.name = name


#: Key 0.
ACCOUNT: Final = Table[int, AccountRecord](0, "account")
#: By bid.
BOX: Final = Table[int, Box](1, "box")
#: By pid.
PLACEMENT: Final = Table[bytes, Placement](2, "placement")
#: By key.
VIEW: Final = Table[int, View](3, "view")
#: By dot.
CONTEXT: Final = Table[int, Context](4, "context")
#: By dot.
LOG: Final = Table[int, Logged](5, "log")
#: By (dot, bid); bid -1 for an operation that only keeps a context.
FOLD: Final = Table[tuple[int, int], Fold](6, "fold")
#: By pid.
PENDING: Final = Table[bytes, Pending](7, "pending")
#: By name.
FLOOR: Final = Table[str, Floor](8, "floor")
#: By name.
SUBSCRIPTION: Final = Table[str, Subscription](9, "subscription")
#: By (bid or -1, entry).
META: Final = Table[tuple[int, str], Meta](10, "meta")
#: By slot.
MEMBER: Final = Table[int, Member](11, "member")
#: By slot.
PEER: Final = Table[int, Peer](12, "peer")
#: By dot.
HEAD: Final = Table[int, Head](13, "head")

TABLES: Final = (
    ACCOUNT,
    BOX,
    PLACEMENT,
    VIEW,
    CONTEXT,
    LOG,
    FOLD,
    PENDING,
    FLOOR,
    SUBSCRIPTION,
    META,
    MEMBER,
    PEER,
    HEAD,
)


class Records(Protocol):
    """
    The records of one account, as of one moment.

    Ranges are ascending by what the parameter *after* names, and hold at most *limit* records. A
    range read of a `Transaction` includes what is staged.
    """

    def get(self, table: Table[K, R], key: K) -> R | None:
        """The record; not to be changed."""

    def new_row(self) -> int:
        """
        A row for a new placement: at least 1, above all given before.

        It need not be durable: one that no committed placement has may be given again.
        """

    def boxes_named(self, name: str) -> Sequence[int]:
        """The bids of all boxes, dead ones included, that have this name."""

    def boxes_below(self, prefix: str) -> Sequence[int]:
        """The bids of all boxes, dead ones included, whose name begins with *prefix*."""

    def boxes_after(self, bid: int, limit: int) -> Sequence[Box]:
        """All boxes with a higher bid (INBOX comes after -1)."""

    def walking(self, limit: int) -> Sequence[int]:
        """The bids of some boxes whose `walk` is not WALKED; few at any time, mostly none."""

    def placements_in(self, bid: int, after_row: int, limit: int) -> Sequence[Placement]:
        """All placements of a box with a higher row."""

    def exposed(self, key: int, bid: int) -> NumberSet:
        """
        The UIDs of the placements of box *bid* that are exposed in its home, which is *key*.

        Asked when a box leaves its mailbox or is deleted: answer it from memory if possible.
        """

    def pending(self, after_row: int, limit: int) -> Sequence[Pending]:
        """All outstanding placements of the account with a higher row."""

    def pending_in(self, bid: int, after_row: int, limit: int) -> Sequence[Pending]:
        """Those of one box."""

    def log_after(self, slot: int, seq: int, limit: int) -> Sequence[Logged]:
        """The operations of one origin that the log has above *seq*."""

    def folds(self, stable: Vector, limit: int) -> Sequence[Fold]:
        """Any that are not PARKED and whose dot is covered by *stable*, in any fixed order."""

    def folds_of(self, dot: int) -> Sequence[Fold]:
        """All that is left to fold of one operation."""

    def subscriptions_after(self, name: str, limit: int) -> Sequence[Subscription]: ...

    def metas_after(self, bid: int, entry: str, limit: int) -> Sequence[Meta]:
        """Ascending by (bid, entry)."""

    def members(self) -> Sequence[Member]: ...
