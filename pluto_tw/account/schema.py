# SPDX-License-Identifier: GPL-3.0-or-later
"""
The tables of a shard, and how a database of an older schema becomes one of today's.

This file decides what is stored where and what SQLite itself checks; `docs/spec/schema.md` tells
it table by table. What the columns mean is `pluto_tw.crdt.records`' (accounts) and `bodies.py`'s.

Invariants, whatever fails:

- `application_id` is ours from the first transaction on, `user_version` the number of migrations
  done. Both change in the same transaction as the tables.
- A migration that was released is never edited: a mistake in it is mended by the next one.

Foreign keys stand where the child has an index that begins with the key, since SQLite looks for
children whenever a parent goes; where none does, the column's comment says who sees to it.
Nothing cascades but facts: what an account owns is dropped in slices, by statements that say so.
"""

import sqlite3
from typing import Final

#: "plut", in the header of every database of ours: `file` and SQLite tell it without opening it.
APPLICATION_ID: Final = 0x706C7574

#: Octets of a body in one row, and at most what a read gives at once. 64 KiB are what a session
#: may be given (`ports.Body`), and the lower end of what travels best between replicas (64-128
#: KiB). 489 of them lie in the row, and the others fill 16 overflow pages of 4,092 octets to 99 %.
CHUNK_OCTETS: Final = 64 * 1024

#: `chunk.id` is the content's number above these bits, the chunk's place below: bodies of 64 GiB.
CHUNK_BITS: Final = 20

#: `body.state`: all octets are here; none ever came; they are here, but do not fit the hash.
WHOLE: Final = 0
MISSING: Final = 1
DAMAGED: Final = 2

_BODIES: Final = (
    """
    CREATE TABLE shard (
        one         INTEGER PRIMARY KEY CHECK (one = 1),
        identity    BLOB NOT NULL CHECK (length(identity) = 16),
        clean       INTEGER NOT NULL CHECK (clean IN (0, 1))
    ) STRICT
    """,
    f"""
    CREATE TABLE body (
        id          INTEGER PRIMARY KEY,
        hash        BLOB NOT NULL UNIQUE CHECK (length(hash) = 32),
        size        INTEGER NOT NULL CHECK (size >= 0),
        refs        INTEGER NOT NULL CHECK (refs >= 0),
        state       INTEGER NOT NULL CHECK (state BETWEEN {WHOLE} AND {DAMAGED}),
        content     INTEGER,
        CHECK ((content IS NULL) = (state = {MISSING}))
    ) STRICT
    """,
    "CREATE INDEX body_unused ON body (id) WHERE refs = 0",
    f"CREATE INDEX body_unfit ON body (id) WHERE state <> {WHOLE}",
    # Its parent is a content, which is an upload's and then a body's: no foreign key says that.
    f"""
    CREATE TABLE chunk (
        id          INTEGER PRIMARY KEY,
        data        BLOB NOT NULL CHECK (length(data) BETWEEN 1 AND {CHUNK_OCTETS})
    ) STRICT
    """,
    "CREATE TABLE upload (content INTEGER PRIMARY KEY) STRICT",
    """
    CREATE TABLE facts (
        body        INTEGER PRIMARY KEY REFERENCES body ON DELETE CASCADE,
        version     INTEGER NOT NULL,
        data        BLOB NOT NULL
    ) STRICT
    """,
    """
    CREATE TABLE progress (
        slot        INTEGER PRIMARY KEY CHECK (slot BETWEEN 0 AND 31),
        position    INTEGER NOT NULL CHECK (position >= 0),
        stated      BLOB NOT NULL
    ) STRICT
    """,
)

