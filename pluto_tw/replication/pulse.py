# SPDX-License-Identifier: GPL-3.0-or-later
"""
The heartbeat to one peer: this replica lives, and this is what it has committed.

A beat goes each second, and at most `TELL_SECONDS` after a commit, with what the accounts concerned
state now. It is what the peer knows of commits that brought it no operations: acknowledgements, and
the pairs by which mod-sequences are translated. Accounts at rest are not in it. One beat is on its
way at a time; when it is not answered within three heartbeats the link is given up.
"""

from collections.abc import Callable
from typing import Final

from pluto_tw.account.store import Store
from pluto_tw.mail.errors import No
from pluto_tw.mail.waiting import Waiting
from pluto_tw.replication import messages
from pluto_tw.replication.channel import AnswerFailed, ChannelLost
from pluto_tw.replication.link import Link, Refused

#: How often a replica says that it lives.
HEARTBEAT_SECONDS: Final = 1.0

#: Three heartbeats: who was not heard for so long is not there.
SILENCE_SECONDS: Final = 3 * HEARTBEAT_SECONDS

#: What was committed is stated after so long: a burst of commits is stated once.
TELL_SECONDS: Final = 0.1

#: Accounts that are still to be stated. Of more the oldest are left out: until their next commit
#: the peer gives larger answers to clients that come from here, and folds later.
OWED_MAX: Final = 8192


class Pulse:
    """
    To the peer of *link*, of the accounts of *store*; *is_complete* tells whether the peer has all
    that it had missed when the link began.
    """

    def __init__(
        self, store: Store, link: Link, waiting: Waiting, is_complete: Callable[[], bool]
    ) -> None:
        self._is_complete = is_complete
        self._store = store
        self._link = link
        self._waiting = waiting
        self._owed: dict[str, None] = {}
        self._is_beating = False
        self._soon = False
        self._stopped = False
        self._cancel: Callable[[], None] = lambda: None

    def start(self) -> None:
        """The first beat goes at once."""
        self._waiting.start(self._beat())

    def stop(self) -> None:
        """No more beats."""
        self._stopped = True
        self._cancel()

    def owe(self, key: str) -> None:
        """The account has committed."""
        self._owed.pop(key, None)
        self._owed[key] = None
        if len(self._owed) > OWED_MAX:
            del self._owed[next(iter(self._owed))]
        if not (self._soon or self._is_beating or self._stopped):
            self._soon = True
            self._schedule(TELL_SECONDS)

    def _schedule(self, seconds: float) -> None:
        self._cancel()
        if not self._stopped:
            self._cancel = self._waiting.later(seconds, self._due)

    def _due(self) -> None:
        self._waiting.start(self._beat())

    async def _beat(self) -> None:
        self._is_beating = True
        self._soon = False
        keys = list(self._owed)[: messages.BEAT_ACCOUNTS]
        for key in keys:
            del self._owed[key]
        cancel = self._waiting.later(SILENCE_SECONDS, self._missed)
        try:
            question = messages.Beat(tuple(self._states(keys)), self._is_complete())
            await self._link.ask(messages.BEAT, question, messages.Beaten)
        except AnswerFailed:
            # It has logged why. What was stated is stated again with the next commits.
            pass
        except ChannelLost:
            self.stop()
        except Refused as refused:
            self._link.abort(f"it does not take our heartbeat: {refused.text}")
            self.stop()
        finally:
            cancel()
            self._is_beating = False
        self._soon = bool(self._owed)
        self._schedule(TELL_SECONDS if self._owed else HEARTBEAT_SECONDS)

    def _states(self, keys: list[str]) -> list[messages.Stated]:
        found = []
        for key in keys:
            try:
                found.append(messages.stated(key, self._store.checkpoint(key)))
            except No:
                continue
        return found

    def _missed(self) -> None:
        self._link.abort(f"three heartbeats were not answered within {SILENCE_SECONDS:g} s")
        self.stop()
