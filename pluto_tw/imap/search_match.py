# SPDX-License-Identifier: GPL-3.0-or-later
"""
Which messages of a session's view fit a search key.

Evaluates at the least cost: first, for thousands of messages at once, the keys that are answered
from memory; then, for messages that these leave undecided, facts; then, for those still undecided,
bodies, each read once and no further than it takes. A truth is a pair of masks (see
`search_columns`): the messages that fit for certain, and those that may fit; so `OR SEEN BODY x`
reads the bodies of unseen messages only.

Which keys need what: memory `search_columns`, headers `search_header`, bodies `search_body`.
"""

from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass
from itertools import compress
from typing import assert_never

from pluto_tw.imap.pace import Pace
from pluto_tw.imap.ports import FACTS_MAX, OpenMailbox
from pluto_tw.imap.ports import Body as StoredBody
from pluto_tw.imap.search_body import Needles, look_through
from pluto_tw.imap.search_columns import Column, Columns, Moment, full, mask, matches
from pluto_tw.imap.search_header import HeaderText
from pluto_tw.imap.selected import Messages, Selected
from pluto_tw.mail.errors import No
from pluto_tw.mail.search import (
    All,
    And,
    Body,
    ChangedSince,
    Field,
    Header,
    Key,
    Not,
    Or,
    SentDay,
    Text,
    Uids,
)
from pluto_tw.mail.sets import NumberSet
from pluto_tw.mail.uids import UID_MAX, ModSeq
from pluto_tw.mime.facts import Facts
from pluto_tw.mime.folding import fold
from pluto_tw.mime.text import HEADER_SEARCHED_OCTETS_MAX

#: Messages that are looked at together: a key on so many takes a millisecond at most.
BATCH_MESSAGES = 2000

#: The messages that fit, and those that may fit; the first are among the second.
Truth = tuple[int, int]

_Composite = And | Or | Not
_OfHeader = Header | Field
_OfContent = Text | Body
_Leaf = Column | SentDay | _OfHeader | _OfContent


@dataclass(frozen=True, slots=True)
class Found:
    """What a search found; *unread* messages were left out, as their bodies cannot be had here."""

    messages: Messages
    unread: int


class _Plan:
    """
    A key as leaves, each once, and the operations on them in postfix order.

    In `steps` a number stands for that leaf; a composite takes as many operands as it has keys.
    """

    __slots__ = ("leaves", "needles", "of_content", "of_facts", "steps")

    def __init__(self, key: Key) -> None:
        numbers: dict[_Leaf, int] = {}
        steps: list[int | _Composite] = []
        stack = [key]
        while stack:
            step = stack.pop()
            match step:
                case And(keys):
                    steps.append(step)
                    stack += keys
                case Or(left, right):
                    steps.append(step)
                    stack += (left, right)
                case Not(negated):
                    steps.append(step)
                    stack.append(negated)
                case Text("") | Body(""):
                    # "The empty string is a substring" of every text, the missing one too.
                    steps.append(numbers.setdefault(All(), len(numbers)))
                case _:
                    steps.append(numbers.setdefault(step, len(numbers)))
        steps.reverse()
        self.steps = tuple(steps)
        self.leaves = tuple(numbers)
        #: Leaves that need facts, and of those the ones that may need the body as well.
        self.of_facts = [
            number
            for leaf, number in numbers.items()
            if isinstance(leaf, SentDay | Header | Field | Text)
        ]
        self.of_content = [
            number for leaf, number in numbers.items() if isinstance(leaf, Text | Body)
        ]
        self.needles = [
            fold(leaf.text) if isinstance(leaf, Header | Field | Text | Body) else ""
            for leaf in self.leaves
        ]

    def evaluate(self, truths: Sequence[Truth], ones: int) -> Truth:
        """The truth of the whole, of messages that all fit in the mask *ones*."""
        operands: list[Truth] = []
        for step in self.steps:
            match step:
                case int():
                    operands.append(truths[step])
                case And(keys):
                    yes = maybe = ones
                    for _ in keys:
                        left_yes, left_maybe = operands.pop()
                        yes &= left_yes
                        maybe &= left_maybe
                    operands.append((yes, maybe))
                case Or():
                    left_yes, left_maybe = operands.pop()
                    right_yes, right_maybe = operands.pop()
                    operands.append((left_yes | right_yes, left_maybe | right_maybe))
                case Not():
                    yes, maybe = operands.pop()
                    operands.append((ones ^ maybe, ones ^ yes))
                case _:
                    assert_never(step)
        [truth] = operands
        return truth


