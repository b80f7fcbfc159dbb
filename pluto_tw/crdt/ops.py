# SPDX-License-Identifier: GPL-3.0-or-later
"""
The operations: what replicas tell each other.

Each is a fact with a name (its dot), a stamp, the vector of what its origin had when it made it,
and a body. What a body does to the records is in `effects.py`, its form in octets in `codec.py`.
Messages are named by pids, boxes by bids.
"""

from typing import Final

from msgspec import Struct

from pluto_tw.crdt.dots import Vector

#: Messages that one operation may name; a command that names more makes several. With the octets
#: below it keeps each operation well within one message between replicas, and the memory that
#: applying it takes within a few MiB.
MESSAGES_MAX: Final = 4096

#: Octets of one operation in its canonical form.
OCTETS_MAX: Final = 256 * 1024


class Mk(Struct, frozen=True, array_like=True, tag=1):
    """CREATE: a box whose bid is the operation's dot."""

    v: int
    name: str
    use: tuple[str, ...] = ()


class Rv(Struct, frozen=True, array_like=True, tag=2):
    """
    A higher UIDVALIDITY for a box; *restart*: its UIDs begin again at 1.

    *gen* is that of the box at the origin: a UIDVALIDITY holds for the UIDs that it was given for.
    """

    bid: int
    v: int
    restart: bool = False
    gen: int = 0


class Ren(Struct, frozen=True, array_like=True, tag=3):
    """RENAME of all boxes of a mailbox and of its inferiors: pairs (bid, new name)."""

    names: tuple[tuple[int, str], ...]


class Del(Struct, frozen=True, array_like=True, tag=4):
    """DELETE of all boxes of a mailbox."""

    bids: tuple[int, ...]


class Message(Struct, frozen=True, array_like=True):
    """A message of an `Add`; *email* empty: its own pid. *flags* are those that it has."""

    blob: bytes
    size: int
    date: int
    zone: int
    flags: tuple[str, ...] = ()
    email: bytes = b""


class Add(Struct, frozen=True, array_like=True, tag=5):
    """APPEND, delivery, COPY: new messages in a box."""

    bid: int
    messages: tuple[Message, ...]


class Exp(Struct, frozen=True, array_like=True, tag=6):
    """EXPUNGE of messages that their origin saw."""

    pids: tuple[bytes, ...]


class Mv(Struct, frozen=True, array_like=True, tag=7):
    """MOVE of messages to a box; *flags* are those that each one has at its origin."""

    bid: int
    pids: tuple[bytes, ...]
    flags: tuple[tuple[str, ...], ...]


class FlagChange(Struct, frozen=True, array_like=True):
    """One flag that is set or cleared for messages where that changes something."""

    flag: str
    value: bool
    pids: tuple[bytes, ...]


class St(Struct, frozen=True, array_like=True, tag=8):
    """STORE; *keep*: it is interest in the messages, and wins over a concurrent EXPUNGE."""

    changes: tuple[FlagChange, ...]
    keep: bool


class Cl(Struct, frozen=True, array_like=True, tag=9):
    """Claims of UIDs under the key of (bid, gen); epoch 0: provisional, made by the origin."""

    bid: int
    gen: int
    epoch: int
    pids: tuple[bytes, ...]
    uids: tuple[int, ...]


class Bn(Struct, frozen=True, array_like=True, tag=10):
    """
    Bounced claims: the origin has exposed UIDs below *unext*, and cannot show these messages
    under the UIDs claimed for them.
    """

    bid: int
    gen: int
    unext: int
    pids: tuple[bytes, ...]
    claims: tuple[int, ...]


class Sub(Struct, frozen=True, array_like=True, tag=11):
    """SUBSCRIBE, UNSUBSCRIBE."""

    name: str
    value: bool


class Annotate(Struct, frozen=True, array_like=True, tag=12):
    """SETMETADATA of a box, or of the server (*bid* -1); None removes the entry."""

    bid: int
    entry: str
    value: bytes | None


class Ep(Struct, frozen=True, array_like=True, tag=13):
    """A new sequencer, `(counter + 1) << 5 | slot`."""

    sequencer: int


class MemberAdd(Struct, frozen=True, array_like=True, tag=14):
    """In the subnet's own account: a replica gets a slot."""

    slot: int
    replica: bytes
    name: str


class MemberRemove(Struct, frozen=True, array_like=True, tag=15):
    """In the subnet's own account: a slot is given up for ever; *forced* without its consent."""

    slot: int
    forced: bool


Body = (
    Mk
    | Rv
    | Ren
    | Del
    | Add
    | Exp
    | Mv
    | St
    | Cl
    | Bn
    | Sub
    | Annotate
    | Ep
    | MemberAdd
    | MemberRemove
)


class Op(Struct, frozen=True):
    """An operation; *hlc* is a stamp of `clock.py`, *vector* what its origin had before it."""

    dot: int
    hlc: int
    vector: Vector
    body: Body


def pids_of(body: Body) -> list[bytes]:
    """The placements that *body* names; those that an `Add` makes are not among them."""
    if isinstance(body, (Exp, Mv, Cl, Bn)):
        return list(body.pids)
    if isinstance(body, St):
        return [pid for change in body.changes for pid in change.pids]
    return []
