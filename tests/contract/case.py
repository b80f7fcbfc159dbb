# SPDX-License-Identifier: GPL-3.0-or-later
"""
What the contract tests of `pluto_tw.imap.ports.Account` stand on.

The tests are TestCases without an account: whoever has one derives from them and says how to make
it. To keep the tests of this package from being found without an account, import its modules, not
its classes. Nothing is used here but what the ports promise, and the hooks of `AccountCase`.
"""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.imap.ports import Account, OpenMailbox
from pluto_tw.mail.changes import Change, Ended, Exposed, Touched, Vanished
from pluto_tw.mail.errors import No
from pluto_tw.mail.flags import Flags, flag_set
from pluto_tw.mail.mailboxes import MailboxEntry
from pluto_tw.mail.messages import Appended, InternalDate, NewMessage, Stored, StoreMode
from pluto_tw.mail.names import INBOX, MailboxName
from pluto_tw.mail.sets import NumberSet
from pluto_tw.mail.uids import ModSeq, Uid, UidValidity
from pluto_tw.net.waiting import ReactorWaiting

T = TypeVar("T")

#: How often an account may be driven before it must have its result.
TURNS_MAX = 1000

MESSAGE = b"Subject: a message\r\nFrom: a@example.org\r\n\r\nof two\r\nlines\r\n"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a test wants of the account that is made for it; None: whatever it usually has."""

    #: The quota: octets of all messages together.
    octets_max: int | None = None
    #: Changes that a mailbox's log keeps.
    log_changes_max: int | None = None


ANY = Wanted()


def flags(text: str) -> Flags:
    r"""Example: `flags(r"\Seen $Forwarded")`."""
    return flag_set(text.split())


def uids(*numbers: int) -> NumberSet:
    return NumberSet.of(numbers)


def name(text: str) -> MailboxName:
    """*text*, a name in canonical form whose levels are divided by `.`."""
    return MailboxName(text)


class Viewer:
    """
    A session that has a mailbox selected and builds its view from the log, as sessions do.

    What the log of any mailbox must look like is checked as it is read.
    """

    def __init__(self) -> None:
        self.wakes = 0
        #: What the session does when it is woken.
        self.when_woken: Callable[[], None] = lambda: None
        self.mailbox: OpenMailbox
        self.position = 0
        self.uids: list[int] = []
        #: The mod-sequence of the prefix that the view is built from.
        self.highest_modseq = ModSeq(0)
        self.ended: Ended | None = None
        self._highest_uid = 0

    def woken(self) -> None:
        self.wakes += 1
        self.when_woken()

    def selected(self, mailbox: OpenMailbox) -> None:
        self.mailbox = mailbox
        self._start()

    def _start(self) -> None:
        self.uids = list(self.mailbox.uids())
        self.position = self.mailbox.position()
        self.highest_modseq = self.mailbox.highest_modseq()
        self._highest_uid = self.mailbox.uid_next() - 1
        assert self.uids == sorted(set(self.uids)), "ascending"
        assert all(uid <= self._highest_uid for uid in self.uids), "uid_next is above all"

    def news(self) -> Sequence[Change]:
        """The log that this session has not been told of; it must be there."""
        changes = self.mailbox.changes(self.position)
        assert changes is not None, "the log reaches back to the view"
        assert self.position + len(changes) == self.mailbox.position()
        return changes

    def catch_up(self, count: int | None = None) -> None:
        """Goes on in the log: by *count* changes, or to its end; tells the mailbox."""
        if self.mailbox.changes(self.position) is None:
            self._start()
        else:
            news = self.news()
            for change in news if count is None else news[:count]:
                self._take(change)
        self.mailbox.told(self.position)

    def _take(self, change: Change) -> None:
        assert self.ended is None, "nothing follows an Ended"
        self.position += 1
        if isinstance(change, Ended):
            assert change.reason, "the client is told why"
            self.ended = change
            return
        assert change.uids, "an entry names messages"
        assert change.modseq >= self.highest_modseq, "mod-sequences in a log never fall"
        if isinstance(change, Exposed):
            assert change.uids.low > self._highest_uid, "above all that were ever exposed"
            self.uids.extend(change.uids)
            self._highest_uid = change.uids.high
        elif isinstance(change, Vanished):
            # A session may stop in front of it. Were it not above, a client that comes back with
            # the mod-sequence of this prefix would never hear of it.
            assert change.modseq > self.highest_modseq
            assert set(change.uids) <= set(self.uids), "only what was exposed vanishes"
            self.uids = [uid for uid in self.uids if uid not in change.uids]
        elif isinstance(change, Touched):
            assert set(change.uids) <= set(self.uids), "only what is there is touched"
        self.highest_modseq = change.modseq

    def vanished(self) -> list[Vanished]:
        """What has vanished since the session was told."""
        return [change for change in self.news() if isinstance(change, Vanished)]

    def flags(self) -> dict[int, Flags]:
        """The flags of all messages in the view."""
        return dict(zip(self.uids, self.mailbox.flags(self.uids), strict=True))

    def email_ids(self) -> list[str]:
        return list(self.mailbox.email_ids(self.uids))


@dataclass(slots=True)
class Mail:
    """A message to append in a test."""

    octets: bytes = MESSAGE
    flags: Flags = frozenset()
    date: InternalDate | None = None
    #: How the octets are cut on their way in.
    chunk_octets: int = 64 * 1024
    chunks: list[bytes] = field(init=False)

    def __post_init__(self) -> None:
        size = self.chunk_octets
        self.chunks = [self.octets[at : at + size] for at in range(0, len(self.octets), size)]


class AccountCase(SynchronousTestCase, ABC):
    """Tests of what `make_account` makes."""

    #: Random histories that are tried, twice; of up to 50 steps each.
    histories = 60

    def setUp(self) -> None:
        self.clock = Clock()
        #: What an account that is made here waits by.
        self.waiting = ReactorWaiting(self.clock)

    # The hooks.

    @abstractmethod
    def make_account(self, wanted: Wanted = ANY) -> Account:
        """A session of a new account that nobody else has, and which takes care of its end."""

    @abstractmethod
    def another_session(self, account: Account) -> Account:
        """Another session of the user whose session *account* is."""

    def drive(self) -> None:
        """Lets what waits go on; called while a result is missing."""
        self.clock.advance(0.001)

    # What tests do.

    def started(self, work: Awaitable[T]) -> "Deferred[T]":
        """*work*, driven until it has its result or its failure."""

        async def run() -> T:
            return await work

        done = Deferred.fromCoroutine(run())
        for _ in range(TURNS_MAX):
            if done.called:
                break
            self.drive()
        return done

    def now(self, work: Awaitable[T]) -> T:
        """The result of *work*."""
        return self.successResultOf(self.started(work))

    def refuses(self, code: str, work: Awaitable[object]) -> None:
        """*work* is refused with the response code *code*."""
        failure = self.failureResultOf(self.started(work), No)
        self.assertEqual(failure.value.code, code)
        self.assertTrue(failure.value.text, "a person is told why")

    def names(self, account: Account) -> dict[str, MailboxEntry]:
        entries = self.now(account.mailboxes())
        named = {str(entry.name): entry for entry in entries}
        self.assertEqual(len(named), len(entries))
        return named

    def create(self, account: Account, *texts: str) -> None:
        for text in texts:
            self.now(account.create(name(text), frozenset()))

    def new_message(self, account: Account, mail: Mail) -> NewMessage:
        """*mail*, all of it written to an upload."""
        upload = account.upload(len(mail.octets))
        for chunk in mail.chunks:
            self.now(upload.write(chunk))
        return NewMessage(upload, mail.flags, mail.date)

    def append(self, account: Account, mailbox: MailboxName, *mails: Mail) -> Appended:
        messages = [self.new_message(account, mail) for mail in mails]
        return self.now(account.append(mailbox, messages))

    def fill(self, account: Account, count: int, text: str = "", box: str = INBOX) -> list[Uid]:
        """Appends *count* messages that differ, with the flags *text*; their UIDs."""
        mails = [Mail(b"X-N: %d\r\n" % n + MESSAGE, flags(text)) for n in range(count)]
        return list(self.append(account, name(box), *mails).uids)

    def view(self, account: Account, box: str = INBOX, *, read_only: bool = False) -> Viewer:
        """A session that selects *box*."""
        viewer = Viewer()
        viewer.selected(self.now(account.open(name(box), read_only, viewer.woken)))
        self.addCleanup(viewer.mailbox.close)
        return viewer

    def store(
        self,
        viewer: Viewer,
        numbers: Iterable[int],
        mode: StoreMode,
        text: str,
        unchanged_since: int | None = None,
    ) -> Stored:
        since = None if unchanged_since is None else ModSeq(unchanged_since)
        return self.now(viewer.mailbox.store(NumberSet.of(numbers), mode, flags(text), since))

    def expunge(self, viewer: Viewer, *numbers: int) -> None:
        """Messages are gone."""
        self.store(viewer, numbers, StoreMode.ADD, "\\Deleted")
        self.assertEqual(self.now(viewer.mailbox.expunge(uids(*numbers))), uids(*numbers))

    def octets(self, viewer: Viewer, uid: int, start: int = 0, length: int | None = None) -> bytes:
        """Octets of the body of *uid*, and that their chunks are of a lawful size."""
        body = viewer.mailbox.body(uid)

        async def read() -> list[bytes]:
            end = body.size - start if length is None else length
            return [chunk async for chunk in body.read(start, end)]

        chunks = self.now(read())
        self.assertTrue(all(0 < len(chunk) <= 64 * 1024 for chunk in chunks))
        return b"".join(chunks)

    def uid_validity(self, account: Account, box: str) -> UidValidity:
        return self.now(account.status(name(box))).uid_validity
