# SPDX-License-Identifier: GPL-3.0-or-later
r"""
FETCH and UID FETCH: what messages are and hold.

Decides in which order things are said, and what becomes of a message that cannot be answered:

- Before anything of a message is sent, the first octets of it are at hand. If they cannot be had,
  or its section cannot be decoded, its response is left out, the others are answered, and the
  command ends with NO. A failure later than that, with half a literal sent, ends the connection.
- `\Seen` is set for all messages at once before the first is answered, and told with each.
- No message is held in memory: bodies are passed on in the chunks they come in.

Which items there are is for `fetch_items`; their values come from `attributes`, `sections` and
`fragments`. RFC 9051 §6.4.5, §7.5.2; RFC 3501 §6.4.5; RFC 3516; RFC 7162 §3.1.4, §3.2.6; RFC 8474.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from pluto_tw.imap import attributes, fragments, sections
from pluto_tw.imap.attributes import OF_FACTS
from pluto_tw.imap.command import Reply
from pluto_tw.imap.fetch_items import Attribute, Item, Section, parse_items, sets_seen
from pluto_tw.imap.fetch_response import Response
from pluto_tw.imap.grammar import Arguments
from pluto_tw.imap.pace import Pace
from pluto_tw.imap.ports import FACTS_MAX, Body
from pluto_tw.imap.sections import Stream
from pluto_tw.imap.selected import SET_OCTETS_MAX, Messages, Selected
from pluto_tw.imap.session import Session
from pluto_tw.mail.errors import Bad, No
from pluto_tw.mail.flags import SEEN
from pluto_tw.mail.messages import Stored
from pluto_tw.mail.sets import EMPTY, NumberSet, SequenceSet
from pluto_tw.mail.uids import UID_MAX, ModSeq
from pluto_tw.mime.facts import Facts

#: Messages whose response lines are made in one go, where they are made from memory: 50-100 KiB.
LINES_MAX: Final = 1000


@dataclass(frozen=True, slots=True)
class Fetch:
    """FETCH or UID FETCH."""

    #: None: those that `$` stands for, RFC 5182.
    messages: SequenceSet | None
    uid: bool
    #: What is answered, in this order: what was asked for behind what the form of the command adds.
    items: tuple[Item, ...]
    #: Only messages that changed after this. RFC 7162 §3.1.4.1.
    changed_since: ModSeq | None
    #: Tell also of those that vanished. RFC 7162 §3.2.6.
    vanished: bool


def parse(arguments: Arguments, uid: bool) -> Fetch:
    """
    SP sequence-set SP (macro / item / list) [SP "(" fetch-modifier *(SP fetch-modifier) ")"]

    CHANGEDSINCE 0 is taken too, which RFC 7162 §7 does not have: clients keep it as "nothing yet".
    """
    arguments.space()
    messages = arguments.sequence_set_or_saved()
    arguments.space()
    asked = parse_items(arguments)
    changed_since: ModSeq | None = None
    vanished = False
    if arguments.space_if():

        def modifier() -> None:
            nonlocal changed_since, vanished
            name = arguments.keyword(b"CHANGEDSINCE", b"VANISHED")
            if vanished if name == b"VANISHED" else changed_since is not None:
                arguments.bad("each modifier once")
            if name == b"VANISHED":
                vanished = True
            else:
                arguments.space()
                changed_since = ModSeq(arguments.mod_sequence_valzer())

        arguments.parenthesised(modifier)
    arguments.end()
    if vanished and not uid:
        raise Bad("VANISHED is for UID FETCH")
    if vanished and changed_since is None:
        raise Bad("VANISHED is possible only with CHANGEDSINCE")
    items = list(asked)
    if changed_since is not None and Attribute.MODSEQ not in asked:
        items.insert(0, Attribute.MODSEQ)
    if uid and Attribute.UID not in asked:
        items.insert(0, Attribute.UID)
    return Fetch(messages, uid, tuple(items), changed_since, vanished)


async def run(session: Session, value: Fetch) -> Reply:
    """Answers for each message of the view that is named, in ascending order."""
    if value.vanished and not session.features.qresync:
        raise Bad("QRESYNC must be enabled first")
    selected = session.the_mailbox
    messages = selected.messages(value.messages, value.uid)
    if Attribute.MODSEQ in value.items:
        session.enable_condstore()
    if value.changed_since is not None:
        if value.vanished:
            await _tell_vanished(session, selected, value.messages, value.changed_since)
        messages = _among(messages, await selected.mailbox.changed_since(value.changed_since))
    seen = await _set_seen(selected, value.items, messages)
    answers = _Answers(session, selected, value.items, seen)
    await answers.tell(messages)
    if seen is not None:
        # Whose response was left out is told of its flags by the session afterwards.
        selected.silence(seen.modseq, seen.changed - NumberSet.of(answers.failed))
    if answers.failure is not None:
        raise answers.failure
    return Reply()


async def _tell_vanished(
    session: Session, selected: Selected, named: SequenceSet | None, since: ModSeq
) -> None:
    """
    VANISHED (EARLIER), before all FETCH responses. RFC 7162 §3.2.6.

    Here `*` is the highest UID that can be: "1:*" from a client means all that it ever saw, and
    the last ones may be among those that vanished. What the view still shows is told when it
    leaves the view.
    """
    known = selected.saved if named is None else named.resolve(UID_MAX)
    vanished = await selected.mailbox.vanished_since(since, known)
    vanished -= NumberSet.from_sorted(vanished.select(selected.uids))
    for part in vanished.chunks(SET_OCTETS_MAX):
        session.send(b"* VANISHED (EARLIER) %b\r\n" % part)
        await session.drain()


def _among(messages: Messages, uids: NumberSet) -> Messages:
    """Those of *messages* that are in *uids*."""
    spans = list(uids.spans(messages.uids))
    if len(spans) == 1:
        [(start, end)] = spans
        return Messages(messages.numbers[start:end], messages.uids[start:end])
    return Messages(
        [number for start, end in spans for number in messages.numbers[start:end]],
        [uid for start, end in spans for uid in messages.uids[start:end]],
    )


async def _set_seen(
    selected: Selected, items: tuple[Item, ...], messages: Messages
) -> Stored | None:
    r"""
    Sets `\Seen` where answering *items* implies it. RFC 9051 §6.4.5.

    Where the flag cannot be stored, the mail can still be read: no reason to refuse that.
    """
    mailbox = selected.mailbox
    if mailbox.read_only or not sets_seen(items):
        return None
    flags = mailbox.flags(messages.uids)
    unseen = [uid for uid, set_ in zip(messages.uids, flags, strict=True) if SEEN not in set_]
    if not unseen:
        return None
    try:
        return await mailbox.mark_seen(NumberSet.from_sorted(unseen))
    except No:
        return None


class _Answers:
    """The FETCH responses of one command; *seen* tells where it has set `\\Seen`."""

    __slots__ = (
        "_added",
        "_items",
        "_pace",
        "_seen",
        "_selected",
        "_session",
        "failed",
        "failure",
    )

    def __init__(
        self, session: Session, selected: Selected, items: tuple[Item, ...], seen: Stored | None
    ) -> None:
        self._session = session
        self._selected = selected
        self._pace = Pace(session)
        self._items = items
        self._seen = EMPTY if seen is None else seen.changed
        #: What is told besides where `\\Seen` was set. With mod-sequences we "MUST automatically
        #: include both UID and mod-sequence data", RFC 7162 §3.2.4.
        added = [Attribute.FLAGS]
        if session.features.condstore:
            added = [Attribute.UID, Attribute.MODSEQ, Attribute.FLAGS]
        self._added = [each for each in added if self._seen and each not in items]
        #: The first reason why a message was not answered, and the UIDs of all of them.
        self.failure: No | None = None
        self.failed: list[int] = []

    async def tell(self, messages: Messages) -> None:
        """Sends the responses of *messages*, as fast as the client takes them."""
        form = fragments.form_of(self._items)
        words = [item for item in self._items if isinstance(item, Attribute)]
        if form is not None and isinstance(messages.numbers, range):
            await self._tell_ready(form, messages.numbers)
            return
        from_memory = len(words) == len(self._items) and OF_FACTS.isdisjoint(words)
        step = LINES_MAX if from_memory else FACTS_MAX
        for start in range(0, len(messages), step):
            numbers = messages.numbers[start : start + step]
            uids = messages.uids[start : start + step]
            if from_memory:
                await self._tell_lines(words, numbers, uids)
            else:
                await self._tell_slice(numbers, uids)

    async def _tell_ready(self, form: fragments.Form, numbers: range) -> None:
        """Flags of a run of messages, from what is kept ready."""
        selected = self._selected
        features = self._session.features
        ready = fragments.of(selected.mailbox)
        place, end = numbers.start - 1, numbers.stop - 1
        while place < end:
            self._tell_keywords()
            block, place = ready.block(selected, features, form, place, end)
            await self._pace.send(block)
            await self._pace.step()

    async def _tell_lines(
        self, words: Sequence[Attribute], numbers: Sequence[int], uids: Sequence[int]
    ) -> None:
        """What memory alone tells."""
        self._tell_keywords()
        lines = attributes.lines(words, self._selected, numbers, uids, self._session.features)
        await self._pace.send(*lines)
        await self._pace.step()

    async def _tell_slice(self, numbers: Sequence[int], uids: Sequence[int]) -> None:
        """What takes facts or bodies."""
        facts: Sequence[Facts] = ()
        if any(map(_needs_facts, self._items)):
            numbers, uids, facts = await self._with_facts(numbers, uids)
        # Nothing is awaited between the keywords and the flags: none of these is new then.
        self._tell_keywords()
        items: list[Item] = [*self._added, *self._items]
        columns = {
            item: attributes.texts(item, self._selected, uids, self._session.features, facts)
            for item in items
            if isinstance(item, Attribute)
        }
        for place, uid in enumerate(uids):
            told = items if uid in self._seen else self._items
            values = [columns[i][place] if isinstance(i, Attribute) else i for i in told]
            response = Response(self._session, self._pace, numbers[place])
            try:
                await self._fill(response, uid, values, facts[place] if facts else None)
            except No as error:
                if response.is_begun:
                    raise
                self._fail(uid, error)
            finally:
                response.close()

    async def _fill(
        self, response: Response, uid: int, values: Sequence[bytes | Section], facts: Facts | None
    ) -> None:
        """Completes *response* of *values*, some of which are still to be looked up."""
        body: Body | None = None
        if facts is not None:
            for value in values:
                if not isinstance(value, bytes):
                    sections.check(value, facts)
        for value in values:
            if isinstance(value, bytes):
                await response.add(value)
                continue
            told: bytes | Stream | None = None
            if facts is not None:
                told = sections.from_facts(value, facts)
            if told is None:
                body = body or self._selected.mailbox.body(uid)
                told = await sections.value(value, facts, body, self._pace.step)
            if isinstance(told, Stream):
                await response.add(value.told, b" ")
                await response.stream(told)
            else:
                await response.add(value.told, b" ", told)
        await response.finish()

    async def _with_facts(
        self, numbers: Sequence[int], uids: Sequence[int]
    ) -> tuple[Sequence[int], Sequence[int], Sequence[Facts]]:
        """Those of the messages whose facts can be had, with them."""
        mailbox = self._selected.mailbox
        try:
            return numbers, uids, await mailbox.facts(uids)
        except No:
            # One of them has none: each is asked for by itself.
            had: list[tuple[int, int, Facts]] = []
        for number, uid in zip(numbers, uids, strict=True):
            try:
                [facts] = await mailbox.facts([uid])
            except No as error:
                self._fail(uid, error)
            else:
                had.append((number, uid, facts))
        return [row[0] for row in had], [row[1] for row in had], [row[2] for row in had]

    def _tell_keywords(self) -> None:
        """Keywords are announced before a message shows them. RFC 9051 §7.3.5."""
        self._session.send(*self._selected.keyword_lines(self._session.features))

    def _fail(self, uid: int, error: No) -> None:
        """The message *uid* is not answered."""
        self.failure = self.failure or error
        self.failed.append(uid)


def _needs_facts(item: Item) -> bool:
    return item in OF_FACTS if isinstance(item, Attribute) else sections.needs_facts(item)
