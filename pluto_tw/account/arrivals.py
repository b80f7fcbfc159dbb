# SPDX-License-Identifier: GPL-3.0-or-later
"""
Which link is bringing which body to a shard: so that each is fetched once.

How a link brings it is `incoming.py`'s. A claim ends with the body, with its link, when the link
falls silent, and after a while in any case: then another link fetches the body.
"""

from collections.abc import Iterable
from functools import partial
from typing import Final, Protocol

from pluto_tw.account.bodies import Bodies
from pluto_tw.mail.waiting import Promise, Waiting

#: A body that was not brought within this time, by a link that brings others, is fetched from
#: elsewhere: longer than any queue before it should be.
CLAIM_SECONDS_MAX: Final = 600.0

#: Who waits for others to bring a body looks again after this long: links fall silent unnoticed.
LOOK_SECONDS: Final = 10.0


class Bringer(Protocol):
    """A link that bodies come over."""

    @property
    def is_active(self) -> bool:
        """Whether it still brings what it was asked for."""


class Arrivals:
    """Who brings which body to the shard of *bodies*."""

    def __init__(self, bodies: Bodies) -> None:
        self.bodies = bodies
        self._waiting: Waiting = bodies.shard.waiting
        self._claims: dict[bytes, tuple[Bringer, float]] = {}
        self._waiters: list[Promise[None]] = []

    def claim(self, hash: bytes, link: Bringer) -> bool:
        """Whether *link* is to bring the body; False if another link is about to."""
        if self.is_coming(hash, link):
            return False
        self._claims[hash] = link, self._waiting.seconds()
        return True

    def is_coming(self, hash: bytes, link: Bringer) -> bool:
        """Whether another link than *link* brings the body."""
        other, since = self._claims.get(hash, (link, 0.0))
        if other is link or not other.is_active:
            return False
        return self._waiting.seconds() - since < CLAIM_SECONDS_MAX

    def end_claim(self, hash: bytes, link: Bringer) -> None:
        """The body has come over *link*, or will not."""
        if hash in self._claims and self._claims[hash][0] is link:
            del self._claims[hash]
            waiters, self._waiters = self._waiters, []
            for waiter in waiters:
                waiter.fire(None)

    def end_claims(self, link: Bringer) -> None:
        """*link* brings nothing any more."""
        for hash in [hash for hash, (other, _) in self._claims.items() if other is link]:
            self.end_claim(hash, link)

    async def settled(self, hashes: Iterable[bytes], link: Bringer) -> None:
        """Returns when no other link brings any of *hashes*."""
        wanted = list(hashes)
        while any(self.is_coming(hash, link) for hash in wanted):
            waiter: Promise[None] = self._waiting.promise()
            self._waiters.append(waiter)
            cancel = self._waiting.later(LOOK_SECONDS, partial(self._wake, waiter))
            await waiter
            cancel()
            # Those that were woken go on before any of them begins to wait again.
            await self._waiting.pause()

    def _wake(self, waiter: Promise[None]) -> None:
        if waiter in self._waiters:
            self._waiters.remove(waiter)
            waiter.fire(None)
