# SPDX-License-Identifier: GPL-3.0-or-later
"""
What an operator is told of an account, to compare it with the same account at other replicas.

A digest (`digests.py`) with what it takes to judge it: the vector, whether anything came while it
was made, and, if that is wanted, whether the octets of all bodies still fit their hashes. Bodies
that do not are marked as damaged on the way, so that replication fetches them elsewhere.
"""

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from pluto_tw.account.digests import MailboxDigest, digests
from pluto_tw.account.incoming import check_body
from pluto_tw.account.replica import AccountReplica
from pluto_tw.crdt.dots import Vector
from pluto_tw.crdt.mailboxes import group
from pluto_tw.mail.codes import NONEXISTENT, UNAVAILABLE
from pluto_tw.mail.errors import No
from pluto_tw.mail.names import MailboxName

#: How often a survey begins anew when the account changed meanwhile. Who compares asks again in its
#: own time; this spares it the mail that came by chance.
ATTEMPTS: Final = 2

#: Messages that are named of those without a whole body; all of them are counted.
PLACES_MAX: Final = 100

#: Messages whose bodies one read of the database names.
_SLICE: Final = 500

_HASH: Final = "SELECT b.hash FROM message m JOIN body b ON b.id = m.body WHERE m.id = ?"


@dataclass(frozen=True, slots=True)
class Unfit:
    """A message whose body is missing or damaged here."""

    mailbox: str
    uid: int


@dataclass(frozen=True, slots=True)
class Survey:
    """
    What clients can see of an account with so many *messages*, as a digest, and of its *mailboxes*.

    *digest*, *vector* and *outstanding* as `Digest`; not *steady*: the account changed meanwhile.
    So many bodies are *unfit*, the first of them in *places*; 0 where they were not looked at.
    """

    vector: Vector
    outstanding: bool
    steady: bool
    digest: bytes
    messages: int
    mailboxes: tuple[MailboxDigest, ...]
    unfit: int = 0
    places: tuple[Unfit, ...] = ()


async def survey(
    account: AccountReplica,
    *,
    bodies: bool = False,
    looked_at: Callable[[int], None] = lambda messages: None,
) -> Survey:
    """
    Of *account*; with *bodies* the octets of all messages are read and hashed again.

    *looked_at* is called with the number of messages of each slice, of bodies with each, and ends
    the work by what it raises. Raises No(UNAVAILABLE) and `ShardFailed`.
    """
    unfit, places = await _bodies(account, looked_at) if bodies else (0, ())
    found: Survey | None = None
    for _ in range(ATTEMPTS):
        found = await _digests(account, looked_at)
        if found is not None and found.steady:
            break
    if found is None:
        raise No(UNAVAILABLE, "mailboxes come and go there at the moment")
    return replace(found, unfit=unfit, places=places)


async def _digests(account: AccountReplica, looked_at: Callable[[int], None]) -> Survey | None:
    """Without the bodies; None if a mailbox went meanwhile."""
    before = account.commits.stored.scalars.vv
    try:
        whole, parts = await digests(account, looked_at)
    except No as no:
        if no.code != NONEXISTENT:
            raise
        return None
    return Survey(
        whole.vector,
        whole.outstanding,
        whole.vector == before,
        whole.digest,
        account.commits.stored.quota_messages,
        tuple(parts),
    )


async def _bodies(
    account: AccountReplica, looked_at: Callable[[int], None]
) -> tuple[int, tuple[Unfit, ...]]:
    """How many messages have no whole body, and the first of them."""
    count = 0
    places: list[Unfit] = []
    for name in sorted(account.commits.stored.names()):
        if not group(account.commits.stored, name):
            continue
        for uid in await _unfit(account, name, looked_at):
            count += 1
            if len(places) < PLACES_MAX:
                places.append(Unfit(name, uid))
    return count, tuple(places)


async def _unfit(account: AccountReplica, name: str, looked_at: Callable[[int], None]) -> list[int]:
    """The UIDs of messages of the mailbox *name* whose bodies are missing or damaged."""
    try:
        mailbox = await account.mailboxes.open(MailboxName(name))
    except No as no:
        if no.code == NONEXISTENT:
            return []
        raise
    columns = mailbox.columns
    uids = list(columns.uids())
    unfit = []
    try:
        for at in range(0, len(uids), _SLICE):
            some = [uid for uid in uids[at : at + _SLICE] if columns.is_exposed(uid)]
            hashes = await account.ground.shard.load(partial(_hashes, columns.rows(some)))
            fits: dict[bytes, bool] = {}
            for uid, hash in zip(some, hashes, strict=True):
                if hash not in fits:
                    fits[hash] = await check_body(account, hash)
                # The body of one that was expunged meanwhile may have gone.
                if not fits[hash] and columns.is_exposed(uid):
                    unfit.append(uid)
                looked_at(1)
    finally:
        account.mailboxes.left(mailbox)
    return unfit


def _hashes(rows: Sequence[int], connection: sqlite3.Connection) -> list[bytes]:
    """On a reader's thread: the hash of each message's body."""
    found = []
    for row in rows:
        bodies = connection.execute(_HASH, (row,)).fetchall()
        found.append(bodies[0][0] if bodies else b"")
    return found
