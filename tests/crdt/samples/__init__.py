# SPDX-License-Identifier: GPL-3.0-or-later
"""
The operations whose octets are stored beside this file.

`op1-<name>.hex` is the canonical form, version 1, of `SAMPLES[name]`; `batch1.hex` a batch of
`segments()`; `header1.hex`, `piece1.hex`, `trailer1.hex` are the parts of a snapshot. The files are
never written again: a new version gets new ones.
"""

from pluto_tw.crdt.codec import Segment, encode_op
from pluto_tw.crdt.dots import make_dot
from pluto_tw.crdt.ops import (
    Add,
    Annotate,
    Bn,
    Body,
    Cl,
    Del,
    Ep,
    Exp,
    FlagChange,
    MemberAdd,
    MemberRemove,
    Message,
    Mk,
    Mv,
    Op,
    Ren,
    Rv,
    St,
    Sub,
)
from pluto_tw.crdt.pids import birth_pid, moved_pid
from pluto_tw.crdt.records import Member, Meta, Subscription
from pluto_tw.crdt.snapshot import BoxPart, Header, Piece, PlacementPart, Trailer

_PIDS = (
    *(birth_pid(make_dot(1, 7), index) for index in range(3)),
    *(birth_pid(make_dot(2, seq), 0) for seq in range(4, 9)),
    moved_pid(birth_pid(make_dot(1, 7), 0), make_dot(0, 3)),
)

_BODIES: dict[str, Body] = {
    "mk": Mk(1_790_000_001, "Sent é", ("\\Sent",)),
    "rv": Rv(make_dot(0, 3), 1_790_000_033, True),
    "ren": Ren(((make_dot(0, 3), "a.b"), (make_dot(1, 4), "a.b.c"))),
    "del": Del((make_dot(0, 3),)),
    "add": Add(
        0,
        (
            Message(bytes(range(32)), 10_000, 1_790_000_000, 120, ("\\Seen", "work")),
            Message(bytes(32), 1, -5, -60, (), _PIDS[0]),
        ),
    ),
    "exp": Exp(_PIDS),
    "mv": Mv(make_dot(0, 3), _PIDS, (("\\Seen",),) * 8 + ((),)),
    "st": St((FlagChange("\\Flagged", True, _PIDS), FlagChange("work", False, _PIDS[:1])), True),
    "cl": Cl(0, 0, 33, _PIDS, (*range(64, 72), 2049)),
    "bn": Bn(0, 1_790_000_033, 100, _PIDS[:2], (33 << 32 | 64, 33 << 32 | 65)),
    "sub": Sub("a.b", True),
    "annotate": Annotate(-1, "/private/comment", b"hello"),
    "ep": Ep(2 << 5 | 1),
    "memberadd": MemberAdd(4, bytes(16), "worker-5"),
    "memberremove": MemberRemove(4, True),
}

SAMPLES = {
    name: Op(make_dot(1, seq), (1 << 60) + (seq << 20) + 1, (9, seq - 1, 8), body)
    for seq, (name, body) in enumerate(_BODIES.items(), 40)
}


HEADER = Header(1, (9, 39), (b"\x01" * 8, b"\x02" * 8), (4, 5))
TRAILER = Trailer(1, (9, 41), 1 << 60, 2 << 5 | 1, 1_790_000_033)
PIECE = Piece(
    1,
    {make_dot(1, 39): (9, 38)},
    (
        BoxPart(0, "INBOX", (0, 0), 1, 0, (), (9, 1), (), (), 65),
        BoxPart(
            make_dot(0, 3),
            "Sent é",
            (1 << 60, make_dot(0, 3)),
            1_790_000_001,
            1_790_000_033,
            ("\\Sent",),
            (3,),
            (make_dot(1, 39),),
            (make_dot(0, 9),),
            0,
        ),
    ),
    (
        PlacementPart(
            _PIDS[0],
            0,
            _PIDS[0],
            bytes(range(32)),
            10_000,
            1_790_000_000,
            120,
            (1 << 60, make_dot(1, 7), 0),
            (0, 7),
            (make_dot(1, 39),),
            {_PIDS[-1]: (make_dot(1, 38),)},
            {"\\Seen": (make_dot(1, 7) << 1 | 1, make_dot(0, 8) << 1)},
            {0: (33 << 32 | 65) << 1 | 1},
        ),
    ),
    (Subscription("a.b", (make_dot(0, 5) << 1 | 1,)),),
    (Meta(-1, "/private/comment", b"hello", (1 << 60, make_dot(0, 6))),),
    (Member(4, bytes(16), "worker-5", 2, make_dot(0, 1), make_dot(0, 2)),),
    ((encode_op(SAMPLES["sub"]), b"\x04" * 8),),
)


def segments() -> list[Segment]:
    """A batch of all of them, in two segments, and one of another origin between."""
    found = list(SAMPLES.values())
    other = Op(make_dot(0, 10), 1 << 60, (9, 39, 8), Sub("x", False))
    return [
        Segment(b"\x01" * 8, tuple(found[:5])),
        Segment(b"\x02" * 8, (other,)),
        Segment(b"\x03" * 8, tuple(found[5:])),
    ]
