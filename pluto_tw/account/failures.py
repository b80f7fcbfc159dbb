# SPDX-License-Identifier: GPL-3.0-or-later
"""
How a shard can fail, by what helps: SQLite's errors are sorted here and nowhere else.

What a statement does wrong is our bug and concerns the lane that brought it; all else concerns
everybody who uses the database.
"""

import sqlite3
from enum import Enum
from typing import Final

from pluto_tw.mail.codes import UNAVAILABLE
from pluto_tw.mail.errors import No


class ShardFailed(No):
    """
    The shard cannot do it now; clients are told NO [UNAVAILABLE].

    A work that fails so is not committed, or, after `Trouble.BROKEN`, perhaps is: in any case
    nothing that was computed on it holds.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(UNAVAILABLE, f"the mail store is not available: {reason}")


class WorkRefused(Exception):
    """A statement of the work, or of an earlier one of its lane, is wrong: our bug."""


class Trouble(Enum):
    """Why a transaction failed, by what helps; the value is for people."""

    #: Nothing was committed, and the connection is sound: try again later.
    FULL = "the disk is full"
    BUSY = "another program has the database locked"
    #: Whether it was committed is not known: close, open, read again.
    BROKEN = "the database could not be read or written"
    #: An operator must look at it: nothing is to be read or written meanwhile.
    DAMAGED = "the database is damaged"


_TROUBLES: Final = {
    sqlite3.SQLITE_FULL: Trouble.FULL,
    sqlite3.SQLITE_BUSY: Trouble.BUSY,
    sqlite3.SQLITE_LOCKED: Trouble.BUSY,
    sqlite3.SQLITE_CORRUPT: Trouble.DAMAGED,
    sqlite3.SQLITE_NOTADB: Trouble.DAMAGED,
    sqlite3.SQLITE_IOERR: Trouble.BROKEN,
    sqlite3.SQLITE_READONLY: Trouble.BROKEN,
    sqlite3.SQLITE_CANTOPEN: Trouble.BROKEN,
    sqlite3.SQLITE_PERM: Trouble.BROKEN,
    sqlite3.SQLITE_PROTOCOL: Trouble.BROKEN,
    sqlite3.SQLITE_NOMEM: Trouble.BROKEN,
    sqlite3.SQLITE_INTERRUPT: Trouble.BROKEN,
}


def trouble_of(error: Exception) -> Trouble | None:
    """What *error* means for the whole database; None if only its statement is wrong."""
    if not isinstance(error, sqlite3.Error):
        return None
    # Errors of Python's own module, e.g. on the number of parameters, have no code.
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
    return _TROUBLES.get(code & 0xFF)
