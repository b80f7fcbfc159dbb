# SPDX-License-Identifier: GPL-3.0-or-later
"""
What clients ask for, as operations.

Each function is a command for `Replica.command`: it looks at the staged state, refuses with `No` or
makes operations, and tells what the session needs. An operation names only placements that are
visible in that state: what a session still shows but is gone is left out, never revived. UIDs are
given when the transaction is finished; ask for them with `uids_of`.
"""

from collections.abc import Iterable, Sequence

from msgspec import Struct

from pluto_tw.crdt.log import emit
from pluto_tw.crdt.mailboxes import exposed_in, group
from pluto_tw.crdt.ops import (
    MESSAGES_MAX,
    OCTETS_MAX,
    Add,
    Annotate,
    Del,
    Exp,
    FlagChange,
    MemberAdd,
    MemberRemove,
    Message,
    Mk,
    Mv,
    Ren,
    Rv,
    St,
    Sub,
)
from pluto_tw.crdt.pids import birth_pid, moved_pid
from pluto_tw.crdt.predicates import any_set, flags_of, is_exposed
from pluto_tw.crdt.records import (
    BOX,
    PLACEMENT,
    SUBSCRIPTION,
    Box,
    Entries,
    Placement,
    Records,
    key_of,
)
from pluto_tw.crdt.rules import Rules
from pluto_tw.crdt.transaction import Transaction
from pluto_tw.mail.codes import ALREADYEXISTS, CANNOT, NONEXISTENT, TRYCREATE
from pluto_tw.mail.errors import No
from pluto_tw.mail.flags import DELETED
from pluto_tw.mail.messages import StoreMode
from pluto_tw.mail.names import (
    INBOX,
    MailboxName,
    is_inferior,
    parents,
    renamed,
)


class Mailbox(Struct, frozen=True):
    """A mailbox as clients see it: the key of its UIDs, UIDVALIDITY, its boxes, primary first."""

    key: int
    v: int
    boxes: tuple[Box, ...]


class Copying(Struct, frozen=True):
    """
    How COPY or MOVE went: pairs of source and new pid, in the order given; *key* and *v* of the
    target.
    """

    key: int
    v: int
    pairs: tuple[tuple[bytes, bytes], ...]


class Appending(Struct, frozen=True):
    """Where messages went: pids in their order; *key* and *v* of the mailbox."""

    key: int
    v: int
    pids: tuple[bytes, ...]


class Storing(Struct, frozen=True):
    """How a STORE went; the three do not overlap."""

    changed: tuple[bytes, ...]
    #: Changed after `unchanged_since`, and left alone.
    modified: tuple[bytes, ...]
    #: Not visible any more, and left alone.
    gone: tuple[bytes, ...]


# Questions.


def mailbox(records: Records, name: str) -> Mailbox | None:
    """The mailbox of this name, None if there is none."""
    boxes = group(records, name)
    if not boxes:
        return None
    primary = boxes[0]
    return Mailbox(key_of(primary.bid, primary.gen), primary.v, tuple(boxes))


def uids_of(records: Records, pids: Iterable[bytes]) -> list[int]:
    """The UID of each pid, 0 where it is not exposed (yet)."""
    found = []
    for pid in pids:
        placement = records.get(PLACEMENT, pid)
        box = None if placement is None else records.get(BOX, placement.box)
        exposed = placement is not None and box is not None and is_exposed(placement, box)
        found.append(placement.uid if placement is not None and exposed else 0)
    return found


def is_subscribed(records: Records, name: str) -> bool:
    """Whether the user subscribed to *name*."""
    found = records.get(SUBSCRIPTION, name)
    return found is not None and any_set(found.entries)


# Messages.


def append(
    rules: Rules, tx: Transaction, name: MailboxName, messages: Sequence[Message]
) -> Appending:
    """APPEND, and delivery. No: TRYCREATE. RFC 9051 §6.3.12, RFC 3502."""
    target = _target(tx, name)
    return Appending(target.key, target.v, _add(rules, tx, target.boxes[0].bid, messages))


