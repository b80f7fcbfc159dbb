# SPDX-License-Identifier: GPL-3.0-or-later
"""
One mailbox in memory: messages, log, keywords, and how far each session has been told.

Decides nothing of what commands may do; that is `tests.support.opened` and
`tests.support.account`, which wake the sessions when a change is complete. Invariants:

- `messages` is what the log from its beginning would build; its UIDs ascend.
- A message that vanished stays in `gone` while a session that has not been told of it is open.
- Mod-sequences in the log never fall, and a `Vanished` has a higher one than all before it: a
  session may stop in front of it, and its client may come back with the mod-sequence told so far.
"""

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, replace

from pluto_tw.mail.changes import Change, Ended, Exposed, Touched, Vanished
from pluto_tw.mail.flags import DELETED, KEYWORDS_MAX, SEEN, Flag, Flags, flag_key, is_system
from pluto_tw.mail.messages import InternalDate
from pluto_tw.mail.names import MailboxName
from pluto_tw.mail.sets import NumberSet
from pluto_tw.mail.uids import ModSeq, Uid, UidValidity
from tests.support.content import Content


@dataclass(slots=True)
class Limits:
    """What an account allows; a test may change it at any time."""

    #: Changes that the log of a mailbox keeps, from its next change on. The last is always kept.
    log_changes_max: int = 1000
    keywords_max: int = KEYWORDS_MAX
    #: Octets of all messages of the account together; None: no limit.
    octets_max: int | None = None
    mailboxes_max: int = 1000
    subscriptions_max: int = 1000


@dataclass(slots=True)
class Placement:
    """A message's being in a mailbox; *modseq* is set there."""

    content: Content
    flags: Flags
    date: InternalDate
    modseq: int = 0
    #: The position of the log at which it was gone; 0 while it is there.
    gone_at: int = 0


@dataclass(eq=False, slots=True)
class Listener:
    """A session that has the mailbox selected, and the position that its view is at."""

    wake: Callable[[], None]
    told: int


