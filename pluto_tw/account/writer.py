# SPDX-License-Identifier: GPL-3.0-or-later
"""
The side of a shard that is on the writer's thread: it runs prepared SQL and nothing else.

Many works go into one transaction, so that one sync of the disk serves them all. Works that build
on each other are a *lane*, and one that fails takes back its own lane and no other. That needs a
savepoint for each lane, before whose end SQLite copies every page that the lane changes; but our
statements do not fail. So a transaction is done without savepoints, and once more with them if one
of its statements did. What fails beyond a lane is told as a `Trouble`; nothing of the transaction
is committed then, as far as can be known, and its users must read again what they rely on.
"""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from pluto_tw.account.database import Database
from pluto_tw.account.failures import Trouble, trouble_of
from pluto_tw.account.soundness import end
from pluto_tw.account.work import Work


@dataclass(frozen=True, slots=True)
class Outcome:
    """
    What became of a transaction.

    *refused* has an error for each lane, by its index, that was taken back while the others were
    committed. With *trouble* none was; *cause* is what SQLite said.
    """

    refused: dict[int, Exception]
    trouble: Trouble | None = None
    cause: Exception | None = None


#: What a statement or its parameters can be wrong by: values that are no column's (too large a
#: number, an unpaired surrogate) are refused by Python before SQLite sees them.
_OF_THE_LANE: Final = (sqlite3.Error, OverflowError, ValueError)


class Writer:
    """The connection that writes. Only `Shard` uses it, and only on the writer's thread."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._connection: sqlite3.Connection | None = None

    def open(self) -> None:
        """Raises `StoreRefused`."""
        self.release()
        self._connection = self._database.open()

    def release(self) -> None:
        """Ends the connection as a crash would, if there is one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            self._database.release(connection)

    def close(self) -> None:
        """Ends the connection in an orderly way: the next start need not check."""
        if self._connection is not None:
            end(self._connection)
        self.release()

    def transact(self, lanes: Sequence[Sequence[Work]]) -> Outcome:
        """Does the works of all *lanes*, lane by lane, in one transaction."""
        connection = self._connection
        assert connection is not None, "a shard that is not open commits nothing"
        refused: dict[int, Exception] = {}
        try:
            connection.execute("BEGIN IMMEDIATE")
            if not _do_all(connection, lanes):
                connection.execute("ROLLBACK")
                connection.execute("BEGIN IMMEDIATE")
                refused = _do_apart(connection, lanes)
        except sqlite3.Error as error:
            return self._taken_back(error)
        try:
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            # A disk that is full was met before the sync: SQLite takes the transaction back, and
            # the next one is written over what the log has of it. After any other error the log
            # may hold it, synced or not.
            if trouble_of(error) is Trouble.FULL:
                return self._taken_back(error)
            return Outcome({}, Trouble.BROKEN, error)
        return Outcome(refused)

    def _taken_back(self, error: sqlite3.Error) -> Outcome:
        """The outcome of a transaction that met *error* before its commit was done."""
        connection = self._connection
        assert connection is not None, "`transact` has seen to it"
        try:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        except sqlite3.Error:
            return Outcome({}, Trouble.BROKEN, error)
        return Outcome({}, trouble_of(error) or Trouble.BROKEN, error)


def _do_all(connection: sqlite3.Connection, lanes: Sequence[Sequence[Work]]) -> bool:
    """
    Does the works of all *lanes*; False if a statement of one of them is wrong.

    Raises `sqlite3.Error` if it is not a lane that is wrong.
    """
    try:
        for works in lanes:
            _do(connection, works)
    except _OF_THE_LANE as error:
        _require_of_the_lane(connection, error)
        return False
    return True


def _do_apart(
    connection: sqlite3.Connection, lanes: Sequence[Sequence[Work]]
) -> dict[int, Exception]:
    """
    Does the works of all *lanes* but of those that are wrong, and what was wrong with them.

    Raises `sqlite3.Error` if it is not a lane that is wrong.
    """
    refused: dict[int, Exception] = {}
    for index, works in enumerate(lanes):
        connection.execute("SAVEPOINT lane")
        try:
            _do(connection, works)
        except _OF_THE_LANE as error:
            _require_of_the_lane(connection, error)
            connection.execute("ROLLBACK TO lane")
            refused[index] = error
        connection.execute("RELEASE lane")
    return refused


def _do(connection: sqlite3.Connection, works: Sequence[Work]) -> None:
    for work in works:
        for sql, rows in work.statements:
            if len(rows) == 1:
                connection.execute(sql, rows[0])
            else:
                connection.executemany(sql, rows)


def _require_of_the_lane(connection: sqlite3.Connection, error: Exception) -> None:
    """Raises *error* if it is no lane's: some end the whole transaction, whatever they are."""
    if trouble_of(error) is not None or not connection.in_transaction:
        raise error
