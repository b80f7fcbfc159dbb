# SPDX-License-Identifier: GPL-3.0-or-later
"""Users in PostgreSQL: against a real one, started for these tests."""

import base64
import hashlib
import os
from typing import Any, ClassVar

import psycopg2
from twisted.internet.defer import Deferred
from twisted.logger import ILogObserver, LogEvent, globalLogPublisher
from twisted.trial.unittest import SkipTest, SynchronousTestCase, TestCase
from zope.interface import implementer

from pluto_tw.auth.adapters import AdapterUnknown, adapter, names
from pluto_tw.auth.names import account_key
from pluto_tw.auth.postgres import AuthPostgres, PostgresSettings, open_postgres
from pluto_tw.auth.refusals import SettingsRefused, UsersRefused
from pluto_tw.auth.users import User
from pluto_tw.mail.codes import UNAVAILABLE
from pluto_tw.mail.errors import No
from pluto_tw.net.waiting import ReactorWaiting
from tests.support.postgres import Postgres, programs

SETTINGS = {"IP": "127.0.0.1", "Database": "postgres", "User": "pluto", "Password": "secret"}

#: Each test as a whole; a hung database must not hang the suite.
SECONDS_MAX = 90


def hashed(password: bytes) -> str:
    return "{SHA512}" + base64.b64encode(hashlib.sha512(password).digest()).decode("ascii")


class SettingsTests(SynchronousTestCase):
    def test_what_is_missing_is_named(self) -> None:
        with self.assertRaises(SettingsRefused) as raised:
            open_postgres({"IP": "127.0.0.1", "User": "pluto"})
        self.assertEqual(
            raised.exception.problems, ("Database: it is missing", "Password: it is missing")
        )

    def test_encryption(self) -> None:
        """Without an authority there is no name to check: that is `require`."""
        found = [
            PostgresSettings.read({**SETTINGS, **more}).parameters()["sslmode"]
            for more in ({}, {"UseTLS": False}, {"RootCertLoc": "/root.pem"})
        ]
        self.assertEqual(found, ["require", "disable", "verify-full"])

    def test_the_password_is_shown_to_nobody(self) -> None:
        settings = PostgresSettings.read({**SETTINGS, "Password": "hunter2"})
        self.assertNotIn("hunter2", f"{settings!r} {settings.place}")


class AdapterTests(SynchronousTestCase):
    def test_adapters_are_entry_points(self) -> None:
        self.assertLessEqual({"AuthFile", "AuthPostgres"}, set(names()))
        self.assertIsInstance(adapter("AuthPostgres")(SETTINGS), AuthPostgres)

    def test_unknown_ones_are_refused_with_those_that_there_are(self) -> None:
        with self.assertRaisesRegex(AdapterUnknown, "AuthFile, AuthPostgres"):
            adapter("AuthNobody")


