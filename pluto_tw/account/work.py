# SPDX-License-Identifier: GPL-3.0-or-later
"""
A piece of work for a shard: prepared SQL that is done as a whole or not at all.

Built on the event loop's thread, where all is computed, and done on the writer's, where nothing
is. What was given to it must not change afterwards.
"""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

#: What SQLite stores. A `memoryview` is stored as the octets that it shows.
Value = int | float | str | bytes | memoryview | None

#: The parameters of one statement, by place or by name.
Row = Sequence[Value] | Mapping[str, Value]

#: What a row weighs in a queue beside the large values in it: its tuple, its numbers, its share
#: of the statement.
ROW_OCTETS: Final = 256


class Statement(NamedTuple):
    """One SQL text, done once for each row of parameters; it returns nothing."""

    sql: str
    rows: Sequence[Row]


class Work:
    """
    Statements of one account, in order.

    `octets` is about what they hold in memory, so that a queue of them can be bounded.
    """

    __slots__ = ("octets", "statements")

    def __init__(self) -> None:
        self.statements: list[Statement] = []
        self.octets = 0

    def add(self, sql: str, row: Row = (), octets: int = 0) -> None:
        """One statement; *octets* are those of large values in *row*."""
        self.statements.append(Statement(sql, (row,)))
        self.octets += ROW_OCTETS + octets

    def add_rows(self, sql: str, rows: Sequence[Row], octets: int = 0) -> None:
        """One statement for each of *rows*, which may be none; much cheaper than one `add` each."""
        if rows:
            self.statements.append(Statement(sql, rows))
            self.octets += ROW_OCTETS * len(rows) + octets

    def extend(self, other: "Work") -> None:
        """All of *other* after what is here."""
        self.statements += other.statements
        self.octets += other.octets