class Mailbox:
    """The mailbox itself, shared by the sessions that have it selected."""

    def __init__(
        self,
        name: MailboxName,
        mailbox_id: str,
        uid_validity: UidValidity,
        modseq: ModSeq,
        special_use: frozenset[str],
        limits: Limits,
    ) -> None:
        self.name = name
        self.mailbox_id = mailbox_id
        self.uid_validity = uid_validity
        self.special_use = special_use
        self.limits = limits
        self.uid_next = Uid(1)
        self.highest_modseq = modseq
        #: Messages from this UID on were claimed by no session as `\Recent`.
        self.recent_from = Uid(1)
        self.keywords: Flags = frozenset()
        self.messages: dict[int, Placement] = {}
        self.gone: dict[int, Placement] = {}
        #: All that ever vanished: mod-sequence and UIDs.
        self.vanished: list[tuple[ModSeq, NumberSet]] = []
        self.derived: dict[Hashable, object] = {}
        self.listeners: list[Listener] = []
        self._log: list[Change] = []
        self._log_start = 0
        self._ended = False
        self._spelling: dict[str, Flag] = {}
        self._flag_sets: dict[Flags, Flags] = {}

    # The log.

    @property
    def position(self) -> int:
        return self._log_start + len(self._log)

    @property
    def is_ended(self) -> bool:
        return self._ended

    def changes(self, after: int) -> Sequence[Change] | None:
        assert 0 <= after <= self.position
        if after < self._log_start:
            return None
        return self._log[after - self._log_start :]

    def let_go(self) -> None:
        """Forgets the vanished messages that every session has been told of."""
        lowest = min((listener.told for listener in self.listeners), default=self.position)
        for uid in [uid for uid, message in self.gone.items() if message.gone_at <= lowest]:
            del self.gone[uid]

    def reissued(self, uid_validity: UidValidity, modseq: ModSeq) -> "Mailbox":
        """The same mailbox with another UIDVALIDITY; this one is what its sessions selected."""
        other = Mailbox(
            self.name, self.mailbox_id, uid_validity, modseq, self.special_use, self.limits
        )
        other.uid_next = self.uid_next
        other.recent_from = self.recent_from
        other.keywords = self.keywords
        other.messages = {uid: replace(message) for uid, message in self.messages.items()}
        other._spelling = dict(self._spelling)
        return other

    # Changes; each is one entry of the log.

    def expose(self, modseq: ModSeq, placements: Sequence[Placement]) -> tuple[Uid, ...]:
        """Takes *placements*, which are nobody else's, in; their UIDs."""
        uids = tuple(Uid(uid) for uid in range(self.uid_next, self.uid_next + len(placements)))
        for uid, placement in zip(uids, placements, strict=True):
            placement.flags = self.spelled(placement.flags)
            placement.modseq = modseq
            self.messages[uid] = placement
        if uids:
            self.uid_next = Uid(uids[-1] + 1)
            self._append(modseq, Exposed(modseq, NumberSet.from_sorted(uids)))
        return uids

    def vanish(self, modseq: ModSeq, uids: Iterable[int]) -> NumberSet:
        """Takes *uids*, which are in the mailbox, out."""
        vanished = NumberSet.of(uids)
        if vanished:
            assert modseq > self.highest_modseq, "a session may stop in front of this"
            self.vanished.append((modseq, vanished))
            for uid in vanished:
                placement = self.messages.pop(uid)
                placement.gone_at = self.position + 1
                self.gone[uid] = placement
            self._append(modseq, Vanished(modseq, vanished))
            self.let_go()
        return vanished

    def touch(self, modseq: ModSeq, uids: Iterable[int], *, flags: bool) -> NumberSet:
        """Raises the mod-sequence of *uids*; *flags*: since their flags have changed."""
        touched = NumberSet.of(uids)
        if touched:
            for uid in touched:
                self.messages[uid].modseq = modseq
            self._append(modseq, Touched(modseq, touched, flags))
        return touched

    def end(self, reason: str) -> None:
        """The last entry of the log."""
        self._append(self.highest_modseq, Ended(reason))
        self._ended = True

    def _append(self, modseq: ModSeq, change: Change) -> None:
        assert not self._ended, "nothing follows an Ended"
        assert modseq >= self.highest_modseq, "mod-sequences in a log never fall"
        self.highest_modseq = modseq
        self._log.append(change)
        surplus = len(self._log) - max(self.limits.log_changes_max, 1)
        if surplus > 0:
            del self._log[:surplus]
            self._log_start += surplus

    # Flags.

    def spelled(self, flags: Flags) -> Flags:
        """*flags* in the spelling of this mailbox, which takes their new keywords on."""
        keywords = [flag for flag in flags if not is_system(flag)]
        if self.new_keywords(flags):
            for keyword in keywords:
                self._spelling.setdefault(flag_key(keyword), keyword)
            self.keywords = frozenset(self._spelling.values())
        return self.same(
            (flags - frozenset(keywords)) | {self._spelling[flag_key(k)] for k in keywords}
        )

    def same(self, flags: Flags) -> Flags:
        """The one object that stands for this set of flags."""
        return self._flag_sets.setdefault(flags, flags)

    def new_keywords(self, flags: Flags) -> set[str]:
        """The keys of the keywords of *flags* that the mailbox does not have."""
        return {flag_key(f) for f in flags if not is_system(f)} - self._spelling.keys()

    # Numbers.

    @property
    def octets(self) -> int:
        return sum(len(message.content.octets) for message in self.messages.values())

    def count_with(self, flag: Flag) -> int:
        return sum(flag in message.flags for message in self.messages.values())

    def count_unseen(self) -> int:
        return len(self.messages) - self.count_with(SEEN)

    def count_deleted(self) -> int:
        return self.count_with(DELETED)

    def count_recent(self) -> int:
        return sum(uid >= self.recent_from for uid in self.messages)
