# SPDX-License-Identifier: GPL-3.0-or-later
"""
What an operator asks of this replica about another one: its surveys and accounts.

Each site has its own machine, and an operator who stands at one of them wants to compare all. So
questions go on over the channel that is there anyway. Decides how long they may take; a peer that
cannot answer in time costs no link, since nobody else waits for it.
"""

from typing import Final, Protocol, TypeVar

from msgspec import Struct

from pluto_tw.account.digests import MailboxDigest
from pluto_tw.account.survey import Survey, Unfit
from pluto_tw.mail.waiting import Promise, Waiting
from pluto_tw.replication import messages
from pluto_tw.replication.channel import ChannelLost
from pluto_tw.replication.link import Refused
from pluto_tw.replication.window import Window

#: An answer takes `ANSWER_SECONDS` of `surveys.py` at most, and its way.
ASK_SECONDS: Final = 10.0

#: A survey that has not ended then is given up: a million messages take a minute, but with all
#: bodies it may be too much for one question.
SURVEY_SECONDS_MAX: Final = 600.0

#: Mailboxes of one account that are listed: as many as an account may have, and more.
MAILBOXES_MAX: Final = 65_536

#: Questions for operators that one peer has not answered yet: few, beside those with mail and the
#: heartbeats.
RELAYED_MAX: Final = 4

T = TypeVar("T", bound=Struct)


class NotRelayed(Exception):
    """
    Why there is no answer, for people. *is_away*: the peer answers nothing now; else it does not
    answer this.
    """

    def __init__(self, text: str, *, is_away: bool) -> None:
        super().__init__(text)
        self.is_away = is_away


class Asks(Protocol):
    """`Peer.ask`."""

    async def __call__(self, kind: str, question: Struct, wanted: type[T]) -> T:
        """The answer of the type *wanted*. Raises `ChannelLost` and `Refused`."""


class Relay:
    """Asks the peer *name* by *asks*."""

    def __init__(self, name: str, asks: Asks, waiting: Waiting) -> None:
        self._name = name
        self._asks = asks
        self._waiting = waiting
        self._places = Window(waiting, RELAYED_MAX)

    async def survey(self, key: str, *, bodies: bool, mailboxes: bool) -> Survey:
        """
        Of the account *key* there, with its list of *mailboxes* or without.

        Raises `NotRelayed`.
        """
        until = self._waiting.seconds() + SURVEY_SECONDS_MAX
        parts: list[MailboxDigest] = []
        after = 0 if mailboxes else -1
        first: messages.Surveyed | None = None
        while True:
            question = messages.Survey(key, bodies, after)
            found = await self._ask(messages.SURVEY, question, messages.Surveyed)
            if self._waiting.seconds() >= until:
                text = f"{self._name} did not end in {SURVEY_SECONDS_MAX:g} s"
                raise NotRelayed(text, is_away=False)
            if not found.done:
                continue
            if first is not None and (found.digest, found.vector) != (first.digest, first.vector):
                # Somebody else had the result of which the pages were: here is another.
                parts, after, first = [], 0, None
                continue
            first = found
            parts += [MailboxDigest(row.name, row.digest) for row in found.mailboxes]
            if found.following <= after or len(parts) >= MAILBOXES_MAX:
                return Survey(
                    found.vector,
                    found.outstanding,
                    found.steady,
                    found.digest,
                    found.messages,
                    tuple(parts),
                    found.unfit,
                    tuple(Unfit(place.mailbox, place.uid) for place in found.places),
                )
            after = found.following

    async def accounts(self, cursor: str, limit: int) -> tuple[list[str], str]:
        """As `page_of_accounts` there; of *limit* perhaps fewer. Raises `NotRelayed`."""
        question = messages.Accounts(cursor, min(limit, messages.LISTED_MAX))
        found = await self._ask(messages.ACCOUNTS, question, messages.Listed)
        return list(found.keys), found.cursor

    async def _ask(self, kind: str, question: Struct, wanted: type[T]) -> T:
        await self._places.enter()
        outcome: Promise[T] = self._waiting.promise()
        is_open = True

        def end(error: Exception) -> None:
            nonlocal is_open
            if is_open:
                is_open = False
                outcome.fail(error)

        async def ask() -> None:
            nonlocal is_open
            try:
                answer = await self._asks(kind, question, wanted)
            except ChannelLost as lost:
                end(NotRelayed(f"{self._name} is away: {lost}", is_away=True))
            except Refused as refused:
                end(_not_relayed(self._name, refused))
            else:
                if is_open:
                    is_open = False
                    outcome.fire(answer)
            finally:
                # Only now: what was given up here still counts for the channel.
                self._places.leave()

        self._waiting.start(ask())
        text = f"{self._name} has not answered for {ASK_SECONDS:g} s"
        cancel = self._waiting.later(ASK_SECONDS, lambda: end(NotRelayed(text, is_away=True)))
        try:
            return await outcome
        finally:
            cancel()


def _not_relayed(name: str, refused: Refused) -> NotRelayed:
    if refused.code == messages.NOT_UNDERSTOOD:
        text = f"{name} cannot answer, its release is older: {refused.text}"
        return NotRelayed(text, is_away=True)
    return NotRelayed(f"{name} does not answer now: {refused.text}", is_away=False)
