# SPDX-License-Identifier: GPL-3.0-or-later
"""
Users in a table of PostgreSQL, the adapter `AuthPostgres`.

    CREATE TABLE users (id serial PRIMARY KEY, username text, password text)

- The table is that of the original; `pluto user init-db` makes it, or the index that it lacks.
- A user is found by `lower(username)`, which must be the account's key: the name in lower case.
- Entries of passwords have the forms of `passwords.py`. A name that two rows have logs nobody in.
- While the database is away logins are refused with UNAVAILABLE, at once once that is known. It is
  asked again every `AWAY_SECONDS`, so nobody has to tell us when it is back.

The database is asked in threads of `twisted.enterprise.adbapi`, a connection each.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

import psycopg2
from twisted.enterprise import adbapi
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.python import threadable

from pluto_tw.auth.directory import Directory
from pluto_tw.auth.names import AccountKey, account_key
from pluto_tw.auth.passwords import PasswordHash, read_password
from pluto_tw.auth.postgres_directory import PostgresDirectory
from pluto_tw.auth.refusals import SettingsRefused
from pluto_tw.auth.users import User, UserAdapter
from pluto_tw.mail.codes import UNAVAILABLE
from pluto_tw.mail.errors import No
from pluto_tw.mail.waiting import Waiting

log = Logger()

#: Where PostgreSQL listens unless it was told otherwise.
PORT: Final = 5432

#: Connections to the database; each answers some thousand questions a second.
CONNECTIONS_MAX: Final = 4

#: Questions that wait or run; above it a database that has become slow fills no memory.
QUESTIONS_MAX: Final = 1000

#: The database's time to accept a connection, and to answer a question. Below the 60 s that a
#: client has to log in, with room for a second try.
CONNECT_SECONDS_MAX: Final = 5
ANSWER_SECONDS_MAX: Final = 5

#: After a failure nobody is made to wait for the next one for so long.
AWAY_SECONDS: Final = 2.0

#: Entries of passwords that stand in for those of unknown names, and how long they are the same.
STAND_INS: Final = 256
STAND_IN_SECONDS: Final = 600.0

#: Rows that a name may have before it is known that they are too many.
_ROWS: Final = 2

_FIND: Final = "SELECT id, username, password FROM users WHERE lower(username) = %s LIMIT %s"
_SAMPLE: Final = "SELECT password FROM users ORDER BY id LIMIT %s"
_WEAK: Final = """
    SELECT count(*) FILTER (WHERE password LIKE '{SHA512}%'),
           count(*) FILTER (WHERE password NOT LIKE '{%' OR password LIKE '{PLAIN}%')
    FROM users
"""


@dataclass(frozen=True, slots=True)
class PostgresSettings:
    """Where the database is, and who we are to it."""

    host: str
    port: int
    database: str
    user: str
    password: str = field(repr=False)
    use_tls: bool = True
    #: Who signed the database's certificate: then its name is checked too.
    root_cert: str | None = None

    def parameters(self) -> dict[str, Any]:
        """What `psycopg2.connect` is called with: no wait in it is without a limit."""
        encryption = "disable"
        if self.use_tls:
            encryption = "require" if self.root_cert is None else "verify-full"
        return {
            "host": self.host,
            "port": self.port,
            "dbname": self.database,
            "user": self.user,
            "password": self.password,
            "sslmode": encryption,
            **({} if self.root_cert is None else {"sslrootcert": self.root_cert}),
            "application_name": "pluto_tw",
            "connect_timeout": CONNECT_SECONDS_MAX,
            "options": f"-c statement_timeout={ANSWER_SECONDS_MAX * 1000}",
            # A database whose machine is gone without a word.
            "tcp_user_timeout": ANSWER_SECONDS_MAX * 1000,
            "keepalives_idle": 30,
            "keepalives_interval": 5,
            "keepalives_count": 3,
        }

    @classmethod
    def read(cls, settings: Mapping[str, Any]) -> "PostgresSettings":
        """The keys of the configuration's section. Raises `SettingsRefused`."""
        wanted = ("IP", "Database", "User", "Password")
        missing = [f"{key}: it is missing" for key in wanted if settings.get(key) is None]
        if missing:
            raise SettingsRefused(missing)
        root = settings.get("RootCertLoc")
        return cls(
            settings["IP"],
            settings.get("Port") or PORT,
            settings["Database"],
            settings["User"],
            settings["Password"],
            settings.get("UseTLS", True),
            None if root is None else str(root),
        )

    @property
    def place(self) -> str:
        """For people: never with the password."""
        return f"{self.user}@{self.host}:{self.port}/{self.database}"


def open_postgres(settings: Mapping[str, Any]) -> "AuthPostgres":
    """The adapter, by its section of the configuration. Raises `SettingsRefused`."""
    return AuthPostgres(PostgresSettings.read(settings))


