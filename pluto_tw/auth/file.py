# SPDX-License-Identifier: GPL-3.0-or-later
"""
Users in a text file (`users_file.py`), the adapter `AuthFile`.

The file is read at the start and when its owner says so, as a whole or not at all.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pluto_tw.auth.directory import Directory
from pluto_tw.auth.file_directory import FileDirectory
from pluto_tw.auth.names import AccountKey
from pluto_tw.auth.passwords import PasswordHash
from pluto_tw.auth.refusals import SettingsRefused
from pluto_tw.auth.users import User, UserAdapter
from pluto_tw.auth.users_file import SEPARATOR, Users, read_file
from pluto_tw.mail.waiting import Waiting


def open_file(settings: Mapping[str, Any]) -> "AuthFile":
    """The adapter, by its section of the configuration. Raises `SettingsRefused`."""
    if settings.get("File") is None:
        raise SettingsRefused(["File: it is missing"])
    return AuthFile(Path(settings["File"]), settings.get("Separator") or SEPARATOR)


class AuthFile:
    """The users in the file *path*; `load` comes before all else."""

    def __init__(self, path: Path, separator: str) -> None:
        self.path = path
        self.separator = separator
        self.users = Users({}, ())

    def load(self) -> Sequence[str]:
        """As `UserAdapter.load`."""
        self.users = read_file(self.path, self.separator)
        return [f"{self.path}: {warning}" for warning in self.users.warnings]

    def start(self, reactor: Any, waiting: Waiting) -> None:
        """Nothing is left to do after `load`."""

    async def stop(self) -> None:
        """Nothing is held."""

    def directory(self) -> Directory:
        """As `UserAdapter.directory`."""
        return FileDirectory(self.path, self.separator)

    def reloaded(self, new: UserAdapter) -> UserAdapter:
        """What was read anew."""
        return new

    async def find(self, key: AccountKey) -> User | None:
        """As `UserSource.find`; never waits."""
        return self.users.by_key.get(key)

    def stand_in(self, number: int) -> PasswordHash | None:
        """As `UserSource.stand_in`."""
        users = self.users.in_order
        return users[number % len(users)].password if users else None
