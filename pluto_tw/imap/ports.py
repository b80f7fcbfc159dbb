# SPDX-License-Identifier: GPL-3.0-or-later
"""
What a session asks of the world: someone who knows the users, one user's account, a selected
mailbox, the wire to the client, somebody who keeps count.

The session decides what IMAP says; who is behind these protocols decides what is true and
durable. Between them holds:

- Awaited methods that change something return after the change is durable, and after the log of
  each mailbox concerned has it.
- Methods without `async` answer from memory. Lists that they return belong to the caller.
- A refusal is `pluto_tw.mail.errors.No` with a response code; any other exception is a bug.
- Between two awaits nothing changes under the session.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, MutableMapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from pluto_tw.mail.changes import Change
from pluto_tw.mail.flags import Flags
from pluto_tw.mail.mailboxes import MailboxEntry, MailboxStatus
from pluto_tw.mail.messages import (
    Appended,
    Copied,
    InternalDate,
    NewMessage,
    Stored,
    StoreMode,
    Upload,
)
from pluto_tw.mail.names import MailboxName
from pluto_tw.mail.sets import NumberSet
from pluto_tw.mail.uids import ModSeq, Uid, UidValidity
from pluto_tw.mime.facts import Facts


class Body(Protocol):
    """The octets of one message, exactly as they were appended."""

    size: int

    def read(self, start: int, length: int) -> AsyncIterator[bytes]:
        """
        The octets from *start* on, *length* of them, in chunks of at most 64 KiB.

        *start* + *length* is at most *size*. No(UNAVAILABLE) comes before the first chunk if the
        body cannot be had here; damage found later raises too, and no more octets follow. The
        reader may stop at any chunk.
        """


class OpenMailbox(Protocol):
    """
    A mailbox as one session selected it.

    UIDs given here are of the session's view: what the session shows stays readable, also when
    it has vanished for others, until the session says by `told` that it shows it no more.
    """

    name: MailboxName
    mailbox_id: str
    uid_validity: UidValidity
    read_only: bool
    #: What the protocol core derives from this mailbox's messages and keeps with them, shared by
    #: all sessions that have it selected. Positions of the log may be kept in it: it lives and
    #: dies with them. Dropped when memory is short.
    derived: MutableMapping[Hashable, object]

    # The newest committed state.

    def position(self) -> int:
        """The end of the log: how many changes it has had."""

    def uids(self) -> Sequence[int]:
        """The UIDs exposed at `position()`, ascending."""

    def uid_next(self) -> Uid:
        """Above every UID that was ever exposed."""

    def highest_modseq(self) -> ModSeq:
        """At least 1."""

    def keywords(self) -> Flags:
        """The keywords in use or once used; the same object as long as there is no new one."""

    def takes_new_keywords(self) -> bool:
        """Whether STORE and APPEND may name a keyword that is not in `keywords()`."""

    # The log.

    def changes(self, after: int) -> Sequence[Change] | None:
        """
        The log from position *after* to `position()`; the change i leads to *after* + i + 1.

        None if the log does not reach back so far: compare with `uids()` and `modseqs()`. The last
        change is always there.
        """

    def told(self, position: int) -> None:
        """The session's view is now that of *position*; messages vanished before may go."""

    def claim_recent(self) -> Uid:
        """
        Exposed messages from this UID on are `\\Recent` in this session and in no other.

        RFC 3501 §2.3.2. Not called by sessions that opened the mailbox read-only.
        """

    # Facts of messages in the session's view, one value a UID, in their order.

    def flags(self, uids: Sequence[int]) -> Sequence[Flags]:
        """Without `\\Recent`. Equal sets are the same object as far as possible."""

    def modseqs(self, uids: Sequence[int]) -> Sequence[int]: ...

    def sizes(self, uids: Sequence[int]) -> Sequence[int]:
        """RFC822.SIZE in octets."""

    def internal_dates(self, uids: Sequence[int]) -> Sequence[InternalDate]: ...

    def email_ids(self, uids: Sequence[int]) -> Sequence[str]:
        """RFC 8474 §5.1: the form of `MailboxEntry.mailbox_id`."""

    def thread_ids(self, uids: Sequence[int]) -> Sequence[str | None]:
        """RFC 8474 §5.2."""

    async def facts(self, uids: Sequence[int]) -> Sequence[Facts]:
        """At most `FACTS_MAX` UIDs a call. No(UNAVAILABLE) if those of one cannot be had here."""

    def body(self, uid: int) -> Body: ...

    # What changed since a mod-sequence that a client brought, from whichever replica.

    async def changed_since(self, modseq: ModSeq) -> NumberSet:
        """
        The UIDs of at least all messages whose mod-sequence is above *modseq*.

        A superset, where *modseq* was told by another replica. RFC 7162 §3.1.4.1.
        """

    async def vanished_since(self, modseq: ModSeq, known: NumberSet | None) -> NumberSet:
        """
        At least all UIDs of *known* that vanished after *modseq*; no UID that is exposed.

        *known* None: of all UIDs that a client may know. RFC 7162 §3.2.5.
        """

    # Writes. Messages that are gone already are left out, never revived.

    async def store(
        self, uids: NumberSet, mode: StoreMode, flags: Flags, unchanged_since: ModSeq | None
    ) -> Stored:
        """Changes flags of messages in the view. No: LIMIT, OVERQUOTA, UNAVAILABLE."""

    async def mark_seen(self, uids: NumberSet) -> Stored:
        r"""
        Sets `\Seen`, because the client has fetched them. No: as `store`. RFC 9051 §6.4.5.

        Unlike `store` it says nothing of what the user wants: it keeps no message that somebody
        else removes at the same time.
        """

    async def expunge(self, uids: NumberSet) -> NumberSet:
        """Removes those of *uids* that have `\\Deleted`; the UIDs removed."""

    async def copy(self, uids: NumberSet, target: MailboxName) -> Copied:
        """All or none. No: TRYCREATE, OVERQUOTA, UNAVAILABLE. RFC 9051 §6.4.7."""

    async def move(self, uids: NumberSet, target: MailboxName) -> Copied:
        """All or none; *target* may be this mailbox. No: as `copy`. RFC 6851."""

    def close(self) -> None:
        """The session has left: no more wakes. Harmless when repeated."""


