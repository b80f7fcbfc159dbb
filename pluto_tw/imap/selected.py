# SPDX-License-Identifier: GPL-3.0-or-later
"""
The selected mailbox as one session shows it: which message has which sequence number, and how far
the client has been told of the mailbox's log.

The view is always a prefix of the exposures and vanishings in the log. When a vanishing may not be
told yet, everything exposed behind it waits with it; flags of messages in the view may be told
ahead of it. HIGHESTMODSEQ as told to the client is that of the prefix, so that a client that
reconnects with it misses nothing. RFC 9051 §5.2, §7.5.1; RFC 7162 §3.
"""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from pluto_tw.imap.ports import OpenMailbox
from pluto_tw.imap.responses import flag_list
from pluto_tw.mail.changes import Ended, Touched, Vanished
from pluto_tw.mail.errors import Bad
from pluto_tw.mail.flags import RECENT, SYSTEM_FLAGS, Flags
from pluto_tw.mail.sets import EMPTY, NumberSet, SequenceSet
from pluto_tw.mail.uids import UID_MAX, ModSeq


@dataclass(frozen=True, slots=True)
class Features:
    """What the client has enabled, as far as it changes how messages are told of."""

    #: ENABLE IMAP4rev2: no `\\Recent`, RFC 9051 Appendix E.
    rev2: bool = False
    #: Mod-sequences are told. RFC 7162 §3.1.
    condstore: bool = False
    #: VANISHED takes the place of EXPUNGE. RFC 7162 §3.2.
    qresync: bool = False
    #: Strings may hold UTF-8.
    utf8: bool = False


@dataclass(frozen=True, slots=True)
class Messages:
    """Messages of the view: pairs of sequence number and UID, ascending."""

    numbers: Sequence[int]
    uids: Sequence[int]

    def __len__(self) -> int:
        return len(self.uids)


#: One VANISHED line holds at most this much of a set. RFC 2683 §3.2.1.5 warns of clients with
#: buffers of 8000 octets.
SET_OCTETS_MAX = 7900


