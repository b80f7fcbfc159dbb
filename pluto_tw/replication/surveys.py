# SPDX-License-Identifier: GPL-3.0-or-later
"""
Surveys of accounts that peers want for their operators.

To survey a large account takes longer than a question may: who asks is told how far it is, and asks
again. The survey goes on meanwhile, and ends by itself when nobody asks any more. Its result is
told in pages, all of one survey. What is surveyed is for `pluto_tw.account.survey`.
"""

from functools import partial
from typing import Final

from pluto_tw.account.store import Store
from pluto_tw.account.survey import Survey, survey
from pluto_tw.mail.codes import UNAVAILABLE
from pluto_tw.mail.errors import No
from pluto_tw.mail.waiting import Promise, Waiting
from pluto_tw.replication import messages

#: Surveys at a time, those included whose last page was not asked for yet. Each reads as fast as it
#: can, in turns with all else.
SURVEYS_MAX: Final = 4

#: How long a question is kept before its answer says that the survey is not done: half of what who
#: asks waits for.
ANSWER_SECONDS: Final = 5.0

#: A survey that nobody has asked for so long ends, and its result is forgotten.
ASKED_SECONDS: Final = 30.0


class _Forgotten(Exception):
    """Nobody asks any more."""


class _Running:
    """One that runs, or has ended."""

    def __init__(self) -> None:
        self.asked_at = 0.0
        self.messages = 0
        #: Once it has ended.
        self.outcome: Survey | No | None = None
        self.waiters: list[Promise[None]] = []


class Surveys:
    """Of the accounts of *store*."""

    def __init__(self, store: Store, waiting: Waiting) -> None:
        self._store = store
        self._waiting = waiting
        self._running: dict[tuple[str, bool], _Running] = {}

    async def answer(self, question: messages.Survey) -> messages.Surveyed:
        """How far the survey is that is asked for, or a page of it. Raises No(UNAVAILABLE)."""
        key = question.key, question.bodies
        running = self._running.get(key)
        if running is None:
            running = self._begin(*key)
        running.asked_at = self._waiting.seconds()
        if running.outcome is None:
            await self._some_time(running)
        outcome = running.outcome
        if outcome is None:
            return messages.Surveyed(False, running.messages)
        answer = None if isinstance(outcome, No) else _page(outcome, question.after)
        if answer is None or answer.following < 0:
            self._end(key, running)
        if isinstance(outcome, No):
            raise outcome
        assert answer is not None
        return answer

    def _begin(self, key: str, bodies: bool) -> _Running:
        if len(self._running) >= SURVEYS_MAX:
            self._forget()
        if len(self._running) >= SURVEYS_MAX:
            raise No(UNAVAILABLE, f"{SURVEYS_MAX} accounts are surveyed here already")
        running = self._running[key, bodies] = _Running()
        running.asked_at = self._waiting.seconds()
        self._waiting.start(self._run(running, key, bodies))
        return running

    async def _run(self, running: _Running, key: str, bodies: bool) -> None:
        def looked_at(messages: int) -> None:
            running.messages += messages
            if self._waiting.seconds() - running.asked_at > ASKED_SECONDS:
                raise _Forgotten

        try:
            with self._store.lease(key) as account:
                running.outcome = await survey(account, bodies=bodies, looked_at=looked_at)
        except No as no:
            running.outcome = no
        except _Forgotten:
            self._end((key, bodies), running)
        finally:
            if running.outcome is None:
                running.outcome = No(UNAVAILABLE, "the survey did not come to its end")
            waiters, running.waiters = running.waiters, []
            for waiter in waiters:
                waiter.fire(None)

    async def _some_time(self, running: _Running) -> None:
        """Returns when it has ended, or after `ANSWER_SECONDS`."""
        promise: Promise[None] = self._waiting.promise()
        running.waiters.append(promise)
        cancel = self._waiting.later(ANSWER_SECONDS, partial(_give_up, running, promise))
        await promise
        cancel()

    def _forget(self) -> None:
        """Lets go of those that have ended and that nobody asks for."""
        since = self._waiting.seconds() - ASKED_SECONDS
        for key, running in list(self._running.items()):
            if running.outcome is not None and running.asked_at < since:
                self._end(key, running)

    def _end(self, key: tuple[str, bool], running: _Running) -> None:
        if self._running.get(key) is running:
            del self._running[key]


def _give_up(running: _Running, promise: "Promise[None]") -> None:
    if promise in running.waiters:
        running.waiters.remove(promise)
        promise.fire(None)


def _page(found: Survey, after: int) -> messages.Surveyed:
    """The answer with the mailboxes from *after* on; none if it is below 0."""
    some = found.mailboxes[after : after + messages.MAILBOXES_MAX] if after >= 0 else ()
    end = after + len(some)
    return messages.Surveyed(
        True,
        found.messages,
        found.vector,
        found.outstanding,
        found.steady,
        found.digest,
        tuple(messages.Mailbox(part.name, part.digest) for part in some),
        end if after >= 0 and end < len(found.mailboxes) else -1,
        found.unfit,
        tuple(messages.Unfit(place.mailbox, place.uid) for place in found.places),
    )


def page_of_accounts(store: Store, cursor: str, limit: int) -> tuple[list[str], str]:
    """
    At most *limit* keys of accounts, and the cursor behind them; that is empty at the end.

    Shard by shard: an empty *cursor* begins. ValueError if it is none of this store's.
    """
    place, colon, after = (cursor or "0:").partition(":")
    if not (colon and place.isascii() and place.isdecimal() and int(place) < store.shards):
        raise ValueError("not a cursor of an earlier answer")
    shard = int(place)
    keys = store.accounts_after(shard, after, limit)
    if len(keys) == limit:
        return keys, f"{shard}:{keys[-1]}"
    return keys, f"{shard + 1}:" if shard + 1 < store.shards else ""


def accounts(store: Store, question: messages.Accounts) -> messages.Listed | messages.Refusal:
    """The answer to a peer: a page of the accounts of *store*."""
    try:
        keys, cursor = page_of_accounts(store, question.cursor, question.limit)
    except ValueError as error:
        return messages.Refusal(messages.UNAVAILABLE, str(error))
    return messages.Listed(tuple(keys), cursor)