#: Messages whose facts are asked for in one call: at 2-10 KiB each this stays below a few MiB.
FACTS_MAX = 100


class Account(Protocol):
    """One user's mail. Names are normalised by `pluto_tw.mail.names` before they come here."""

    #: The name that the user is known by, for logs and limits.
    user: str
    #: The hierarchy separator, one of `pluto_tw.mail.names.SEPARATORS`.
    separator: str
    #: The largest message that APPEND takes, in octets. RFC 7889.
    append_octets_max: int

    async def mailboxes(self) -> Sequence[MailboxEntry]:
        """All that exist, INBOX among them, in any order."""

    async def subscriptions(self) -> frozenset[MailboxName]:
        """Names subscribed to; they need not exist."""

    async def create(self, name: MailboxName, special_use: frozenset[str]) -> str:
        """
        The MAILBOXID of the new mailbox; missing ancestors are created too.

        No: ALREADYEXISTS, CANNOT, USEATTR (RFC 6154 §3), LIMIT, UNAVAILABLE. RFC 9051 §6.3.4.
        """

    async def delete(self, name: MailboxName) -> None:
        """Inferiors stay. No: NONEXISTENT, CANNOT (INBOX), UNAVAILABLE. RFC 9051 §6.3.5."""

    async def rename(self, old: MailboxName, new: MailboxName) -> None:
        """
        With inferiors; INBOX moves its messages instead. RFC 9051 §6.3.6.

        *old* may be a level of hierarchy that is no mailbox, as long as it has inferiors.

        No: NONEXISTENT, ALREADYEXISTS, CANNOT, UNAVAILABLE.
        """

    async def subscribe(self, name: MailboxName, subscribed: bool) -> None:
        """Durable; the mailbox need not exist. No: LIMIT, UNAVAILABLE."""

    async def status(self, name: MailboxName) -> MailboxStatus:
        """No: NONEXISTENT, UNAVAILABLE."""

    async def open(
        self, name: MailboxName, read_only: bool, wake: Callable[[], None]
    ) -> OpenMailbox:
        """
        *wake* is called after the log has grown, also by what the caller itself does. It must not
        ask the account for anything.

        No: NONEXISTENT, UNAVAILABLE.
        """

    async def admit(self, name: MailboxName, sizes: Sequence[int]) -> None:
        """
        Whether messages of these *sizes* in octets may be appended to *name*, asked before they
        are sent. No: TRYCREATE, TOOBIG, OVERQUOTA, LIMIT, UNAVAILABLE.
        """

    def upload(self, size: int) -> Upload:
        """A place for *size* octets to come, which `admit` has allowed."""

    async def append(self, name: MailboxName, messages: Sequence[NewMessage]) -> Appended:
        """All or none, in this order. No: as `admit`. RFC 9051 §6.3.12, RFC 3502."""

    def close(self) -> None:
        """The session has ended."""


