# SPDX-License-Identifier: GPL-3.0-or-later
"""
Whether a name and a password are a user's: the one place where that is decided.

- A wrong name and a wrong password are told apart by nobody: neither by the answer nor by how long
  it takes, since the password of another user is checked in place of the missing one.
- Checks are dear. Who has just logged in is known for `SUCCESS_SECONDS` without one, as long as
  the user's entry is the same; and of equal attempts at once one is checked.
- What is remembered is no password but a keyed hash, whose key lives and dies with the process.
- Failures slow down later attempts (`slowdown.py`), which are let through only on a thread of
  their own: a thousand guesses sent at once have no head start.
"""

import hmac
from collections import Counter, OrderedDict
from functools import partial
from typing import Final

from pluto_tw.auth.hashing import HashingThreads
from pluto_tw.auth.names import AccountKey, account_key
from pluto_tw.auth.passwords import PasswordHash, password_forms
from pluto_tw.auth.slowdown import Slowdown
from pluto_tw.auth.users import User, UserSource
from pluto_tw.mail.codes import AUTHENTICATIONFAILED, UNAVAILABLE
from pluto_tw.mail.errors import No
from pluto_tw.mail.waiting import Promise, Waiting

#: Mail programs open their five to ten connections within a minute, and again after each change
#: of network. A user whose entry has changed is checked anew at once.
SUCCESS_SECONDS: Final = 300.0
#: Some 200 octets each.
SUCCESSES_KEPT: Final = 20_000

#: Longer ones are wrong without a check. Some hashes take time in proportion to it.
PASSWORD_OCTETS_MAX: Final = 1024

#: Attempts that wait or are checked, in all and from one network. Clients that are gone count as
#: well, since nobody can be asked whether they are: without a bound, who connects, tries and leaves
#: would fill the queue that all others stand in.
ATTEMPTS_MAX: Final = 5000
NETWORK_ATTEMPTS_MAX: Final = 500

#: Who is slowed down waits in an open connection for so long at most, then is refused for now.
#: Below the 60 s that a connection may take to log in.
WAIT_SECONDS_MAX: Final = 30.0


class Authenticator:
    """
    Knows the users of *source*, and checks passwords on *threads*.

    *secret*, at least 16 random octets, is for this process alone.
    """

    def __init__(
        self,
        source: UserSource,
        threads: HashingThreads,
        slowdown: Slowdown,
        waiting: Waiting,
        secret: bytes,
    ) -> None:
        #: May be replaced at any time, by what a reload has read.
        self.source = source
        self._threads = threads
        self._slowdown = slowdown
        self._waiting = waiting
        self._secret = secret
        #: Until when an attempt with this digest needs no check, in the order of their ends.
        self._successes: OrderedDict[bytes, float] = OrderedDict()
        #: Who else waits for the check of an attempt.
        self._running: dict[tuple[bytes, str | None], list[Promise[bool]]] = {}
        #: By network, those of no network included.
        self._attempts: Counter[str | None] = Counter()

    async def check(self, name: bytes, password: bytes, network: str | None) -> User:
        """
        The user with this *name* and *password*, both as sent.

        *network* is where the attempt comes from, as `Slowdown` knows it. No: AUTHENTICATIONFAILED;
        UNAVAILABLE where users cannot be looked up now, or too many attempts have failed.
        """
        key = _key(name)
        user = None if key is None else await self.source.find(key)
        digest = self._digest(name if key is None else key.encode("utf-8"))
        kept = self.source.stand_in(int.from_bytes(digest[:8])) if user is None else user.password
        if kept is None or len(password) > PASSWORD_OCTETS_MAX:
            self._slowdown.failed(network, key)
            raise _refusal()
        attempt = self._digest(digest, kept.text.encode("utf-8"), password)
        if user is not None and self._succeeded_lately(attempt):
            self._slowdown.succeeded(network, user.key)
            return user
        self._enter(network)
        try:
            matches = await self._check_once(attempt, kept, password, network, key)
        finally:
            self._leave(network)
        if user is None or not matches:
            raise _refusal()
        self._remember(attempt)
        return user

    async def _check_once(
        self,
        attempt: bytes,
        kept: PasswordHash,
        password: bytes,
        network: str | None,
        key: AccountKey | None,
    ) -> bool:
        """`_check`, or the result of the one that runs for the same *attempt*."""
        running = self._running.get((attempt, network))
        if running is not None:
            promise: Promise[bool] = self._waiting.promise()
            running.append(promise)
            return await promise
        others = self._running[attempt, network] = []
        try:
            matches = await self._check(kept, password, network, key)
        except Exception as error:
            del self._running[attempt, network]
            for promise in others:
                promise.fail(error)
            raise
        del self._running[attempt, network]
        for promise in others:
            promise.fire(matches)
        return matches

    async def _check(
        self, kept: PasswordHash, password: bytes, network: str | None, key: AccountKey | None
    ) -> bool:
        """Whether *kept* is *password*, after the wait that earlier failures cost."""
        until = self._waiting.seconds() + WAIT_SECONDS_MAX
        while True:
            wait = self._slowdown.wait(network, key)
            if wait > 0:
                if self._waiting.seconds() + wait > until:
                    raise No(UNAVAILABLE, "too many logins have failed, try again later")
                promise: Promise[None] = self._waiting.promise()
                self._waiting.later(wait, partial(promise.fire, None))
                await promise
                continue
            hop = await self._threads.take()
            try:
                # Others may have failed while this one stood in the queue.
                if self._slowdown.wait(network, key) <= 0:
                    matches = await hop.call(partial(_matches, kept, password_forms(password)))
                    if matches and key is not None:
                        self._slowdown.succeeded(network, key)
                    else:
                        self._slowdown.failed(network, key)
                    return matches
            finally:
                self._threads.release(hop)

    def _enter(self, network: str | None) -> None:
        """Counts an attempt, or refuses it for now."""
        excess = network is not None and self._attempts[network] >= NETWORK_ATTEMPTS_MAX
        if excess or self._attempts.total() >= ATTEMPTS_MAX:
            raise No(UNAVAILABLE, "too many logins at once, try again later")
        self._attempts[network] += 1

    def _leave(self, network: str | None) -> None:
        self._attempts[network] -= 1
        if not self._attempts[network]:
            del self._attempts[network]

    def _digest(self, *parts: bytes) -> bytes:
        """A keyed hash of *parts*, different for parts that only joined are the same."""
        message = b"".join(b"%d:%b" % (len(part), part) for part in parts)
        return hmac.digest(self._secret, message, "sha256")

    def _succeeded_lately(self, attempt: bytes) -> bool:
        now = self._waiting.seconds()
        while self._successes and next(iter(self._successes.values())) <= now:
            self._successes.popitem(last=False)
        return attempt in self._successes

    def _remember(self, attempt: bytes) -> None:
        self._successes[attempt] = self._waiting.seconds() + SUCCESS_SECONDS
        self._successes.move_to_end(attempt)
        if len(self._successes) > SUCCESSES_KEPT:
            self._successes.popitem(last=False)


def _matches(kept: PasswordHash, forms: tuple[bytes, ...]) -> bool:
    return any(kept.matches(form) for form in forms)


def _key(name: bytes) -> AccountKey | None:
    """The key of a *name* that somebody may have."""
    try:
        return account_key(name.decode("utf-8"))
    except ValueError:
        return None


def _refusal() -> No:
    return No(AUTHENTICATIONFAILED, "wrong name or password")
