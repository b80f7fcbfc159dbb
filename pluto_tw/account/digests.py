# SPDX-License-Identifier: GPL-3.0-or-later
"""
Digests of all that clients can see of an account: equal at two replicas that have the same.

Mailboxes with UIDVALIDITY and special uses, subscriptions, and of each message UID, EMAILID, flags,
and the hash and size of its body. What a body's octets are is not looked at: `scrub.py` does that.
"""

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import blake2b
from typing import Final

from pluto_tw.account.replica import AccountReplica
from pluto_tw.crdt.dots import Vector
from pluto_tw.crdt.mailboxes import group
from pluto_tw.crdt.predicates import any_set
from pluto_tw.mail.names import MailboxName

DIGEST_OCTETS: Final = 16

#: Messages whose bodies one read of the database names, and that are hashed in one go: 5 ms.
_SLICE: Final = 500

_BODY: Final = "SELECT b.hash, b.size FROM message m JOIN body b ON b.id = m.body WHERE m.id = ?"


@dataclass(frozen=True, slots=True)
class Digest:
    """
    What clients can see of an account, in 16 octets: equal where *vector* is, unless messages are
    *outstanding* at one of the replicas.
    """

    vector: Vector
    outstanding: bool
    digest: bytes


@dataclass(frozen=True, slots=True)
class MailboxDigest:
    """The same of the mailbox *name*; of the subscriptions if it is empty."""

    name: str
    digest: bytes


async def digest(account: AccountReplica) -> Digest:
    """The digest of all that clients can see. Raises `No` with UNAVAILABLE."""
    found, _ = await digests(account)
    return found


async def digests(
    account: AccountReplica, looked_at: Callable[[int], None] = lambda messages: None
) -> tuple[Digest, list[MailboxDigest]]:
    """
    The same, and of what it is made: each mailbox by name, the subscriptions last.

    What is committed meanwhile may be in it: then the vector of the answer is not the one of before
    the call, and who compares asks again. *looked_at* is called with the number of messages of each
    slice, and ends the work by what it raises. No: UNAVAILABLE, or NONEXISTENT if a mailbox went
    meanwhile.
    """
    parts = []
    for name in sorted(account.commits.stored.names()):
        if group(account.commits.stored, name):
            parts.append(MailboxDigest(name, await _mailbox(account, name, looked_at)))
    parts.append(MailboxDigest("", _subscriptions(account)))
    hashed = _new()
    for part in parts:
        hashed.update(repr((part.name, part.digest)).encode())
    stored = account.commits.stored
    outstanding = account.rules.is_busy(stored)
    return Digest(stored.scalars.vv, outstanding, hashed.digest()), parts


def _new() -> blake2b:
    return blake2b(digest_size=DIGEST_OCTETS)


async def _mailbox(account: AccountReplica, name: str, looked_at: Callable[[int], None]) -> bytes:
    stored = account.commits.stored
    boxes = group(stored, name)
    hashed = _new()
    uses = sorted({use for box in boxes for use in box.use})
    hashed.update(repr((boxes[0].v, uses)).encode())
    mailbox = await account.mailboxes.open(MailboxName(name))
    columns = mailbox.columns
    uids = list(columns.uids())
    try:
        for at in range(0, len(uids), _SLICE):
            # What has vanished since the last slice is not asked for.
            some = [uid for uid in uids[at : at + _SLICE] if columns.is_exposed(uid)]
            bodies = await account.ground.shard.load(partial(_bodies, columns.rows(some)))
            some = [uid for uid in some if columns.is_exposed(uid)] if some else some
            ids, flags = columns.email_ids(some), columns.flags(some)
            for uid, email, these, body in zip(some, ids, flags, bodies, strict=False):
                flagged = " ".join(sorted(map(str.lower, these)))
                hashed.update(f"{uid} {email} {body} {flagged}\n".encode())
            await account.site.waiting.pause()
            looked_at(len(some))
    finally:
        account.mailboxes.left(mailbox)
    return hashed.digest()


def _bodies(rows: Sequence[int], connection: sqlite3.Connection) -> list[str]:
    """On a reader's thread: hash and size of each message's body."""
    found = []
    for row in rows:
        bodies = connection.execute(_BODY, (row,)).fetchall()
        found.append(f"{bodies[0][0].hex()} {bodies[0][1]}" if bodies else "")
    return found


def _subscriptions(account: AccountReplica) -> bytes:
    hashed = _new()
    name = ""
    while found := account.commits.stored.subscriptions_after(name, _SLICE):
        name = found[-1].name
        for subscription in found:
            if any_set(subscription.entries):
                hashed.update(f"{subscription.name}\n".encode())
    return hashed.digest()