_ACCOUNTS: Final = (
    """
    CREATE TABLE account (
        id          INTEGER PRIMARY KEY,
        name        TEXT NOT NULL UNIQUE,
        identity    BLOB NOT NULL UNIQUE CHECK (length(identity) = 16),
        slot        INTEGER NOT NULL CHECK (slot BETWEEN 0 AND 31),
        state       INTEGER NOT NULL DEFAULT 0 CHECK (state BETWEEN 0 AND 1),
        position    INTEGER NOT NULL DEFAULT 0,
        vv          BLOB NOT NULL,
        heads       BLOB NOT NULL,
        sequencer   INTEGER NOT NULL,
        m           INTEGER NOT NULL CHECK (m >= 0),
        maxv        INTEGER NOT NULL CHECK (maxv >= 0),
        stable      BLOB NOT NULL,
        base        BLOB NOT NULL,
        gate        BLOB,
        messages    INTEGER NOT NULL DEFAULT 0 CHECK (messages >= 0),
        octets      INTEGER NOT NULL DEFAULT 0 CHECK (octets >= 0)
    ) STRICT
    """,
    "CREATE INDEX account_position ON account (position)",
    """
    CREATE TABLE member (
        account     INTEGER NOT NULL REFERENCES account,
        slot        INTEGER NOT NULL CHECK (slot BETWEEN 0 AND 31),
        replica     BLOB NOT NULL,
        name        TEXT NOT NULL,
        state       INTEGER NOT NULL,
        added       INTEGER NOT NULL,
        removed     INTEGER NOT NULL,
        PRIMARY KEY (account, slot)
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE TABLE peer (
        account     INTEGER NOT NULL REFERENCES account,
        slot        INTEGER NOT NULL CHECK (slot BETWEEN 0 AND 31),
        ack         BLOB NOT NULL,
        cov         INTEGER NOT NULL CHECK (cov >= 0),
        marks       BLOB NOT NULL,
        PRIMARY KEY (account, slot)
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE TABLE box (
        id          INTEGER PRIMARY KEY,
        account     INTEGER NOT NULL REFERENCES account,
        bid         INTEGER NOT NULL CHECK (bid >= 0),
        name        TEXT NOT NULL,
        stamp       INTEGER NOT NULL,
        dot         INTEGER NOT NULL,
        v           INTEGER NOT NULL CHECK (v BETWEEN 1 AND 4294967295),
        gen         INTEGER NOT NULL CHECK (gen BETWEEN 0 AND 4294967295),
        special_use TEXT,
        bmsq        INTEGER NOT NULL,
        home_bid    INTEGER,
        home_gen    INTEGER,
        era         INTEGER NOT NULL,
        walk        INTEGER NOT NULL,
        tags        BLOB NOT NULL,
        extra       BLOB,
        messages    INTEGER NOT NULL CHECK (messages >= 0),
        octets      INTEGER NOT NULL CHECK (octets >= 0),
        unseen      INTEGER NOT NULL CHECK (unseen >= 0),
        deleted     INTEGER NOT NULL CHECK (deleted >= 0),
        recent      INTEGER NOT NULL CHECK (recent >= 0),
        keywords    TEXT NOT NULL,
        UNIQUE (account, bid),
        CHECK ((home_bid IS NULL) = (home_gen IS NULL))
    ) STRICT
    """,
    "CREATE INDEX box_name ON box (account, name)",
    """
    CREATE TABLE view (
        id          INTEGER PRIMARY KEY,
        account     INTEGER NOT NULL REFERENCES account,
        bid         INTEGER NOT NULL,
        gen         INTEGER NOT NULL,
        unext       INTEGER NOT NULL CHECK (unext BETWEEN 1 AND 4294967296),
        maxuid      INTEGER NOT NULL CHECK (maxuid BETWEEN 0 AND 4294967295),
        hm          INTEGER NOT NULL,
        vanished_floor INTEGER NOT NULL DEFAULT 0,
        recent_from INTEGER NOT NULL DEFAULT 1 CHECK (recent_from BETWEEN 1 AND 4294967296),
        UNIQUE (account, bid, gen)
    ) STRICT
    """,
    """
    CREATE TABLE vanished (
        view        INTEGER NOT NULL REFERENCES view,
        msq         INTEGER NOT NULL,
        low         INTEGER NOT NULL CHECK (low >= 1),
        high        INTEGER NOT NULL CHECK (high >= low),
        PRIMARY KEY (view, msq, low)
    ) STRICT, WITHOUT ROWID
    """,
    # `box` has no foreign key: `placement`, written and dropped with it, has one.
    """
    CREATE TABLE message (
        id          INTEGER PRIMARY KEY,
        account     INTEGER NOT NULL REFERENCES account,
        pid         BLOB NOT NULL CHECK (length(pid) IN (12, 16)),
        box         INTEGER NOT NULL,
        body        INTEGER NOT NULL REFERENCES body,
        size        INTEGER NOT NULL CHECK (size >= 0),
        date        INTEGER NOT NULL,
        zone        INTEGER NOT NULL CHECK (zone BETWEEN -1439 AND 1439),
        stamp       INTEGER NOT NULL,
        dot         INTEGER NOT NULL,
        place       INTEGER NOT NULL CHECK (place >= 0),
        email       BLOB,
        UNIQUE (account, pid)
    ) STRICT
    """,
    "CREATE INDEX message_body ON message (body)",
    # `id` has no foreign key to `message`: it would need an index by id, 20 octets a message and
    # a random write an APPEND. The two rows are written and dropped by the same work.
    """
    CREATE TABLE placement (
        box         INTEGER NOT NULL REFERENCES box,
        id          INTEGER NOT NULL,
        uid         INTEGER NOT NULL CHECK (uid BETWEEN 0 AND 4294967295),
        era         INTEGER NOT NULL,
        claim       INTEGER NOT NULL,
        bounced     INTEGER NOT NULL CHECK (bounced IN (0, 1)),
        msq         INTEGER NOT NULL,
        flags       INTEGER NOT NULL,
        keywords    TEXT,
        key_bid     INTEGER,
        key_gen     INTEGER,
        extra       BLOB,
        PRIMARY KEY (box, id),
        CHECK ((key_bid IS NULL) = (key_gen IS NULL))
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE TABLE pending (
        account     INTEGER NOT NULL REFERENCES account,
        message     INTEGER NOT NULL,
        box         INTEGER NOT NULL REFERENCES box,
        PRIMARY KEY (account, message)
    ) STRICT, WITHOUT ROWID
    """,
    "CREATE INDEX pending_box ON pending (box, message)",
    """
    CREATE TABLE log (
        account     INTEGER NOT NULL REFERENCES account,
        slot        INTEGER NOT NULL CHECK (slot BETWEEN 0 AND 31),
        seq         INTEGER NOT NULL CHECK (seq >= 1),
        last        INTEGER NOT NULL CHECK (last >= seq),
        msq         INTEGER NOT NULL,
        head        BLOB NOT NULL,
        data        BLOB NOT NULL,
        PRIMARY KEY (account, slot, seq)
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE TABLE head (
        account     INTEGER NOT NULL REFERENCES account,
        slot        INTEGER NOT NULL CHECK (slot BETWEEN 0 AND 31),
        seq         INTEGER NOT NULL CHECK (seq >= 1),
        head        BLOB NOT NULL,
        PRIMARY KEY (account, slot, seq)
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE TABLE context (
        account     INTEGER NOT NULL REFERENCES account,
        slot        INTEGER NOT NULL CHECK (slot BETWEEN 0 AND 31),
        seq         INTEGER NOT NULL CHECK (seq >= 1),
        vector      BLOB NOT NULL,
        PRIMARY KEY (account, slot, seq)
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE TABLE fold (
        account     INTEGER NOT NULL REFERENCES account,
        slot        INTEGER NOT NULL CHECK (slot BETWEEN 0 AND 31),
        seq         INTEGER NOT NULL CHECK (seq >= 1),
        bid         INTEGER NOT NULL CHECK (bid >= -1),
        above       INTEGER NOT NULL,
        pids        BLOB NOT NULL,
        PRIMARY KEY (account, slot, seq, bid)
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE TABLE floor (
        account     INTEGER NOT NULL REFERENCES account,
        name        TEXT NOT NULL,
        v           INTEGER NOT NULL CHECK (v BETWEEN 1 AND 4294967295),
        PRIMARY KEY (account, name)
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE TABLE subscription (
        account     INTEGER NOT NULL REFERENCES account,
        name        TEXT NOT NULL,
        entries     BLOB NOT NULL,
        PRIMARY KEY (account, name)
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE TABLE meta (
        account     INTEGER NOT NULL REFERENCES account,
        bid         INTEGER NOT NULL CHECK (bid >= -1),
        entry       TEXT NOT NULL,
        value       BLOB,
        stamp       INTEGER NOT NULL,
        dot         INTEGER NOT NULL,
        PRIMARY KEY (account, bid, entry)
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE TABLE snapshot (
        account     INTEGER NOT NULL REFERENCES account,
        slot        INTEGER NOT NULL CHECK (slot BETWEEN 0 AND 31),
        incoming    INTEGER NOT NULL CHECK (incoming IN (0, 1)),
        header      BLOB NOT NULL,
        trailer     BLOB NOT NULL,
        cursor      BLOB NOT NULL,
        began       INTEGER NOT NULL,
        PRIMARY KEY (account, slot, incoming)
    ) STRICT, WITHOUT ROWID
    """,
)

