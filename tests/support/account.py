# SPDX-License-Identifier: GPL-3.0-or-later
"""
An account in memory, for tests: `pluto_tw.imap.ports.Account` of a replica that is alone.

One object is the account of all its sessions. UIDs and UIDVALIDITY count from 1, mailboxes are
`F1`, `F2`, ..., messages `M1`, `M2`, ...; INBOX is there from the beginning. Every change is one
mod-sequence of the whole account.

What else a test may want of it: `limits` may change at any time; `hold` and `fail_next` let calls
wait or fail; `deliver`, `damage` and their like are what happens behind a session's back.
"""

from collections.abc import Callable, Iterable, Sequence

from pluto_tw.mail.codes import (
    ALREADYEXISTS,
    CANNOT,
    LIMIT,
    NONEXISTENT,
    OVERQUOTA,
    TOOBIG,
    TRYCREATE,
    UNAVAILABLE,
    USEATTR,
)
from pluto_tw.mail.errors import No
from pluto_tw.mail.flags import Flags
from pluto_tw.mail.mailboxes import MailboxEntry, MailboxStatus
from pluto_tw.mail.messages import Appended, InternalDate, NewMessage
from pluto_tw.mail.names import INBOX, MailboxName, is_inferior, parents, renamed
from pluto_tw.mail.uids import ModSeq, Uid, UidValidity
from pluto_tw.mail.waiting import Waiting
from pluto_tw.mime.scanner import Scanner
from tests.support.content import CHUNK_OCTETS_MAX, Content, MemoryUpload
from tests.support.mailbox import Limits, Mailbox, Placement
from tests.support.opened import OpenMemoryMailbox
from tests.support.turns import Turns

#: When messages arrive where nobody tells the time: 2024-01-01 00:00:00 UTC.
ARRIVAL_SECONDS = 1_704_067_200

#: The special uses that a mailbox can be created for; each is one mailbox's at a time. `\All` and
#: `\Flagged` would be views of other mailboxes. RFC 6154 §2, RFC 8457 §3.
SPECIAL_USES = frozenset({"\\Archive", "\\Drafts", "\\Important", "\\Junk", "\\Sent", "\\Trash"})


