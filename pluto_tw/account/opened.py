# SPDX-License-Identifier: GPL-3.0-or-later
"""
A mailbox as one session selected it: `pluto_tw.imap.ports.OpenMailbox`.

Reads from the columns that all sessions share; knows how far its own session has been told, and so
what is gone for others but not for it. Its writes name placements, never UIDs: a message that got
another UID meanwhile is still the one that the session shows.
"""

from collections.abc import Callable, Hashable, MutableMapping, Sequence
from typing import Final

from pluto_tw.account.facts import FACTS_MAX
from pluto_tw.account.limits import allow_keywords, allow_octets, spelled
from pluto_tw.account.mailbox import Listener, Mailbox
from pluto_tw.account.reading import StoredBody
from pluto_tw.account.replica import AccountReplica
from pluto_tw.account.resync import changed_since, modseq_here, vanished_since
from pluto_tw.crdt import commands
from pluto_tw.crdt.commands import Copying, Storing
from pluto_tw.crdt.predicates import flags_of
from pluto_tw.crdt.records import BOX, PLACEMENT, Placement
from pluto_tw.crdt.rules import Rules
from pluto_tw.crdt.transaction import Transaction
from pluto_tw.mail.changes import Change
from pluto_tw.mail.codes import TRYCREATE, UNAVAILABLE
from pluto_tw.mail.errors import No
from pluto_tw.mail.flags import KEYWORDS_MAX, SEEN, Flag, Flags
from pluto_tw.mail.messages import Copied, InternalDate, Stored, StoreMode
from pluto_tw.mail.names import MailboxName
from pluto_tw.mail.sets import EMPTY, NumberSet
from pluto_tw.mail.uids import ModSeq, Uid, UidValidity
from pluto_tw.mime.facts import Facts

#: From so many messages on their records are read in ranges before a command asks for each.
_PREFETCH_MIN: Final = 8

_BODY: Final = "SELECT body FROM message WHERE id = ?"