@dataclass(frozen=True, slots=True)
class Connection:
    """What is known of the client's connection; `secure` after TLS, or where TLS is not needed."""

    address: str
    port: int
    secure: bool
    #: Protocol version and cipher, for the log; empty without TLS.
    tls: str = ""


class Link(Protocol):
    """The way to another server, for one user who has shown to be one."""

    async def open(self, tag: bytes, connection: Connection) -> bytes:
        """
        Logs the user in over there; the answer to *tag*, as that server gave it: lines with CRLF.

        Called once. No: UNAVAILABLE if no server that has the account takes the user, LIMIT.
        """

    def close(self) -> None:
        """Nobody needs the connection over there; harmless when repeated."""


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """Stands in for the account of *user* (as `Account.user`) where another server has it."""

    user: str
    link: Link

    def close(self) -> None:
        """As `Account.close`."""
        self.link.close()


@dataclass(frozen=True, slots=True)
class Challenge:
    """The mechanism wants another response; *data* is not yet in base64."""

    data: bytes


class Exchange(Protocol):
    """One run of a SASL mechanism. RFC 4422."""

    #: The client speaks first; if it has not done so with the command, it is asked to.
    client_first: bool
    #: The client may send its first response with the command (RFC 4959).
    takes_initial: bool

    async def respond(self, response: bytes | None) -> Challenge | Account | Elsewhere:
        """
        The answer to *response*, decoded; None at the start if the client sent none.

        No: AUTHENTICATIONFAILED, AUTHORIZATIONFAILED, PRIVACYREQUIRED, EXPIRED, UNAVAILABLE,
        LIMIT.
        """

    def cancel(self) -> None:
        """The client gave up or is gone; harmless after the end."""


class Realm(Protocol):
    """Knows the users."""

    def mechanisms(self, connection: Connection) -> Sequence[bytes]:
        """The SASL mechanisms that work on this connection as it is, upper case."""

    def login_allowed(self, connection: Connection) -> bool:
        """Whether LOGIN works on this connection as it is."""

    def exchange(self, mechanism: bytes, connection: Connection) -> Exchange:
        """*mechanism* is one of `mechanisms`."""

    async def login(
        self, user: bytes, password: bytes, connection: Connection
    ) -> Account | Elsewhere:
        """No: as `Exchange.respond`. RFC 9051 §6.2.3."""


class Disconnected(Exception):
    """Raised from a wait for the client when it is gone: the command ends without an answer."""


class Wire(Protocol):
    """The way to the client."""

    def write(self, data: bytes) -> None:
        """Queues *data*. After `close` it is dropped."""

    def drain(self) -> Awaitable[None]:
        """
        Returns when the client has taken enough that more may be written.

        Raises Disconnected if it never will.
        """

    def taken(self, waiting: int) -> None:
        """
        What the client sent is used up as far as it can be; *waiting* octets of it are left until
        what runs has ended. While that is much, no more is read from the client.
        """

    def can_start_tls(self) -> bool:
        """Whether there is a certificate, and no TLS yet."""

    def start_tls(self) -> None:
        """Everything from here on goes through TLS; what had arrived was dropped before."""

    def relay(self, link: Link, rest: bytes) -> None:
        """
        Joins the client to the server at the other end of *link*, which is open: from here on each
        gets what the other sends, the server first *rest*, which the client has sent already.
        """

    def close(self) -> None:
        """Ends the connection after what was written."""


class Outcome(Enum):
    """How a command ended."""

    OK = "ok"
    NO = "no"
    BAD = "bad"
    FAULT = "fault"


class Observer(Protocol):
    """Keeps count, and keeps the log; never told what users wrote."""

    def command(self, name: str, outcome: Outcome, seconds: float) -> None:
        """A command ended; *name* is from the command table, or `unknown`."""

    def authenticated(self, user: str) -> None:
        """A user logged in."""

    def refused_login(self, reason: str) -> None:
        """A login failed; *reason* is the response code."""

    def fault(self, name: str) -> None:
        """Called where an exception that is our bug was caught: log it with its traceback."""
