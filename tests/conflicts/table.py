# SPDX-License-Identifier: GPL-3.0-or-later
"""
The table of conflicts: each pair of commands that two sites can do while they are cut off.

`row.py` has what a row is, `messages.py`, `mailboxes.py` and `names.py` the rows. `test_table.py`
holds them to the rules; `page.py` makes docs/reference/conflicts.md of them.
"""

from itertools import combinations_with_replacement
from typing import Final

from tests.conflicts import mailboxes, messages, names
from tests.conflicts.row import COMMANDS

#: Every pair of commands, in the order of the table.
PAIRS: Final = tuple(combinations_with_replacement(COMMANDS, 2))

_ROWS: Final = (
    *messages.APPENDS,
    *messages.COPIES,
    *messages.MOVES,
    *messages.STORES,
    *messages.EXPUNGES,
    *mailboxes.CREATES,
    *mailboxes.DELETES,
    *names.RENAMES,
    *names.SUBSCRIPTIONS,
)

#: The rows, by pair.
TABLE: Final = tuple(sorted(_ROWS, key=lambda row: PAIRS.index(row.pair)))
