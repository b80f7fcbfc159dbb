# SPDX-License-Identifier: GPL-3.0-or-later
"""What is refused, with which words, and what is not: files before SQLite has seen them."""

import os
import sqlite3
from pathlib import Path

from pluto_tw.account import soundness
from pluto_tw.account.bodies import Bodies
from pluto_tw.account.database import FileDatabase
from pluto_tw.account.schema import APPLICATION_ID, SCHEMA_VERSION
from pluto_tw.account.soundness import StoreRefused
from pluto_tw.account.work import Work
from tests.account.case import IDENTITY, StoreTestCase, copy


class FileTestCase(StoreTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.path = self.directory / "shard.sqlite"

    def made(self, uploads: int = 0) -> None:
        """A database that was closed in an orderly way."""
        shard = self.started(self.on_disk())
        work = Work()
        work.add_rows("INSERT INTO upload VALUES (?)", [(n + 1,) for n in range(uploads)])
        self.commit(shard, work)
        self.ran(shard.close())

    def refused(self, database: FileDatabase | None = None) -> StoreRefused:
        """Why it is not opened; the message names the file, and nothing is left open."""
        database = database or self.on_disk(may_create=False)
        error = self.assertRaises(StoreRefused, database.open)
        database.finish()
        assert isinstance(error, StoreRefused)
        self.assertIn(str(self.path), str(error))
        self.assertNotIn("\n", str(error))
        return error


class FirstStartTests(FileTestCase):
    def test_a_new_one_is_ours(self) -> None:
        """`file` and every SQLite tool tell whose it is, from the header alone."""
        shard = self.started(self.on_disk())
        header = self.path.read_bytes()[:100]
        self.assertEqual(int.from_bytes(header[68:72], "big"), APPLICATION_ID)
        self.assertEqual(int.from_bytes(header[60:64], "big"), SCHEMA_VERSION)
        self.assertEqual(shard.read("SELECT identity FROM shard"), [(IDENTITY,)])
        self.ran(shard.close())

    def test_it_is_its_owner_s_alone(self) -> None:
        shard = self.started(self.on_disk())
        for suffix in ("", "-wal", "-shm"):
            mode = os.stat(f"{self.path}{suffix}").st_mode
            self.assertEqual(mode & 0o077, 0, suffix)
        self.ran(shard.close())

    def test_closed_it_is_one_file_and_the_lock(self) -> None:
        self.made()
        self.assertEqual(
            sorted(path.name for path in self.directory.iterdir()),
            ["shard.sqlite", "shard.sqlite.lock"],
        )

    def test_the_settings_hold(self) -> None:
        database = self.on_disk()
        writer, reader = database.open(), database.reader()
        for pragma, wanted in (
            ("journal_mode", "wal"),
            ("synchronous", 2),
            ("foreign_keys", 1),
            ("mmap_size", 0),
            ("page_size", 4096),
        ):
            self.assertEqual(writer.execute(f"PRAGMA {pragma}").fetchone()[0], wanted, pragma)
        with self.assertRaises(sqlite3.OperationalError):
            reader.execute("DELETE FROM upload")
        reader.close()
        writer.close()


class MissingTests(FileTestCase):
    def test_a_lost_file_is_not_made_anew(self) -> None:
        """Its disk may not be mounted; all mail would seem gone."""
        error = self.refused()
        self.assertIn("missing", error.found)
        self.assertIn("mount", error.remedy)
        self.assertFalse(self.path.exists())

    def test_an_emptied_file_is_not_made_anew(self) -> None:
        self.path.write_bytes(b"")
        self.assertIn("missing", self.refused().found)

    def test_a_log_without_its_database_is_not_thrown_away(self) -> None:
        """SQLite deletes it."""
        log = Path(f"{self.path}-wal")
        log.write_bytes(b"what was answered OK")
        self.assertIn("log", self.refused(self.on_disk()).found)
        self.assertTrue(log.exists())

    def test_after_the_first_start_it_is_never_made_again(self) -> None:
        """When a disk goes away while the shard runs, reopening finds no file."""
        database = self.on_disk()
        database.open().close()
        self.path.unlink()
        self.assertIn("missing", self.refused(database).found)

    def test_a_directory_that_is_not_there_is_named(self) -> None:
        self.path = self.directory / "nowhere" / "shard.sqlite"
        error = self.refused(FileDatabase(self.path, lambda: IDENTITY, may_create=True))
        self.assertIn("directory", error.remedy)


class ForeignTests(FileTestCase):
    def test_a_file_that_is_no_database(self) -> None:
        for octets in (b"From fred@example.org Mon\n" * 100, b"short"):
            self.path.write_bytes(octets)
            self.assertIn("do not begin as a database", self.refused(self.on_disk()).found)
            self.assertEqual(self.path.read_bytes(), octets)

    def test_the_database_of_another_program(self) -> None:
        other = sqlite3.connect(self.path)
        other.execute("CREATE TABLE moz_places (url TEXT)")
        other.close()
        before = self.path.read_bytes()
        error = self.refused(self.on_disk())
        self.assertIn("another program", error.found)
        self.assertIn(f"{APPLICATION_ID:#010x}", error.found)
        self.assertEqual(self.path.read_bytes(), before)

    def test_a_newer_schema(self) -> None:
        self.made()
        newer = sqlite3.connect(self.path)
        newer.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
        newer.close()
        error = self.refused()
        self.assertIn(f"its schema is {SCHEMA_VERSION + 1}", error.found)
        self.assertIn("release", error.remedy)

    def test_another_process_has_it(self) -> None:
        shard = self.started(self.on_disk())
        error = self.refused(FileDatabase(self.path, lambda: IDENTITY, may_create=False))
        self.assertIn("another process", error.found)
        self.ran(shard.close())
        self.on_disk().open().close()


class DamagedTests(FileTestCase):
    def test_a_file_that_is_cut_off(self) -> None:
        self.made()
        octets = self.path.read_bytes()
        for length in (len(octets) - 1, len(octets) // 2, 4096, 120):
            self.path.write_bytes(octets[:length])
            error = self.refused()
            self.assertIn(f"{length} octets of {len(octets)}", error.found)
            self.assertIn("restore", error.remedy)

    def test_a_longer_file_than_its_header_says_is_sound(self) -> None:
        """A checkpoint that was cut off leaves such; the log has what is right."""
        self.made()
        with self.path.open("ab") as file:
            file.write(bytes(4096))
        self.on_disk().open().close()

    def test_flipped_bits_are_found_after_an_unclean_stop(self) -> None:
        self.made(uploads=5000)
        pages = self.path.stat().st_size // 4096
        self.mark_unclean()
        sound = self.path.read_bytes()
        found = 0
        for page in range(1, pages):
            spoilt = bytearray(sound)
            # The page's kind and its number of cells.
            spoilt[page * 4096 : page * 4096 + 8] = b"\xff" * 8
            self.path.write_bytes(spoilt)
            database = self.on_disk(may_create=False)
            try:
                database.open().close()
            except StoreRefused as error:
                self.assertIn("damaged", error.found)
                self.assertIn("move it aside", error.remedy)
                found += 1
            finally:
                database.finish()
        # All but the one page of `chunk`, whose rows have hashes.
        self.assertEqual(found, pages - 2)

    def test_after_a_clean_stop_nothing_is_read_through(self) -> None:
        self.made()
        queries: list[str] = []
        database = self.on_disk()
        connect = database._connect

        def traced(name: str, busy_seconds: float) -> sqlite3.Connection:
            connection = connect(name, busy_seconds)
            connection.set_trace_callback(queries.append)
            return connection

        self.patch(database, "_connect", traced)
        database.open().close()
        self.assertFalse(any("quick_check" in query for query in queries))
        database.open().close()
        self.assertTrue(any("quick_check" in query for query in queries))

    def mark_unclean(self) -> None:
        connection = sqlite3.connect(self.path)
        connection.execute("UPDATE shard SET clean = 0")
        connection.commit()
        connection.close()


class CopyTests(FileTestCase):
    """A crash leaves the files as they are; so a copy of them is what a crash leaves."""

    def test_what_was_committed_is_in_the_copy(self) -> None:
        shard = self.started(self.on_disk())
        work = Work()
        work.add("INSERT INTO upload VALUES (77)")
        self.commit(shard, work)
        copy(self.path, self.directory / "copy.sqlite")
        self.ran(shard.close())
        other = self.started(self.on_disk("copy.sqlite", may_create=False))
        self.assertEqual(other.read("SELECT content FROM upload"), [(77,)])
        self.ran(other.close())

    def test_a_transaction_that_is_half_written_is_not(self) -> None:
        database = self.on_disk()
        connection = database.open()
        connection.execute("PRAGMA cache_size = 1")
        connection.execute("BEGIN")
        connection.executemany("INSERT INTO upload VALUES (?)", [(n,) for n in range(50_000)])
        self.assertGreater(Path(f"{self.path}-wal").stat().st_size, 100_000)
        copy(self.path, self.directory / "copy.sqlite")
        connection.execute("ROLLBACK")
        connection.close()
        other = self.started(self.on_disk("copy.sqlite", may_create=False))
        self.assertEqual(other.read("SELECT count(*) FROM upload"), [(0,)])
        self.ran(other.close())

    def test_a_log_that_is_cut_off_at_any_place_gives_the_commits_before(self) -> None:
        shard = self.started(self.on_disk())
        for number in range(1, 6):
            work = Work()
            work.add("INSERT INTO upload VALUES (?)", (number,))
            self.commit(shard, work)
        log = Path(f"{self.path}-wal").read_bytes()
        copies = self.directory / "copy.sqlite"
        counts = []
        for length in [*range(0, len(log), 1000), len(log)]:
            copies.write_bytes(self.path.read_bytes())
            Path(f"{copies}-wal").write_bytes(log[:length])
            database = self.on_disk("copy.sqlite", may_create=False)
            connection = database.open()
            ((count,),) = connection.execute("SELECT count(*) FROM upload").fetchall()
            counts.append(count)
            connection.close()
            database.finish()
        self.ran(shard.close())
        self.assertEqual(counts, sorted(counts))
        self.assertEqual(set(counts), set(range(6)))

    def test_a_creation_that_was_cut_off_is_begun_again(self) -> None:
        database = self.on_disk()
        journal = Path(f"{self.path}-journal")
        connection = sqlite3.connect(self.path, isolation_level=None)
        connection.execute("PRAGMA cache_size = 1")
        connection.execute("BEGIN")
        connection.execute("CREATE TABLE half (x)")
        connection.executemany("INSERT INTO half VALUES (?)", [(b"x" * 4000,)] * 50)
        half = self.path.read_bytes(), journal.read_bytes()
        connection.execute("ROLLBACK")
        connection.close()
        self.assertGreater(len(half[0]), 4096)
        self.path.write_bytes(half[0])
        journal.write_bytes(half[1])
        opened = database.open()
        self.assertEqual(opened.execute("SELECT count(*) FROM shard").fetchall(), [(1,)])
        opened.close()


class OpeningTests(FileTestCase):
    """What SQLite meets while it opens a database is told with what helps."""

    def remedy(self, code: int) -> str:
        database = self.on_disk()

        def connect(name: str, busy_seconds: float) -> sqlite3.Connection:
            error = sqlite3.OperationalError("an error")
            error.sqlite_errorcode = code
            raise error

        self.patch(database, "_connect", connect)
        return self.refused(database).remedy

    def test_each_error_has_its_remedy(self) -> None:
        self.assertIn("make room", self.remedy(sqlite3.SQLITE_FULL))
        self.assertIn("end the program", self.remedy(sqlite3.SQLITE_BUSY))
        self.assertIn("disk works", self.remedy(sqlite3.SQLITE_IOERR_READ))
        self.assertIn("move it aside", self.remedy(sqlite3.SQLITE_CORRUPT))

    def test_a_library_that_is_too_old_is_named(self) -> None:
        self.patch(soundness, "SQLITE_OLDEST", (99, 0, 0))
        error = self.refused(self.on_disk())
        self.assertIn("SQLite", error.found)
        self.assertIn("99.0.0", error.remedy)


class SpaceTests(FileTestCase):
    def test_free_space_is_the_file_system_s(self) -> None:
        self.assertGreater(self.on_disk().free_octets(), 0)


class RestartTests(FileTestCase):
    def test_what_was_on_its_way_goes_and_what_is_kept_stays(self) -> None:
        shard = self.started(self.on_disk())
        bodies = Bodies(shard)
        upload = bodies.upload(None)
        self.ran(upload.write(b"x" * 200_000))
        self.ran(shard.close())
        again = self.started(self.on_disk(may_create=False))
        Bodies(again)
        self.assertEqual(again.read("SELECT count(*) FROM chunk"), [(0,)])
        self.ran(again.close())
