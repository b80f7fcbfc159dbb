# SPDX-License-Identifier: GPL-3.0-or-later
"""
The mailboxes of one account that are in memory.

One is loaded when a session selects it, on a reader's thread, and stays while somebody has it open
and for as long as there is room afterwards (`cache.py`). What is committed while it is being
loaded is neither missed nor told twice: the load reads the account's mod-sequence along, waits
until as much has been told, and then takes over what came later.
"""

import sqlite3
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from pluto_tw.account.columns import Columns, Shown
from pluto_tw.account.commits import Commits
from pluto_tw.account.log import Log
from pluto_tw.account.mailbox import Mailbox
from pluto_tw.account.rows import parts_of
from pluto_tw.account.site import Ground, Site
from pluto_tw.account.staging import News, Staged
from pluto_tw.crdt.commands import mailbox as find_mailbox
from pluto_tw.crdt.records import BOX, PLACEMENT, VIEW, View
from pluto_tw.mail.changes import Ended
from pluto_tw.mail.codes import NONEXISTENT
from pluto_tw.mail.errors import No
from pluto_tw.mail.flags import Flag
from pluto_tw.mail.names import MailboxName
from pluto_tw.mail.uids import UidValidity
from pluto_tw.mail.waiting import Promise

_BOXES: Final = """
    SELECT id, bid, era FROM box
    WHERE account = ? AND home_bid = ? AND home_gen = ? ORDER BY bid
"""
_M: Final = "SELECT m FROM account WHERE id = ?"


