# SPDX-License-Identifier: GPL-3.0-or-later
"""Why users cannot be read or kept; the texts are for who runs the node."""

from collections.abc import Sequence


class UsersRefused(Exception):
    """Users cannot be read; *problems* say why, each naming its place."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = tuple(problems)


class SettingsRefused(Exception):
    """An adapter cannot be opened so; each of *problems* is `Key: what is expected`."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = tuple(problems)
