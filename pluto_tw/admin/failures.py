# SPDX-License-Identifier: GPL-3.0-or-later
"""Why a command of `pluto` cannot go on."""


class CommandFailed(Exception):
    """
    The command ends here; its text is for people, and says what to do.

    *status* is that of the process: 2 unless a command gives its statuses another meaning.
    """

    def __init__(self, text: str, status: int = 2) -> None:
        super().__init__(text)
        self.status = status