class Mailboxes:
    """Those of the account of *commits*."""

    def __init__(self, ground: Ground, site: Site, commits: Callable[[], Commits]) -> None:
        self._ground = ground
        self._site = site
        self._commits = commits
        #: By key.
        self._loaded: dict[int, Mailbox] = {}
        self._loading: dict[int, list[Promise[None]]] = {}
        #: News that came while anything was loading, and who waits for the next ones.
        self._meanwhile: list[News] = []
        self._told: list[Promise[None]] = []
        self._ended: list[Mailbox] = []

    async def open(self, name: MailboxName) -> Mailbox:
        """The mailbox that has *name* now. No: NONEXISTENT. Raises `ShardFailed`."""
        while True:
            found = find_mailbox(self._commits().stored, name)
            if found is None:
                raise No(NONEXISTENT, "there is no such mailbox")
            mailbox = self._loaded.get(found.key)
            if mailbox is not None:
                self._site.idle.use(mailbox)
                return mailbox
            waiters = self._loading.get(found.key)
            if waiters is None:
                await self._load(found.key)
            else:
                promise: Promise[None] = self._site.waiting.promise()
                waiters.append(promise)
                await promise

    async def _load(self, key: int) -> None:
        """Loads the mailbox *key*, unless it is another one when that is done."""
        self._loading[key] = []
        try:
            commits = self._commits()
            stored = commits.stored
            tallies = [stored.tally(box.bid) for box in stored.boxes_at(key)]
            columns = Columns(keyword for tally in tallies for keyword in tally.keywords)
            m = await self._ground.shard.load(partial(_read, columns, stored.account, key))
            while commits.stored is stored and stored.scalars.m < m:
                told: Promise[None] = self._site.waiting.promise()
                self._told.append(told)
                await told
            later = [news for news in self._meanwhile if news.m > m]
            ended = any(isinstance(change, Ended) for news in later for change in news.of(key))
            if commits.stored is stored and not ended:
                self._install(key, columns, later)
        finally:
            waiters = self._loading.pop(key)
            if not self._loading:
                self._meanwhile.clear()
            for waiter in waiters:
                waiter.fire(None)

    def _install(self, key: int, columns: Columns, later: Sequence[News]) -> None:
        stored = self._commits().stored
        primary = stored.get(BOX, key >> 32)
        if primary is None or primary.home != key:
            return
        view = stored.get(VIEW, key) or View(key)
        log = Log(self._site.limits.log_changes_max)
        highest = max(view.hm, self._site.first_modseq)
        mailbox = Mailbox(key, UidValidity(primary.v), columns, log, view.unext, highest)
        for news in later:
            mailbox.tell(news.of(key), news.shown.get(key, ()))
        self._loaded[key] = mailbox

    def left(self, mailbox: Mailbox) -> None:
        """A session has left *mailbox*: it may go when nobody else has it open."""
        self._ended = [ended for ended in self._ended if ended.listeners]
        if not mailbox.listeners and self._loaded.get(mailbox.key) is mailbox:
            # What the core derived can be ten times as much, and nobody uses it now.
            mailbox.derived.clear()
            unload = partial(self._unload, mailbox)
            self._site.idle.rest(mailbox, mailbox.columns.octets, unload)

    def _unload(self, mailbox: Mailbox) -> None:
        if self._loaded.get(mailbox.key) is mailbox:
            del self._loaded[mailbox.key]

    def unload_all(self) -> None:
        """The account goes out of memory."""
        for mailbox in self._loaded.values():
            self._site.idle.use(mailbox)
        self._loaded.clear()

    @property
    def in_use(self) -> bool:
        """Whether a session has one of them open."""
        return bool(self._ended) or any(mailbox.listeners for mailbox in self._loaded.values())

    def is_pinned(self, pid: bytes) -> bool:
        """
        Whether a session may still show the placement *pid*, although it has vanished.

        To be asked when nothing is staged: what vanishes there is shown by every session.
        """
        if any(pid in mailbox.pinned for mailbox in self._loaded.values()):
            return True
        if not self._ended:
            return False
        placement = self._commits().stored.get(PLACEMENT, pid)
        return placement is not None and any(
            placement.box in mailbox.columns.boxes for mailbox in self._ended
        )

    def keywords(self, key: int) -> dict[str, Flag]:
        """The keywords of a mailbox in their spelling, by `flag_key`; staged ones included."""
        mailbox = self._loaded.get(key)
        found = {} if mailbox is None else dict(mailbox.columns.spelling)
        commits = self._commits()
        for box in commits.stored.boxes_at(key):
            for keyword in commits.staged.tally(box.bid).keywords:
                found.setdefault(keyword.lower(), keyword)
        return found

    # What was committed.

    def tell(self, staged: Staged) -> None:
        """*staged* is durable: columns and logs follow, then sessions are woken."""
        grown: dict[Mailbox, None] = {}
        for news in staged.news:
            if self._loading:
                self._meanwhile.append(news)
            for key in news.changes:
                self._tell(key, news, grown)
        for key, view in staged.records.staged(VIEW).items():
            mailbox = self._loaded.get(key)
            if mailbox is not None and view is not None:
                mailbox.show_view(view.unext, view.hm)
        told, self._told = self._told, []
        for promise in told:
            promise.fire(None)
        for mailbox in grown:
            mailbox.wake(self._site.waiting)

    def _tell(self, key: int, news: News, grown: dict[Mailbox, None]) -> None:
        mailbox = self._loaded.get(key)
        if mailbox is None:
            return
        if mailbox.tell(news.of(key), news.shown.get(key, ())):
            grown[mailbox] = None
        if mailbox.log.is_ended:
            self._forget(mailbox)

    def end_all(self, reason: str) -> None:
        """Sessions leave what they have open, for *reason*; it is loaded again when it is asked."""
        for mailbox in list(self._loaded.values()):
            mailbox.end(reason)
            self._forget(mailbox)
            mailbox.wake(self._site.waiting)

    def _forget(self, mailbox: Mailbox) -> None:
        """It has ended; a session may still show it."""
        del self._loaded[mailbox.key]
        self._site.idle.use(mailbox)
        if mailbox.listeners:
            self._ended.append(mailbox)

    def lost(self) -> None:
        """What was staged is dropped; whoever waits for it looks again."""
        told, self._told = self._told, []
        self._meanwhile.clear()
        for promise in told:
            promise.fire(None)


def _read(columns: Columns, account: int, key: int, connection: sqlite3.Connection) -> int:
    """On a reader's thread: fills *columns*; the account's mod-sequence of the same moment."""
    bid, gen = parts_of(key)
    connection.execute("BEGIN")
    try:
        boxes = connection.execute(_BOXES, (account, bid, gen)).fetchall()
        shown = [
            Shown(number, found, era, *((None, None) if key == found << 32 else (bid, gen)))
            for number, found, era in boxes
        ]
        columns.read(connection, shown)
        rows = connection.execute(_M, (account,)).fetchall()
    finally:
        connection.execute("ROLLBACK")
    return int(rows[0][0]) if rows else 0