#: What leads from each schema to the next one; the first makes an empty database ours.
MIGRATIONS: Final[tuple[tuple[str, ...], ...]] = ((*_BODIES, *_ACCOUNTS),)

SCHEMA_VERSION: Final = len(MIGRATIONS)

#: `account.state`: it is served; it is not until an operator has looked into it.
SERVED: Final = 0
HALTED: Final = 1

#: The one table that is as large as all mail: a hash stands behind each of its rows.
CHECKED_BY_HASH: Final = "chunk"


def migrate(connection: sqlite3.Connection, version: int, identity: bytes) -> None:
    """
    Brings a database of schema *version* to `SCHEMA_VERSION`, in one transaction.

    0 is an empty database; it gets *identity*, 16 octets that no other shard ever had. Raises
    `sqlite3.Error`, and then nothing has changed.
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        for migration in MIGRATIONS[version:]:
            for statement in migration:
                connection.execute(statement)
        if version == 0:
            connection.execute("INSERT INTO shard VALUES (1, ?, 1)", (identity,))
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def tables(connection: sqlite3.Connection) -> list[str]:
    """The names of all tables there are, in alphabetical order."""
    rows = connection.execute(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite!_%' "
        "ESCAPE '!' ORDER BY name"
    )
    return [name for (name,) in rows]
