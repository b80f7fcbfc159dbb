# SPDX-License-Identifier: GPL-3.0-or-later
"""Which of SQLite's errors concern everybody, and what clients are told."""

import sqlite3

from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.account.failures import ShardFailed, Trouble, trouble_of
from pluto_tw.mail.codes import UNAVAILABLE
from pluto_tw.mail.errors import No


def error_of(code: int) -> sqlite3.Error:
    error = sqlite3.OperationalError("an error")
    error.sqlite_errorcode = code
    return error


class TroubleTests(SynchronousTestCase):
    def test_extended_codes_count_as_their_kind(self) -> None:
        for code, trouble in (
            (sqlite3.SQLITE_IOERR_FSYNC, Trouble.BROKEN),
            (sqlite3.SQLITE_BUSY_SNAPSHOT, Trouble.BUSY),
            (sqlite3.SQLITE_CORRUPT_INDEX, Trouble.DAMAGED),
            (sqlite3.SQLITE_READONLY_DBMOVED, Trouble.BROKEN),
            (sqlite3.SQLITE_FULL, Trouble.FULL),
        ):
            self.assertIs(trouble_of(error_of(code)), trouble)

    def test_what_a_statement_does_wrong_concerns_nobody_else(self) -> None:
        for code in (
            sqlite3.SQLITE_CONSTRAINT_UNIQUE,
            sqlite3.SQLITE_MISMATCH,
            sqlite3.SQLITE_ERROR,
            sqlite3.SQLITE_TOOBIG,
        ):
            self.assertIsNone(trouble_of(error_of(code)))

    def test_nor_does_what_python_refuses(self) -> None:
        self.assertIsNone(trouble_of(OverflowError()))
        # An error of Python's own module, which has no code.
        self.assertIsNone(trouble_of(sqlite3.ProgrammingError("wrong number of parameters")))

    def test_clients_are_told_no_unavailable(self) -> None:
        error = ShardFailed("the disk is full")
        assert isinstance(error, No)
        self.assertEqual(error.code, UNAVAILABLE)
        self.assertTrue(error.text.isprintable())
