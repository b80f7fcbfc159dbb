# SPDX-License-Identifier: GPL-3.0-or-later
"""
What an operation from a peer must look like before anything is done with it.

Decides form alone: numbers in their ranges, names and flags of allowed length, nothing twice. That
what it names is there is decided where it is applied.
"""

from typing import Final, assert_never

from pluto_tw.crdt.dots import SEQ_MAX, SLOTS_MAX, Vector
from pluto_tw.crdt.ops import (
    MESSAGES_MAX,
    Add,
    Annotate,
    Bn,
    Body,
    Cl,
    Del,
    Ep,
    Exp,
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
from pluto_tw.crdt.pids import is_birth
from pluto_tw.mail.flags import KEYWORD_OCTETS_MAX
from pluto_tw.mail.names import NAME_OCTETS_MAX
from pluto_tw.mail.uids import UID_MAX

_BID_MAX = 2**63 - 1

#: Epochs are `(counter + 1) << 5 | slot`, and a claim, `epoch << 32 | uid`, is below 2**63: room
#: for 67 million changes of the sequencer.
EPOCH_MAX: Final = 2**31 - 1

#: Special-use attributes of one mailbox: RFC 6154 names seven, each some ten characters.
USES_MAX: Final = 16
#: Flags of one message: the keywords that a mailbox may have, and the system's.
FLAGS_MAX: Final = 300
#: A hash of a body is at most 64 octets; a replica's id 64 too.
HASH_OCTETS_MAX: Final = 64
#: RFC 5464 leaves names of entries unbounded; these bounds leave room for one operation's octets.
ENTRY_OCTETS_MAX: Final = 1024
VALUE_OCTETS_MAX: Final = 128 * 1024
#: Offsets from UTC that a date can have, in minutes.
ZONE_MINUTES_MAX: Final = 24 * 60 - 1


def check_vector(vector: Vector) -> None:
    """Raises `ValueError` unless *vector* is one, in its only form."""
    _need(len(vector) <= SLOTS_MAX and not (vector and vector[-1] == 0), "vector")
    _need(all(0 <= seq <= SEQ_MAX for seq in vector), "vector")


def check_body(body: Body) -> None:
    """Raises `ValueError` unless *body* is one that a replica could have made."""
    match body:
        case Mk():
            _validity(body.v)
            _name(body.name)
            _need(len(body.use) <= USES_MAX and all(map(_is_flag, body.use)), "special use")
        case Rv():
            _key(body.bid, body.gen)
            _validity(body.v)
        case Ren():
            _need(0 < len(body.names) <= MESSAGES_MAX, "boxes")
            _need(len({bid for bid, _ in body.names}) == len(body.names), "boxes")
            for bid, name in body.names:
                _need(bid > 0, "bid")
                _bid(bid)
                _name(name)
        case Del():
            _need(0 < len(body.bids) <= MESSAGES_MAX, "boxes")
            for bid in body.bids:
                _need(bid > 0, "bid")
                _bid(bid)
        case Add():
            _bid(body.bid)
            _need(0 < len(body.messages) <= MESSAGES_MAX, "messages")
            for message in body.messages:
                _message(message)
        case Exp():
            _pids(body.pids)
        case Mv():
            _bid(body.bid)
            _pids(body.pids)
            for flags in body.flags:
                _flags(flags)
        case St():
            _need(0 < len(body.changes) <= MESSAGES_MAX, "changes")
            _need(
                len({change.flag.lower() for change in body.changes if change.value})
                + len({change.flag.lower() for change in body.changes if not change.value})
                <= 2 * FLAGS_MAX,
                "flags",
            )
            for change in body.changes:
                _need(_is_flag(change.flag), "flag")
                _pids(change.pids)
        case Cl():
            _key(body.bid, body.gen)
            _need(0 <= body.epoch <= EPOCH_MAX, "epoch")
            _pids(body.pids)
            _need(all(0 < uid <= UID_MAX for uid in body.uids), "uid")
        case Bn():
            _key(body.bid, body.gen)
            _need(0 < body.unext <= UID_MAX + 1, "uid")
            _pids(body.pids)
            _need(all(claim & UID_MAX for claim in body.claims), "claim")
        case Sub():
            _name(body.name)
        case Annotate():
            _need(body.bid == -1 or 0 <= body.bid <= _BID_MAX, "bid")
            _need(0 < len(body.entry.encode()) <= ENTRY_OCTETS_MAX, "entry")
            _need(body.value is None or len(body.value) <= VALUE_OCTETS_MAX, "value")
        case Ep():
            _need(SLOTS_MAX <= body.sequencer <= EPOCH_MAX, "sequencer")
        case MemberAdd():
            _slot(body.slot)
            _need(0 < len(body.replica) <= HASH_OCTETS_MAX, "replica")
            _name(body.name)
        case MemberRemove():
            _slot(body.slot)
        case _ as unreachable:
            assert_never(unreachable)


def _need(holds: bool, what: str) -> None:
    if not holds:
        raise ValueError(f"an operation with a wrong {what}")


def _bid(bid: int) -> None:
    _need(0 <= bid <= _BID_MAX, "bid")


def _slot(slot: int) -> None:
    _need(0 <= slot < SLOTS_MAX, "slot")


def _validity(v: int) -> None:
    _need(0 < v <= UID_MAX, "UIDVALIDITY")


def _key(bid: int, gen: int) -> None:
    _bid(bid)
    _need(0 <= gen <= UID_MAX, "generation")


def _name(name: str) -> None:
    _need(0 < len(name.encode()) <= NAME_OCTETS_MAX, "name")


def _is_flag(flag: str) -> bool:
    return 0 < len(flag) <= KEYWORD_OCTETS_MAX and flag.isascii()


def _flags(flags: tuple[str, ...]) -> None:
    _need(len(flags) <= FLAGS_MAX and all(map(_is_flag, flags)), "flag")
    _need(len({flag.lower() for flag in flags}) == len(flags), "flag")


def _pids(pids: tuple[bytes, ...]) -> None:
    _need(0 < len(pids) == len(set(pids)), "message")


def _message(message: Message) -> None:
    _need(0 < len(message.blob) <= HASH_OCTETS_MAX, "hash")
    _need(0 <= message.size <= UID_MAX, "size")
    _need(-(2**62) < message.date < 2**62, "date")
    _need(-ZONE_MINUTES_MAX <= message.zone <= ZONE_MINUTES_MAX, "zone")
    if message.flags:
        _flags(message.flags)
    _need(not message.email or is_birth(message.email), "EMAILID")
