# SPDX-License-Identifier: GPL-3.0-or-later
"""
Changing users where they are kept: what `pluto user` asks of an adapter.

Nothing of it runs in a node. A node reads a file again when it is told to (SIGHUP), and asks a
database at each login.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from pluto_tw.auth.names import AccountKey, account_key
from pluto_tw.auth.refusals import UsersRefused


@dataclass(frozen=True, slots=True)
class Listed:
    """A user, without the password; *scheme* is None where the entry cannot be read."""

    id: int
    name: str
    scheme: str | None


class Directory(Protocol):
    """Users that can be changed. All methods raise `UsersRefused`."""

    def prepare(self) -> None:
        """Makes what users are kept in, or what it lacks; what is there stays."""

    def users(self) -> Sequence[Listed]:
        """All users, by their IDs."""

    def add(self, name: str, entry: str) -> int:
        """Adds a user whose password is kept as *entry*; gives the ID."""

    def set_password(self, name: str, entry: str) -> int:
        """Keeps *entry* as the password of *name* from now on; gives the ID."""

    def delete(self, name: str) -> int:
        """Deletes a user; the mail stays. Gives the ID, which no other user gets."""


def key_of(name: str) -> AccountKey:
    """The key of *name*, a person's. Raises `UsersRefused`."""
    try:
        return account_key(name)
    except ValueError as error:
        raise UsersRefused([str(error)]) from None
