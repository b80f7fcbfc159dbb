# SPDX-License-Identifier: GPL-3.0-or-later
"""Records come back from their rows as they were."""

from hypothesis import example, given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.account.rows import (
    SYSTEM_FLAG_SETS,
    box_from,
    box_state,
    flag_columns,
    keywords_of,
    placement_from,
    placement_state,
)
from pluto_tw.crdt.dots import SEQ_MAX, SLOTS_MAX, make_dot, trimmed
from pluto_tw.crdt.pids import birth_pid, moved_pid
from pluto_tw.crdt.predicates import flags_of
from pluto_tw.crdt.records import NOWHERE, Box, Entries, Placement, key_of

FLAGS = ("\\Seen", "\\Deleted", "\\Flagged", "\\Draft", "\\Answered", "$a", "$A", "b", "C")

dots = st.builds(make_dot, st.integers(0, SLOTS_MAX - 1), st.integers(1, SEQ_MAX))
vectors = st.lists(st.integers(0, SEQ_MAX), max_size=SLOTS_MAX).map(trimmed)
keys = st.builds(key_of, st.one_of(st.just(0), dots), st.integers(0, 2**32 - 1))
values = st.lists(
    st.builds(lambda dot, value: dot << 1 | value, dots, st.booleans()), min_size=1, max_size=3
).map(tuple)
some_dots = st.lists(dots, max_size=3).map(tuple)


@st.composite
def entries_of(draw: st.DrawFn, dot: int) -> Entries:
    """Writes of flags, often just those of the operation *dot*."""
    named = draw(st.lists(st.sampled_from(FLAGS), unique=True))
    entry: tuple[int, ...] = (dot << 1 | 1,)
    if draw(st.booleans()):
        return dict.fromkeys(named, entry)
    return {flag: draw(st.one_of(st.just(entry), values)) for flag in named}


@st.composite
def placements(draw: st.DrawFn) -> Placement:
    dot = draw(dots)
    born = birth_pid(draw(dots), draw(st.integers(0, 4095)))
    bid = draw(st.one_of(st.just(0), dots))
    tags = (*(0,) * (dot & 31), dot >> 5)
    return Placement(
        draw(st.sampled_from([born, moved_pid(born, bid)])),
        bid,
        born,
        draw(st.binary(min_size=32, max_size=32)),
        draw(st.integers(0, 2**40)),
        draw(st.integers(-(2**40), 2**40)),
        draw(st.integers(-1439, 1439)),
        (draw(st.integers(0, 2**63 - 1)), dot, draw(st.integers(0, 4095))),
        draw(st.one_of(st.just(tags), vectors)),
        draw(some_dots),
        draw(st.dictionaries(st.just(moved_pid(born, 9)), some_dots)),
        draw(entries_of(dot)),
        draw(st.integers(0, 2**62)),
        draw(st.booleans()),
        draw(st.dictionaries(keys, st.integers(0, 2**62), max_size=2)),
        draw(st.one_of(st.just(key_of(bid, 0)), keys)),
        draw(st.integers(0, 2**32 - 1)),
        draw(st.integers(0, 1000)),
        draw(st.integers(0, 2**63 - 1)),
        draw(st.integers(1, 2**40)),
    )


class RowsTests(SynchronousTestCase):
    @given(placements())
    def test_placements_come_back(self, placement: Placement) -> None:
        email = None if placement.email == placement.pid else placement.email
        row = (
            placement.pid,
            email,
            placement.blob,
            placement.size,
            placement.date,
            placement.zone,
            *placement.order,
            placement.row,
            *placement_state(placement),
        )
        self.assertEqual(placement_from(row, placement.box), placement)

    def test_settled_message_has_no_packed_part(self) -> None:
        dot = make_dot(3, 77)
        pid = birth_pid(dot, 0)
        tags = (0, 0, 0, 77)
        entries: Entries = {"\\Seen": (dot << 1 | 1,), "$a": (dot << 1 | 1,)}
        placement = Placement(pid, 0, pid, bytes(32), 1, 2, 3, (4, dot, 0), tags, entries=entries)
        self.assertIsNone(placement_state(placement)[-1])

    @given(dots.flatmap(entries_of))
    @example({"$a": (3,), "$A": (3,)})
    @example({"\\Deleted": (33, 64)})
    @example({"$a": (2,), "$A": (5, 2)})
    def test_flag_columns_are_the_flags(self, entries: Entries) -> None:
        bits, keywords = flag_columns(entries)
        flags = {*map(str, SYSTEM_FLAG_SETS[bits]), *map(str, keywords_of(keywords))}
        self.assertEqual(flags, flags_of(entries))

    @given(
        st.builds(
            Box,
            st.one_of(st.just(0), dots),
            st.text(st.characters(codec="utf-8"), min_size=1),
            st.tuples(st.integers(0, 2**63 - 1), dots),
            st.integers(1, 2**32 - 1),
            st.integers(0, 2**32 - 1),
            st.lists(st.sampled_from(["\\Sent", "\\Trash"]), unique=True).map(tuple),
            vectors,
            some_dots,
            some_dots,
            st.integers(0, 2**63 - 1),
            st.one_of(st.just(NOWHERE), keys),
            st.integers(0, 100),
            st.integers(-1, 2**40),
            some_dots,
        )
    )
    def test_boxes_come_back(self, box: Box) -> None:
        self.assertEqual(box_from(box_state(box)), box)