class OpenedMailbox:
    """*mailbox*, called *name*, of *account*, as opened by one session."""

    def __init__(
        self,
        account: AccountReplica,
        mailbox: Mailbox,
        name: MailboxName,
        mailbox_id: str,
        read_only: bool,
        wake: Callable[[], None],
    ) -> None:
        self.name = name
        self.mailbox_id = mailbox_id
        self.uid_validity = mailbox.uid_validity
        self.read_only = read_only
        self.derived: MutableMapping[Hashable, object] = mailbox.derived
        self._account = account
        self._mailbox = mailbox
        self._columns = mailbox.columns
        self._listener: Listener | None = mailbox.listen(wake)

    # The newest committed state.

    def position(self) -> int:
        """As `OpenMailbox.position`."""
        return self._mailbox.log.position

    def uids(self) -> Sequence[int]:
        """As `OpenMailbox.uids`."""
        return self._columns.uids()

    def uid_next(self) -> Uid:
        """As `OpenMailbox.uid_next`."""
        return self._mailbox.uid_next

    def highest_modseq(self) -> ModSeq:
        """As `OpenMailbox.highest_modseq`."""
        return self._mailbox.highest_modseq

    def keywords(self) -> Flags:
        """As `OpenMailbox.keywords`."""
        return self._columns.keywords

    def takes_new_keywords(self) -> bool:
        """As `OpenMailbox.takes_new_keywords`."""
        return len(self._columns.keywords) < KEYWORDS_MAX

    # The log.

    def changes(self, after: int) -> Sequence[Change] | None:
        """As `OpenMailbox.changes`."""
        return self._mailbox.log.after(after)

    def told(self, position: int) -> None:
        """As `OpenMailbox.told`."""
        if self._listener is not None:
            self._listener.told = position
            self._mailbox.let_go()

    def claim_recent(self) -> Uid:
        """As `OpenMailbox.claim_recent`."""
        assert not self.read_only, "EXAMINE takes nobody's \\Recent away"
        mailbox = self._mailbox
        if mailbox.log.is_ended:
            return mailbox.uid_next
        return Uid(self._account.claim_recent(mailbox.key, mailbox.uid_next))

    # Facts of messages in the session's view.

    def flags(self, uids: Sequence[int]) -> Sequence[Flags]:
        """As `OpenMailbox.flags`."""
        return self._columns.flags(uids)

    def modseqs(self, uids: Sequence[int]) -> Sequence[int]:
        """As `OpenMailbox.modseqs`."""
        stored = self._account.commits.stored
        boxes = {bid: stored.get(BOX, bid) for bid in self._columns.boxes}
        bumps = {bid: box.bmsq if box is not None else 0 for bid, box in boxes.items()}
        return [max(msq, bumps[bid], 1) for msq, bid in self._columns.msqs(uids)]

    def sizes(self, uids: Sequence[int]) -> Sequence[int]:
        """As `OpenMailbox.sizes`."""
        return self._columns.sizes(uids)

    def internal_dates(self, uids: Sequence[int]) -> Sequence[InternalDate]:
        """As `OpenMailbox.internal_dates`."""
        return [InternalDate(date, zone) for date, zone in self._columns.dates(uids)]

    def email_ids(self, uids: Sequence[int]) -> Sequence[str]:
        """As `OpenMailbox.email_ids`."""
        return self._columns.email_ids(uids)

    def thread_ids(self, uids: Sequence[int]) -> Sequence[str | None]:
        """As `OpenMailbox.thread_ids`: there is no threading yet."""
        return [None] * len(uids)

    async def facts(self, uids: Sequence[int]) -> Sequence[Facts]:
        """As `OpenMailbox.facts`."""
        assert len(uids) <= FACTS_MAX
        numbers = [self._body_number(uid) for uid in uids]
        wanted = list(zip(numbers, self._columns.sizes(uids), strict=True))
        found = []
        for facts in await self._account.ground.facts.read(wanted):
            if facts is None:
                raise No(UNAVAILABLE, "a message cannot be read here at the moment")
            found.append(facts)
        return found

    def body(self, uid: int) -> StoredBody:
        """As `OpenMailbox.body`."""
        [size] = self._columns.sizes([uid])
        return self._account.ground.bodies.body(self._body_number(uid), size)

    def _body_number(self, uid: int) -> int:
        [number] = self._columns.bodies([uid])
        if number == 0:
            [row] = self._columns.rows([uid])
            rows = self._account.ground.shard.read(_BODY, (row,))
            if not rows:
                raise No(UNAVAILABLE, "this message is no longer here")
            number = int(rows[0][0])
            self._columns.know_body(uid, number)
        return number

    # What changed since a mod-sequence.

    async def changed_since(self, modseq: ModSeq) -> NumberSet:
        """As `OpenMailbox.changed_since`."""
        return changed_since(self._account, self._mailbox, modseq)

    async def vanished_since(self, modseq: ModSeq, known: NumberSet | None) -> NumberSet:
        """As `OpenMailbox.vanished_since`."""
        return vanished_since(self._account, self._mailbox, modseq, known)

    # Writes.

    async def store(
        self, uids: NumberSet, mode: StoreMode, flags: Flags, unchanged_since: ModSeq | None
    ) -> Stored:
        """As `OpenMailbox.store`."""
        return await self._store(uids, mode, flags, unchanged_since, implicit=False)

    async def mark_seen(self, uids: NumberSet) -> Stored:
        """As `OpenMailbox.mark_seen`."""
        return await self._store(uids, StoreMode.ADD, frozenset({SEEN}), None, implicit=True)

    async def _store(
        self,
        uids: NumberSet,
        mode: StoreMode,
        flags: Flags,
        unchanged_since: ModSeq | None,
        *,
        implicit: bool,
    ) -> Stored:
        assert not self.read_only, "the session refuses to write to what it examines"
        named = self._named(uids)
        if self._mailbox.log.is_ended:
            return Stored(ModSeq(0), EMPTY, EMPTY, NumberSet.of(named.values()))
        key = self._mailbox.key
        since: int | None = None
        if unchanged_since is not None:
            since = modseq_here(self._account, key, unchanged_since)

        def run(rules: Rules, tx: Transaction) -> Storing:
            known = self._account.mailboxes.keywords(key)
            if mode is not StoreMode.REMOVE:
                allow_keywords(known, [flags])
            wanted = frozenset(str(flag) for flag in spelled(known, flags))
            return commands.store(
                rules,
                tx,
                named,
                mode,
                wanted,
                unchanged_since=since,
                implicit=implicit,
            )

        tx, storing = await self._account.command(run)
        return Stored(
            ModSeq(tx.m if storing.changed else 0),
            _uids(named, storing.changed),
            _uids(named, storing.modified),
            _uids(named, storing.gone),
        )

    async def expunge(self, uids: NumberSet) -> NumberSet:
        """As `OpenMailbox.expunge`."""
        assert not self.read_only, "the session refuses to write to what it examines"
        if self._mailbox.log.is_ended:
            return EMPTY
        named = self._named(uids)
        _, removed = await self._account.command(
            lambda rules, tx: commands.expunge(rules, tx, named)
        )
        return _uids(named, removed)

    async def copy(self, uids: NumberSet, target: MailboxName) -> Copied:
        """As `OpenMailbox.copy`."""
        named = {} if self._mailbox.log.is_ended else self._named(uids)

        def run(rules: Rules, tx: Transaction) -> Copying:
            there = self._allow(rules, tx, named, target)
            octets = sum(placement.size for placement in there)
            staged = self._account.commits.staged
            allow_octets(self._account.site.limits, staged.quota_octets, octets)
            return commands.copy(rules, tx, named, target)

        return await self._copied(named, run)

    async def move(self, uids: NumberSet, target: MailboxName) -> Copied:
        """As `OpenMailbox.move`."""
        assert not self.read_only, "the session refuses to write to what it examines"
        named = {} if self._mailbox.log.is_ended else self._named(uids)

        def run(rules: Rules, tx: Transaction) -> Copying:
            self._allow(rules, tx, named, target)
            return commands.move(rules, tx, named, target)

        return await self._copied(named, run)

    def _allow(
        self, rules: Rules, tx: Transaction, named: dict[bytes, int], target: MailboxName
    ) -> list[Placement]:
        """Which of *named* are there, if *target* can take them on."""
        to = commands.mailbox(tx, target)
        if to is None:
            raise No(TRYCREATE, "there is no such mailbox")
        there = []
        for pid in named:
            placement = tx.get(PLACEMENT, pid)
            if placement is not None and rules.is_there(tx, pid):
                there.append(placement)
        sets = {frozenset(map(Flag, flags_of(p.entries))) for p in there if p.entries}
        if sets:
            allow_keywords(self._account.mailboxes.keywords(to.key), sets)
        return there

    async def _copied(
        self, named: dict[bytes, int], run: Callable[[Rules, Transaction], Copying]
    ) -> Copied:
        copying, target = await self._account.command_uids(
            run, lambda copying: [made for _, made in copying.pairs]
        )
        source = tuple(Uid(named[pid]) for pid, _ in copying.pairs) if target else ()
        return Copied(UidValidity(copying.v), source, tuple(map(Uid, target)), len(copying.pairs))

    def close(self) -> None:
        """As `OpenMailbox.close`."""
        if self._listener is not None:
            self._mailbox.leave(self._listener)
            self._listener = None
            self._account.mailboxes.left(self._mailbox)

    def _named(self, uids: NumberSet) -> dict[bytes, int]:
        """The pids of those of *uids* that the session shows, with their UIDs, in their order."""
        among = self._columns.among(uids)
        gone_at = self._mailbox.gone_at
        if gone_at:
            told = self._listener.told if self._listener is not None else self.position()
            among = [uid for uid in among if gone_at.get(uid, told + 1) > told]
        if len(among) >= _PREFETCH_MIN:
            self._prefetch(among)
        return dict(zip(self._columns.pids(among), among, strict=True))

    def _prefetch(self, uids: Sequence[int]) -> None:
        rows: dict[int, list[int]] = {}
        for bid, row in zip(self._columns.bids(uids), self._columns.rows(uids), strict=True):
            rows.setdefault(bid, []).append(row)
        for bid, numbers in rows.items():
            numbers.sort()
            self._account.commits.stored.prefetch(bid, numbers)


def _uids(named: dict[bytes, int], pids: Sequence[bytes]) -> NumberSet:
    return NumberSet.of(named[pid] for pid in pids)
