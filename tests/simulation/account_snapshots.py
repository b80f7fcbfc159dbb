# SPDX-License-Identifier: GPL-3.0-or-later
"""
Snapshots of the real account on links that lose, repeat and reorder.

The sender offers one each second to a member that has nothing; the answer says where it goes on.
Nothing is remembered here that a crash could take: header, pins and cursor are the account's.
"""

from typing import TYPE_CHECKING, Final

from pluto_tw.account import snapshots
from pluto_tw.crdt.snapshot import decode_piece
from tests.simulation.account_packets import Loaded, Offer, Part

if TYPE_CHECKING:
    from tests.simulation.account_links import Links, Peer
    from tests.simulation.account_node import AccountNode

#: A piece that was just sent is not sent again for a repeated answer.
AGAIN_MS: Final = 300


class Snapshots:
    """What one life of a node gives and takes."""

    def __init__(self, node: "AccountNode", links: "Links") -> None:
        self._node = node
        self._links = links
        #: By address and key: the cursor of the piece that was sent last, and when.
        self._sent: dict[tuple[int, str], tuple[bytes, int]] = {}

    async def offer(self, peer: "Peer", key: str) -> None:
        """Offers *peer* a snapshot."""
        started = await snapshots.begin(self._node.store.account(key), peer.slot)
        if started is not None:
            self._links.send(peer.address, Offer(key, started.header))

    async def offered(self, peer: "Peer", offer: Offer) -> None:
        """Takes it, unless another one is under way."""
        account = self._node.store.account(offer.key)
        loading = snapshots.loading(account)
        if loading is not None and (loading.slot, loading.header) == (peer.slot, offer.header):
            self._links.send(peer.address, Loaded(offer.key, offer.header, loading.cursor))
            return
        if loading is not None and loading.slot in self._links.heard() - {peer.slot}:
            return
        answer = await snapshots.start(account, peer.slot, offer.header)
        if answer.refused:
            self._node.counts["snapshots refused"] += 1
        else:
            self._node.counts["snapshots begun"] += 1
            self._links.send(peer.address, Loaded(offer.key, offer.header, answer.cursor))

    async def go_on(self, peer: "Peer", loaded: Loaded) -> None:
        """Sends the piece that *peer* asks for."""
        account = self._node.store.account(loaded.key)
        at, now = (peer.address, loaded.key), self._links.now
        cursor, then = self._sent.get(at, (b"", -AGAIN_MS))
        if cursor == loaded.cursor and now - then < AGAIN_MS:
            return
        self._sent[at] = loaded.cursor, now
        started = await snapshots.begin(account, peer.slot, loaded.header)
        if started is None:
            return
        if started.header != loaded.header:
            self._links.send(peer.address, Offer(loaded.key, started.header))
            return
        most = self._node.settings.piece_octets
        sent = await snapshots.piece(account, peer.slot, loaded.cursor, most)
        if sent is None:
            return
        hashes = {part.blob for part in decode_piece(sent.piece).placements}
        bodies = await self._links.bodies(account, hashes)
        part = Part(
            loaded.key,
            loaded.header,
            loaded.cursor,
            sent.piece,
            sent.cursor,
            sent.trailer,
            bodies,
        )
        self._links.send(peer.address, part)

    async def take(self, peer: "Peer", part: Part) -> None:
        """Takes a piece, and asks for the next."""
        account = self._node.store.account(part.key)
        loading = snapshots.loading(account)
        if loading is None or (loading.slot, loading.header) != (peer.slot, part.header):
            return
        answer = await self._take(peer, part)
        if answer.missing:
            await self._links.bring(account, peer, part.bodies, answer.missing)
            answer = await self._take(peer, part)
        if answer.refused:
            self._node.counts["pieces refused"] += 1
        elif answer.missing:
            self._links.want(peer, part.key, answer.missing)
        elif answer.done:
            self._node.counts["pieces loaded"] += 1
            self._node.counts["snapshots loaded"] += 1
        elif not answer.ahead:
            self._node.counts["pieces loaded"] += answer.cursor != part.asked
            self._links.send(peer.address, Loaded(part.key, part.header, answer.cursor))

    async def _take(self, peer: "Peer", part: Part) -> snapshots.Answer:
        account = self._node.store.account(part.key)
        return await snapshots.take(
            account,
            peer.slot,
            part.asked,
            part.piece,
            part.after,
            part.trailer,
            self._links.known_lost(account),
            peer.link,
        )
