# SPDX-License-Identifier: GPL-3.0-or-later
"""
A process that appends is killed at any moment; what it was told is durable is there.

The child says each number after its commit, so that what it has said is what a client would have
been told. It also leaves uploads behind, drops bodies and sweeps, to be killed within those.
"""

import subprocess
import sys
import tempfile
from hashlib import blake2b
from pathlib import Path

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.account.bodies import Bodies
from pluto_tw.account.database import FileDatabase
from pluto_tw.account.schema import CHUNK_BITS
from pluto_tw.account.shard import Shard
from pluto_tw.account.work import Work
from pluto_tw.net.waiting import ReactorWaiting
from tests.account.case import listed
from tests.support.hop import SynchronousHop

ROOT = Path(__file__).resolve().parents[2]

#: How many times the child is killed; each takes half a second, nearly all of it Python's start.
KILLS = 4

#: No child needs as long to say so few numbers, on whatever machine.
CHILD_SECONDS_MAX = 60.0


def message(number: int) -> bytes:
    """Message *number*: of one chunk, or of three."""
    head = b"Subject: %d\r\n\r\n" % number
    return head + b"%07d\n" % number * (10 if number % 3 else 20_000)


def hash_of(number: int) -> bytes:
    """The hash of message *number*."""
    return blake2b(message(number), digest_size=32).digest()


def opened(path: Path) -> tuple[Shard, Bodies]:
    """The shard in *path*, in this process, on one thread."""
    hop = SynchronousHop()
    database = FileDatabase(path, lambda: bytes(16), may_create=True)
    shard = Shard(database, ReactorWaiting(Clock()), hop, [hop])
    Deferred.fromCoroutine(shard.start()).addErrback(lambda failure: failure.raiseException())
    return shard, Bodies(shard)


async def append(shard: Shard, bodies: Bodies, number: int) -> None:
    """Stores message *number*, and drops that of ten before if its number is even."""
    octets = message(number)
    left = bodies.upload(None)
    await left.write(octets)
    upload = bodies.upload(len(octets))
    await upload.write(octets)
    received = await upload.finish()
    work = Work()
    bodies.link(work, received, 1)
    if number > 10 and number % 2 == 0:
        work.add("UPDATE body SET refs = 0 WHERE hash = ?", (hash_of(number - 10),))
    await shard.lane().commit(work)
    upload.abandon()
    if number % 5:
        left.abandon()
    bodies.sweep()


def child(path: Path, number: int) -> None:
    """Appends behind *number* until it is killed."""
    shard, bodies = opened(path)
    while True:
        number += 1
        Deferred.fromCoroutine(append(shard, bodies, number)).addErrback(
            lambda failure: failure.raiseException()
        )
        print(number, flush=True)


class KillTests(SynchronousTestCase):
    timeout = 120

    def test_what_was_told_survives_kill_9(self) -> None:
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        path = Path(temporary.name) / "shard.sqlite"
        last = 0
        for kill in range(KILLS):
            last = self.verify(path, self.run_and_kill(path, last, 5 + 7 * kill))

    def run_and_kill(self, path: Path, last: int, count: int) -> int:
        """Lets a child go on behind *last*, say *count* numbers, and kills it; the last one."""
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.live.test_shard_crash", str(path), str(last)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
        )
        assert process.stdout is not None
        try:
            said = [process.stdout.readline() for _ in range(count)]
            process.kill()
            said += process.stdout.readlines()
            process.wait(CHILD_SECONDS_MAX)
        finally:
            process.kill()
            process.stdout.close()
            process.wait()
        # The last line may be cut off.
        numbers = [int(line) for line in said if line.endswith(b"\n")]
        self.assertGreaterEqual(len(numbers), count, "the child ended by itself")
        return numbers[-1]

    def verify(self, path: Path, told: int) -> int:
        """All up to *told* is there, at most one more, and nothing is left over; the last one."""
        shard, bodies = opened(path)
        last = told + bool(shard.read("SELECT 1 FROM body WHERE hash = ?", (hash_of(told + 1),)))
        for number in range(1, last + 1):
            rows = shard.read("SELECT id, size FROM body WHERE hash = ?", (hash_of(number),))
            if number % 2 == 0 and number + 10 <= last:
                self.assertEqual(rows, [])
                continue
            ((body, size),) = rows
            chunks = self.successResultOf(
                Deferred.fromCoroutine(listed(bodies.body(body, size).read(0, size)))
            )
            self.assertEqual(b"".join(chunks), message(number))
        self.assertEqual(shard.read("SELECT * FROM upload"), [])
        strays = shard.read(
            f"SELECT id FROM chunk WHERE id >> {CHUNK_BITS} NOT IN"
            " (SELECT content FROM body WHERE content IS NOT NULL)"
        )
        self.assertEqual(strays, [])
        self.successResultOf(Deferred.fromCoroutine(shard.close()))
        return last


if __name__ == "__main__":
    child(Path(sys.argv[1]), int(sys.argv[2]))
