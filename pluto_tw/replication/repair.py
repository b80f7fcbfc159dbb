# SPDX-License-Identifier: GPL-3.0-or-later
"""
Bodies that this replica had to do without, or found damaged, fetched from a peer that has them.

One at a time, in the background, when a link to a peer begins and each hour; and at once when
another peer has called a body lost that an operation needs (`seek`). What the peer does not have
whole either is left as it is; another peer is asked in its turn.
"""

from collections.abc import Callable
from typing import Final

from twisted.logger import Logger

from pluto_tw.account.incoming import BodyLink, Incoming
from pluto_tw.account.store import Store
from pluto_tw.mail.errors import No
from pluto_tw.mail.waiting import Waiting
from pluto_tw.replication import messages
from pluto_tw.replication.channel import ChannelLost
from pluto_tw.replication.link import Link, Refused

log = Logger()

#: How often what is missing or damaged is looked for. A scrub that finds damage takes longer.
REPAIR_SECONDS: Final = 3600.0

#: Bodies that one read of the list gives.
_PAGE: Final = 64


class Repair:
    """Of *store*, from the peer of *link*."""

    def __init__(self, store: Store, link: Link, waiting: Waiting) -> None:
        self._store = store
        self._link = link
        self._waiting = waiting
        # What was sought for an operation stays until the operation has come, or the link ends.
        self._bodies = store.link()
        self._stopped = False
        self._cancel: Callable[[], None] = lambda: None

    def start(self) -> None:
        """Looks for what is missing now, and again and again."""
        self._waiting.start(self._repair())

    def stop(self) -> None:
        """The link has ended."""
        self._stopped = True
        self._cancel()
        self._bodies.close()

    async def seek(self, key: str, hash: bytes, size: int) -> bool:
        """
        Fetches a body that the account *key* needs; False if the peer does not have it.

        Raises `ChannelLost`, `Refused`, `No`.
        """
        return await self._fetch(self._bodies, self._store.shard_of(key), hash, size)

    async def _repair(self) -> None:
        bodies = self._store.link()
        try:
            for shard in range(self._store.shards):
                after = 0
                while found := self._store.unfit(shard, after, _PAGE):
                    after = found[-1][0]
                    for _, hash, size in found:
                        await self._fetch(bodies, shard, hash, size)
        except (ChannelLost, No, Refused):
            # Of the peer or of the disk: told elsewhere, and tried again.
            pass
        finally:
            bodies.close()
        if not self._stopped:
            self._cancel = self._waiting.later(REPAIR_SECONDS, self.start)

    async def _fetch(self, bodies: BodyLink, shard: int, hash: bytes, size: int) -> bool:
        """Whether the peer has it."""
        start, octets = 0, await self._ask(hash, size, 0)
        if octets is None:
            return False
        incoming = self._store.begin_body(shard, hash, size, bodies)
        if not isinstance(incoming, Incoming):
            return True
        try:
            while octets and await incoming.write(octets):
                start += len(octets)
                octets = await self._ask(hash, size, start) if start < size else b""
            if octets is not None and await incoming.finish():
                log.info(
                    "{peer} had the body {hash}: it is whole again here",
                    event="body-repaired",
                    peer=self._link.name,
                    hash=hash.hex(),
                )
        finally:
            incoming.abandon()
        return octets is not None

    async def _ask(self, hash: bytes, size: int, start: int) -> bytes | None:
        question = messages.Fetch(hash, size, start)
        return (await self._link.ask(messages.FETCH, question, messages.Fetched)).octets
