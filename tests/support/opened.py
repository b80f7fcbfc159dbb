# SPDX-License-Identifier: GPL-3.0-or-later
"""
A mailbox in memory as one session selected it: `pluto_tw.imap.ports.OpenMailbox`.

Each write takes its turn, then changes every mailbox concerned without a wait, then wakes the
sessions that have one of them selected, the caller's own among them.
"""

from collections.abc import Callable, Hashable, MutableMapping, Sequence
from typing import TYPE_CHECKING

from pluto_tw.imap.ports import FACTS_MAX
from pluto_tw.mail.changes import Change
from pluto_tw.mail.codes import TRYCREATE
from pluto_tw.mail.flags import DELETED, SEEN, Flags, flag_key
from pluto_tw.mail.messages import Copied, InternalDate, Stored, StoreMode
from pluto_tw.mail.names import MailboxName
from pluto_tw.mail.sets import EMPTY, NumberSet
from pluto_tw.mail.uids import ModSeq, Uid
from pluto_tw.mime.facts import Facts
from tests.support.content import MemoryBody
from tests.support.mailbox import Listener, Mailbox, Placement

if TYPE_CHECKING:
    from tests.support.account import MemoryAccount


class OpenMemoryMailbox:
    """*mailbox* as opened by one session of *account*."""

    def __init__(
        self,
        account: "MemoryAccount",
        mailbox: Mailbox,
        read_only: bool,
        wake: Callable[[], None],
    ) -> None:
        self.name = mailbox.name
        self.mailbox_id = mailbox.mailbox_id
        self.uid_validity = mailbox.uid_validity
        self.read_only = read_only
        self.derived: MutableMapping[Hashable, object] = mailbox.derived
        self._account = account
        self._mailbox = mailbox
        self._listener: Listener | None = Listener(wake, mailbox.position)
        mailbox.listeners.append(self._listener)

    # The newest committed state.

    def position(self) -> int:
        return self._mailbox.position

    def uids(self) -> Sequence[int]:
        return list(self._mailbox.messages)

    def uid_next(self) -> Uid:
        return self._mailbox.uid_next

    def highest_modseq(self) -> ModSeq:
        return self._mailbox.highest_modseq

    def keywords(self) -> Flags:
        return self._mailbox.keywords

    def takes_new_keywords(self) -> bool:
        return len(self._mailbox.keywords) < self._mailbox.limits.keywords_max

    # The log.

    def changes(self, after: int) -> Sequence[Change] | None:
        return self._mailbox.changes(after)

    def told(self, position: int) -> None:
        if self._listener is not None:
            assert self._listener.told <= position <= self._mailbox.position
            self._listener.told = position
            self._mailbox.let_go()

    def claim_recent(self) -> Uid:
        assert not self.read_only, "EXAMINE takes nobody's \\Recent away"
        claimed, self._mailbox.recent_from = self._mailbox.recent_from, self._mailbox.uid_next
        return claimed

    # Facts of messages in the session's view.

    def flags(self, uids: Sequence[int]) -> Sequence[Flags]:
        return [message.flags for message in self._shown(uids)]

    def modseqs(self, uids: Sequence[int]) -> Sequence[int]:
        return [message.modseq for message in self._shown(uids)]

    def sizes(self, uids: Sequence[int]) -> Sequence[int]:
        return [len(message.content.octets) for message in self._shown(uids)]

    def internal_dates(self, uids: Sequence[int]) -> Sequence[InternalDate]:
        return [message.date for message in self._shown(uids)]

    def email_ids(self, uids: Sequence[int]) -> Sequence[str]:
        return [message.content.email_id for message in self._shown(uids)]

    def thread_ids(self, uids: Sequence[int]) -> Sequence[str | None]:
        return [message.content.thread_id for message in self._shown(uids)]

    async def facts(self, uids: Sequence[int]) -> Sequence[Facts]:
        assert len(uids) <= FACTS_MAX
        await self._account.turns.take("facts")
        return [message.content.facts for message in self._shown(uids)]

    def body(self, uid: int) -> MemoryBody:
        [message] = self._shown([uid])
        return MemoryBody(message.content, self._account.turns, self._account.chunk_octets)

    def _shown(self, uids: Sequence[int]) -> list[Placement]:
        """The messages *uids*; a KeyError is one that this session does not show any more."""
        messages = self._mailbox.messages
        return [messages[uid] if uid in messages else self._gone(uid) for uid in uids]

    def _gone(self, uid: int) -> Placement:
        message = self._mailbox.gone[uid]
        if self._listener is None or message.gone_at <= self._listener.told:
            raise KeyError(uid)
        return message

    # What changed since a mod-sequence.

    async def changed_since(self, modseq: ModSeq) -> NumberSet:
        await self._account.turns.take("changed_since")
        messages = self._mailbox.messages
        if self._account.foreign:
            return NumberSet.from_sorted(messages)
        return NumberSet.from_sorted(u for u, m in messages.items() if m.modseq > modseq)

    async def vanished_since(self, modseq: ModSeq, known: NumberSet | None) -> NumberSet:
        await self._account.turns.take("vanished_since")
        mailbox = self._mailbox
        if self._account.foreign:
            ever = NumberSet.from_sorted(range(1, mailbox.uid_next)) if known is None else known
            return ever - NumberSet.from_sorted(mailbox.messages)
        vanished = EMPTY
        for vanished_at, uids in mailbox.vanished:
            if vanished_at > modseq:
                vanished |= uids
        return vanished if known is None else vanished & known

    # Writes.

    async def store(
        self, uids: NumberSet, mode: StoreMode, flags: Flags, unchanged_since: ModSeq | None
    ) -> Stored:
        assert not self.read_only, "the session refuses to write to what it examines"
        await self._account.turns.take("store")
        mailbox = self._mailbox
        gone = uids & NumberSet.of(uid for uid in mailbox.gone if self._still_shows(uid))
        if mailbox.is_ended:
            return Stored(ModSeq(0), EMPTY, EMPTY, gone | self._present(uids))
        if mode is not StoreMode.REMOVE:
            self._account.allow_keywords(mailbox, [flags])
        modified: list[int] = []
        changed: dict[int, Flags] = {}
        for uid in self._present(uids):
            message = mailbox.messages[uid]
            if unchanged_since is not None and message.modseq > unchanged_since:
                modified.append(uid)
                continue
            after = self._flags_after(message.flags, mode, flags)
            if after != message.flags:
                changed[uid] = after
        modseq = ModSeq(0)
        if changed:
            modseq = self._account.next_modseq()
            for uid, after in changed.items():
                mailbox.messages[uid].flags = after
            mailbox.touch(modseq, changed, flags=True)
            self._account.wake(mailbox)
        return Stored(modseq, NumberSet.of(changed), NumberSet.of(modified), gone)

    async def mark_seen(self, uids: NumberSet) -> Stored:
        return await self.store(uids, StoreMode.ADD, frozenset({SEEN}), None)

    def _flags_after(self, before: Flags, mode: StoreMode, flags: Flags) -> Flags:
        match mode:
            case StoreMode.ADD:
                return self._mailbox.same(before | self._mailbox.spelled(flags))
            case StoreMode.REMOVE:
                keys = {flag_key(flag) for flag in flags}
                return self._mailbox.same(frozenset(f for f in before if flag_key(f) not in keys))
            case StoreMode.REPLACE:
                return self._mailbox.spelled(flags)

    async def expunge(self, uids: NumberSet) -> NumberSet:
        assert not self.read_only, "the session refuses to write to what it examines"
        await self._account.turns.take("expunge")
        mailbox = self._mailbox
        if mailbox.is_ended:
            return EMPTY
        deleted = [u for u in self._present(uids) if DELETED in mailbox.messages[u].flags]
        if not deleted:
            return EMPTY
        removed = mailbox.vanish(self._account.next_modseq(), deleted)
        self._account.wake(mailbox)
        return removed

    async def copy(self, uids: NumberSet, target: MailboxName) -> Copied:
        await self._account.turns.take("copy")
        to = self._account.existing(target, TRYCREATE)
        source = self._source(uids)
        copies = [self._copy_of(uid) for uid in source]
        self._account.allow_octets(sum(len(copy.content.octets) for copy in copies))
        if not copies:
            return Copied(to.uid_validity, (), (), 0)
        copied = to.expose(self._account.next_modseq(), copies)
        self._account.wake(to)
        return self._copied(to, source, copied)

    async def move(self, uids: NumberSet, target: MailboxName) -> Copied:
        assert not self.read_only, "the session refuses to write to what it examines"
        await self._account.turns.take("move")
        to = self._account.existing(target, TRYCREATE)
        source = self._source(uids)
        if not source:
            return Copied(to.uid_validity, (), (), 0)
        moved = self._account.move(self._mailbox, source, to)
        self._account.wake(self._mailbox, to)
        return self._copied(to, source, moved)

    def close(self) -> None:
        if self._listener is not None:
            self._mailbox.listeners.remove(self._listener)
            self._listener = None
            self._mailbox.let_go()

    def _still_shows(self, uid: int) -> bool:
        return self._listener is not None and self._mailbox.gone[uid].gone_at > self._listener.told

    def _present(self, uids: NumberSet) -> NumberSet:
        return NumberSet.from_sorted(uids.select(list(self._mailbox.messages)))

    def _source(self, uids: NumberSet) -> tuple[Uid, ...]:
        """Those of *uids* that can be copied: none of a mailbox that has ended."""
        return () if self._mailbox.is_ended else tuple(Uid(uid) for uid in self._present(uids))

    def _copy_of(self, uid: int) -> Placement:
        message = self._mailbox.messages[uid]
        return Placement(message.content, message.flags, message.date)

    def _copied(self, to: Mailbox, source: tuple[Uid, ...], target: tuple[Uid, ...]) -> Copied:
        if not self._account.tells_uids:
            return Copied(to.uid_validity, (), (), len(source))
        return Copied(to.uid_validity, source, target, len(source))
