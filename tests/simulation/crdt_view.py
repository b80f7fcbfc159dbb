# SPDX-License-Identifier: GPL-3.0-or-later
"""What the records of a replica show, for the checks: everything, the slow way."""

from collections.abc import Iterator

from pluto_tw.crdt.dots import SLOTS_MAX
from pluto_tw.crdt.predicates import any_set, flags_of, is_exposed, is_visible
from pluto_tw.crdt.records import NOWHERE, VIEW, WALKED, Box, Placement, Records
from tests.simulation.node import Shown
from tests.simulation.oracle import Letter, Mailbox, Observable

ALL = 2**62


def boxes_of(records: Records) -> dict[int, list[Box]]:
    """The boxes that are shown, by the key of their mailbox, primary first."""
    found: dict[int, list[Box]] = {}
    for box in records.boxes_after(-1, ALL):
        if box.home != NOWHERE:
            found.setdefault(box.home, []).append(box)
    for key, boxes in found.items():
        boxes.sort(key=lambda box: box.bid != key >> 32)
    return found


def placements_of(records: Records, boxes: list[Box]) -> Iterator[tuple[Box, Placement]]:
    """All placements of *boxes*, visible or not."""
    for box in boxes:
        for placement in records.placements_in(box.bid, 0, ALL):
            yield box, placement


def shown_of(records: Records) -> dict[int, Shown]:
    """What clients see: each mailbox with its exposed UIDs."""
    found = {}
    for key, boxes in boxes_of(records).items():
        view = records.get(VIEW, key)
        uids = {}
        for box, placement in placements_of(records, boxes):
            if is_exposed(placement, box):
                uids[placement.uid] = placement.pid
        outstanding = {
            pending.pid for box in boxes for pending in records.pending_in(box.bid, 0, ALL)
        }
        if any(box.walk != WALKED for box in boxes):
            outstanding.add(b"walk")
        found[key] = Shown(
            boxes[0].name,
            boxes[0].bid,
            boxes[0].v,
            view.unext if view is not None else 1,
            view.hm if view is not None else 0,
            uids,
            frozenset(outstanding),
        )
    return found


def observable_of(records: Records) -> Observable:
    """What does not depend on this replica's own history."""
    mailboxes = {}
    alive: set[int] = set()
    uses = {}
    for boxes in boxes_of(records).values():
        primary = boxes[0]
        letters = {
            placement.pid: Letter(
                placement.box,
                placement.email,
                placement.blob,
                (placement.date, placement.zone),
                flags_of(placement.entries),
            )
            for box, placement in placements_of(records, boxes)
            if is_visible(records, placement, box)
        }
        bids = frozenset(box.bid for box in boxes)
        assert primary.name not in mailboxes, "boxes of one name are one mailbox"
        mailboxes[primary.name] = Mailbox(primary.bid, primary.v, primary.gen, bids, letters)
        alive |= bids
        uses.update({box.bid: box.use for box in boxes if box.use})
    subscriptions = frozenset(
        found.name for found in records.subscriptions_after("", ALL) if any_set(found.entries)
    )
    annotations = {
        (meta.bid, meta.entry): meta.value
        for meta in records.metas_after(-SLOTS_MAX, "", ALL)
        if meta.value is not None and (meta.bid == -1 or meta.bid in alive)
    }
    return Observable(mailboxes, subscriptions, annotations, uses)
