# SPDX-License-Identifier: GPL-3.0-or-later
"""
What the rules of replication cost, without storage: records are dictionaries.

An APPEND at the sequencer is an `add` and a `cl` with all that follows; a remote batch is what a
peer of it applies; STORE and MOVE name 10,000 messages in one command.
"""

import zlib

from benchmarks.measure import Figure, seconds_a_call
from pluto_tw.crdt import commands
from pluto_tw.crdt.codec import Segment, decode_batch, encode_batch
from pluto_tw.crdt.ops import Message, Op
from pluto_tw.crdt.replica import Moment, Replica
from pluto_tw.crdt.rules import Rules
from pluto_tw.crdt.transaction import Transaction
from pluto_tw.mail.messages import StoreMode
from pluto_tw.mail.names import INBOX, MailboxName
from tests.support.records import MemoryRecords

MESSAGE = Message(bytes(range(32)), 10_000, 1_790_000_000, 60, ("\\Seen",))
NOW = Moment(1_790_000_000_000, 1.0, frozenset({0, 1}))

#: A tenth of what an append may cost a worker, next to SQL and the MIME scan.
APPEND_MICROSECONDS_MAX = 80
#: 5,000 a second.
REMOTE_MICROSECONDS_MAX = 200
#: Half of what the whole command may take.
STORE_MILLISECONDS_MAX = 150

BATCH = 500
MANY = 10_000


def run() -> list[Figure]:
    """Measures rules and codec."""
    sequencer, records = Replica(0, [0, 1]), MemoryRecords()
    append = seconds_a_call(lambda: _append(sequencer, records))
    ops: list[Op] = []
    for _ in range(BATCH):
        tx = _append(sequencer, records)
        records.commit(tx)
        ops += tx.ops
    peer = MemoryRecords()
    receiver = Replica(1, [0, 1])
    remote = seconds_a_call(lambda: receiver.receive(peer, NOW, ops)) / BATCH
    data = encode_batch([Segment(b"", tuple(ops))])
    decode = seconds_a_call(lambda: decode_batch(data)) / BATCH
    packed = seconds_a_call(lambda: zlib.compress(data, 1)) / BATCH
    full = MemoryRecords()
    pids = list(_filled(sequencer, full))
    store = seconds_a_call(lambda: _store(sequencer, full, pids), 3, 1)
    move = seconds_a_call(lambda: _move(sequencer, full, pids), 3, 1)
    return [
        Figure("append, rules alone", append * 1e6, "µs", APPEND_MICROSECONDS_MAX, ""),
        Figure("remote add and claim, rules", remote * 1e6, "µs", REMOTE_MICROSECONDS_MAX, ""),
        Figure(
            "remote add and claim, decoding",
            decode * 1e6,
            "µs",
            REMOTE_MICROSECONDS_MAX / 4,
            f"zlib level 1: {packed * 1e6:.2f} µs",
        ),
        Figure("remote add and claim, octets", len(data) / BATCH, "B", 110, "hash alone: 32 B"),
        Figure("STORE of 10,000, rules", store * 1e3, "ms", STORE_MILLISECONDS_MAX, ""),
        Figure("MOVE of 10,000, rules", move * 1e3, "ms", None, ""),
    ]


def _append(replica: Replica, records: MemoryRecords) -> Transaction:
    tx, _ = replica.command(
        records, NOW, lambda rules, tx: commands.append(rules, tx, INBOX, [MESSAGE])
    )
    return tx


def _filled(replica: Replica, records: MemoryRecords) -> tuple[bytes, ...]:
    def fill(rules: Rules, tx: Transaction) -> tuple[bytes, ...]:
        commands.create(rules, tx, MailboxName("target"), (), ".")
        return commands.append(rules, tx, INBOX, [MESSAGE] * MANY).pids

    tx, pids = replica.command(records, NOW, fill)
    records.commit(tx)
    while tx.more:
        tx = replica.tick(records, NOW)
        records.commit(tx)
    return pids


def _store(replica: Replica, records: MemoryRecords, pids: list[bytes]) -> Transaction:
    flags = frozenset({"\\Flagged"})
    tx, _ = replica.command(
        records, NOW, lambda rules, tx: commands.store(rules, tx, pids, StoreMode.ADD, flags)
    )
    assert len(tx.ops) == 3
    return tx


def _move(replica: Replica, records: MemoryRecords, pids: list[bytes]) -> Transaction:
    tx, _ = replica.command(
        records,
        NOW,
        lambda rules, tx: commands.move(rules, tx, pids, MailboxName("target")),
    )
    return tx