class Selected:
    """One session's view of its mailbox; *mailbox* was opened for this session."""

    __slots__ = (
        "_keywords_told",
        "_silenced",
        "_touches_modseq",
        "_touches_position",
        "highest_modseq",
        "mailbox",
        "position",
        "recent",
        "saved",
        "uids",
    )

    def __init__(self, mailbox: OpenMailbox) -> None:
        self.mailbox = mailbox
        #: The UIDs of the view; the message with sequence number n is at n - 1.
        self.uids = array("I", mailbox.uids())
        #: Exposures and vanishings in the log are told up to here.
        self.position = mailbox.position()
        #: The mod-sequence of that prefix.
        self.highest_modseq = mailbox.highest_modseq()
        #: UIDs that are `\Recent` here.
        self.recent = EMPTY
        #: The UIDs that `$` stands for. RFC 9051 §6.4.4.1.
        self.saved = EMPTY
        #: Touches in the log are told up to here; never behind `position`.
        self._touches_position = self.position
        self._touches_modseq = self.highest_modseq
        self._silenced: tuple[ModSeq, NumberSet] | None = None
        self._keywords_told: Flags | None = None
        self._claim_recent()

    def number(self, uid: int) -> int:
        """The sequence number of *uid*; 0 if it is not in the view."""
        index = bisect_left(self.uids, uid)
        if index < len(self.uids) and self.uids[index] == uid:
            return index + 1
        return 0

    def by_numbers(self, numbers: SequenceSet) -> Messages:
        """
        The messages with these sequence numbers.

        Bad if there is no such number: RFC 9051 §9 "seq-number" leaves no other answer.
        """
        count = len(self.uids)
        resolved = numbers.resolve(count)
        if not resolved or resolved.high > count:
            raise Bad(f"the mailbox has {count} messages")
        return self._messages([(low - 1, high) for low, high in resolved.ranges()])

    def by_uids(self, uids: SequenceSet | NumberSet) -> Messages:
        """The messages of the view with these UIDs; others are passed over. RFC 9051 §6.4.9."""
        if isinstance(uids, SequenceSet):
            uids = uids.resolve(self.uids[-1] if self.uids else 0)
        return self._messages(list(uids.spans(self.uids)))

    def messages(self, named: SequenceSet | None, uid: bool) -> Messages:
        """The messages that a command names: by UIDs, by numbers, or by `$` (None)."""
        if named is None:
            return self.by_uids(self.saved)
        return self.by_uids(named) if uid else self.by_numbers(named)

    def _messages(self, spans: list[tuple[int, int]]) -> Messages:
        if len(spans) == 1:
            [(start, end)] = spans
            return Messages(range(start + 1, end + 1), self.uids[start:end])
        numbers = array("I")
        uids = array("I")
        for start, end in spans:
            numbers.extend(range(start + 1, end + 1))
            uids.extend(self.uids[start:end])
        return Messages(numbers, uids)

    # What has happened.

    def has_news(self) -> bool:
        """Whether `news` could have something to tell. Cheap: asked after each command."""
        return self.mailbox.position() > self.position or (
            self.mailbox.keywords() is not self._keywords_told
        )

    def silence(self, modseq: ModSeq, uids: NumberSet) -> None:
        """The client knows already what it changed by *modseq*: `news` does not repeat it."""
        self._silenced = (modseq, uids)

    def news(
        self, features: Features, *, expunge_allowed: bool
    ) -> tuple[list[bytes], Ended | None]:
        """
        The untagged responses that bring the client up to date, as far as it may be told now.

        The second value is not None if the mailbox is not the one that was selected any more: the
        session ends once the responses are told.
        """
        changes = self.mailbox.changes(self.position)
        if changes is None:
            last = self.mailbox.changes(self.mailbox.position() - 1)
            assert last, "a log keeps its last change"
            over = last[-1] if isinstance(last[-1], Ended) else None
            lines = self._compare(features, expunge_allowed, over is not None)
            return lines, over if expunge_allowed else None
        lines = []
        ended: Ended | None = None
        known = self.uids[-1] if self.uids else 0
        flags_changed: set[int] = set()
        modseq_raised: set[int] = set()
        held_back = False
        taken = 0
        for index, change in enumerate(changes, 1):
            if isinstance(change, Touched):
                if self.position + index > self._touches_position:
                    uids = self._news_of_touch(change, known)
                    (flags_changed if change.flags else modseq_raised).update(uids)
                self._touches_modseq = max(self._touches_modseq, change.modseq)
            elif isinstance(change, Ended):
                held_back = held_back or not expunge_allowed
                ended = None if held_back else change
            elif isinstance(change, Vanished):
                held_back = held_back or (not expunge_allowed and bool(self.by_uids(change.uids)))
                if not held_back:
                    lines += self._vanish(change.uids, known, features)
            elif not held_back:
                self.uids.extend(change.uids)
            if not held_back:
                taken = index
                if not isinstance(change, Ended):
                    self.highest_modseq = max(self.highest_modseq, change.modseq)
        self._touches_position = self.position + len(changes)
        self._silenced = None
        self._move(self.position + taken)
        if self.uids and self.uids[-1] > known:
            self._claim_recent()
            lines += self.size_lines(features)
        lines += self.keyword_lines(features)
        if features.condstore:
            lines += self.modseq_lines(sorted(modseq_raised - flags_changed))
        lines += self.flag_lines(sorted(flags_changed), features)
        return lines, ended

    def _news_of_touch(self, change: Touched, known: int) -> Sequence[int]:
        """
        UIDs of *change* that the client is told of: those it knew (up to *known*) and that it did
        not change itself. Of messages that it hears of only now it asks by itself.
        """
        uids = change.uids
        if self._silenced is not None and change.modseq == self._silenced[0]:
            uids -= self._silenced[1]
        if uids and uids.high > known:
            uids &= NumberSet.from_ranges([(1, known)]) if known else EMPTY
        return self.by_uids(uids).uids

    def _compare(self, features: Features, expunge_allowed: bool, over: bool) -> list[bytes]:
        """
        `news` when the log does not reach back to our position: the states are compared.

        The view moves to the newest state, unless it has to wait for an EXPUNGE, or for the end of
        the mailbox (*over*), that may not be told now.
        """
        lines: list[bytes] = []
        shown = NumberSet.from_sorted(self.uids)
        newest = self.mailbox.uids()
        vanished = shown - NumberSet.from_sorted(newest)
        seen_modseq = self._touches_modseq
        candidates = self.uids
        if expunge_allowed or not (vanished or over):
            lines += self._vanish(vanished, UID_MAX, features)
            candidates = self.uids[:]
            self.uids = array("I", newest)
            self.highest_modseq = self.mailbox.highest_modseq()
            self._move(self.mailbox.position())
            if len(self.uids) > len(candidates):
                self._claim_recent()
                lines += self.size_lines(features)
        modseqs = self.mailbox.modseqs(candidates)
        touched = [u for u, m in zip(candidates, modseqs, strict=True) if m > seen_modseq]
        self._touches_modseq = self.mailbox.highest_modseq()
        self._touches_position = self.mailbox.position()
        self._silenced = None
        lines += self.keyword_lines(features)
        lines += self.flag_lines(touched, features)
        return lines

    def _move(self, position: int) -> None:
        if position != self.position:
            self.position = position
            self.mailbox.told(position)

    def _vanish(self, uids: NumberSet, known: int, features: Features) -> list[bytes]:
        """Takes *uids* out of the view; those above *known* came and went without a word."""
        gone = self.by_uids(uids)
        if not gone:
            return []
        for start, end in reversed(list(uids.spans(self.uids))):
            del self.uids[start:end]
        vanished = NumberSet.from_sorted(gone.uids)
        self.recent -= vanished
        told = bisect_right(gone.uids, known)
        if features.qresync:
            vanished = NumberSet.from_sorted(gone.uids[:told])
            return [b"* VANISHED %b\r\n" % part for part in vanished.chunks(SET_OCTETS_MAX)]
        # From the highest down, so that no number shifts under the next.
        return [b"* %d EXPUNGE\r\n" % number for number in reversed(gone.numbers[:told])]

    def _claim_recent(self) -> None:
        if self.mailbox.read_only:
            return
        # All that is exposed by now is claimed, also what the view does not hold yet.
        lowest, uid_next = self.mailbox.claim_recent(), self.mailbox.uid_next()
        if lowest < uid_next:
            self.recent |= NumberSet.from_ranges([(lowest, uid_next - 1)])

    def _recent_count(self) -> int:
        return len(self.by_uids(self.recent)) if self.recent else 0

    # How it is told.

    def size_lines(self, features: Features) -> list[bytes]:
        """EXISTS, and for IMAP4rev1 RECENT. RFC 3501 §7.3."""
        lines = [b"* %d EXISTS\r\n" % len(self.uids)]
        if not features.rev2:
            lines.append(b"* %d RECENT\r\n" % self._recent_count())
        return lines

    def keyword_lines(self, features: Features) -> list[bytes]:
        """FLAGS and PERMANENTFLAGS, if there is a keyword that the client was not told of."""
        keywords = self.mailbox.keywords()
        if keywords is self._keywords_told:
            return []
        self._keywords_told = keywords
        flags = flag_list(frozenset(SYSTEM_FLAGS) | keywords)
        permanent = b"()" if self.mailbox.read_only else flags
        if not self.mailbox.read_only and self.mailbox.takes_new_keywords():
            permanent = flags[:-1] + b" \\*)"
        return [
            b"* FLAGS %b\r\n" % flags,
            b"* OK [PERMANENTFLAGS %b] Flags that are kept\r\n" % permanent,
        ]

    def flag_lines(self, uids: Sequence[int], features: Features) -> list[bytes]:
        """A FETCH with UID, FLAGS and, if asked for, MODSEQ of each of *uids* in the view."""
        messages = self.by_uids(NumberSet.from_sorted(uids))
        flags = self.shown_flags(messages.uids, features)
        if not features.condstore:
            return [
                b"* %d FETCH (UID %d FLAGS %b)\r\n" % (number, uid, flag_list(shown))
                for number, uid, shown in zip(messages.numbers, messages.uids, flags, strict=True)
            ]
        modseqs = self.mailbox.modseqs(messages.uids)
        return [
            b"* %d FETCH (UID %d FLAGS %b MODSEQ (%d))\r\n"
            % (number, uid, flag_list(shown), modseq)
            for number, uid, shown, modseq in zip(
                messages.numbers, messages.uids, flags, modseqs, strict=True
            )
        ]

    def modseq_lines(self, uids: Sequence[int]) -> list[bytes]:
        """A FETCH with UID and MODSEQ of each of *uids* in the view. RFC 7162 §3.1.3."""
        messages = self.by_uids(NumberSet.from_sorted(uids))
        modseqs = self.mailbox.modseqs(messages.uids)
        return [
            b"* %d FETCH (UID %d MODSEQ (%d))\r\n" % row
            for row in zip(messages.numbers, messages.uids, modseqs, strict=True)
        ]

    def shown_flags(self, uids: Sequence[int], features: Features) -> Sequence[Flags]:
        """The flags of *uids* as this session shows them: for IMAP4rev1 with `\\Recent`."""
        flags = self.mailbox.flags(uids)
        if features.rev2 or not self.recent:
            return flags
        recent = self.recent
        return [f | _RECENT if u in recent else f for u, f in zip(uids, flags, strict=True)]


_RECENT: Flags = frozenset({RECENT})