class MemoryAccount:
    """The account of *user*; *waiting* is for `hold`, and tells when messages arrive."""

    def __init__(
        self, user: str = "fred", *, separator: str = ".", waiting: Waiting | None = None
    ) -> None:
        self.user = user
        self.separator = separator
        self.append_octets_max = 50 * 1024 * 1024
        self.turns = Turns(waiting)
        self.limits = Limits()
        #: Octets that a body gives at once.
        self.chunk_octets = CHUNK_OCTETS_MAX
        #: Answers `changed_since` and `vanished_since` as to a client of another replica.
        self.foreign = False
        #: Whether APPEND, COPY and MOVE know the new UIDs in time.
        self.tells_uids = True
        #: How many sessions have closed the account.
        self.closed = 0
        self._now = waiting.now if waiting is not None else lambda: ARRIVAL_SECONDS
        self._mailboxes: dict[MailboxName, Mailbox] = {}
        #: The highest UIDVALIDITY that each name ever had.
        self._floors: dict[MailboxName, UidValidity] = {}
        self._subscribed: set[MailboxName] = set()
        self._modseq = 0
        self._mailboxes_made = 0
        self._messages_made = 0
        self._make(INBOX, frozenset())

    # Names.

    async def mailboxes(self) -> Sequence[MailboxEntry]:
        await self.turns.take("mailboxes")
        return [
            MailboxEntry(name, mailbox.mailbox_id, mailbox.special_use)
            for name, mailbox in self._mailboxes.items()
        ]

    async def subscriptions(self) -> frozenset[MailboxName]:
        await self.turns.take("subscriptions")
        return frozenset(self._subscribed)

    async def create(self, name: MailboxName, special_use: frozenset[str]) -> str:
        await self.turns.take("create")
        self._refuse_existing(name)
        for use in sorted(special_use):
            if use not in SPECIAL_USES:
                raise No(USEATTR, f"{use} is not supported")
            if any(use in mailbox.special_use for mailbox in self._mailboxes.values()):
                raise No(USEATTR, f"{use} is another mailbox's use")
        missing = self._missing_parents(name)
        if len(self._mailboxes) + len(missing) >= self.limits.mailboxes_max:
            raise No(LIMIT, f"an account has at most {self.limits.mailboxes_max} mailboxes")
        for parent in missing:
            self._make(parent, frozenset())
        return self._make(name, special_use).mailbox_id

    async def delete(self, name: MailboxName) -> None:
        await self.turns.take("delete")
        if name == INBOX:
            raise No(CANNOT, "INBOX cannot be deleted")
        mailbox = self.existing(name)
        del self._mailboxes[name]
        mailbox.end("the mailbox was deleted")
        self.wake(mailbox)

    async def rename(self, old: MailboxName, new: MailboxName) -> None:
        await self.turns.take("rename")
        names = {name: renamed(name, old, new, self.separator) for name in self._mailboxes}
        staying = {name for name, after in names.items() if name == after}
        if len(staying) == len(names):
            # A superior that is no mailbox can be renamed with what lies below it; and INBOX is
            # always there.
            self.existing(old)
        if old != INBOX and is_inferior(new, old, self.separator):
            raise No(CANNOT, "a mailbox cannot lie below itself")
        self._refuse_existing(new)
        if any(names[name] in staying for name in names.keys() - staying):
            raise No(ALREADYEXISTS, "there is a mailbox with the new name of an inferior")
        for parent in self._missing_parents(new):
            self._make(parent, frozenset())
            names[parent] = parent
        if old == INBOX:
            source, target = self._mailboxes[INBOX], self._make(new, frozenset())
            self.move(source, tuple(Uid(uid) for uid in source.messages), target)
            self.wake(source)
            return
        before, self._mailboxes = self._mailboxes, {}
        for name, mailbox in before.items():
            self._mailboxes[names[name]] = mailbox
            if names[name] != name:
                self._name(mailbox, names[name])

    async def subscribe(self, name: MailboxName, subscribed: bool) -> None:
        await self.turns.take("subscribe")
        if not subscribed:
            self._subscribed.discard(name)
            return
        if name not in self._subscribed and len(self._subscribed) >= self.limits.subscriptions_max:
            raise No(LIMIT, f"an account has at most {self.limits.subscriptions_max} subscriptions")
        self._subscribed.add(name)

    async def status(self, name: MailboxName) -> MailboxStatus:
        await self.turns.take("status")
        mailbox = self.existing(name)
        return MailboxStatus(
            mailbox_id=mailbox.mailbox_id,
            uid_validity=mailbox.uid_validity,
            uid_next=mailbox.uid_next,
            highest_modseq=mailbox.highest_modseq,
            messages=len(mailbox.messages),
            unseen=mailbox.count_unseen(),
            deleted=mailbox.count_deleted(),
            size=mailbox.octets,
            recent=mailbox.count_recent(),
        )

    async def open(
        self, name: MailboxName, read_only: bool, wake: Callable[[], None]
    ) -> OpenMemoryMailbox:
        await self.turns.take("open")
        return OpenMemoryMailbox(self, self.existing(name), read_only, wake)

    # Messages.

    async def admit(self, name: MailboxName, sizes: Sequence[int]) -> None:
        await self.turns.take("admit")
        self._admit(name, sizes)

    def upload(self, size: int) -> MemoryUpload:
        return MemoryUpload(size, self.turns)

    async def append(self, name: MailboxName, messages: Sequence[NewMessage]) -> Appended:
        assert messages, "APPEND names a message"
        await self.turns.take("append")
        uploads = []
        for message in messages:
            assert isinstance(message.upload, MemoryUpload), "an upload of this account"
            uploads.append(message.upload)
        mailbox = self._admit(name, [upload.size for upload in uploads])
        self.allow_keywords(mailbox, [message.flags for message in messages])
        placements = [
            Placement(
                upload.content(self._next_email_id()), message.flags, self._date(message.date)
            )
            for upload, message in zip(uploads, messages, strict=True)
        ]
        uids = mailbox.expose(self.next_modseq(), placements)
        self.wake(mailbox)
        return Appended(mailbox.uid_validity, uids if self.tells_uids else ())

    def close(self) -> None:
        self.closed += 1

    # What becomes of calls.

    def hold(self) -> None:
        """From now on awaited calls wait, before they read or change anything, until `release`."""
        self.turns.hold()

    def release(self) -> None:
        """The calls that wait go on, in the order in which they came, before this returns."""
        self.turns.release()

    def fail_next(self, error: Exception, method: str | None = None) -> None:
        """The next awaited call, of *method* if one is named, raises *error* and does nothing."""
        self.turns.fail_next(error, method)

    # What happens behind a session's back, at once; sessions are woken.

    def deliver(
        self,
        octets: bytes,
        name: str = INBOX,
        flags: Flags = frozenset(),
        date: InternalDate | None = None,
        thread_id: str | None = None,
    ) -> Uid:
        """A message arrives in the mailbox *name*; its UID."""
        mailbox = self.existing(MailboxName(name))
        scanner = Scanner()
        scanner.feed(octets)
        content = Content(octets, scanner.finish(), self._next_email_id(), thread_id)
        [uid] = mailbox.expose(self.next_modseq(), [Placement(content, flags, self._date(date))])
        self.wake(mailbox)
        return uid

    def remove(self, name: str, *uids: int) -> None:
        """Messages vanish, whatever their flags."""
        mailbox = self.existing(MailboxName(name))
        mailbox.vanish(self.next_modseq(), uids)
        self.wake(mailbox)

    def renumber(self, name: str, *uids: int) -> tuple[Uid, ...]:
        """Messages go on under other UIDs, as when two replicas have used the same; the new."""
        mailbox = self.existing(MailboxName(name))
        fresh = self.move(mailbox, tuple(Uid(uid) for uid in sorted(uids)), mailbox)
        self.wake(mailbox)
        return fresh

    def raise_modseq(self, name: str, *uids: int) -> ModSeq:
        """The mod-sequence of messages rises, and nothing else of them changes."""
        mailbox = self.existing(MailboxName(name))
        modseq = self.next_modseq()
        mailbox.touch(modseq, uids, flags=False)
        self.wake(mailbox)
        return modseq

    def replace(self, name: str) -> None:
        """Another mailbox, empty, takes the name."""
        mailbox = self._mailboxes.pop(MailboxName(name))
        self._make(MailboxName(name), mailbox.special_use)
        mailbox.end("another mailbox has taken the name")
        self.wake(mailbox)

    def damage(self, name: str, uid: int, octets: int = 0, error: Exception | None = None) -> None:
        """
        Of the message's body only so many *octets* can be read here: none, unless said otherwise.

        Reading on raises *error*, or No with UNAVAILABLE.
        """
        content = self.existing(MailboxName(name)).messages[uid].content
        content.breaks_at = octets
        content.error = error or No(UNAVAILABLE, "the message cannot be read here")

    def drop_derived(self) -> None:
        """Memory is short."""
        for mailbox in self._mailboxes.values():
            mailbox.derived.clear()

    # What mailboxes of this account ask of it.

    def next_modseq(self) -> ModSeq:
        self._modseq += 1
        return ModSeq(self._modseq)

    def existing(self, name: MailboxName, code: str = NONEXISTENT) -> Mailbox:
        mailbox = self._mailboxes.get(name)
        if mailbox is None:
            raise No(code, "no such mailbox")
        return mailbox

    def allow_octets(self, octets: int) -> None:
        """No(OVERQUOTA) if there is no room for so many *octets* more."""
        if self.limits.octets_max is None or not octets:
            return
        if (
            octets + sum(mailbox.octets for mailbox in self._mailboxes.values())
            > self.limits.octets_max
        ):
            raise No(OVERQUOTA, f"the quota of {self.limits.octets_max} octets is used up")

    def allow_keywords(self, mailbox: Mailbox, flag_sets: Iterable[Flags]) -> None:
        """No(LIMIT) if *mailbox* can not take on all new keywords of *flag_sets*."""
        fresh = set().union(*(mailbox.new_keywords(flags) for flags in flag_sets))
        if fresh and len(mailbox.keywords) + len(fresh) > self.limits.keywords_max:
            raise No(LIMIT, f"a mailbox has at most {self.limits.keywords_max} keywords")

    def move(self, source: Mailbox, uids: Sequence[Uid], target: Mailbox) -> tuple[Uid, ...]:
        """Moves *uids*, ascending, in one change of both mailboxes; the new UIDs."""
        if not uids:
            return ()
        messages = [source.messages[uid] for uid in uids]
        modseq = self.next_modseq()
        source.vanish(modseq, uids)
        return target.expose(modseq, [Placement(m.content, m.flags, m.date) for m in messages])

    def wake(self, *mailboxes: Mailbox) -> None:
        """Wakes the sessions that have one of *mailboxes* selected, some of which may leave."""
        listeners = [listener for mailbox in mailboxes for listener in mailbox.listeners]
        for listener in listeners:
            if any(listener in mailbox.listeners for mailbox in mailboxes):
                listener.wake()

    # Below.

    def _name(self, mailbox: Mailbox, name: MailboxName) -> None:
        """Calls *mailbox* *name*, whose UIDVALIDITY never falls. RFC 9051 §2.3.1.1."""
        mailbox.name = name
        if mailbox.uid_validity < self._floors.get(name, 0):
            self._mailboxes_made += 1
            fresh = UidValidity(self._mailboxes_made)
            self._mailboxes[name] = mailbox.reissued(fresh, self.next_modseq())
            mailbox.end("the mailbox has new UIDs")
            self.wake(mailbox)
        self._floors[name] = self._mailboxes[name].uid_validity

    def _make(self, name: MailboxName, special_use: frozenset[str]) -> Mailbox:
        self._mailboxes_made += 1
        mailbox = Mailbox(
            name,
            f"F{self._mailboxes_made}",
            UidValidity(self._mailboxes_made),
            self.next_modseq(),
            special_use,
            self.limits,
        )
        self._mailboxes[name] = mailbox
        self._floors[name] = mailbox.uid_validity
        return mailbox

    def _missing_parents(self, name: MailboxName) -> list[MailboxName]:
        return [p for p in parents(name, self.separator) if p not in self._mailboxes]

    def _refuse_existing(self, name: MailboxName) -> None:
        if name in self._mailboxes:
            raise No(ALREADYEXISTS, "there is such a mailbox")

    def _admit(self, name: MailboxName, sizes: Sequence[int]) -> Mailbox:
        mailbox = self.existing(name, TRYCREATE)
        if any(size > self.append_octets_max for size in sizes):
            raise No(TOOBIG, f"a message has at most {self.append_octets_max} octets")
        self.allow_octets(sum(sizes))
        return mailbox

    def _next_email_id(self) -> str:
        self._messages_made += 1
        return f"M{self._messages_made}"

    def _date(self, date: InternalDate | None) -> InternalDate:
        return InternalDate(int(self._now()), 0) if date is None else date
