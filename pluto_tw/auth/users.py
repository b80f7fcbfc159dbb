# SPDX-License-Identifier: GPL-3.0-or-later
"""What is known of a user before the login, and what is asked of wherever users are kept."""

from dataclasses import dataclass
from typing import Protocol

from pluto_tw.auth.names import AccountKey
from pluto_tw.auth.passwords import PasswordHash


@dataclass(frozen=True, slots=True)
class User:
    """Somebody who may log in."""

    #: The number that ranges of the configuration speak of; never another user's.
    id: int
    key: AccountKey
    #: As whoever wrote it down spelled it.
    name: str
    password: PasswordHash


class UserSource(Protocol):
    """Where users are kept: an adapter, as the configuration calls it."""

    async def find(self, key: AccountKey) -> User | None:
        """The user with *key*. No(UNAVAILABLE) if nobody can know now."""

    def stand_in(self, number: int) -> PasswordHash | None:
        """
        The password of some user, the same for the same *number* as long as users are the same.

        Checked in place of that of a name which nobody has, so that the answer takes as long. None
        if there are no users.
        """
