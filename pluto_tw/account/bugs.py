# SPDX-License-Identifier: GPL-3.0-or-later
"""
Where a bug ends: with the party that has it, logged, and not with those who tell it something.

Who is told that something is durable may do anything with it: sessions write to clients,
replication to peers. What goes wrong there changes nothing about what is durable, and must not keep
others from being told. Nothing is hidden by this: who runs our coroutines logs what one of them
raises, with its traceback, and a test that does not expect it fails.
"""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from pluto_tw.mail.waiting import Waiting

T = TypeVar("T")


def report(waiting: Waiting, bug: Exception) -> None:
    """Has *bug* logged by who runs coroutines; the caller goes on."""
    waiting.start(_raised(bug))


def attempt(waiting: Waiting, call: Callable[[], T]) -> T | None:
    """What *call* returns; None if it raises, and that is reported."""
    try:
        return call()
    except Exception as bug:
        report(waiting, bug)
        return None


async def outcome(waiting: Waiting, work: Awaitable[T]) -> T | Exception:
    """What comes of *work*; what it raises is reported, and returned."""
    try:
        return await work
    except Exception as bug:
        report(waiting, bug)
        return bug


async def _raised(bug: Exception) -> None:
    raise bug
