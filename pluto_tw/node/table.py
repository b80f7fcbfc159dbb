# SPDX-License-Identifier: GPL-3.0-or-later
"""
One table of the configuration's file, read key by key; what was not read is told of.

A value that is not as its kind expects is a problem, and the key's default stands in for it, so
that reading goes on and finds the others.
"""

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar, cast

from pluto_tw.node.keys import Key
from pluto_tw.node.problems import Problems
from pluto_tw.node.sections import Section

T = TypeVar("T")


class Table:
    """*content* of the table *path* in *file*, which is one of *section*."""

    def __init__(
        self,
        problems: Problems,
        file: Path,
        path: str,
        section: Section,
        content: Mapping[str, Any],
    ) -> None:
        self.path = path
        self.file = file
        self.problems = problems
        self._section = section
        self._content = content
        self._read: set[str] = set()

    def key(self, key: Key[Any] | str) -> str:
        """The full name of *key* here, for messages."""
        name = key if isinstance(key, str) else key.name
        return f"{self.path}.{name}" if self.path else name

    def take(self, key: Key[T]) -> T:
        """The value of *key*. Paths that are not absolute begin at the file's directory."""
        assert key in self._section.keys, "a key is documented with its section"
        return self.take_named(key.name, key)

    def take_named(self, name: str, key: Key[T]) -> T:
        """As `take`, where *key* stands for names of one's own, one of which is *name*."""
        self._read.add(name)
        if name not in self._content:
            return key.default
        given = self._content[name]
        try:
            value = key.kind.read(given)
        except (TypeError, ValueError):
            shown = "..." if key.secret else given
            self.problems.wrong(self.file, self.key(name), shown, key.kind.expected)
            return key.default
        if isinstance(value, Path):
            value = self.file.parent / value
        return cast(T, value)

    def is_written(self, key: Key[Any] | str) -> bool:
        """Whether *key* is there, whatever its value."""
        return (key if isinstance(key, str) else key.name) in self._content

    def need(self, key: Key[T], value: T) -> None:
        """A problem if *value*, which was taken for *key*, is not there."""
        if value is None and not self.is_written(key):
            self.problems.missing(self.file, self.key(key), key.kind.expected)

    def wrong(self, key: Key[Any], expected: str) -> None:
        """The value of *key* does not fit the others."""
        self.problems.wrong(self.file, self.key(key), self._content.get(key.name), expected)

    def table(self, name: str, section: Section) -> "Table | None":
        """The table *name* in this one; None if it is not there."""
        self._read.add(name)
        content = self._content.get(name)
        if content is None:
            return None
        if not isinstance(content, dict):
            self.problems.wrong(self.file, self.key(name), content, f"a table [{self.key(name)}]")
            return None
        return Table(self.problems, self.file, self.key(name), section, content)

    def foreign(self, name: str) -> dict[str, Any] | None:
        """The table *name*, whose keys are not ours to judge; None if there is none."""
        self._read.add(name)
        content = self._content.get(name)
        return dict(content) if isinstance(content, dict) else None

    def names(self) -> list[str]:
        """All keys that are written here, where they are names of one's own."""
        return list(self._content)

    def finish(self) -> None:
        """Warns of each key that means nothing."""
        lost = {key.name: key for key in self._section.keys if key.lost}
        known = [key.name for key in self._section.keys] + sorted(self._read)
        for name in self._content:
            if name in lost:
                meaning = lost[name].meaning
                self.problems.warn(self.file, self.key(name), f"it has no meaning here: {meaning}")
            elif name not in self._read:
                close = difflib.get_close_matches(name, known, 1)
                advice = f"; is it {close[0]}?" if close else ""
                self.problems.warn(self.file, self.key(name), f"it is not known{advice}")
