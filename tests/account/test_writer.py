# SPDX-License-Identifier: GPL-3.0-or-later
"""One transaction: what is known of its outcome after each kind of error."""

import sqlite3
from collections.abc import Callable

from pluto_tw.account.failures import Trouble
from pluto_tw.account.work import Work
from pluto_tw.account.writer import Outcome, Writer
from tests.account.case import StoreTestCase


class Failing:
    """A connection on which one statement meets an error, before or after SQLite has done it."""

    def __init__(
        self, connection: sqlite3.Connection, statement: str, code: int, after: bool = False
    ) -> None:
        self._connection = connection
        self._statement = statement
        self._code = code
        self._after = after

    def execute(self, sql: str, row: tuple[int, ...] = ()) -> sqlite3.Cursor:
        if sql != self._statement:
            return self._connection.execute(sql, row)
        if self._after:
            self._connection.execute(sql, row)
        error = sqlite3.OperationalError("an error")
        error.sqlite_errorcode = self._code
        raise error

    @property
    def in_transaction(self) -> bool:
        return self._connection.in_transaction


INSERT = "INSERT INTO upload VALUES (1)"


class OutcomeTests(StoreTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.writer = Writer(self.database)
        self.writer.open()

    def outcome(self, statement: str, code: int, *, after: bool = False) -> Outcome:
        failing = Failing(self.database.connection, statement, code, after)
        self.writer._connection = failing  # type: ignore[assignment]
        work = Work()
        work.add(INSERT)
        return self.writer.transact([[work]])

    def assertNothingLeft(self) -> None:  # noqa: N802
        self.assertFalse(self.database.connection.in_transaction)
        self.assertEqual(self.rows("SELECT * FROM upload"), [])

    def test_a_disk_that_is_full_takes_the_transaction_back(self) -> None:
        """SQLite itself may have done so, or not."""
        for statement in ("BEGIN IMMEDIATE", INSERT, "COMMIT"):
            outcome = self.outcome(statement, sqlite3.SQLITE_FULL)
            self.assertIs(outcome.trouble, Trouble.FULL)
            self.assertNothingLeft()

    def test_an_error_before_the_commit_leaves_nothing(self) -> None:
        for code, trouble in (
            (sqlite3.SQLITE_IOERR, Trouble.BROKEN),
            (sqlite3.SQLITE_IOERR_FSYNC, Trouble.BROKEN),
            (sqlite3.SQLITE_NOMEM, Trouble.BROKEN),
            (sqlite3.SQLITE_CORRUPT, Trouble.DAMAGED),
            (sqlite3.SQLITE_BUSY, Trouble.BUSY),
        ):
            self.assertIs(self.outcome(INSERT, code).trouble, trouble)
            self.assertNothingLeft()

    def test_what_is_wrong_with_some_lanes_is_theirs_alone(self) -> None:
        """The others are committed, each of their works done once."""
        lanes: list[list[Work]] = []
        for content in (1, "no number", 2, 2**70, 3):
            first, second = Work(), Work()
            first.add("INSERT INTO upload VALUES (?)", (100 + len(lanes),))
            second.add("INSERT INTO upload VALUES (?)", (content,))
            lanes.append([first, second])
        outcome = self.writer.transact(lanes)
        self.assertEqual(
            {index: type(error) for index, error in outcome.refused.items()},
            {1: sqlite3.IntegrityError, 3: OverflowError},
        )
        self.assertIsNone(outcome.trouble)
        self.assertEqual(
            self.rows("SELECT content FROM upload ORDER BY content"),
            [(1,), (2,), (3,), (100,), (102,), (104,)],
        )

    def test_a_locked_database_is_busy(self) -> None:
        outcome = self.outcome("BEGIN IMMEDIATE", sqlite3.SQLITE_BUSY)
        self.assertIs(outcome.trouble, Trouble.BUSY)

    def test_after_an_error_of_the_commit_nothing_is_known(self) -> None:
        for after in (False, True):
            outcome = self.outcome("COMMIT", sqlite3.SQLITE_IOERR_FSYNC, after=after)
            self.assertIs(outcome.trouble, Trouble.BROKEN)
            self.database.release(self.database.connection)

    def test_a_transaction_that_cannot_be_taken_back_is_broken(self) -> None:
        class Stuck(Failing):
            def execute(self, sql: str, row: tuple[int, ...] = ()) -> sqlite3.Cursor:
                if sql == "ROLLBACK":
                    raise sqlite3.OperationalError("stuck")
                return super().execute(sql, row)

        stuck = Stuck(self.database.connection, INSERT, sqlite3.SQLITE_FULL)
        self.writer._connection = stuck  # type: ignore[assignment]
        work = Work()
        work.add(INSERT)
        self.assertIs(self.writer.transact([[work]]).trouble, Trouble.BROKEN)

    def test_an_error_that_ends_the_transaction_is_not_the_lane_s(self) -> None:
        """A trigger's ROLLBACK, or SQLite's own, takes all lanes back."""

        class Ended(Failing):
            def execute(self, sql: str, row: tuple[int, ...] = ()) -> sqlite3.Cursor:
                if sql == INSERT:
                    self._connection.execute("ROLLBACK")
                return super().execute(sql, row)

        ended = Ended(self.database.connection, INSERT, sqlite3.SQLITE_CONSTRAINT)
        self.writer._connection = ended  # type: ignore[assignment]
        work = Work()
        work.add(INSERT)
        self.assertIs(self.writer.transact([[work], [work]]).trouble, Trouble.BROKEN)


class ParameterTests(StoreTestCase):
    def refused(self, wrong: Callable[[Work], None]) -> None:
        writer = Writer(self.database)
        writer.open()
        bad, good = Work(), Work()
        wrong(bad)
        good.add(INSERT)
        outcome = writer.transact([[bad], [good]])
        self.assertEqual((list(outcome.refused), outcome.trouble), ([0], None))
        self.assertEqual(self.rows("SELECT content FROM upload"), [(1,)])

    def test_a_wrong_number_of_parameters_is_the_lane_s(self) -> None:
        self.refused(lambda work: work.add("INSERT INTO upload VALUES (?)", (1, 2)))

    def test_rows_before_a_wrong_one_go_with_it(self) -> None:
        self.refused(
            lambda work: work.add_rows("INSERT INTO upload VALUES (?)", [(7,), (8,), (7,)])
        )

    def test_a_misspelt_statement_is_the_lane_s(self) -> None:
        self.refused(lambda work: work.add("INSERT INTO uploads VALUES (1)"))