class AuthPostgres:
    """The users in the database of *settings*; `start` comes before all else."""

    def __init__(self, settings: PostgresSettings) -> None:
        self.settings = settings
        self._pool: Any = None
        self._reactor: Any = None
        self._waiting: Waiting | None = None
        self._asked = 0
        self._away_until = 0.0
        self._is_away = False
        self._stand_ins: Sequence[PasswordHash] = ()
        self._stand_ins_until = 0.0

    # As `UserAdapter`.

    def load(self) -> Sequence[str]:
        """Reads nothing: the database is asked when somebody logs in."""
        return ()

    def start(self, reactor: Any, waiting: Waiting) -> None:
        """Opens the pool; that the database is away now is told in the log, and no failure."""
        self._waiting = waiting
        self._pool = adbapi.ConnectionPool(
            "psycopg2",
            **self.settings.parameters(),
            cp_reactor=reactor,
            cp_min=1,
            cp_max=CONNECTIONS_MAX,
        )
        self._reactor = reactor
        waiting.start(self._look())

    async def stop(self) -> None:
        """Closes all connections, after the questions that run."""
        if self._pool is not None:
            self._pool.close()
            self._pool = None

    def reloaded(self, new: UserAdapter) -> UserAdapter:
        """The same one, unless *new* has other settings."""
        if not isinstance(new, AuthPostgres) or new.settings != self.settings:
            return new
        self._stand_ins_until = 0.0
        return self

    def directory(self) -> Directory:
        """As `UserAdapter.directory`."""
        return PostgresDirectory(
            lambda: psycopg2.connect(**self.settings.parameters()), self.settings.place
        )

    # As `UserSource`.

    async def find(self, key: AccountKey) -> User | None:
        """As `UserSource.find`."""
        assert self._waiting is not None, "it has been started"
        if self._stand_ins_until <= self._waiting.seconds():
            await self._sample()
        rows = await self._ask(_FIND, (key, _ROWS))
        found = [row for row in rows if _is_key(row[1], key)]
        if len(found) > 1:
            log.error(
                "users {ids} of {place} have one name: none of them can log in until only one has",
                event="users-ambiguous",
                ids=[row[0] for row in found],
                place=self.settings.place,
            )
            raise No(UNAVAILABLE, "this account needs its operator")
        return self._user(*found[0], key=key) if found else None

    def stand_in(self, number: int) -> PasswordHash | None:
        """As `UserSource.stand_in`."""
        return self._stand_ins[number % len(self._stand_ins)] if self._stand_ins else None

    # Below.

    def _user(self, number: int, name: str, entry: str, *, key: AccountKey) -> User | None:
        try:
            return User(number, key, name, read_password(entry))
        except ValueError as error:
            log.error(
                "user {id} of {place} cannot log in: {reason}",
                event="user-entry",
                id=number,
                place=self.settings.place,
                reason=str(error),
            )
            return None

    async def _look(self) -> None:
        """Says in the log how the database looks at the start."""
        with suppress(No):
            [(unsalted, in_the_clear)] = await self._ask(_WEAK, None)
            for count, what in (
                (in_the_clear, "in the clear"),
                (unsalted, "hashes without salt ({SHA512})"),
            ):
                if count:
                    log.warn(
                        "{count} passwords in {place} are {what}: set them anew with "
                        "`pluto user passwd`",
                        event="weak-passwords",
                        count=count,
                        place=self.settings.place,
                        what=what,
                    )
            await self._sample()

    async def _sample(self) -> None:
        assert self._waiting is not None
        found = []
        for (entry,) in await self._ask(_SAMPLE, (STAND_INS,)):
            with suppress(ValueError, TypeError):
                found.append(read_password(entry))
        self._stand_ins = found
        self._stand_ins_until = self._waiting.seconds() + STAND_IN_SECONDS

    async def _ask(self, question: str, parameters: Sequence[object] | None) -> Sequence[Any]:
        """The rows of an answer. No(UNAVAILABLE) if there is none now."""
        waiting = self._waiting
        assert waiting is not None
        if self._pool is None or self._asked >= QUESTIONS_MAX:
            raise No(UNAVAILABLE, "too many logins at once, try again later")
        if waiting.seconds() < self._away_until:
            raise _unavailable()
        self._asked += 1
        try:
            rows: Sequence[Any] = await deferToThreadPool(
                self._reactor, self._pool.threadpool, _rows, self._pool, question, parameters
            )
        except psycopg2.Error as error:
            self._away_until = waiting.seconds() + AWAY_SECONDS
            if not self._is_away:
                self._is_away = True
                log.error(
                    "users cannot be looked up in {place}: {reason}. Logins are refused until "
                    "they can",
                    event="users-away",
                    place=self.settings.place,
                    reason=" ".join(str(error).split()),
                )
            raise _unavailable() from error
        finally:
            self._asked -= 1
        if self._is_away:
            self._is_away = False
            log.info("users of {place} are back", event="users-back", place=self.settings.place)
        return rows


def _rows(pool: Any, question: str, parameters: Sequence[object] | None) -> Sequence[Any]:
    """
    Asks on the connection of this thread, one of *pool*'s.

    A connection of before a restart of the database is dead, and nobody has told us: so after the
    first failure the question is asked on a new one. Raises `psycopg2.Error`.
    """
    is_new = threadable.getThreadID() not in pool.connections
    connection = pool.connect()
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(question, parameters)
            found: Sequence[Any] = cursor.fetchall()
            return found
    except (psycopg2.OperationalError, psycopg2.InterfaceError):
        pool.disconnect(connection)
        if is_new:
            raise
    return _rows(pool, question, parameters)


def _is_key(name: str, key: AccountKey) -> bool:
    try:
        return account_key(name) == key
    except ValueError:
        return False


def _unavailable() -> No:
    return No(UNAVAILABLE, "users cannot be looked up now, try again later")