async def search(key: Key, view: Selected, recent: NumberSet, now: int, pace: Pace) -> Found:
    """
    The messages of *view* that fit *key*, ascending.

    *recent* are those that are `\\Recent` to the client, *now* is the time in POSIX seconds. A
    message whose body would decide, but cannot be had here, is not found. No: what
    `OpenMailbox.changed_since` and `facts` raise.
    """
    mailbox = view.mailbox
    moment = Moment(now, recent, await _changed(key, mailbox))
    scope = _scope(key)
    if scope is None:
        among = Messages(range(1, len(view.uids) + 1), view.uids)
    else:
        among = view.by_uids(scope)
    matching = _Matching(_Plan(key), mailbox, moment, pace)
    numbers: list[int] = []
    uids: list[int] = []
    for start in range(0, len(among), BATCH_MESSAGES):
        batch = among.uids[start : start + BATCH_MESSAGES]
        fits = await matching.of_batch(batch)
        numbers += compress(among.numbers[start : start + BATCH_MESSAGES], fits)
        uids += compress(batch, fits)
    return Found(Messages(numbers, uids), matching.unread)


async def _changed(key: Key, mailbox: OpenMailbox) -> dict[ChangedSince, NumberSet]:
    """
    The messages that fit each MODSEQ of *key*.

    Asked of the mailbox, which knows what a mod-sequence means that another replica told; 0 and 1
    mean all messages.
    """
    changed: dict[ChangedSince, NumberSet] = {}
    stack = [key]
    while stack:
        match stack.pop():
            case And(keys):
                stack += keys
            case Or(left, right):
                stack += (left, right)
            case Not(negated):
                stack.append(negated)
            case ChangedSince(modseq) as since if since not in changed:
                if modseq > 1:
                    changed[since] = await mailbox.changed_since(ModSeq(modseq - 1))
                else:
                    changed[since] = _EVERYTHING
            case _:
                pass
    return changed


_EVERYTHING = NumberSet.from_ranges([(1, UID_MAX)])


def _scope(key: Key) -> NumberSet | None:
    """UIDs outside of which nothing can fit *key*; None: there is no such bound."""
    match key:
        case Uids(uids):
            return uids
        case And(keys):
            scope = None
            for part in keys:
                bound = _scope(part)
                if bound is not None:
                    scope = bound if scope is None else scope & bound
            return scope
        case _:
            return None


