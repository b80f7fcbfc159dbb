# SPDX-License-Identifier: GPL-3.0-or-later
"""Changes the users in a table of PostgreSQL (`postgres.py`), from the command line."""

from collections.abc import Callable, Sequence
from contextlib import closing
from typing import Any, Final

import psycopg2

from pluto_tw.auth.directory import Listed, key_of
from pluto_tw.auth.passwords import read_password
from pluto_tw.auth.refusals import UsersRefused

#: The original's table, and an index without which each login reads all of it.
_TABLE: Final = (
    """
    CREATE TABLE IF NOT EXISTS users (
        id          serial PRIMARY KEY,
        username    text NOT NULL,
        password    text NOT NULL
    )
    """,
    "CREATE UNIQUE INDEX IF NOT EXISTS users_by_name ON users (lower(username))",
)


class PostgresDirectory:
    """
    The users in a database that *connect* opens, a connection for each change.

    Names are written as their keys, in lower case: `lower` of a database leaves letters alone that
    its locale does not know.
    """

    def __init__(self, connect: Callable[[], Any], place: str) -> None:
        self._connect = connect
        self._place = place

    def prepare(self) -> None:
        """As `Directory.prepare`: the table, and the index by name."""
        for statement in _TABLE:
            self._ask(statement, ())

    def users(self) -> Sequence[Listed]:
        """As `Directory.users`."""
        rows = self._ask("SELECT id, username, password FROM users ORDER BY id", ())
        return [Listed(number, name, _scheme(entry)) for number, name, entry in rows]

    def add(self, name: str, entry: str) -> int:
        """As `Directory.add`."""
        key = key_of(name)
        if self._ask("SELECT 1 FROM users WHERE lower(username) = %s", (key,)):
            raise UsersRefused([f"there is a user of that name: {name}"])
        [(number,)] = self._ask(
            "INSERT INTO users (username, password) VALUES (%s, %s) RETURNING id", (key, entry)
        )
        return int(number)

    def set_password(self, name: str, entry: str) -> int:
        """As `Directory.set_password`."""
        return self._one(
            name,
            "UPDATE users SET password = %s WHERE lower(username) = %s RETURNING id",
            (entry, key_of(name)),
        )

    def delete(self, name: str) -> int:
        """As `Directory.delete`."""
        return self._one(
            name, "DELETE FROM users WHERE lower(username) = %s RETURNING id", (key_of(name),)
        )

    def _one(self, name: str, statement: str, parameters: Sequence[object]) -> int:
        rows = self._ask(statement, parameters)
        if not rows:
            raise UsersRefused([f"there is no user of that name: {name}"])
        return int(rows[0][0])

    def _ask(self, statement: str, parameters: Sequence[object]) -> Sequence[Any]:
        try:
            with closing(self._connect()) as connection, connection, connection.cursor() as cursor:
                cursor.execute(statement, parameters)
                return [] if cursor.description is None else cursor.fetchall()
        except psycopg2.Error as error:
            raise UsersRefused([f"{self._place}: {' '.join(str(error).split())}"]) from None


def _scheme(entry: str) -> str | None:
    try:
        return read_password(entry).scheme
    except ValueError:
        return None
