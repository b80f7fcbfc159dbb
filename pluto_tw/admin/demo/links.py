# SPDX-License-Identifier: GPL-3.0-or-later
"""
The links between nodes, as one sees them who may pull the plugs: whole or cut, slow or fast.

Decides when octets that enter a link leave it; who carries them is `relay.py`. A link has two
lanes, one each way, with the link's delay and rate; all connections of a lane share it, first come,
first served. Time is asked of a clock that is passed in.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Final

#: Longer delays are rather cuts; and a number of another unit is told at once.
DELAY_SECONDS_MAX: Final = 60.0

#: Slower than this, a TLS handshake takes longer than any node waits.
RATE_MIN: Final = 100


class Link:
    """What lies between two nodes. *seconds* is a clock that never goes back."""

    def __init__(self, ends: tuple[str, str], seconds: Callable[[], float]) -> None:
        self.ends = ends
        self._seconds = seconds
        self.cut = False
        #: Each way, in seconds.
        self.delay = 0.0
        #: Each way, in octets a second.
        self.rate: float | None = None
        self._lanes = {ends: Lane(self), (ends[1], ends[0]): Lane(self)}
        self._watching: set[Callable[[], None]] = set()

    @property
    def connections(self) -> int:
        """How many go through it now, held ones included."""
        return len(self._watching)

    def lane(self, source: str, target: str) -> "Lane":
        """The way from *source* to *target*."""
        return self._lanes[source, target]

    def change(
        self,
        *,
        cut: bool | None = None,
        delay: float | None = None,
        rate: float | None = None,
    ) -> None:
        """Changes what is given, and tells all connections. A *rate* of 0 is none."""
        if cut is not None:
            self.cut = cut
        if delay is not None:
            self.delay = delay
        if rate is not None:
            self.rate = rate or None
        for lane in self._lanes.values():
            lane.forget()
        for told in list(self._watching):
            told()

    def watch(self, changed: Callable[[], None]) -> None:
        """Has *changed* called after each change."""
        self._watching.add(changed)

    def unwatch(self, changed: Callable[[], None]) -> None:
        """Ends `watch`."""
        self._watching.discard(changed)

    def seconds(self) -> float:
        """The time."""
        return self._seconds()


class Lane:
    """One way of a *link*."""

    def __init__(self, link: Link) -> None:
        self.link = link
        self._free_at = 0.0

    def due(self, octets: int) -> float:
        """When *octets* that enter now have left at the other end."""
        now = self.link.seconds()
        if self.link.rate is None:
            return now + self.link.delay
        self._free_at = max(now, self._free_at) + octets / self.link.rate
        return self._free_at + self.link.delay

    def forget(self) -> None:
        """What has entered under another rate takes no time of what comes now."""
        self._free_at = 0.0


class Links:
    """
    The links between all pairs of *nodes* that have one; *places* names groups of nodes, such as
    regions.
    """

    def __init__(
        self,
        places: Mapping[str, tuple[str, ...]],
        pairs: Iterable[tuple[str, str]],
        seconds: Callable[[], float],
    ) -> None:
        self._places = places
        self._links: dict[frozenset[str], Link] = {}
        for one, other in pairs:
            self._links.setdefault(frozenset((one, other)), Link((one, other), seconds))

    def of(self, one: str, other: str) -> Link:
        """The link between the nodes *one* and *other*."""
        return self._links[frozenset((one, other))]

    def all(self) -> list[Link]:
        """All links, in their order."""
        return list(self._links.values())

    def named(self, names: list[str]) -> list[Link]:
        """
        The links that *names* mean: none, all; one, all of that place or node; two, those between.

        ValueError says which names there are.
        """
        if len(names) > 2:
            raise ValueError("expected at most two names: the ends of a link")
        groups = [self._nodes(name) for name in names]
        found = [link for link in self.all() if _between(link, groups)]
        if not found:
            raise ValueError(f"there is no link between {' and '.join(names)}")
        return found

    def _nodes(self, name: str) -> tuple[str, ...]:
        known = {**{node: (node,) for link in self.all() for node in link.ends}, **self._places}
        try:
            return known[name]
        except KeyError:
            raise ValueError(f"{name!r} is none of: {', '.join(sorted(known))}") from None


def _between(link: Link, groups: list[tuple[str, ...]]) -> bool:
    one, other = link.ends
    match groups:
        case []:
            return True
        case [group]:
            return one in group or other in group
        case [group, against]:
            return (one in group and other in against) or (other in group and one in against)
        case _:
            return False
