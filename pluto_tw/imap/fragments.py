# SPDX-License-Identifier: GPL-3.0-or-later
"""
Answers to `FETCH (FLAGS)` kept ready: what mail programs ask of the whole mailbox each time they
come back to it, and what hardly changes in between.

A mailbox keeps, for the last few forms that were asked for (UID FLAGS, with MODSEQ or without),
the response lines of its newest view, joined in blocks. All its sessions share them. They follow
the mailbox's log: a touched message costs its block, a vanished one the blocks behind it, whose
numbers have shifted, and a block is made again when somebody asks for it.

Invariants between calls:

- A block that is kept tells the state at `position`, apart from what `_touched` and `_stale_from`
  say; it is given out only after these have been applied.
- Blocks are given only to sessions whose view is the newest, and without `\\Recent` in them. All
  others are answered message by message.
"""

from bisect import bisect_left
from collections.abc import Sequence
from typing import Final, assert_never

from pluto_tw.imap import attributes
from pluto_tw.imap.fetch_items import Attribute, Item
from pluto_tw.imap.ports import OpenMailbox
from pluto_tw.imap.selected import Features, Selected
from pluto_tw.mail.changes import Ended, Exposed, Touched, Vanished
from pluto_tw.mail.sets import NumberSet
from pluto_tw.mail.uids import UID_MAX

#: Messages of a block: making one anew for one changed flag takes some 100 µs.
BLOCK_MESSAGES: Final = 128

#: Forms kept at a time. A program asks in one form, at times with MODSEQ; few use one mailbox.
FORMS_MAX: Final = 3

#: Octets kept for one mailbox: a form takes some 45 a message, so this is enough for 180,000.
OCTETS_MAX: Final = 8 * 1024 * 1024

#: Touches remembered for blocks that nobody asks for; beyond, all blocks are forgotten instead.
TOUCHES_MAX: Final = 1000

_KEPT: Final = frozenset({Attribute.UID, Attribute.FLAGS, Attribute.MODSEQ})

Form = tuple[Attribute, ...]


def form_of(items: Sequence[Item]) -> Form | None:
    """*items* as a form that is kept, None if they are none."""
    form = tuple(item for item in items if isinstance(item, Attribute) and item in _KEPT)
    return form if len(form) == len(items) else None


def of(mailbox: OpenMailbox) -> "Fragments":
    """What is kept of *mailbox*, shared by its sessions."""
    kept = mailbox.derived.get(Fragments)
    if not isinstance(kept, Fragments):
        kept = mailbox.derived[Fragments] = Fragments(mailbox.position())
    return kept


