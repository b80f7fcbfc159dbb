# SPDX-License-Identifier: GPL-3.0-or-later
"""
The bodies of a shard's messages: each kept once, by the hash of its octets, while it is needed.

This file decides who owns which octets, and when they go. How octets come is left to
`upload.py`, how they are read to `reading.py` and `scrub.py`; which messages refer to a body is
the account's to say, in the same work as the messages.

- A **body** is a hash with its size and the number of references to it. A **content** is a
  numbered run of chunks. A body has one content, or none while its octets are missing; a content
  has one body, or stands in `upload`: on its way in, or on its way out.
- All of it is settled by the statements themselves, on what is there when they run. So it does
  not matter in which order accounts add and drop the same body, nor which of their works fail.
- Numbers of bodies and contents are given out here, never twice while a process lives: a number
  that a session still holds never leads to another's mail.
- A body without references goes when `sweep` finds it, unless it is pinned: a body comes from
  another replica before the operation that refers to it.
- Contents in `upload` go at the start, all of them, and those that nobody fills any more while
  the shard runs. Both in slices, so that a large message's end delays nobody.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from pluto_tw.account.failures import ShardFailed
from pluto_tw.account.reading import StoredBody
from pluto_tw.account.schema import CHUNK_BITS, DAMAGED, WHOLE
from pluto_tw.account.shard import Shard
from pluto_tw.account.upload import Received, StoredUpload
from pluto_tw.account.work import Row, Work
from pluto_tw.mail.codes import UNAVAILABLE
from pluto_tw.mail.errors import No
from pluto_tw.mime.facts import FACTS_VERSION

#: Space that messages leave to all else. Flags, expunges and the log's own growth need room too:
#: a disk filled with mail to the last block could not be emptied by its users.
RESERVED_OCTETS: Final = 64 * 1024 * 1024

#: Chunks deleted by one work: 1 MiB, whose 256 pages SQLite must read and free, some 3 ms.
CHUNKS_A_SLICE: Final = 16

#: Octets that `Bodies.read` gives at once: two chunks, the upper end of what travels best between
#: replicas (64-128 KiB).
READ_OCTETS_MAX: Final = 128 * 1024

#: Bodies looked at in one slice of a sweep.
BODIES_A_SLICE: Final = 64

#: The number of the body with a hash, as an expression with one parameter.
BODY_OF_HASH: Final = "(SELECT id FROM body WHERE hash = ?)"

# States stand as numbers: 0 is WHOLE, 1 MISSING, 2 DAMAGED.

# A damaged body is about to get octets that fit: its own go.
_DISPLACE: Final = """
    INSERT OR IGNORE INTO upload
    SELECT content FROM body WHERE hash = :hash AND state = 2 AND size > 0
"""
_OWN: Final = """
    INSERT INTO body (id, hash, size, refs, state, content)
    VALUES (:content, :hash, :size, :refs, 0, :content)
    ON CONFLICT (hash) DO UPDATE SET
        refs = refs + excluded.refs,
        content = CASE state WHEN 0 THEN content ELSE excluded.content END,
        state = 0
"""
_LAST_CHUNK: Final = """
    INSERT INTO chunk (id, data)
    SELECT :chunk, :data
    WHERE EXISTS (SELECT 1 FROM body WHERE hash = :hash AND content = :content)
"""
_ARRIVED: Final = """
    DELETE FROM upload
    WHERE content = :content
    AND EXISTS (SELECT 1 FROM body WHERE hash = :hash AND content = :content)
"""
_FACTS: Final = """
    INSERT INTO facts (body, version, data)
    SELECT id, :version, :facts FROM body WHERE hash = :hash
    ON CONFLICT (body) DO UPDATE SET version = excluded.version, data = excluded.data
    WHERE version <> excluded.version
"""
_REFER: Final = """
    INSERT INTO body (id, hash, size, refs, state, content)
    VALUES (?, ?, ?, 1, 1, NULL)
    ON CONFLICT (hash) DO UPDATE SET refs = refs + 1
