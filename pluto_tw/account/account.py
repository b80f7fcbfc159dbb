# SPDX-License-Identifier: GPL-3.0-or-later
"""
One session of an account: `pluto_tw.imap.ports.Account`.

Questions about names are answered from what is committed. Commands look at the staged state, within
the event that they are, so that none of them can be overtaken between a question and its answer.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Final

from pluto_tw.account.limits import allow_keywords, allow_octets, allow_size, spelled
from pluto_tw.account.opened import OpenedMailbox
from pluto_tw.account.replica import AccountReplica
from pluto_tw.account.tally import Tally
from pluto_tw.account.upload import Received, StoredUpload
from pluto_tw.crdt import commands
from pluto_tw.crdt.commands import Appending
from pluto_tw.crdt.commands import Mailbox as Named
from pluto_tw.crdt.mailboxes import group
from pluto_tw.crdt.ops import Message
from pluto_tw.crdt.predicates import any_set
from pluto_tw.crdt.records import VIEW, Box, Records, View
from pluto_tw.crdt.rules import Rules
from pluto_tw.crdt.transaction import Transaction
from pluto_tw.mail.codes import LIMIT, NONEXISTENT, TRYCREATE, USEATTR
from pluto_tw.mail.errors import No
from pluto_tw.mail.flags import Flag
from pluto_tw.mail.mailboxes import MailboxEntry, MailboxStatus
from pluto_tw.mail.messages import Appended, InternalDate, NewMessage
from pluto_tw.mail.names import MailboxName, parents
from pluto_tw.mail.uids import ModSeq, Uid, UidValidity

#: The special uses that a mailbox can be created for, each one mailbox's at a time. `\\All` and
#: `\\Flagged` would be views of other mailboxes. RFC 6154 §2, RFC 8457 §3.
SPECIAL_USES: Final = frozenset(
    {"\\Archive", "\\Drafts", "\\Important", "\\Junk", "\\Sent", "\\Trash"}
)

#: Subscriptions that one query reads.
_SLICE: Final = 500


class AccountSession:
    """
    A session of the user who is called *user* with *replica*; levels of names are divided by
    *separator*. *closed* is called once, at the end.
    """

    def __init__(
        self, replica: AccountReplica, user: str, separator: str, closed: Callable[[], None]
    ) -> None:
        self.user = user
        self.separator = separator
        self.append_octets_max = replica.site.limits.append_octets_max
        self._replica = replica
        self._on_close: Callable[[], None] | None = closed

    # Names.

    async def mailboxes(self) -> Sequence[MailboxEntry]:
        """As `Account.mailboxes`."""
        self._replica.require_serving()
        stored = self._replica.commits.stored
        entries = []
        for name in stored.names():
            boxes = group(stored, name)
            if boxes:
                entries.append(
                    MailboxEntry(MailboxName(name), mailbox_id(boxes[0].bid), _uses(boxes))
                )
        return entries

    async def subscriptions(self) -> frozenset[MailboxName]:
        """As `Account.subscriptions`."""
        self._replica.require_serving()
        return frozenset(_subscribed(self._replica.commits.stored))

    async def create(self, name: MailboxName, special_use: frozenset[str]) -> str:
        """As `Account.create`."""

        def run(rules: Rules, tx: Transaction) -> int:
            _allow_uses(tx, special_use)
            missing = [p for p in parents(name, self.separator) if not group(tx, p)]
            self._allow_mailboxes(len(missing) + 1)
            return commands.create(rules, tx, name, special_use, self.separator)

        _, bid = await self._replica.command(run)
        return mailbox_id(bid)

    async def delete(self, name: MailboxName) -> None:
        """As `Account.delete`."""
        await self._replica.command(lambda rules, tx: commands.delete(rules, tx, name))

    async def rename(self, old: MailboxName, new: MailboxName) -> None:
        """As `Account.rename`."""

        def run(rules: Rules, tx: Transaction) -> object:
            missing = [p for p in parents(new, self.separator) if not group(tx, p)]
            self._allow_mailboxes(len(missing))
            return commands.rename(rules, tx, old, new, self.separator)

        await self._replica.command(run)

    async def subscribe(self, name: MailboxName, subscribed: bool) -> None:
        """As `Account.subscribe`."""

        def run(rules: Rules, tx: Transaction) -> None:
            if subscribed and not commands.is_subscribed(tx, name):
                most = self._replica.site.limits.subscriptions_max
                if sum(1 for _ in _subscribed(tx)) >= most:
                    raise No(LIMIT, f"an account has at most {most} subscriptions")
            commands.subscribe(rules, tx, name, subscribed)

        await self._replica.command(run)

    def _allow_mailboxes(self, more: int) -> None:
        most = self._replica.site.limits.mailboxes_max
        if more and self._replica.commits.stored.box_count + more > most:
            raise No(LIMIT, f"an account has at most {most} mailboxes")

    async def status(self, name: MailboxName) -> MailboxStatus:
        """As `Account.status`."""
        self._replica.require_serving()
        stored = self._replica.commits.stored
        found = _existing(stored, name, NONEXISTENT)
        view = stored.get(VIEW, found.key) or View(found.key)
        tallies = [stored.tally(box.bid) for box in found.boxes]

        def total(count: Callable[[Tally], int]) -> int:
            return sum(map(count, tallies))

        return MailboxStatus(
            mailbox_id=mailbox_id(found.boxes[0].bid),
            uid_validity=UidValidity(found.v),
            uid_next=Uid(view.unext),
            highest_modseq=ModSeq(max(view.hm, self._replica.site.first_modseq)),
            messages=total(lambda tally: tally.messages),
            unseen=total(lambda tally: tally.unseen),
            deleted=total(lambda tally: tally.deleted),
            size=total(lambda tally: tally.octets),
            recent=total(lambda tally: tally.recent),
        )

    async def open(
        self, name: MailboxName, read_only: bool, wake: Callable[[], None]
    ) -> OpenedMailbox:
        """As `Account.open`."""
        self._replica.require_serving()
        mailbox = await self._replica.mailboxes.open(name)
        bid = mailbox.key >> 32
        return OpenedMailbox(self._replica, mailbox, name, mailbox_id(bid), read_only, wake)

    # Messages.

    async def admit(self, name: MailboxName, sizes: Sequence[int]) -> None:
        """As `Account.admit`."""
        self._replica.require_serving()
        _existing(self._replica.commits.records, name, TRYCREATE)
        for size in sizes:
            allow_size(self._replica.site.limits, size)
        used = self._replica.commits.staged.quota_octets
        allow_octets(self._replica.site.limits, used, sum(sizes))
        self._replica.ground.bodies.admit(sum(sizes))

    def upload(self, size: int) -> StoredUpload:
        """As `Account.upload`."""
        return self._replica.ground.bodies.upload(size)

    async def append(self, name: MailboxName, messages: Sequence[NewMessage]) -> Appended:
        """As `Account.append`."""
        assert messages, "APPEND names a message"
        uploads = []
        for message in messages:
            assert isinstance(message.upload, StoredUpload), "an upload of this account"
            uploads.append(message.upload)
        received = [await upload.finish() for upload in uploads]
        now = int(self._replica.site.waiting.now())
        run = partial(self._append, name, messages, received, now)
        appending, uids = await self._replica.command_uids(
            run, lambda appending: appending.pids, received
        )
        for upload in uploads:
            upload.abandon()
        return Appended(UidValidity(appending.v), tuple(map(Uid, uids)))

    def _append(
        self,
        name: MailboxName,
        messages: Sequence[NewMessage],
        received: Sequence[Received],
        now: int,
        rules: Rules,
        tx: Transaction,
    ) -> Appending:
        limits = self._replica.site.limits
        for body in received:
            allow_size(limits, body.size)
        octets = sum(body.size for body in received)
        allow_octets(limits, self._replica.commits.staged.quota_octets, octets)
        known: dict[str, Flag] = {}
        if any(message.flags for message in messages):
            known = self._replica.mailboxes.keywords(_existing(tx, name, TRYCREATE).key)
            allow_keywords(known, [message.flags for message in messages])
        made = []
        for message, body in zip(messages, received, strict=True):
            date = message.date or InternalDate(now, 0)
            flags = tuple(sorted(str(flag) for flag in spelled(known, message.flags)))
            made.append(Message(body.hash, body.size, date.seconds, date.zone_minutes, flags))
        return commands.append(rules, tx, name, made)

    def close(self) -> None:
        """As `Account.close`."""
        closed, self._on_close = self._on_close, None
        if closed is not None:
            closed()


def mailbox_id(bid: int) -> str:
    """The MAILBOXID of the mailbox whose primary is the box *bid*. RFC 8474 §5.1."""
    return f"F{bid:x}"


def _existing(records: Records, name: MailboxName, code: str) -> Named:
    found = commands.mailbox(records, name)
    if found is None:
        raise No(code, "there is no such mailbox")
    return found


def _uses(boxes: Iterable[Box]) -> frozenset[str]:
    return frozenset(use for box in boxes for use in box.use)


def _allow_uses(tx: Transaction, wanted: frozenset[str]) -> None:
    """No(USEATTR) if a special use is not supported, or is another mailbox's. RFC 6154 §3."""
    if not wanted:
        return
    for use in sorted(wanted):
        if use not in SPECIAL_USES:
            raise No(USEATTR, f"{use} is not supported")
    bid = -1
    while boxes := tx.boxes_after(bid, _SLICE):
        bid = boxes[-1].bid
        for box in boxes:
            taken = wanted.intersection(box.use)
            if taken and any(alive.bid == box.bid for alive in group(tx, box.name)):
                raise No(USEATTR, f"{min(taken)} is another mailbox's use")


def _subscribed(records: Records) -> Iterable[MailboxName]:
    name = ""
    while found := records.subscriptions_after(name, _SLICE):
        name = found[-1].name
        for subscription in found:
            if any_set(subscription.entries):
                yield MailboxName(subscription.name)
