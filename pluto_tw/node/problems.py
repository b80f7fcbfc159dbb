# SPDX-License-Identifier: GPL-3.0-or-later
"""
What is wrong with a configuration and the files that it names: found all, and told all at once.

Who starts a node mends a list, not one mistake after the other.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

#: A value is shown up to here; somebody may have put a certificate where its path belongs.
VALUE_CHARACTERS_MAX: Final = 80


@dataclass(slots=True)
class Problems:
    """*errors* forbid a start; *warnings* are told in the log. Each is one line."""

    errors: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def wrong(self, file: object, key: str, value: object, expected: str) -> None:
        """*value* of *key* in *file* is not what is *expected*."""
        shown = repr(value)
        if len(shown) > VALUE_CHARACTERS_MAX:
            shown = shown[:VALUE_CHARACTERS_MAX] + "..."
        self.errors.append(f"{file}: {key} is {shown}: expected {expected}")

    def missing(self, file: object, key: str, expected: str) -> None:
        """*key* is not in *file*, and is needed."""
        self.errors.append(f"{file}: {key} is missing: expected {expected}")

    def unusable(self, file: object, reasons: Sequence[str]) -> None:
        """*file*, which the configuration names, cannot be used."""
        self.errors += [f"{file}: {reason}" for reason in reasons]

    def warn(self, file: object, key: str, text: str) -> None:
        """*key* in *file* is not as it seems to be meant."""
        self.warnings.append(f"{file}: {key}: {text}")

    def refuse(self) -> None:
        """Raises `ConfigurationRefused` if there are errors."""
        if self.errors:
            raise ConfigurationRefused(self.errors)


class ConfigurationRefused(Exception):
    """A node cannot start so; *errors* say why, one line each."""

    def __init__(self, errors: Sequence[str]) -> None:
        super().__init__("\n".join(errors))
        self.errors = tuple(errors)
