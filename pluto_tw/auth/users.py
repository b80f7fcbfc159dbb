# SPDX-License-Identifier: GPL-3.0-or-later
"""What is known of a user before the login, and what is asked of wherever users are kept."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from pluto_tw.auth.directory import Directory
from pluto_tw.auth.names import AccountKey
from pluto_tw.auth.passwords import PasswordHash
from pluto_tw.mail.waiting import Waiting


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


class UserAdapter(UserSource, Protocol):
    """A `UserSource` with a life: `load`, then `start`, at last `stop`."""

    def load(self) -> Sequence[str]:
        """
        Reads what is read once: at the start, and at each reload. Blocks shortly.

        Gives warnings for people. Raises `UsersRefused`, and then nothing has changed.
        """

    def start(self, reactor: Any, waiting: Waiting) -> None:
        """Called once, when the reactor runs and all of its time and threads may be used."""

    async def stop(self) -> None:
        """Lets go of everything; called once."""

    def directory(self) -> Directory:
        """
        What changes the users, from the command line; works without `start`.

        Raises `UsersRefused` if they are changed by other means only.
        """

    def reloaded(self, new: "UserAdapter") -> "UserAdapter":
        """
        Which one to use after a reload that has opened and loaded *new* in its place.

        If that is *new*, it is started, and this one stopped.
        """


class Adapter(Protocol):
    """What an entry point of the group `pluto_tw.auth` leads to."""

    def __call__(self, settings: Mapping[str, Any]) -> UserAdapter:
        """
        Users as the section of the configuration that has the adapter's name says.

        Raises `SettingsRefused`.
        """
