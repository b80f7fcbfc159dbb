# SPDX-License-Identifier: GPL-3.0-or-later
"""
What a full shard costs: `python -m benchmarks.large_shard`, some minutes and 1 GB of disk.

A shard is filled with 1,000,000 messages in 1,000 accounts, as a peer's batches bring them; then
10 KB messages are appended to a sample of those accounts, and to as many accounts of an empty
shard. The two take turns, and the median of the rounds' ratios counts: a machine that gets busier
meanwhile slows both. The pages of the full shard are cold in the first round.
"""

import statistics
import tempfile
import time
from pathlib import Path
from typing import Final

from twisted.internet.defer import Deferred, DeferredList

from benchmarks.account import ACCOUNTS, APPENDS, IN_FLIGHT, Bench, on_node
from benchmarks.measure import Figure
from benchmarks.store_commit import message
from pluto_tw.crdt.ops import Add, Cl, Message, Op
from pluto_tw.mail.flags import flag_set
from pluto_tw.mail.messages import NewMessage
from pluto_tw.mail.names import INBOX

#: "with 1,000,000 messages in 1,000 accounts on one shard the append rate stays within 20 %".
SLOWER_MAX: Final = 1 / 0.8

FULL_ACCOUNTS: Final = 1000
MESSAGES_EACH: Final = 1000
ROUNDS: Final = 5


def run() -> list[Figure]:
    """Fills, then measures in turns."""
    with tempfile.TemporaryDirectory() as directory:
        full, empty = Path(directory, "full.sqlite"), Path(directory, "empty.sqlite")
        on_node(full, _fill)
        rounds = []
        for number in range(ROUNDS):
            [full_seconds] = on_node(full, lambda bench, n=number: _appends(bench, n))  # type: ignore[misc]
            [empty_seconds] = on_node(empty, lambda bench, n=number: _appends(bench, n))  # type: ignore[misc]
            rounds.append((full_seconds, empty_seconds))
            empty.unlink()
    slower = statistics.median(ours / yardstick for ours, yardstick in rounds)
    yardstick = statistics.median(yardstick for _, yardstick in rounds)
    return [
        Figure(
            "append to a shard of 1,000,000 messages",
            slower,
            "x",
            SLOWER_MAX,
            f"an empty shard: {1 / yardstick:.0f}/s",
        )
    ]


def _name(number: int) -> str:
    return f"user{number}"


async def _fill(bench: Bench) -> tuple[float, ...]:
    await bench.start(slot=1)
    for number in range(FULL_ACCOUNTS):
        messages = tuple(
            Message((number << 32 | n).to_bytes(32, "big"), 10_000 + n, 1_700_000_000 + n, 60, ())
            for n in range(MESSAGES_EACH)
        )
        add = Op(1 << 5, 1 << 20, (), Add(0, messages))
        pids = tuple(
            b"A\0" + (1).to_bytes(6, "big") + n.to_bytes(4, "big") for n in range(MESSAGES_EACH)
        )
        uids = tuple(n // 64 * 2048 + n % 64 + 1 for n in range(MESSAGES_EACH))
        claim = Op(2 << 5, 1 << 20, (1,), Cl(0, 0, 1 << 5, pids, uids))
        tx = await bench.store.account(_name(number)).receive([add, claim], None)
        assert tx.taken == 2
    return ()


async def _appends(bench: Bench, turn: int) -> tuple[float, ...]:
    """Seconds an append, to accounts that no earlier turn has touched."""
    await bench.start(slot=1)
    names = [_name((turn * ACCOUNTS + n) * 3 % FULL_ACCOUNTS) for n in range(ACCOUNTS)]
    sessions = [bench.store.session(name, name) for name in names]
    numbers = iter(range(APPENDS))
    no_flags = flag_set(())

    async def client() -> None:
        for number in numbers:
            octets = message(turn * APPENDS + number)
            session = sessions[number % ACCOUNTS]
            await session.admit(INBOX, [len(octets)])
            upload = session.upload(len(octets))
            await upload.write(octets)
            await session.append(INBOX, [NewMessage(upload, no_flags, None)])

    start = time.perf_counter()
    await DeferredList(
        [Deferred.fromCoroutine(client()) for _ in range(IN_FLIGHT)], fireOnOneErrback=True
    )
    return ((time.perf_counter() - start) / APPENDS,)


def main() -> None:
    """Prints the figures; ends with 1 if a bound is missed."""
    figures = run()
    for figure in figures:
        missed = "  MISSED" if figure.missed else ""
        print(f"{figure.name}: {figure.value:.2f} {figure.unit} ({figure.yardstick}){missed}")
    raise SystemExit(any(figure.missed for figure in figures))


if __name__ == "__main__":
    main()
