# SPDX-License-Identifier: GPL-3.0-or-later
"""
Bodies that no replica has any more.

A body of which the holder says that it does not have it whole is asked of the others, as each of
them sends the operation that names it. When all members that can be reached have said so, the
operation is taken without: the message is listed, its octets are missing until some replica offers
them again. One damaged body never holds up an account.

This is remembered for as long as the process runs, and bounded: who is forgotten says it again.
"""

from collections.abc import Callable
from typing import Final

from twisted.logger import Logger

from pluto_tw.account.replica import AccountReplica

log = Logger()

#: Bodies that are remembered as lost, 100 octets each: far more are a disk's end, which has other
#: remedies.
LOST_MAX: Final = 10_000


class Losses:
    """*heard* tells the slots of the members that can be reached."""

    def __init__(self, heard: Callable[[], frozenset[int]]) -> None:
        self._heard = heard
        #: By account and hash: who said so.
        self._lost: dict[tuple[bytes, bytes], set[int]] = {}

    @property
    def count(self) -> int:
        """How many bodies somebody called lost."""
        return len(self._lost)

    def lost_at(self, account: AccountReplica, hash: bytes, slot: int) -> None:
        """The member *slot* does not have the body whole."""
        name = account.identity, hash
        said = self._lost.pop(name, set())
        if slot not in said:
            log.error(
                "the member of slot {slot} does not have the body {hash} of {account} whole",
                event="body-lost",
                slot=slot,
                hash=hash.hex(),
                account=account.identity.hex(),
            )
        said.add(slot)
        self._lost[name] = said
        if len(self._lost) > LOST_MAX:
            del self._lost[next(iter(self._lost))]

    def known_lost(self, account: AccountReplica) -> frozenset[bytes]:
        """The bodies of the account that everybody who can be reached has called lost."""
        if not self._lost:
            return frozenset()
        heard = self._heard()
        return frozenset(
            hash
            for (identity, hash), said in self._lost.items()
            if identity == account.identity and heard <= said
        )
