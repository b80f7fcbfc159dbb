# SPDX-License-Identifier: GPL-3.0-or-later
"""
Bodies on their way from other replicas: each is fetched once, checked, and kept until it is needed.

A body comes before the operation that names it, so nobody refers to it yet. Who brought it, a
`BodyLink`, pins it; the pin ends when that operation was applied or the link ends. While one link
fetches a body the others are told that it is coming. How bodies travel is `pluto_tw.replication`'s;
how octets become chunks is `upload.py`'s, as for APPEND.

Invariants: what was finished fits its hash and size; a link that ended holds nothing.
"""

from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Final

from pluto_tw.account.arrivals import Arrivals
from pluto_tw.account.replica import AccountReplica
from pluto_tw.account.upload import StoredUpload
from pluto_tw.mail.codes import UNAVAILABLE
from pluto_tw.mail.errors import No
from pluto_tw.mail.waiting import Waiting

#: A link that was to bring a body and has brought nothing at all for so long is not waited for:
#: another link fetches it.
CLAIM_SECONDS: Final = 30.0

#: Bodies that one link brings at once: more than the window of a channel. Each has at most five
#: chunks in memory, so this is 20 MiB.
INCOMING_MAX: Final = 64

#: Bodies that one link pins: those of the two largest operations. Of more the oldest go, and are
#: fetched again if they are still needed.
PINS_MAX: Final = 8192


class Where(Enum):
    """Why a body need not be sent; the value is for people."""

    #: It is here, and stays while the link does, or until what names it was applied.
    HERE = "it is here"
    #: Another link is bringing it.
    COMING = "it is coming from elsewhere"


async def read_body(account: AccountReplica, hash: bytes, start: int, length: int) -> bytes | None:
    """As `Bodies.read`, of the shard of *account*: to be sent. Raises `ShardFailed`."""
    return await account.ground.bodies.read(hash, start, length)


async def check_body(account: AccountReplica, hash: bytes) -> bool:
    """As `Bodies.fits`: a peer says that what was sent does not. Raises `ShardFailed`."""
    return await account.ground.bodies.fits(hash)


