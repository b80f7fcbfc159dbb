# SPDX-License-Identifier: GPL-3.0-or-later
"""
Failed logins make later ones wait: of the same address, and of the same user.

- The first failures are free, since people mistype. From then on each doubles the time in which
  no attempt is let through, up to `DELAY_SECONDS_MAX`; half of them are forgotten every
  `HALF_LIFE_SECONDS`.
- An address from which a user has logged in is not slowed by what others try with that user's
  name: nobody can lock somebody out.
- Both tables are bounded; those who failed longest ago are forgotten first.
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Final

from pluto_tw.auth.names import AccountKey

#: A person gives up or asks for a new password after some five tries.
USER_FAILURES_FREE: Final = 5
#: Behind one address there are many people; a program that scans names needs thousands.
ADDRESS_FAILURES_FREE: Final = 15
DELAY_SECONDS_FIRST: Final = 0.5
#: Four guesses a minute, 6,000 a day: less than the hundred thousand that a weak password
#: withstands. A client waits for 30 s and more.
DELAY_SECONDS_MAX: Final = 15.0
#: After an hour a full penalty of 5 + 5 failures is below what is free.
HALF_LIFE_SECONDS: Final = 900.0
#: Some 250 octets each. Who can fail from 20,000 networks at once is slowed by the user's table.
FAILURES_KEPT: Final = 20_000
#: Pairs of a network and a user who logged in from there.
FAMILIAR_KEPT: Final = 50_000


@dataclass(slots=True)
class _Failures:
    count: float
    #: When `count` was that.
    at: float
    #: Until when no attempt is let through.
    until: float


class Slowdown:
    """*seconds* is a clock that never goes back."""

    def __init__(self, seconds: Callable[[], float]) -> None:
        self._seconds = seconds
        self._failures: OrderedDict[Hashable, _Failures] = OrderedDict()
        self._familiar: OrderedDict[tuple[str, AccountKey], None] = OrderedDict()

    def wait(self, network: str | None, key: AccountKey | None) -> float:
        """
        For how many seconds no attempt from *network* as *key* is let through; mostly 0.

        *network* None: an address that is not slowed. *key* None: a name that nobody can have.
        """
        now = self._seconds()
        waits = [0.0]
        if network is not None:
            waits.append(self._until(network) - now)
        if key is not None and (network is None or (network, key) not in self._familiar):
            waits.append(self._until((key,)) - now)
        return max(waits)

    def failed(self, network: str | None, key: AccountKey | None) -> None:
        """An attempt was let through and failed."""
        if network is not None:
            self._count(network, ADDRESS_FAILURES_FREE)
        if key is not None:
            self._count((key,), USER_FAILURES_FREE)

    def succeeded(self, network: str | None, key: AccountKey) -> None:
        """An attempt was let through and succeeded; failures stay counted."""
        if network is None:
            return
        self._familiar[network, key] = None
        self._familiar.move_to_end((network, key))
        if len(self._familiar) > FAMILIAR_KEPT:
            self._familiar.popitem(last=False)

    # A network is a text, a user a tuple: so one table has both, and they are never confused.

    def _until(self, who: Hashable) -> float:
        failures = self._failures.get(who)
        return 0.0 if failures is None else failures.until

    def _count(self, who: Hashable, free: int) -> None:
        now = self._seconds()
        failures = self._failures.setdefault(who, _Failures(0.0, now, now))
        self._failures.move_to_end(who)
        failures.count = 1 + failures.count * 0.5 ** ((now - failures.at) / HALF_LIFE_SECONDS)
        failures.at = now
        excess = failures.count - free
        if excess > 0:
            # The exponent is bounded by the caller's patience, not by arithmetic: 2.0 ** 2000
            # is an error.
            doubled = DELAY_SECONDS_FIRST * 2.0 ** min(excess - 1, 30.0)
            failures.until = now + min(doubled, DELAY_SECONDS_MAX)
        if len(self._failures) > FAILURES_KEPT:
            self._failures.popitem(last=False)
