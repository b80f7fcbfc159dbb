# SPDX-License-Identifier: GPL-3.0-or-later
"""Changes a file of users (`users_file.py`): IDs are numbers of lines, which never change."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from pluto_tw.auth.directory import Listed, key_of
from pluto_tw.auth.refusals import UsersRefused
from pluto_tw.auth.users_file import read_file

#: What stands in the line of a user who was deleted: the IDs of the others do not change.
DELETED: Final = "#deleted"


class FileDirectory:
    """The users in the file *path*: a change replaces it as a whole, and is durable on return."""

    def __init__(self, path: Path, separator: str) -> None:
        self._path = path
        self._separator = separator

    def prepare(self) -> None:
        """As `Directory.prepare`."""
        if not self._path.exists():
            self._change(lambda lines: len(lines))

    def users(self) -> Sequence[Listed]:
        """As `Directory.users`."""
        users = read_file(self._path, self._separator)
        return [Listed(u.id, u.name, u.password.scheme) for u in users.in_order]

    def add(self, name: str, entry: str) -> int:
        """As `Directory.add`."""
        key = key_of(name)
        separator = self._separator
        if separator in name or name.startswith("#"):
            raise UsersRefused([f"a name in this file neither begins with # nor has {separator!r}"])
        if self._path.exists() and key in read_file(self._path, separator).by_key:
            raise UsersRefused([f"there is a user of that name: {name}"])

        def added(lines: list[str]) -> int:
            if lines and not lines[-1]:
                lines.pop()
            lines += [f"{name}{separator}{entry}", ""]
            return len(lines) - 1

        return self._change(added)

    def set_password(self, name: str, entry: str) -> int:
        """As `Directory.set_password`."""
        number, spelled = self._line(name)

        def changed(lines: list[str]) -> int:
            lines[number - 1] = f"{spelled}{self._separator}{entry}"
            return number

        return self._change(changed)

    def delete(self, name: str) -> int:
        """As `Directory.delete`."""
        number, _ = self._line(name)

        def changed(lines: list[str]) -> int:
            lines[number - 1] = DELETED
            return number

        return self._change(changed)

    def _line(self, name: str) -> tuple[int, str]:
        user = read_file(self._path, self._separator).by_key.get(key_of(name))
        if user is None:
            raise UsersRefused([f"there is no user of that name: {name}"])
        return user.id, user.name

    def _change(self, change: Callable[[list[str]], int]) -> int:
        path = self._path.resolve()
        try:
            octets = path.read_bytes() if path.exists() else b""
            lines = octets.decode("utf-8").split("\n")
            number = change(lines)
            _replace(path, "\n".join(lines).encode("utf-8"))
        except OSError as error:
            raise UsersRefused([f"{path}: {error.strerror or error}"]) from None
        return number


def _replace(path: Path, octets: bytes) -> None:
    """Writes *path* as a whole or not at all, with the owner and mode that it had, else 0600."""
    new = path.with_name(f".{path.name}.new")
    before = path.stat() if path.exists() else None
    new.unlink(missing_ok=True)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with open(descriptor, "wb") as file:
        if before is not None:
            if (before.st_uid, before.st_gid) != (os.geteuid(), os.getegid()):
                os.fchown(descriptor, before.st_uid, before.st_gid)
            os.fchmod(descriptor, before.st_mode & 0o777)
        file.write(octets)
        file.flush()
        os.fsync(descriptor)
    new.replace(path)
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