class BodyLink:
    """What one channel from a peer brings; `close` at its end."""

    def __init__(self, waiting: Waiting) -> None:
        self._waiting = waiting
        self._is_closed = False
        self._active_at = waiting.seconds()
        self._arrivals: set[Arrivals] = set()
        self._incoming: set[Incoming] = set()
        self._pins: dict[tuple[Arrivals, bytes], None] = {}

    @property
    def is_active(self) -> bool:
        """Whether it still brings what it was asked for."""
        return not self._is_closed and self._waiting.seconds() - self._active_at < CLAIM_SECONDS

    def shared(
        self, account: AccountReplica, missing: Mapping[bytes, int]
    ) -> tuple[list[tuple[bytes, int]], list[tuple[bytes, int]]]:
        """
        Of the bodies *missing*, sizes by hash: those that the peer of this link is to bring from
        now on, and those that others bring.
        """
        asked: list[tuple[bytes, int]] = []
        coming: list[tuple[bytes, int]] = []
        for hash, size in missing.items():
            (asked if self._want(account.ground.arrivals, hash) else coming).append((hash, size))
        return asked, coming

    def _want(self, arrivals: Arrivals, hash: bytes) -> bool:
        self._arrivals.add(arrivals)
        if self._is_closed or not arrivals.claim(hash, self):
            return False
        # Being asked starts the time that it has.
        self._active_at = self._waiting.seconds()
        return True

    def begin(self, account: AccountReplica, hash: bytes, size: int) -> "Incoming | Where":
        """
        A place for the body with this *hash* and *size*, unless it is not needed.

        No: UNAVAILABLE, if there is no space, or too much comes at once. Raises `ShardFailed`.
        """
        return self.begin_at(account.ground.arrivals, hash, size)

    def begin_at(self, arrivals: Arrivals, hash: bytes, size: int) -> "Incoming | Where":
        """As `begin`, by shard."""
        if (arrivals, hash) in self._pins:
            return Where.HERE
        if arrivals.bodies.pin(hash):
            arrivals.end_claim(hash, self)
            self._hold(arrivals, hash)
            return Where.HERE
        if len(self._incoming) >= INCOMING_MAX:
            raise No(UNAVAILABLE, "too many bodies come over one link at once")
        arrivals.bodies.admit(size)
        if not self._want(arrivals, hash):
            return Where.COMING
        incoming = Incoming(self, arrivals, hash, size)
        self._incoming.add(incoming)
        return incoming

    async def settled(self, account: AccountReplica, hashes: Iterable[bytes]) -> None:
        """Returns when no other link brings any of *hashes*."""
        await account.ground.arrivals.settled(hashes, self)

    def give_up(self, account: AccountReplica, hashes: Iterable[bytes]) -> None:
        """The peer will not bring these: it does not have them either."""
        for hash in hashes:
            account.ground.arrivals.end_claim(hash, self)

    def _hold(self, arrivals: Arrivals, hash: bytes) -> None:
        """Takes over a pin of the body."""
        if (arrivals, hash) in self._pins:
            return
        if self._is_closed:
            arrivals.bodies.unpin([hash])
            return
        self._pins[arrivals, hash] = None
        if len(self._pins) > PINS_MAX:
            oldest, first = next(iter(self._pins))
            self._release(oldest, [first])

    def release(self, account: AccountReplica, hashes: Iterable[bytes]) -> None:
        """Operations that name these bodies were applied."""
        self._release(account.ground.arrivals, hashes)

    def _release(self, arrivals: Arrivals, hashes: Iterable[bytes]) -> None:
        held = [hash for hash in hashes if (arrivals, hash) in self._pins]
        for hash in held:
            del self._pins[arrivals, hash]
        arrivals.bodies.unpin(held)

    def close(self) -> None:
        """The channel has ended."""
        if self._is_closed:
            return
        self._is_closed = True
        for incoming in list(self._incoming):
            incoming.abandon()
        for arrivals in self._arrivals:
            self._release(arrivals, [hash for held, hash in self._pins if held is arrivals])
            arrivals.end_claims(self)

    # For `Incoming`.

    def progressed(self) -> None:
        """Octets have come."""
        self._active_at = self._waiting.seconds()

    def ended(self, incoming: "Incoming", *, pinned: bool) -> None:
        """*incoming* was finished, and its body is *pinned* once, or it was abandoned."""
        self._incoming.discard(incoming)
        if pinned:
            self._hold(incoming.arrivals, incoming.hash)
        incoming.arrivals.end_claim(incoming.hash, self)


class Incoming:
    """The body with *hash* and *size*, on its way over *link*: its pieces, then the end."""

    def __init__(self, link: BodyLink, arrivals: Arrivals, hash: bytes, size: int) -> None:
        self.arrivals = arrivals
        self.hash = hash
        self.size = size
        self._link = link
        self._octets = 0
        self._upload: StoredUpload | None = arrivals.bodies.upload(size)

    async def write(self, piece: bytes) -> bool:
        """
        Takes the next octets; returns when there is room for more.

        False: it was abandoned, also since these are more than were announced. Raises
        `ShardFailed`, and then it is abandoned.
        """
        upload = self._upload
        if upload is None or self._octets + len(piece) > self.size:
            self.abandon()
            return False
        self._octets += len(piece)
        self._link.progressed()
        try:
            await upload.write(piece)
        except BaseException:
            self.abandon()
            raise
        return self._upload is not None

    async def finish(self) -> bool:
        """
        All octets have come. True: they are durable, and pinned for the link. False: they do not
        fit hash and size, and are forgotten, or it was abandoned. Raises `ShardFailed`.
        """
        upload = self._upload
        if upload is None or self._octets != self.size:
            self.abandon()
            return False
        fits = False
        # Now it cannot be abandoned any more: what is written must be found again.
        self._upload = None
        try:
            received = await upload.finish()
            if received.hash == self.hash:
                await self.arrivals.bodies.keep(received)
                fits = True
        finally:
            upload.abandon()
            self._link.ended(self, pinned=fits)
        return fits

    def abandon(self) -> None:
        """Forgets it; harmless at any time, and more than once."""
        upload, self._upload = self._upload, None
        if upload is not None:
            upload.abandon()
            self._link.ended(self, pinned=False)