def copy(rules: Rules, tx: Transaction, pids: Iterable[bytes], name: MailboxName) -> Copying:
    """COPY, with flags, INTERNALDATE and EMAILID. No: TRYCREATE. RFC 9051 §6.4.7."""
    target = _target(tx, name)
    there = _there(rules, tx, pids)
    messages = [
        Message(p.blob, p.size, p.date, p.zone, tuple(sorted(flags_of(p.entries))), p.email)
        for p in there
    ]
    made = _add(rules, tx, target.boxes[0].bid, messages)
    pairs = tuple((p.pid, pid) for p, pid in zip(there, made, strict=True))
    return Copying(target.key, target.v, pairs)


def move(rules: Rules, tx: Transaction, pids: Iterable[bytes], name: MailboxName) -> Copying:
    """MOVE; *name* may be where the messages are. No: TRYCREATE. RFC 6851."""
    target = _target(tx, name)
    pairs = _move(rules, tx, _there(rules, tx, pids), target.boxes[0].bid)
    return Copying(target.key, target.v, pairs)


def store(
    rules: Rules,
    tx: Transaction,
    pids: Iterable[bytes],
    mode: StoreMode,
    flags: frozenset[str],
    *,
    unchanged_since: int | None = None,
    implicit: bool = False,
) -> Storing:
    r"""
    STORE; nothing is written where nothing changes.

    *unchanged_since* is a mod-sequence of ours (`resync.since`). *implicit*: the `\Seen` of a
    FETCH, which is no interest in the message; setting `\Deleted` is none either. RFC 9051
    §6.4.6, RFC 7162 §3.1.3.
    """
    wanted = {flag.lower(): flag for flag in flags}
    changes: dict[tuple[str, bool], list[bytes]] = {}
    changed: list[bytes] = []
    modified: list[bytes] = []
    gone: list[bytes] = []
    for pid in dict.fromkeys(pids):
        placement = tx.get(PLACEMENT, pid)
        if placement is None or not rules.is_there(tx, pid):
            gone.append(pid)
        elif unchanged_since is not None and _modseq(tx, placement) > unchanged_since:
            modified.append(pid)
        else:
            writes = _writes(placement.entries, mode, wanted)
            for write in writes:
                changes.setdefault(write, []).append(pid)
            if writes:
                changed.append(pid)
    keep = not implicit and (DELETED, True) not in changes
    for some in _packs(changes):
        emit(rules, tx, St(some, keep))
    return Storing(tuple(changed), tuple(modified), tuple(gone))


def expunge(rules: Rules, tx: Transaction, pids: Iterable[bytes]) -> tuple[bytes, ...]:
    r"""Removes those of *pids* that have `\Deleted`; which they are. RFC 9051 §6.4.3, §6.4.9."""
    removed = [p.pid for p in _there(rules, tx, pids) if DELETED in flags_of(p.entries)]
    return remove(rules, tx, removed)


def remove(rules: Rules, tx: Transaction, pids: Iterable[bytes]) -> tuple[bytes, ...]:
    """Removes messages whatever their flags: for administrators, and for REPLACE."""
    removed = [p.pid for p in _there(rules, tx, pids)]
    for some in _slices(removed):
        emit(rules, tx, Exp(some))
    return tuple(removed)


# Mailboxes.


def create(
    rules: Rules, tx: Transaction, name: MailboxName, use: Iterable[str], separator: str
) -> int:
    """CREATE with superiors; the bid of the new mailbox. No: ALREADYEXISTS. RFC 9051 §6.3.4."""
    if group(tx, name):
        raise No(ALREADYEXISTS, "there is such a mailbox")
    for superior in parents(name, separator):
        if not group(tx, superior):
            _make(rules, tx, superior, ())
    return _make(rules, tx, name, tuple(sorted(use)))


def delete(rules: Rules, tx: Transaction, name: MailboxName) -> None:
    """DELETE; inferiors stay. No: NONEXISTENT, CANNOT. RFC 9051 §6.3.5."""
    if name == INBOX:
        raise No(CANNOT, "INBOX cannot be deleted")
    boxes = _existing(tx, name)
    emit(rules, tx, Del(tuple(box.bid for box in boxes)))


