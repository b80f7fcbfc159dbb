# SPDX-License-Identifier: GPL-3.0-or-later
"""What no client has asked for in a fuzz run: other people's changes, bad luck, haste."""

from collections.abc import Callable
from random import Random

from twisted.internet.interfaces import IReactorTime

from pluto_tw.mail.codes import UNAVAILABLE
from pluto_tw.mail.errors import No
from pluto_tw.mail.names import INBOX, MailboxName
from pluto_tw.mail.waiting import SLICE_SECONDS
from pluto_tw.net.waiting import ReactorWaiting
from tests.support.account import MemoryAccount
from tests.support.messages import MESSAGES

#: Messages that a mailbox is cut back to: more make each input slower, not worse.
MESSAGES_MAX = 12

#: What messages are delivered: good ones, and what no grammar allows.
OCTETS = (
    *MESSAGES.values(),
    b"",
    b"\r\n",
    b"Subject: a\0b\xff\r\nTo: \xc3\xa4 <\0@b>\r\n\r\n\0\r\n",
    b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\n--x\r\n\r\n--x\r\nA",
    b'Subject:\n folded\nContent-Type: text/\xff; name="\0"\n\nbare line feeds\n\r\r',
)


class HastyWaiting(ReactorWaiting):
    """While *hasty*, each look at the clock takes half a slice, so that all work pauses often."""

    def __init__(self, reactor: IReactorTime, now: Callable[[], float]) -> None:
        super().__init__(reactor, now)
        self.hasty = False
        self._lost = 0.0

    def seconds(self) -> float:
        if self.hasty:
            self._lost += SLICE_SECONDS / 2
        return super().seconds() + self._lost


class Disturbances:
    """Those of *account*; *random* decides."""

    def __init__(self, random: Random, account: MemoryAccount) -> None:
        self._random = random
        self._account = account
        account.limits.mailboxes_max = 25
        account.limits.subscriptions_max = 10
        account.limits.keywords_max = 12
        account.limits.octets_max = 100_000
        for octets in OCTETS:
            account.deliver(octets)

    def change(self) -> None:
        """A mailbox changes."""
        name = self._random.choice(("INBOX", "INBOX", "Work"))
        if MailboxName(name) not in self._account._mailboxes:
            name = INBOX
        uids = list(self._account.existing(MailboxName(name)).messages)
        chance = self._random.randrange(9)
        if chance < 3 or not uids:
            self._account.deliver(self._random.choice(OCTETS), name=name)
            return
        uid = self._random.choice(uids)
        if chance < 5:
            self._account.remove(name, uid)
        elif chance == 5:
            self._account.renumber(name, uid)
        elif chance == 6:
            self._account.raise_modseq(name, uid)
        elif chance == 7:
            self._account.damage(name, uid, self._random.choice((0, 0, 5)))
        elif self._random.random() < 0.1:
            self._account.replace(name)

    def obstruct(self) -> None:
        """The account becomes another: it waits, refuses, forgets, is asked as another replica."""
        match self._random.randrange(7):
            case 0 | 1:
                self._account.hold()
            case 2:
                self._account.fail_next(No(UNAVAILABLE, "not now"))
            case 3:
                self._account.drop_derived()
            case 4:
                self._account.limits.log_changes_max = self._random.choice((1000, 1000, 3, 1))
            case 5:
                self._account.foreign = not self._account.foreign
            case _:
                self._account.tells_uids = not self._account.tells_uids

    def cut_back(self) -> None:
        """Mailboxes that have grown large lose their oldest messages."""
        for name, mailbox in [*self._account._mailboxes.items()]:
            if len(mailbox.messages) > MESSAGES_MAX:
                self._account.remove(name, *[*mailbox.messages][: -MESSAGES_MAX // 2])

    @property
    def is_held(self) -> bool:
        """Whether the account waits."""
        return self._account.turns._held is not None
