# SPDX-License-Identifier: GPL-3.0-or-later
"""Sessions at a `CrdtNode`: the ports that clients speak to, over the committed records."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pluto_tw.crdt import commands, resync
from pluto_tw.crdt.ops import Message
from pluto_tw.crdt.predicates import flags_of
from pluto_tw.crdt.records import PLACEMENT, VIEW
from pluto_tw.mail.changes import Change, Exposed, Vanished
from pluto_tw.mail.codes import NONEXISTENT
from pluto_tw.mail.errors import No
from pluto_tw.mail.flags import Flag, Flags
from pluto_tw.mail.messages import Copied, Stored, StoreMode
from pluto_tw.mail.names import MailboxName
from pluto_tw.mail.sets import NumberSet
from pluto_tw.mail.uids import ModSeq, Uid, UidValidity
from tests.simulation.crdt_view import ALL, boxes_of, placements_of

if TYPE_CHECKING:
    from tests.simulation.crdt_node import CrdtNode

SEPARATOR = "/"


class CrdtAccount:
    """The account as one session has it; `Served` in `node.py`."""

    def __init__(self, node: "CrdtNode") -> None:
        self._node = node

    def names(self) -> Sequence[str]:
        return sorted(boxes[0].name for boxes in boxes_of(self._node.records).values())

    async def create(self, name: str, special_use: tuple[str, ...]) -> None:
        await self._node.command(
            lambda rules, tx: commands.create(rules, tx, MailboxName(name), special_use, SEPARATOR)
        )

    async def delete(self, name: str) -> None:
        await self._node.command(lambda rules, tx: commands.delete(rules, tx, MailboxName(name)))

    async def rename(self, old: str, new: str) -> None:
        await self._node.command(
            lambda rules, tx: commands.rename(
                rules, tx, MailboxName(old), MailboxName(new), SEPARATOR
            )
        )

    async def subscribe(self, name: str, subscribed: bool) -> None:
        await self._node.command(
            lambda rules, tx: commands.subscribe(rules, tx, MailboxName(name), subscribed)
        )

    async def annotate(self, name: str | None, entry: str, value: bytes | None) -> None:
        where = None if name is None else MailboxName(name)
        await self._node.command(
            lambda rules, tx: commands.annotate(rules, tx, where, entry, value)
        )

    async def open(self, name: str) -> "CrdtMailbox":
        found = commands.mailbox(self._node.records, name)
        if found is None or found.key not in self._node.shown():
            raise No(NONEXISTENT, "there is no such mailbox")
        return CrdtMailbox(self._node, found)

    async def append(self, name: str, blob: bytes, flags: Sequence[Flags]) -> Sequence[int]:
        messages = [
            Message(blob, 100 + place, place, 0, tuple(sorted(these)))
            for place, these in enumerate(flags)
        ]
        _, done = await self._node.command(
            lambda rules, tx: commands.append(rules, tx, MailboxName(name), messages)
        )
        await self._node.placed(done.pids)
        uids = commands.uids_of(self._node.records, done.pids)
        return uids if all(uids) else ()


class CrdtMailbox:
    """A mailbox as one session selected it; `Opened` in `node.py`."""

    def __init__(self, node: "CrdtNode", mailbox: commands.Mailbox) -> None:
        self._node = node
        self._key = mailbox.key
        self._log = node.logs.setdefault(mailbox.key, [])
        self._told = len(self._log)
        #: What the session shows.
        self._view = dict(node.shown()[mailbox.key].uids)
        #: What it shows or has yet to be told of: those stay readable.
        self._pins: dict[int, bytes] = {}
        self.pin(self._view)
        node.sessions.setdefault(mailbox.key, []).append(self)
        self.mailbox_id = f"{mailbox.key:x}"
        self.uid_validity = mailbox.v

    # The newest committed state.

    def _current(self) -> dict[int, bytes]:
        shown = self._node.shown().get(self._key)
        return {} if shown is None else shown.uids

    def position(self) -> int:
        return len(self._log)

    def uids(self) -> Sequence[int]:
        return sorted(self._current())

    def highest_modseq(self) -> int:
        view = self._node.records.get(VIEW, self._key)
        return max(view.hm if view is not None else 0, 1)

    def changes(self, after: int) -> Sequence[Change] | None:
        return [change for change, _ in self._log[after:]]

    def pin(self, exposed: dict[int, bytes]) -> None:
        """Messages were exposed."""
        self._pins.update(exposed)
        self._node.pinned.update(exposed.values())

    def _unpin(self, uids: Sequence[int]) -> None:
        pinned = self._node.pinned
        for uid in uids:
            pid = self._pins.pop(uid)
            pinned[pid] -= 1
            if not pinned[pid]:
                del pinned[pid]

    def told(self, position: int) -> None:
        for change, exposed in self._log[self._told : position]:
            if isinstance(change, Vanished):
                gone = [uid for uid in self._view if uid in change.uids]
                for uid in gone:
                    del self._view[uid]
                self._unpin(gone)
            elif isinstance(change, Exposed):
                self._view.update(exposed)
        self._told = position

    def close(self) -> None:
        self._unpin(list(self._pins))
        self._view.clear()
        self._node.sessions[self._key].remove(self)

    def flags(self, uids: Sequence[int]) -> Sequence[Flags]:
        current = self._current()
        found = []
        for uid in uids:
            pid = self._pins.get(uid) or current[uid]
            placement = self._node.records.get(PLACEMENT, pid)
            assert placement is not None, "what a session shows stays readable"
            found.append(frozenset(map(Flag, flags_of(placement.entries))))
        return found

    # What changed since.

    async def changed_since(self, modseq: ModSeq) -> NumberSet:
        node = self._node
        since = resync.since(node.replica.rules, node.records, node.slot, self._key, modseq)
        node.counts[f"answers {since.kind.value}"] += 1
        boxes = boxes_of(node.records).get(self._key, [])
        wanted: set[bytes] = set()
        if since.kind is resync.Kind.COVERED:
            for box in boxes:
                found = resync.outstanding(node.replica.rules, node.records, box)
                if found is None:
                    wanted.update(p.pid for p in node.records.placements_in(box.bid, 0, ALL))
                else:
                    wanted.update(pending.pid for pending in found)
        for box, placement in placements_of(node.records, boxes):
            if since.kind is resync.Kind.UNCOVERED or max(placement.msq, box.bmsq) > since.y:
                wanted.add(placement.pid)
        return NumberSet.of(uid for uid, pid in self._current().items() if pid in wanted)

    async def vanished_since(self, modseq: ModSeq, known: NumberSet | None) -> NumberSet:
        node = self._node
        since = resync.since(node.replica.rules, node.records, node.slot, self._key, modseq)
        if since.kind is resync.Kind.OWN:
            gone = NumberSet.of(())
            for at, uids in node.records.vanished.get(self._key, []):
                if at > since.y:
                    gone = gone | uids
            return gone if known is None else gone & known
        if known is None:
            known = NumberSet.from_ranges([(1, since.last)]) if since.last else NumberSet.of(())
        return known - NumberSet.of(self._current())

    # Writes.

    def _named(self, uids: NumberSet) -> dict[bytes, int]:
        """The session's own messages of these UIDs; others are not in its view."""
        return {self._view[uid]: uid for uid in uids if uid in self._view}

    async def store(
        self, uids: NumberSet, mode: StoreMode, flags: Flags, unchanged_since: ModSeq | None
    ) -> Stored:
        node = self._node
        named = self._named(uids)
        since = None
        if unchanged_since is not None:
            rules = node.replica.rules
            since = resync.since(rules, node.records, node.slot, self._key, unchanged_since).y
        tx, done = await node.command(
            lambda rules, tx: commands.store(
                rules,
                tx,
                list(named),
                StoreMode(mode.value),
                frozenset(map(str, flags)),
                unchanged_since=since,
            )
        )
        return Stored(
            ModSeq(tx.m if done.changed else 0),
            NumberSet.of(named[pid] for pid in done.changed),
            NumberSet.of(named[pid] for pid in done.modified),
            NumberSet.of(named[pid] for pid in done.gone),
        )

    async def expunge(self, uids: NumberSet) -> NumberSet:
        named = self._named(uids)
        _, done = await self._node.command(
            lambda rules, tx: commands.expunge(rules, tx, list(named))
        )
        return NumberSet.of(named[pid] for pid in done)

    async def copy(self, uids: NumberSet, target: str) -> Copied:
        named = self._named(uids)
        _, done = await self._node.command(
            lambda rules, tx: commands.copy(rules, tx, list(named), MailboxName(target))
        )
        return await self._copied(named, done)

    async def move(self, uids: NumberSet, target: str) -> Copied:
        named = self._named(uids)
        _, done = await self._node.command(
            lambda rules, tx: commands.move(rules, tx, list(named), MailboxName(target))
        )
        return await self._copied(named, done)

    async def _copied(self, named: dict[bytes, int], done: commands.Copying) -> Copied:
        pids = [pid for _, pid in done.pairs]
        await self._node.placed(pids)
        uids = commands.uids_of(self._node.records, pids)
        if not all(uids):
            return Copied(UidValidity(done.v), (), (), len(pids))
        pairs = sorted(
            (named[source], uid) for (source, _), uid in zip(done.pairs, uids, strict=True)
        )
        return Copied(
            UidValidity(done.v),
            tuple(Uid(source) for source, _ in pairs),
            tuple(Uid(uid) for _, uid in pairs),
            len(pids),
        )