def rename(
    rules: Rules, tx: Transaction, old: MailboxName, new: MailboxName, separator: str
) -> tuple[tuple[bytes, bytes], ...]:
    """
    RENAME with inferiors; of INBOX the messages are moved, as pairs of source and new pid.

    *old* may be a superior that is no mailbox. Missing superiors of *new* are made. No:
    NONEXISTENT, ALREADYEXISTS, CANNOT. RFC 9051 §6.3.6.
    """
    moving = _tree(tx, old, separator)
    if not moving:
        raise No(NONEXISTENT, "there is no such mailbox")
    if is_inferior(new, old, separator) and old != INBOX:
        raise No(CANNOT, "a mailbox cannot become its own inferior")
    targets = {name: renamed(MailboxName(name), old, new, separator) for name in moving}
    for target in (new, *targets.values()):
        # Names that are given up by the same RENAME are free, but for the first.
        if (target == new or target not in moving) and group(tx, target):
            raise No(ALREADYEXISTS, f"there is a mailbox {target}")
    for superior in parents(new, separator):
        if superior not in targets.values() and not group(tx, superior):
            _make(rules, tx, superior, ())
    if old == INBOX:
        bid = _make(rules, tx, new, ())
        sources = [p for box in moving[INBOX] for p in exposed_in(tx, box)]
        return _move(rules, tx, sources, bid)
    names = [(box.bid, str(targets[name])) for name, boxes in moving.items() for box in boxes]
    for some in _name_packs(names):
        emit(rules, tx, Ren(some))
    return ()


def revalidate(rules: Rules, tx: Transaction, name: MailboxName) -> int:
    """
    A new UIDVALIDITY, which it returns: clients forget all that they know of the mailbox.

    For administrators, as when an account's mail is removed. No: NONEXISTENT.
    """
    v = rules.fresh_validity(tx.account(), tx.unix_seconds, tx.slot)
    primary = _existing(tx, name)[0]
    emit(rules, tx, Rv(primary.bid, v, gen=primary.gen))
    return v


def subscribe(rules: Rules, tx: Transaction, name: MailboxName, subscribed: bool) -> None:
    """SUBSCRIBE and UNSUBSCRIBE; the mailbox need not exist. RFC 9051 §6.3.7."""
    if is_subscribed(tx, name) != subscribed:
        emit(rules, tx, Sub(name, subscribed))


def annotate(
    rules: Rules, tx: Transaction, name: MailboxName | None, entry: str, value: bytes | None
) -> None:
    """SETMETADATA of a mailbox, or of the server (None). No: NONEXISTENT. RFC 5464 §4.3."""
    bid = -1 if name is None else _existing(tx, name)[0].bid
    emit(rules, tx, Annotate(bid, entry, value))


# Members: commands of an administrator, in the subnet's own account.


def add_member(rules: Rules, tx: Transaction, slot: int, replica: bytes, name: str) -> None:
    """Gives *slot* to a replica; see `members.free_slot`."""
    emit(rules, tx, MemberAdd(slot, replica, name))


def remove_member(rules: Rules, tx: Transaction, slot: int, forced: bool) -> None:
    """Takes the slot away for ever."""
    emit(rules, tx, MemberRemove(slot, forced))


# Leaves.


def _target(tx: Transaction, name: MailboxName) -> Mailbox:
    found = mailbox(tx, name)
    if found is None:
        raise No(TRYCREATE, "there is no such mailbox")
    return found


def _existing(tx: Transaction, name: MailboxName) -> list[Box]:
    boxes = group(tx, name)
    if not boxes:
        raise No(NONEXISTENT, "there is no such mailbox")
    return boxes


def _tree(tx: Transaction, name: MailboxName, separator: str) -> dict[str, list[Box]]:
    """What a RENAME of *name* renames: it and its inferiors, of INBOX itself alone; by name."""
    found = [str(name)]
    if name != INBOX:
        found += sorted({tx.box(bid).name for bid in tx.boxes_below(name + separator)})
    groups = {each: group(tx, each) for each in found}
    return {each: boxes for each, boxes in groups.items() if boxes}


def _there(rules: Rules, tx: Transaction, pids: Iterable[bytes]) -> list[Placement]:
    """Those of *pids* that a command may name."""
    found = []
    for pid in dict.fromkeys(pids):
        placement = tx.get(PLACEMENT, pid)
        if placement is not None and rules.is_there(tx, pid):
            found.append(placement)
    return found


