# SPDX-License-Identifier: GPL-3.0-or-later
"""
The form of a file of users: a name, a separator and a password in each line.

    username1;secret1
    # a comment
    username2;{ARGON2ID}$argon2id$v=19$m=65536,t=3,p=4$...

- A user's ID is the number of the line, counted from 1, for ever. Comments and blank lines count,
  so a user is removed by making the line a comment (`#deleted`), and added at the end.
- The name ends at the first separator; all behind it is the password, spaces included.
- UTF-8, with or without a byte order mark; lines end in LF or CRLF.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pluto_tw.auth.names import AccountKey, account_key
from pluto_tw.auth.passwords import read_password
from pluto_tw.auth.refusals import UsersRefused
from pluto_tw.auth.users import User

#: What stands between name and password, unless the configuration says otherwise.
SEPARATOR: Final = ";"

#: Of what is wrong with a file so many lines are told: a wrong separator makes all of them wrong.
PROBLEMS_TOLD_MAX: Final = 20

#: A file of 100,000 users with Argon2 hashes has 14 MB. It is held in memory, twice at a reload.
FILE_OCTETS_MAX: Final = 128 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Users:
    """What a file said."""

    by_key: Mapping[AccountKey, User]
    #: In the order of the lines.
    in_order: Sequence[User]

    @property
    def warnings(self) -> list[str]:
        """What people should know of how passwords are kept."""
        count = len(self.in_order)
        schemes = Counter(user.password.scheme for user in self.in_order)
        return [
            f"{schemes[scheme]} of {count} passwords are {what}"
            for scheme, what in (
                ("PLAIN", "in the clear: keep hashes instead"),
                ("SHA512", "hashes without salt: set them anew"),
            )
            if schemes[scheme]
        ]


def read_users(octets: bytes, separator: str) -> Users:
    """The users that *octets* name. Raises `UsersRefused`."""
    assert separator, "a line is cut at something"
    try:
        text = octets.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        number = octets.count(b"\n", 0, error.start) + 1
        raise UsersRefused([f"line {number}: not UTF-8"]) from None
    by_key: dict[AccountKey, User] = {}
    problems: list[str] = []
    # Not `splitlines`: it ends lines at more than LF, and the numbers of all that follow shift.
    for number, ended in enumerate(text.split("\n"), 1):
        line = ended.removesuffix("\r")
        if not line.strip() or line.startswith("#"):
            continue
        try:
            user = _read_user(number, line, separator)
        except ValueError as error:
            problems.append(f"line {number}: {error}")
            continue
        earlier = by_key.setdefault(user.key, user)
        if earlier is not user:
            problems.append(f"line {number}: the same user as in line {earlier.id}")
    if problems:
        more = len(problems) - PROBLEMS_TOLD_MAX
        told = problems[:PROBLEMS_TOLD_MAX]
        raise UsersRefused([*told, f"and {more} lines more"] if more > 0 else told)
    return Users(by_key, tuple(by_key.values()))


def _read_user(number: int, line: str, separator: str) -> User:
    name, found, password = line.partition(separator)
    if not found:
        raise ValueError(f"no separator {separator!r}")
    if not password:
        raise ValueError("no password")
    return User(number, account_key(name), name, read_password(password))


def read_file(path: Path, separator: str) -> Users:
    """The users that the file *path* names. Raises `UsersRefused`."""
    try:
        with path.open("rb") as file:
            octets = file.read(FILE_OCTETS_MAX + 1)
    except OSError as error:
        raise UsersRefused([error.strerror or str(error)]) from None
    if len(octets) > FILE_OCTETS_MAX:
        raise UsersRefused([f"more than {FILE_OCTETS_MAX} octets"])
    return read_users(octets, separator)
