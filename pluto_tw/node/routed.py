# SPDX-License-Identifier: GPL-3.0-or-later
"""Counts of where a distributor's logins went."""

from pluto_tw.net.upstream import Setback


class Routed:
    """`LinkObserver`: what became of logins, for metrics; only ever added to."""

    def __init__(self) -> None:
        self.taken_by: dict[tuple[str, ...], float] = {}
        self.failures: dict[tuple[str, ...], float] = {}
        self.exhaustions = 0

    def taken(self, replica: str, seconds: float, place: int) -> None:
        """As `LinkObserver.taken`."""
        key = (replica, str(place))
        self.taken_by[key] = self.taken_by.get(key, 0) + 1

    def failed(self, replica: str, setback: Setback) -> None:
        """As `LinkObserver.failed`."""
        key = (replica, setback.value)
        self.failures[key] = self.failures.get(key, 0) + 1

    def exhausted(self) -> None:
        """As `LinkObserver.exhausted`."""
        self.exhaustions += 1
