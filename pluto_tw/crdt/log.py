# SPDX-License-Identifier: GPL-3.0-or-later
"""Puts an operation into effect and into the log, whether it was made here or came from a peer."""

from pluto_tw.crdt.chain import first_head, head_of, next_head, raised_heads
from pluto_tw.crdt.codec import encode_op
from pluto_tw.crdt.dots import SLOT_BITS, SLOT_MASK, make_dot, raised, seq_of
from pluto_tw.crdt.effects import take_effect
from pluto_tw.crdt.ops import Body, Op
from pluto_tw.crdt.records import ACCOUNT, HEAD, LOG, Logged, Records
from pluto_tw.crdt.rules import Rules
from pluto_tw.crdt.transaction import Transaction


def emit(rules: Rules, tx: Transaction, body: Body) -> Op:
    """Makes an operation of this replica, applies and logs it."""
    vv = tx.account().vv
    op = Op(make_dot(tx.slot, seq_of(vv, tx.slot) + 1), tx.m, vv, body)
    tx.ops.append(op)
    apply(rules, tx, op)
    return op


def head_at(rules: Rules, records: Records, slot: int, seq: int) -> bytes | None:
    """
    The chain's hash of *slot* at *seq*, for a comparison with what a peer says.

    None if it is not known: above what is here, or pruned and no multiple of 256.
    """
    if seq == 0:
        return first_head(rules.replica_id(slot))
    account = records.get(ACCOUNT, 0)
    assert account is not None
    if seq == seq_of(account.vv, slot):
        return head_of(account.heads, slot)
    dot = make_dot(slot, seq)
    found = records.get(LOG, dot) or records.get(HEAD, dot)
    return None if found is None else found.head


def apply(rules: Rules, tx: Transaction, op: Op) -> None:
    """Applies and logs *op*, the next one of its origin."""
    slot = op.dot & SLOT_MASK
    account = tx.edit_account()
    data = encode_op(op)
    before = head_of(account.heads, slot) or first_head(rules.replica_id(slot))
    head = next_head(before, data)
    account.vv = raised(account.vv, slot, op.dot >> SLOT_BITS)
    account.heads = raised_heads(account.heads, slot, head)
    tx.put(LOG, op.dot, Logged(op.dot, data, tx.m, head))
    take_effect(rules, tx, op)