class _Matching:
    """One plan on one mailbox."""

    def __init__(self, plan: _Plan, mailbox: OpenMailbox, moment: Moment, pace: Pace) -> None:
        self._plan = plan
        self._mailbox = mailbox
        self._moment = moment
        self._pace = pace
        self.unread = 0

    async def of_batch(self, uids: Sequence[int]) -> Sequence[int]:
        """For each of *uids* whether it fits: 1 or 0."""
        size = len(uids)
        yes, maybe = self._plan.evaluate(await self._from_memory(uids), full(size))
        fits = bytearray(yes.to_bytes(size, "little"))
        if yes != maybe:
            undecided = list(compress(range(size), (yes ^ maybe).to_bytes(size, "little")))
            for start in range(0, len(undecided), FACTS_MAX):
                places = undecided[start : start + FACTS_MAX]
                answers = await self._from_facts([uids[place] for place in places])
                for place, answer in zip(places, answers, strict=True):
                    fits[place] = answer
        return fits

    async def _from_memory(self, uids: Sequence[int]) -> list[Truth]:
        """The truth of each leaf, as far as memory knows."""
        columns = Columns(self._mailbox, uids, self._moment)
        unknown = (0, full(len(uids)))
        truths: list[Truth] = []
        for leaf in self._plan.leaves:
            if isinstance(leaf, SentDay | Header | Field | Text | Body):
                truths.append(unknown)
            else:
                known = columns.mask(leaf)
                truths.append((known, known))
                await self._pace.step()
        return truths

    async def _from_facts(self, uids: Sequence[int]) -> list[bool]:
        """Whether each of *uids*, at most `FACTS_MAX`, fits."""
        plan = self._plan
        facts = await self._mailbox.facts(uids)
        truths = await self._from_memory(uids)
        answers: dict[int, list[bool | None]] = {number: [] for number in plan.of_facts}
        for known in facts:
            header = HeaderText(known.header, complete=known.header_complete)
            for number, column in answers.items():
                column.append(self._from_header(number, known, header))
            await self._pace.step()
        for number, column in answers.items():
            certain = mask(answer is True for answer in column)
            truths[number] = certain, mask(answer is not False for answer in column)
        yes, maybe = plan.evaluate(truths, full(len(uids)))
        fits: list[bool] = []
        for place, (uid, known) in enumerate(zip(uids, facts, strict=True)):
            if _at(yes, place) or not _at(maybe, place):
                fits.append(bool(_at(yes, place)))
            else:
                own = [(_at(certain, place), _at(possible, place)) for certain, possible in truths]
                fits.append(await self._from_body(uid, known, own))
        return fits

    def _from_header(self, number: int, facts: Facts, header: HeaderText) -> bool | None:
        leaf = self._plan.leaves[number]
        if isinstance(leaf, SentDay):
            return matches(leaf.comparison, facts.sent_day, leaf.day)
        assert isinstance(leaf, Header | Field | Text), "these are the leaves that facts answer"
        return header.fits(leaf, self._plan.needles[number])

    async def _from_body(self, uid: int, facts: Facts, truths: list[Truth]) -> bool:
        """Whether the message *uid* fits, of whose leaves the *truths* are known so far."""
        body = self._mailbox.body(uid)
        try:
            if not facts.header_complete:
                await self._from_whole_header(body, facts, truths)
            await self._from_text(body, facts, truths)
        except No:
            self.unread += 1
        return self._plan.evaluate(truths, 1)[0] == 1

    async def _from_whole_header(self, body: StoredBody, facts: Facts, truths: list[Truth]) -> None:
        """Settles what the part of the header that is kept with the facts has left open."""
        span = facts.parts[0].header
        length = min(span.end - span.start, HEADER_SEARCHED_OCTETS_MAX)
        octets = b"".join([chunk async for chunk in body.read(span.start, length)])
        header = HeaderText(octets, complete=True)
        for number in self._plan.of_facts:
            if truths[number] == _UNKNOWN:
                answer = self._from_header(number, facts, header)
                truths[number] = _UNKNOWN if answer is None else (int(answer), int(answer))

    async def _from_text(self, body: StoredBody, facts: Facts, truths: list[Truth]) -> None:
        """Settles BODY and TEXT, or as many of them as it takes."""
        plan = self._plan
        if self._is_decided(truths):
            return
        unknown = [number for number in plan.of_content if truths[number] == _UNKNOWN]
        needles = Needles(
            {number: plan.needles[number] for number in unknown},
            {n: plan.needles[n] for n in unknown if isinstance(plan.leaves[n], Text)},
        )
        async with aclosing(look_through(body, facts, needles)) as chunks:
            async for _ in chunks:
                for number in needles.found:
                    truths[number] = (1, 1)
                if needles.found and self._is_decided(truths):
                    return
                needles.found.clear()
                await self._pace.step()
        for number in needles.of_bodies:
            truths[number] = (0, 0)

    def _is_decided(self, truths: Sequence[Truth]) -> bool:
        yes, maybe = self._plan.evaluate(truths, 1)
        return yes == maybe


#: The truth of a leaf, of one message, of which nothing is known.
_UNKNOWN: Truth = (0, 1)


def _at(messages: int, place: int) -> int:
    """1 if the message at *place* is in the mask *messages*, else 0."""
    return messages >> (8 * place) & 1