def _modseq(tx: Transaction, placement: Placement) -> int:
    return max(placement.msq, tx.box(placement.box).bmsq)


def _make(rules: Rules, tx: Transaction, name: str, use: tuple[str, ...]) -> int:
    v = rules.fresh_validity(tx.account(), tx.unix_seconds, tx.slot)
    return emit(rules, tx, Mk(v, name, use)).dot


def _add(rules: Rules, tx: Transaction, bid: int, messages: Sequence[Message]) -> tuple[bytes, ...]:
    pids: list[bytes] = []
    for at, end in _spans([_message_octets(message) for message in messages]):
        some = tuple(messages[at:end])
        op = emit(rules, tx, Add(bid, some))
        pids.extend(birth_pid(op.dot, index) for index in range(len(some)))
    return tuple(pids)


def _move(
    rules: Rules, tx: Transaction, sources: Sequence[Placement], bid: int
) -> tuple[tuple[bytes, bytes], ...]:
    flags = [tuple(sorted(flags_of(source.entries))) for source in sources]
    sizes = [_PID_OCTETS + sum(map(len, these)) + 4 * len(these) for these in flags]
    for at, end in _spans(sizes):
        pids = tuple(source.pid for source in sources[at:end])
        emit(rules, tx, Mv(bid, pids, tuple(flags[at:end])))
    return tuple((source.pid, moved_pid(source.pid, bid)) for source in sources)


def _writes(entries: Entries, mode: StoreMode, wanted: dict[str, str]) -> list[tuple[str, bool]]:
    """
    Which flags have to be written, and with what, for the flags to become as *wanted*, which has
    each in its spelling by that in lower case.
    """
    present = {flag.lower(): flag for flag in flags_of(entries)}
    writes: list[tuple[str, bool]] = []
    if mode is not StoreMode.REMOVE:
        writes.extend((flag, True) for key, flag in wanted.items() if key not in present)
    if mode is StoreMode.REMOVE:
        writes.extend((flag, False) for key, flag in present.items() if key in wanted)
    elif mode is StoreMode.REPLACE:
        writes.extend((flag, False) for key, flag in present.items() if key not in wanted)
    return sorted(writes)


#: Octets of a pid within an operation at most, its frame included.
_PID_OCTETS = 24
_FRAME_OCTETS = 4096


def _message_octets(message: Message) -> int:
    flags = sum(len(flag) + 4 for flag in message.flags)
    return len(message.blob) + len(message.email) + flags + 48


def _spans(sizes: Sequence[int]) -> Iterable[tuple[int, int]]:
    """Cuts a list whose elements take *sizes* octets into what one operation holds each."""
    start = octets = 0
    for at, size in enumerate(sizes):
        if at > start and (
            at - start == MESSAGES_MAX or octets + size > OCTETS_MAX - _FRAME_OCTETS
        ):
            yield start, at
            start, octets = at, 0
        octets += size
    if start < len(sizes):
        yield start, len(sizes)


def _slices(pids: Sequence[bytes]) -> Iterable[tuple[bytes, ...]]:
    for at, end in _spans([_PID_OCTETS] * len(pids)):
        yield tuple(pids[at:end])


def _packs(
    changes: dict[tuple[str, bool], list[bytes]],
) -> Iterable[tuple[FlagChange, ...]]:
    """The changes of a STORE as operations, each of at most `MESSAGES_MAX` pids."""
    pack: list[FlagChange] = []
    room = MESSAGES_MAX
    for (flag, value), pids in sorted(changes.items()):
        at = 0
        while at < len(pids):
            some = tuple(pids[at : at + room])
            pack.append(FlagChange(flag, value, some))
            at += len(some)
            room -= len(some)
            if room == 0:
                yield tuple(pack)
                pack, room = [], MESSAGES_MAX
    if pack:
        yield tuple(pack)


def _name_packs(names: Sequence[tuple[int, str]]) -> Iterable[tuple[tuple[int, str], ...]]:
    for at, end in _spans([len(name.encode()) + 16 for _, name in names]):
        yield tuple(names[at:end])
