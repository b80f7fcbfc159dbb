# SPDX-License-Identifier: GPL-3.0-or-later
"""Operations of every kind, as Hypothesis draws them."""

from hypothesis import strategies as st

from pluto_tw.crdt.dots import SLOTS_MAX, Vector, make_dot, raised, trimmed
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

slots = st.integers(0, SLOTS_MAX - 1)
seqs = st.integers(1, 2**20)
dots = st.builds(make_dot, slots, seqs)
bids = st.one_of(st.just(0), dots)
names = st.text(st.characters(min_codepoint=33, max_codepoint=0x2FF), min_size=1, max_size=20)
flags = st.sampled_from(["\\Seen", "\\Deleted", "\\Flagged", "$Junk", "work"])
flag_sets = st.lists(flags, unique=True, max_size=3).map(tuple)
validities = st.integers(1, 2**32 - 1)
uids = st.integers(1, 2**32 - 1)
vectors: st.SearchStrategy[Vector] = st.lists(st.integers(0, 2**30), max_size=8).map(trimmed)
hashes = st.binary(min_size=32, max_size=32)


def _run(dot: int, index: int, count: int, by_seq: bool) -> list[bytes]:
    return [
        birth_pid(dot + (i << 5), index) if by_seq else birth_pid(dot, index + i)
        for i in range(count)
    ]


births = st.builds(birth_pid, dots, st.integers(0, 5000))
pids = st.one_of(
    births,
    st.builds(lambda dot, bid: moved_pid(birth_pid(dot, 0), bid), dots, bids),
)
pid_lists = st.lists(
    st.one_of(
        pids.map(lambda pid: [pid]),
        st.builds(_run, dots, st.integers(0, 10), st.integers(1, 30), st.booleans()),
    ),
    min_size=1,
    max_size=5,
).map(lambda runs: tuple(dict.fromkeys(pid for run in runs for pid in run)))

messages = st.builds(
    Message,
    hashes,
    st.integers(0, 2**31),
    st.integers(-(2**40), 2**40),
    st.integers(-720, 840),
    flag_sets,
    st.one_of(st.just(b""), births),
)


@st.composite
def moves(draw: st.DrawFn) -> Mv:
    named = draw(pid_lists)
    return Mv(draw(bids), named, tuple(draw(flag_sets) for _ in named))


@st.composite
def claims(draw: st.DrawFn) -> Cl:
    named = draw(pid_lists)
    start = draw(st.integers(1, 2**31))
    gap = draw(st.integers(1, 3))
    numbers = tuple(start + i * gap for i in range(len(named)))
    return Cl(draw(bids), draw(st.sampled_from([0, 77])), draw(st.integers(0, 99)), named, numbers)


@st.composite
def bounces(draw: st.DrawFn) -> Bn:
    named = draw(pid_lists)
    numbers = tuple(draw(st.integers(0, 99)) << 32 | draw(uids) for _ in named)
    return Bn(draw(bids), 0, draw(uids), named, numbers)


bodies: st.SearchStrategy[Body] = st.one_of(
    st.builds(Mk, validities, names, st.sampled_from([(), ("\\Sent",)])),
    st.builds(Rv, bids, validities, st.booleans(), st.integers(0, 2**32 - 1)),
    st.builds(
        Ren,
        st.lists(st.tuples(dots, names), min_size=1, max_size=4, unique_by=lambda p: p[0]).map(
            tuple
        ),
    ),
    st.builds(Del, st.lists(dots, min_size=1, max_size=4, unique=True).map(tuple)),
    st.builds(Add, bids, st.lists(messages, min_size=1, max_size=4).map(tuple)),
    st.builds(Exp, pid_lists),
    moves(),
    st.builds(
        St,
        st.lists(
            st.builds(FlagChange, flags, st.booleans(), pid_lists), min_size=1, max_size=3
        ).map(tuple),
        st.booleans(),
    ),
    claims(),
    bounces(),
    st.builds(Sub, names, st.booleans()),
    st.builds(Annotate, st.one_of(st.just(-1), bids), names, st.none() | st.binary(max_size=50)),
    st.builds(Ep, st.integers(32, 2**31 - 1)),
    st.builds(MemberAdd, slots, st.binary(min_size=1, max_size=16), names),
    st.builds(MemberRemove, slots, st.booleans()),
)


@st.composite
def ops(draw: st.DrawFn) -> Op:
    """An operation that follows its origin's last one."""
    slot, seq = draw(slots), draw(seqs)
    vector = list(draw(vectors))
    if slot < len(vector):
        vector[slot] = seq - 1
    found = raised(trimmed(vector), slot, seq - 1)
    return Op(make_dot(slot, seq), draw(st.integers(0, 2**62)), found, draw(bodies))


@st.composite
def streams(draw: st.DrawFn) -> list[Op]:
    """Operations of one origin in a row."""
    first = draw(ops())
    found = [first]
    for body in draw(st.lists(bodies, max_size=3)):
        last = found[-1]
        slot, seq = last.dot & 31, last.dot >> 5
        vector = raised(last.vector, slot, seq)
        if draw(st.booleans()):
            other = draw(slots)
            if other != slot:
                more = draw(st.integers(1, 9))
                vector = raised(vector, other, (vector[other] if other < len(vector) else 0) + more)
        found.append(Op(make_dot(slot, seq + 1), last.hlc + draw(st.integers(0, 9)), vector, body))
    return found