class Fragments:
    """The blocks of one mailbox, by form and place."""

    __slots__ = ("_blocks", "_octets", "_stale_from", "_touched", "_view_position", "position")

    def __init__(self, position: int) -> None:
        #: The log is read up to here.
        self.position = position
        #: From here on no message was exposed or vanished: views from here on are the newest.
        self._view_position = position
        #: By form, the least recently used first. b"" stands for a block that is to be made.
        self._blocks: dict[Form, list[bytes]] = {}
        self._octets = 0
        #: What the log has told since blocks were last asked for: touched UIDs, and the UID from
        #: which on messages have moved.
        self._touched: list[NumberSet] = []
        self._stale_from = UID_MAX + 1

    def block(
        self, selected: Selected, features: Features, form: Form, start: int, end: int
    ) -> tuple[bytes, int]:
        """
        Responses in *form* for messages of the view from place *start* on, not beyond *end*.

        And the place behind the last of them; there is at least one. Places count from 0.
        """
        size = len(selected.uids)
        place = start // BLOCK_MESSAGES
        block_start = place * BLOCK_MESSAGES
        block_end = min(block_start + BLOCK_MESSAGES, size)
        end = min(end, block_end)
        is_whole = start == block_start and end == block_end
        recent = _shows_recent(selected, features, start, end)
        if not is_whole or recent or not self._is_newest(selected):
            return _made(selected, features, form, start, end), end
        blocks = self._used(form)
        if place < len(blocks) and blocks[place]:
            return blocks[place], end
        made = _made(selected, features, form, start, end)
        self._keep(form, place, made)
        return made, end

    # What happened to the mailbox.

    def _is_newest(self, selected: Selected) -> bool:
        """Whether the session's view is the mailbox's newest; the blocks are those of it then."""
        if selected.mailbox.position() != self.position:
            self._follow(selected.mailbox)
        if selected.position < self._view_position:
            return False
        if self._touched or self._stale_from <= UID_MAX:
            self._apply(selected.uids)
        return True

    def _follow(self, mailbox: OpenMailbox) -> None:
        """Reads the log up to its end."""
        changes = mailbox.changes(self.position)
        if changes is None:
            self._forget()
            self._view_position = mailbox.position()
        else:
            for position, change in enumerate(changes, self.position + 1):
                if isinstance(change, Touched):
                    self._touched.append(change.uids)
                elif isinstance(change, Exposed | Vanished):
                    self._stale_from = min(self._stale_from, change.uids.low)
                    self._view_position = position
                elif not isinstance(change, Ended):
                    assert_never(change)
            if len(self._touched) > TOUCHES_MAX:
                self._forget()
        self.position = mailbox.position()

    def _apply(self, uids: Sequence[int]) -> None:
        """Drops the blocks of what was touched or has moved in the newest view, *uids*."""
        if self._stale_from <= UID_MAX:
            first = bisect_left(uids, self._stale_from) // BLOCK_MESSAGES
            for blocks in self._blocks.values():
                self._octets -= sum(map(len, blocks[first:]))
                del blocks[first:]
        stale = {
            place
            for touched in self._touched
            for start, end in touched.spans(uids)
            for place in range(start // BLOCK_MESSAGES, (end - 1) // BLOCK_MESSAGES + 1)
        }
        for blocks in self._blocks.values():
            for place in stale:
                if place < len(blocks):
                    self._octets -= len(blocks[place])
                    blocks[place] = b""
        self._touched.clear()
        self._stale_from = UID_MAX + 1

    # What is kept.

    def _used(self, form: Form) -> list[bytes]:
        """The blocks of *form*, which is the most recently used one now."""
        blocks = self._blocks.pop(form, None)
        if blocks is None:
            blocks = []
            if len(self._blocks) == FORMS_MAX:
                self._drop_oldest()
        self._blocks[form] = blocks
        return blocks

    def _keep(self, form: Form, place: int, block: bytes) -> None:
        """Keeps *block*, if need be in place of other forms; not if it is one too many."""
        while self._octets + len(block) > OCTETS_MAX:
            if len(self._blocks) == 1:
                return
            self._drop_oldest()
        blocks = self._blocks[form]
        blocks.extend([b""] * (place + 1 - len(blocks)))
        blocks[place] = block
        self._octets += len(block)

    def _drop_oldest(self) -> None:
        self._octets -= sum(map(len, self._blocks.pop(next(iter(self._blocks)))))

    def _forget(self) -> None:
        self._blocks.clear()
        self._octets = 0
        self._touched.clear()
        self._stale_from = UID_MAX + 1


def _shows_recent(selected: Selected, features: Features, start: int, end: int) -> bool:
    """Whether a message from *start* to *end* may be `\\Recent` to this session."""
    recent = selected.recent
    if features.rev2 or not recent:
        return False
    uids = selected.uids
    return recent.low <= uids[end - 1] and uids[start] <= recent.high


def _made(selected: Selected, features: Features, form: Form, start: int, end: int) -> bytes:
    """The responses themselves, from the flags as they are now."""
    numbers = range(start + 1, end + 1)
    uids = selected.uids[start:end]
    return b"".join(attributes.lines(form, selected, numbers, uids, features))