"""
_UNREFER: Final = "UPDATE body SET refs = refs - 1 WHERE id = ?"
_LEAVE: Final = """
    INSERT OR IGNORE INTO upload
    SELECT content FROM body WHERE id = ? AND refs = 0 AND content IS NOT NULL AND size > 0
"""
_DROP: Final = "DELETE FROM body WHERE id = ? AND refs = 0"
_DELETE_CHUNKS: Final = """
    DELETE FROM chunk
    WHERE id BETWEEN :low AND :high AND EXISTS (SELECT 1 FROM upload WHERE content = :content)
"""
_DELETE_UPLOAD: Final = "DELETE FROM upload WHERE content = ?"
_MARK: Final = "UPDATE body SET state = ? WHERE id = ? AND content = ? AND state = ?"

_LAST_BODY: Final = "SELECT coalesce(max(id), 0) FROM body"
_LAST_CHUNK_ID: Final = "SELECT coalesce(max(id), 0) FROM chunk"
_LAST_UPLOAD: Final = "SELECT coalesce(max(content), 0) FROM upload"
_LAST_CHUNK_OF: Final = "SELECT max(id) FROM chunk WHERE id BETWEEN ? AND ?"
_UNUSED: Final = "SELECT id, hash FROM body WHERE refs = 0 AND id > ? ORDER BY id LIMIT ?"
_IS_UNUSED: Final = "SELECT 1 FROM body WHERE hash = ? AND refs = 0"
_UPLOADS: Final = "SELECT content FROM upload WHERE content > ? ORDER BY content LIMIT ?"
_STATE: Final = "SELECT state FROM body WHERE hash = ?"
_FIND: Final = "SELECT id, size, state FROM body WHERE hash = ?"
_HERE: Final = """
    SELECT hash FROM body
    WHERE state = 0 AND hash IN (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_HASHES: Final = 20
_ANY_DAMAGED: Final = "SELECT 1 FROM body WHERE state <> 0 AND state = 2 LIMIT 1"
_UNFIT: Final = """
    SELECT id, hash, size, state FROM body WHERE state <> 0 AND id > ? ORDER BY id LIMIT ?
"""


class Bodies:
    """The bodies of *shard*, which is open."""

    def __init__(self, shard: Shard) -> None:
        self.shard = shard
        ((body,),) = shard.read(_LAST_BODY)
        ((chunk,),) = shard.read(_LAST_CHUNK_ID)
        ((upload,),) = shard.read(_LAST_UPLOAD)
        self._last_number: int = max(body, chunk >> CHUNK_BITS, upload)
        self._filling: set[int] = set()
        self._pins: dict[bytes, int] = {}
        self._dropping: set[bytes] = set()
        self._sweeping = False
        self._sweep_again = False
        #: Whether any body may be marked as damaged: so it is from before its mark is queued.
        self._is_any_damaged = bool(shard.read(_ANY_DAMAGED))
        # What was on its way in when the process before this one ended.
        self.sweep()

    # In.

    def admit(self, octets: int) -> None:
        """Raises No(UNAVAILABLE) if there is no space for *octets* more of bodies."""
        if self.shard.free_octets() < octets + RESERVED_OCTETS:
            raise No(UNAVAILABLE, "there is no space for more mail at the moment")

    def upload(self, size: int | None) -> StoredUpload:
        """
        A place for *size* octets to come; None: as many as come.

        Who takes it calls `abandon` at the end, also of success.
        """
        return StoredUpload(self.shard, self.new_number(), size, self._filling.add, self._forget)

    def new_number(self) -> int:
        """A number for a body or content that nothing ever had while this process lives."""
        self._last_number += 1
        return self._last_number

    def link(self, work: Work, received: Received, refs: int) -> None:
        """
        Adds to *work* that *received* is kept, with *refs* references more.

        If its hash is here already, and whole, only the references are counted.
        """
        row: Row = {
            "hash": received.hash,
            "size": received.size,
            "refs": refs,
            "content": received.content,
            "chunk": (received.content << CHUNK_BITS) + received.chunks_written,
            "data": received.last_chunk,
            "version": FACTS_VERSION,
            "facts": received.facts,
        }
        if self._is_any_damaged:
            work.add(_DISPLACE, row)
        work.add(_OWN, row)
        if received.last_chunk:
            work.add(_LAST_CHUNK, row, len(received.last_chunk))
        if received.chunks_written:
            work.add(_ARRIVED, row)
        work.add(_FACTS, row, len(received.facts))

    def refer(self, work: Work, bodies: Sequence[tuple[bytes, int]]) -> None:
        """
        Adds to *work* one reference to each of *bodies*, (hash, size), one after the other.

        What is not here is noted as missing, and filled by the next `link` of that hash.
        """
        work.add_rows(_REFER, [(self.new_number(), hash, size) for hash, size in bodies])

    def unrefer(self, work: Work, bodies: Sequence[int]) -> None:
        """Adds to *work* that each of *bodies*, by number, has one reference less; see `sweep`."""
        work.add_rows(_UNREFER, [(body,) for body in bodies])

    # From other replicas.

    def pin(self, hash: bytes) -> bool:
        """
        Whether the body is here, whole; then it stays until `unpin`, referred to or not.

        Pins are counted, and end with the process.
        """
        if hash in self._dropping or self.shard.read(_STATE, (hash,)) != [(WHOLE,)]:
            return False
        self._pins[hash] = self._pins.get(hash, 0) + 1
        return True

    def unpin(self, hashes: Iterable[bytes]) -> None:
        """Takes one pin away from each of *hashes*; what nobody refers to then goes."""
        is_any_unused = False
        for hash in hashes:
            if self._pins[hash] > 1:
                self._pins[hash] -= 1
                continue
            del self._pins[hash]
            # A sweep looks at all that is pinned, and most pins end with a reference.
            is_any_unused = is_any_unused or self._is_unused(hash)
        if is_any_unused:
            self.sweep()

    def _is_unused(self, hash: bytes) -> bool:
        try:
            return bool(self.shard.read(_IS_UNUSED, (hash,)))
        except ShardFailed:
            # The next sweep finds it.
            return False

    async def keep(self, received: Received) -> None:
        """
        Keeps what was received, without a reference to it, and pins it; durable on return.

        Fills a missing or damaged body of that hash. Raises `ShardFailed`.
        """
        hash = received.hash
        self._pins[hash] = self._pins.get(hash, 0) + 1
        work = Work()
        self.link(work, received, 0)
        try:
            await self.shard.lane().commit(work)
        except BaseException:
            self.unpin([hash])
            raise

    def unfit(self, after: int, limit: int) -> list[tuple[int, bytes, int, int]]:
        """(number, hash, size, state) of bodies that are missing or damaged, above *after*."""
        return [
            (i, h, size, state) for i, h, size, state in self.shard.read(_UNFIT, (after, limit))
        ]

    def here(self, hashes: Sequence[bytes]) -> set[bytes]:
        """Those of *hashes* whose bodies are here, whole."""
        found: set[bytes] = set()
        for at in range(0, len(hashes), _HASHES):
            some = [*hashes[at : at + _HASHES]]
            some += some[-1:] * (_HASHES - len(some))
            found.update(hash for (hash,) in self.shard.read(_HERE, some))
        return found - self._dropping

    # Out.

    async def read(self, hash: bytes, start: int, length: int) -> bytes | None:
        """
        At most *length* octets of a body from *start* on; None if it is not here or damaged.

        Parts of a large one are not checked against the hash: who puts them together does that,
        and `fits` here. At most `READ_OCTETS_MAX`. Raises `ShardFailed`.
        """
        assert start >= 0 and 0 <= length <= READ_OCTETS_MAX
        found = self._find(hash)
        if found is None:
            return None
        end = min(start + length, found.size)
        try:
            return b"".join([octets async for octets in found.read(start, max(end - start, 0))])
        except ShardFailed:
            raise
        except No:
            return None

    async def fits(self, hash: bytes) -> bool:
        """
        Whether the body is here and its octets fit the hash; if not, it is marked as damaged.

        Reads all of it. Raises `ShardFailed`.
        """
        found = self._find(hash)
        if found is None:
            return False
        try:
            async for _ in found.read(0, found.size):
                await self.shard.waiting.pause()
        except ShardFailed:
            raise
        except No:
            return False
        return True

    def _find(self, hash: bytes) -> StoredBody | None:
        """The body with *hash*, if it is here and not known to be damaged."""
        for number, size, state in self.shard.read(_FIND, (hash,)):
            if state == WHOLE:
                return self.body(number, size)
        return None

    def body(self, number: int, size: int) -> StoredBody:
        """The body *number*, which has *size* octets; whether they can be had is told later."""
        return StoredBody(self.shard, number, size, self.mark)

    async def mark(self, number: int, content: int, *, fits: bool) -> None:
        """Notes of a body's octets whether they fit its hash, if they still are its octets."""
        before, after = (DAMAGED, WHOLE) if fits else (WHOLE, DAMAGED)
        self._is_any_damaged |= not fits
        work = Work()
        work.add(_MARK, (after, number, content, before))
        await self.shard.lane().commit(work)

    def sweep(self) -> None:
        """
        Lets go, in slices and in the background, of all that nobody needs.

        To be called after references were dropped; what fails is found again by the next sweep.
        """
        self._sweep_again = True
        if not self._sweeping:
            self._sweeping = True
            self.shard.waiting.start(self._sweep())

    def _forget(self, content: int) -> None:
        """Nobody fills *content* any more; if no body has it, its chunks go."""
        self._filling.discard(content)
        self.sweep()

    async def _sweep(self) -> None:
        try:
            while self._sweep_again:
                self._sweep_again = False
                await self._drop_unused()
                await self._delete_unowned()
        except ShardFailed:
            # Full, or closed. Nothing is lost by waiting.
            return
        finally:
            self._sweeping = False

    async def _drop_unused(self) -> None:
        """Drops bodies that nobody refers to; their contents are unowned then."""
        lane = self.shard.lane()
        after = 0
        while rows := self.shard.read(_UNUSED, (after, BODIES_A_SLICE)):
            after = rows[-1][0]
            unused = [(number, hash) for number, hash in rows if hash not in self._pins]
            if not unused:
                continue
            numbers = [(number,) for number, _ in unused]
            work = Work()
            work.add_rows(_LEAVE, numbers)
            work.add_rows(_DROP, numbers)
            self._dropping.update(hash for _, hash in unused)
            try:
                await lane.commit(work)
            finally:
                self._dropping.difference_update(hash for _, hash in unused)

    async def _delete_unowned(self) -> None:
        """Deletes the chunks of contents in `upload` that nobody fills."""
        after = 0
        while rows := self.shard.read(_UPLOADS, (after, BODIES_A_SLICE)):
            after = rows[-1][0]
            for (content,) in rows:
                if content not in self._filling:
                    await self._delete(content)

    async def _delete(self, content: int) -> None:
        lane = self.shard.lane()
        low = content << CHUNK_BITS
        ((last,),) = self.shard.read(_LAST_CHUNK_OF, (low, low + (1 << CHUNK_BITS) - 1))
        while last is not None and low <= last:
            high = low + CHUNKS_A_SLICE - 1
            work = Work()
            work.add(_DELETE_CHUNKS, {"low": low, "high": high, "content": content})
            await lane.commit(work)
            await self.shard.room()
            low = high + 1
        work = Work()
        work.add(_DELETE_UPLOAD, (content,))
        await lane.commit(work)
