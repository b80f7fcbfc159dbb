# SPDX-License-Identifier: GPL-3.0-or-later
"""
Numbers of rows, given out in the process that writes a shard, before the rows are written.

They ascend, and none is given twice while the process lives, whatever becomes of the rows.
"""

from pluto_tw.account.shard import Shard


class Numbers:
    """The numbers of *shard*, which is open. Raises `ShardFailed`."""

    def __init__(self, shard: Shard) -> None:
        self._account = _last(shard, "SELECT max(id) FROM account")
        self._box = _last(shard, "SELECT max(id) FROM box")
        self._view = _last(shard, "SELECT max(id) FROM view")
        self._position = _last(shard, "SELECT max(position) FROM account")
        self._message = _last(shard, "SELECT max(id) FROM message")

    def next_account(self) -> int:
        """For a row of `account`."""
        self._account += 1
        return self._account

    def next_box(self) -> int:
        """For a row of `box`."""
        self._box += 1
        return self._box

    def next_view(self) -> int:
        """For a row of `view`."""
        self._view += 1
        return self._view

    def next_position(self) -> int:
        """For `account.position`: which account of the shard changed last."""
        self._position += 1
        return self._position

    def next_message(self) -> int:
        """For a row of `message` and `placement`."""
        self._message += 1
        return self._message


def _last(shard: Shard, query: str) -> int:
    ((number,),) = shard.read(query)
    return 0 if number is None else int(number)
