# SPDX-License-Identifier: GPL-3.0-or-later
"""The tables: versions, what SQLite checks of them, and that foreign keys cost no scan."""

import re
import sqlite3
from pathlib import Path

from pluto_tw.account import schema
from pluto_tw.account.schema import MIGRATIONS, SCHEMA_VERSION, migrate, tables
from tests.account.case import IDENTITY, StoreTestCase

PAGE = Path(__file__).resolve().parents[2] / "docs" / "spec" / "schema.md"


class MigrationTests(StoreTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.connection = self.database.connection

    def version(self) -> int:
        ((version,),) = self.connection.execute("PRAGMA user_version")
        assert isinstance(version, int)
        return version

    def test_the_version_counts_the_migrations(self) -> None:
        migrate(self.connection, 0, IDENTITY)
        self.assertEqual(self.version(), len(MIGRATIONS))

    def test_a_later_one_keeps_what_is_there(self) -> None:
        migrate(self.connection, 0, IDENTITY)
        self.patch(schema, "MIGRATIONS", (*MIGRATIONS, ("ALTER TABLE body ADD COLUMN x INTEGER",)))
        self.patch(schema, "SCHEMA_VERSION", SCHEMA_VERSION + 1)
        self.connection.execute("INSERT INTO upload VALUES (5)")
        migrate(self.connection, SCHEMA_VERSION, b"")
        self.assertEqual(self.version(), SCHEMA_VERSION + 1)
        self.assertEqual(self.rows("SELECT identity FROM shard"), [(IDENTITY,)])
        self.assertEqual(self.rows("SELECT content FROM upload"), [(5,)])

    def test_one_that_fails_changes_nothing(self) -> None:
        migrate(self.connection, 0, IDENTITY)
        before = self.rows("SELECT sql FROM sqlite_schema")
        self.patch(
            schema, "MIGRATIONS", (*MIGRATIONS, ("CREATE TABLE a (x)", "CREATE TABLE a (x)"))
        )
        with self.assertRaises(sqlite3.OperationalError):
            migrate(self.connection, SCHEMA_VERSION, b"")
        self.assertEqual(self.rows("SELECT sql FROM sqlite_schema"), before)
        self.assertEqual(self.version(), SCHEMA_VERSION)
        self.assertFalse(self.connection.in_transaction)


class TableTests(StoreTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.connection = self.database.connection
        migrate(self.connection, 0, IDENTITY)

    def test_every_table_is_strict(self) -> None:
        loose = self.rows("SELECT name FROM pragma_table_list WHERE schema = 'main' AND NOT strict")
        self.assertEqual([name for (name,) in loose if not name.startswith("sqlite_")], [])

    def test_every_table_and_column_is_on_its_page(self) -> None:
        page = PAGE.read_text(encoding="utf-8")
        for table in tables(self.connection):
            section = re.search(rf"^### {table}$(.*?)(?=^##|\Z)", page, re.M | re.S)
            assert section is not None, table
            for _, column, *_ in self.connection.execute(f"PRAGMA table_info({table})"):
                self.assertRegex(section[1], rf"`{column}`", f"{table}.{column}")

    def test_the_page_has_no_other_tables(self) -> None:
        page = PAGE.read_text(encoding="utf-8")
        self.assertEqual(sorted(re.findall(r"^### (\w+)$", page, re.M)), tables(self.connection))

    def test_no_parent_s_end_scans_its_children(self) -> None:
        """SQLite looks for children whenever a parent row goes; each look must be an index's."""
        self.connection.execute("PRAGMA foreign_keys = ON")
        for table in tables(self.connection):
            for row in self.connection.execute(f"PRAGMA foreign_key_list({table})").fetchall():
                column = row[3]
                plan = self.connection.execute(
                    f"EXPLAIN QUERY PLAN SELECT 1 FROM {table} WHERE {column} = ?", (1,)
                ).fetchall()
                self.assertRegex(plan[0][3], "^SEARCH", f"{table}.{column}")
