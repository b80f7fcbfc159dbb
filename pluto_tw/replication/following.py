# SPDX-License-Identifier: GPL-3.0-or-later
"""
The sequencer follows the writing.

Who gives UIDs without asking anybody answers APPEND at once; all others wait a round trip. So the
sequencer of an account hands over when one other member has written `OPERATIONS` operations in a
row: with no command here, and nothing from a third member, in between. Who writes from two sites by
turns leaves it where it is. Nothing depends on this but time: docs/spec/replication.md.

No I/O here; `Following` counts, and says who is to be the next one.
"""

from dataclasses import dataclass
from typing import Final

#: Operations in a row after which the sequencer goes to their writer. A mail program that is
#: started at another site writes some (\\Seen, a draft) without settling there; a person's
#: morning has more.
OPERATIONS: Final = 16

#: Accounts that are counted, 200 octets each; of more the one that was quiet longest begins anew.
ACCOUNTS_MAX: Final = 10_000


@dataclass(slots=True)
class _Writer:
    slot: int
    operations: int
    commands: int


class Following:
    """Who wrote last to the accounts of a store, and how much in a row."""

    def __init__(self) -> None:
        self._writers: dict[bytes, _Writer] = {}

    def wrote(self, identity: bytes, slot: int, operations: int, commands: int) -> bool:
        """
        The member *slot* has written; *commands*: how many commands were given here so far.

        Whether it is to be the sequencer now.
        """
        writer = self._writers.pop(identity, None)
        if writer is None or (writer.slot, writer.commands) != (slot, commands):
            writer = _Writer(slot, 0, commands)
        writer.operations += operations
        if writer.operations >= OPERATIONS:
            return True
        self._writers[identity] = writer
        if len(self._writers) > ACCOUNTS_MAX:
            del self._writers[next(iter(self._writers))]
        return False