class DatabaseTests(TestCase):
    """With one database for all, and an empty table of the original's form for each."""

    timeout = SECONDS_MAX
    database: ClassVar[Postgres | None] = None

    @classmethod
    def setUpClass(cls) -> None:
        where = programs()
        if where is None:
            if os.environ.get("PLUTO_TW_NOTHING_SKIPPED"):
                raise AssertionError("PostgreSQL is missing: apt-get install postgresql")
            raise SkipTest("PostgreSQL is missing: apt-get install postgresql")
        cls.database = Postgres(where)
        cls.database.start(first=True)

    @classmethod
    def tearDownClass(cls) -> None:
        if cls.database is not None:
            cls.database.remove()

    def setUp(self) -> None:
        assert self.database is not None
        self.events: list[LogEvent] = []

        @implementer(ILogObserver)
        def observe(event: LogEvent) -> None:
            self.events.append(event)

        globalLogPublisher.addObserver(observe)
        self.addCleanup(globalLogPublisher.removeObserver, observe)
        settings = {**SETTINGS, "Port": self.database.port, "UseTLS": False}
        self.users = open_postgres(settings)
        self.sql("DROP TABLE IF EXISTS users")
        self.directory = self.users.directory()
        self.directory.prepare()

    def sql(self, statement: str, *parameters: object) -> None:
        connection = psycopg2.connect(**self.users.settings.parameters())
        try:
            with connection, connection.cursor() as cursor:
                cursor.execute(statement, parameters)
        finally:
            connection.close()

    def started(self) -> None:
        from twisted.internet import reactor

        self.users.start(reactor, ReactorWaiting(reactor))
        self.addCleanup(lambda: Deferred.fromCoroutine(self.users.stop()))

    def told(self) -> list[Any]:
        return [event.get("event") for event in self.events if event.get("event")]

    def find(self, name: str) -> "Deferred[User | None]":
        return Deferred.fromCoroutine(self.users.find(account_key(name)))

    async def test_users_of_the_original(self) -> None:
        """Its names in any case, its hashes without a salt; the latter with a warning."""
        self.sql("INSERT INTO users (username, password) VALUES ('Fred', %s)", hashed(b"secret"))
        self.started()
        user = await self.find("fred")
        assert user is not None
        self.assertEqual((user.id, user.key), (1, "fred"))
        self.assertTrue(user.password.matches(b"secret"))
        self.assertFalse(user.password.matches(b"Secret"))
        self.assertIsNone(await self.find("frida"))
        self.assertEqual(self.told(), ["weak-passwords"])

    async def test_names_are_parameters(self) -> None:
        """What would be SQL in a name finds nobody and harms nothing."""
        self.directory.add("fred", "{PLAIN}x")
        self.started()
        for name in ("' OR 1=1 --", "fred'; DROP TABLE users; --", "%", "_red", "fr%s"):
            self.assertIsNone(await self.find(name))
        self.assertIsNotNone(await self.find("FRED"))

    async def test_unknown_names_have_stand_ins(self) -> None:
        """Of the kind that users have: the answer then takes as long."""
        self.assertIsNone(self.users.stand_in(1))
        self.directory.add("fred", "{PLAIN}x")
        self.started()
        await self.find("nobody")
        stand_in = self.users.stand_in(12345)
        assert stand_in is not None
        self.assertEqual(stand_in.text, "{PLAIN}x")

    async def test_an_entry_of_no_known_form_logs_nobody_in(self) -> None:
        self.sql("INSERT INTO users (username, password) VALUES ('fred', '{MD5}hunter2')")
        self.started()
        self.assertIsNone(await self.find("fred"))
        [event] = [event for event in self.events if event.get("event") == "user-entry"]
        self.assertNotIn("hunter2", str(event))

    async def test_two_rows_of_one_name_log_nobody_in(self) -> None:
        self.sql("DROP INDEX users_by_name")
        self.sql("INSERT INTO users (username, password) VALUES ('fred', 'a'), ('FRED', 'b')")
        self.started()
        with self.assertRaises(No) as raised:
            await self.find("fred")
        self.assertEqual(raised.exception.code, UNAVAILABLE)

    async def test_logins_are_refused_while_it_is_away_and_go_on_when_it_is_back(self) -> None:
        assert self.database is not None
        self.directory.add("fred", "{PLAIN}x")
        self.started()
        self.assertIsNotNone(await self.find("fred"))
        self.database.stop()
        with self.assertRaises(No) as raised:
            await self.find("fred")
        self.assertEqual(raised.exception.code, UNAVAILABLE)
        with self.assertRaises(No):
            await self.find("fred")
        self.assertEqual([event for event in self.told() if "users" in event], ["users-away"])
        self.database.start()
        waiting = self.users._waiting
        assert waiting is not None
        found = None
        while found is None:
            promise: Deferred[None] = Deferred()
            waiting.later(0.05, lambda promise=promise: promise.callback(None))  # type: ignore[misc]
            await promise
            try:
                found = await self.find("fred")
            except No:
                continue
        self.assertEqual(
            [event for event in self.told() if "users" in event], ["users-away", "users-back"]
        )

    async def test_a_restart_of_the_database_is_not_noticed(self) -> None:
        """The connections of before are dead; the question is asked again on another."""
        assert self.database is not None
        self.directory.add("fred", "{PLAIN}x")
        self.started()
        self.assertIsNotNone(await self.find("fred"))
        self.database.stop()
        self.database.start()
        self.assertIsNotNone(await self.find("fred"))
        self.assertNotIn("users-away", self.told())

    async def test_questions_are_bounded(self) -> None:
        self.started()
        asked = [self.find("fred") for _ in range(1500)]
        refused = 0
        for question in asked:
            try:
                await question
            except No:
                refused += 1
        self.assertGreater(refused, 0)
        self.assertLess(refused, 1500)

    def test_a_directory_adds_changes_lists_and_deletes(self) -> None:
        self.assertEqual(self.directory.add("Fréd", "{PLAIN}x"), 1)
        with self.assertRaisesRegex(UsersRefused, "there is a user of that name"):
            self.directory.add("FRÉD", "{PLAIN}y")
        self.assertEqual(self.directory.set_password("fréd", "{PLAIN}z"), 1)
        self.assertEqual(
            [(u.id, u.name, u.scheme) for u in self.directory.users()], [(1, "fréd", "PLAIN")]
        )
        self.assertEqual(self.directory.delete("FRÉD"), 1)
        with self.assertRaisesRegex(UsersRefused, "no user of that name"):
            self.directory.delete("fréd")
        self.assertEqual(self.directory.add("frida", "{PLAIN}x"), 2)

    def test_the_table_of_the_original_gets_its_index(self) -> None:
        self.sql("DROP TABLE users")
        self.sql("CREATE TABLE users (id serial PRIMARY KEY, username text, password text)")
        self.directory.prepare()
        self.directory.prepare()
        with self.assertRaises(psycopg2.errors.UniqueViolation):
            self.sql("INSERT INTO users (username, password) VALUES ('a', 'x'), ('A', 'y')")

    def test_a_reload_keeps_the_pool_unless_the_settings_change(self) -> None:
        same = AuthPostgres(self.users.settings)
        other = open_postgres({**SETTINGS, "Port": 1})
        self.assertIs(self.users.reloaded(same), self.users)
        self.assertIs(self.users.reloaded(other), other)
