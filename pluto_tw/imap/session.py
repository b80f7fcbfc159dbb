# SPDX-License-Identifier: GPL-3.0-or-later
"""
One client's connection as IMAP sees it: states, one command after the other, what is told when.

The shell passes octets in by `receive` and takes octets out by the `Wire`; everything between is
decided here or in the commands of the table. Invariants between calls:

- At most one command runs. What the client pipelined waits, unread, in the framer.
- Each command ends in exactly one tagged line, after all untagged data that it may tell.
- Everything queued is written before control goes back to the shell, in one piece.
- After BYE nothing is read any more.

RFC 9051 §3 (states), §5.5 (pipelining), §7 (responses), §7.5.1 (when EXPUNGE may be told).
"""

from collections.abc import Awaitable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TypeVar

from pluto_tw.imap.capability import capabilities
from pluto_tw.imap.command import Command, ExpungeRule, Reply, State
from pluto_tw.imap.cursor import Segment
from pluto_tw.imap.framing import LiteralAnnounced
from pluto_tw.imap.grammar import Arguments
from pluto_tw.imap.ports import (
    Account,
    Connection,
    Disconnected,
    Elsewhere,
    Link,
    Observer,
    OpenMailbox,
    Outcome,
    Realm,
    Wire,
)
from pluto_tw.imap.reader import CommandReader
from pluto_tw.imap.refusal import Refusal
from pluto_tw.imap.responses import bye, response_code, tagged, untagged_status
from pluto_tw.imap.selected import Features, Selected
from pluto_tw.mail.codes import CAPABILITY, CLIENTBUG, SERVERBUG, UNAVAILABLE
from pluto_tw.mail.errors import Bad, No
from pluto_tw.mail.messages import Upload
from pluto_tw.mail.names import MailboxName, mailbox_name
from pluto_tw.mail.waiting import Promise, Waiting

T = TypeVar("T")

#: This many malformed commands in a row are answered at once: clients probe.
BADS_FREE = 10
#: After this many in a row the other side is no IMAP client.
BADS_MAX = 50
#: Each malformed command above `BADS_FREE` is answered after this.
BAD_DELAY_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Service:
    """What all sessions of one listener share."""

    realm: Realm
    waiting: Waiting
    observer: Observer
    #: By name, upper case; `pluto_tw.imap.table`.
    commands: Mapping[bytes, Command]
    #: What the greeting says.
    greeting: str
    #: What ID answers, RFC 2971 §3.2.
    identity: tuple[tuple[str, str], ...]


class Head:
    """Tag and command word, as far as they could be read."""

    __slots__ = ("expunge_allowed", "row", "tag", "uid")

    def __init__(self) -> None:
        self.tag = b"*"
        self.row: Command | None = None
        self.uid = False
        self.expunge_allowed = False

    @property
    def name(self) -> str:
        """The command's name for answers, logs and counts; never what the client wrote."""
        if self.row is None:
            return "unknown"
        return f"UID {self.row.name}" if self.uid else self.row.name


class Session:
    """One connection's IMAP; see the module's docstring for what holds between calls."""

    __slots__ = (
        "_bads",
        "_gone",
        "_link",
        "_out",
        "_reader",
        "account",
        "connection",
        "features",
        "mailbox",
        "service",
        "state",
        "tag",
        "wire",
    )

    def __init__(self, service: Service, wire: Wire, connection: Connection) -> None:
        self.service = service
        self.wire = wire
        self.connection = connection
        self.state = State.NOT_AUTHENTICATED
        #: The tag of the running command, for ESEARCH.
        self.tag = b""
        self.features = Features()
        self.account: Account | None = None
        self.mailbox: Selected | None = None
        #: To another server that has the account, not yet joined to the client.
        self._link: Link | None = None
        self._reader = CommandReader(self, service.waiting)
        #: The client ended the connection, not we.
        self._gone = False
        self._out: list[bytes] = []
        self._bads = 0

    # What the shell calls.

    def greet(self) -> None:
        """Says the greeting. RFC 9051 §7.1.5."""
        self.send(untagged_status(b"OK", self.service.greeting, self.capability_code()))
        self.flush()

    def receive(self, data: bytes) -> None:
        """Takes what the client sent."""
        if self.is_over():
            return
        self._reader.feed(data)

    def end_of_input(self) -> None:
        """The client sends no more, but may still read: what it sent is answered, then it ends."""
        if not self.is_over():
            self._reader.end()

    @property
    def waits_for_client(self) -> bool:
        """Whether nothing goes on before the client sends more; IDLE is such a wait."""
        return self._reader.waits_for_client

    def secured(self, connection: Connection) -> None:
        """TLS has begun: *connection* is what is known now."""
        self.connection = connection

    def end(self, text: str, code: str | None = None) -> None:
        """Says BYE, unless it was said, and closes the connection. RFC 9051 §7.1.5."""
        if self.is_over():
            return
        self.send(bye(text, None if code is None else response_code(code)))
        self.close()

    def close(self) -> None:
        """Ends the connection behind what is queued."""
        self.state = State.LOGOUT
        self.flush()
        self.wire.close()
        self._let_go()

    def disconnected(self) -> None:
        """The connection is gone: lets go of everything. Harmless when repeated."""
        self._gone = True
        self.state = State.LOGOUT
        self._let_go()

    def _let_go(self) -> None:
        self.unselect()
        self._reader.close()
        account, self.account = self.account, None
        if account is not None:
            account.close()
        link, self._link = self._link, None
        if link is not None:
            link.close()

    # What commands use.

    def send(self, *responses: bytes) -> None:
        """Queues whole responses, each with its CRLF."""
        self._out += responses

    def flush(self) -> None:
        """Hands what is queued to the wire in one piece."""
        if self._out:
            out = b"".join(self._out)
            self._out.clear()
            self.wire.write(out)

    def taken(self, waiting: int) -> None:
        """*waiting* octets from the client are left until what runs has ended."""
        self.wire.taken(waiting)

    def drain(self) -> Awaitable[None]:
        """Flushes, and returns when the client has room for more. Awaited by long responses."""
        self.flush()
        return self.wire.drain()

    def capabilities(self) -> bytes:
        """The capabilities that work on this connection as it is. RFC 9051 §7.2.2."""
        realm = self.service.realm
        authenticated = self.state is not State.NOT_AUTHENTICATED
        return capabilities(
            authenticated=authenticated,
            can_start_tls=not authenticated and self.wire.can_start_tls(),
            login_allowed=realm.login_allowed(self.connection),
            mechanisms=() if authenticated else realm.mechanisms(self.connection),
            append_octets_max=None if self.account is None else self.account.append_octets_max,
        )

    def capability_code(self) -> bytes:
        """`capabilities` as a response code. RFC 9051 §7.1."""
        return response_code(CAPABILITY, self.capabilities().decode("ascii"))

    def name(self, text: str) -> MailboxName:
        """*text* from the client as the name of a mailbox that could be. No(CANNOT) if not."""
        return mailbox_name(text, self.the_account.separator)

    @property
    def the_account(self) -> Account:
        """The account of an authenticated session. Disconnected if the client has gone since."""
        if self.account is None:
            raise Disconnected
        return self.account

    @property
    def the_mailbox(self) -> Selected:
        """The view of a session with a selected mailbox. Disconnected as for `the_account`."""
        if self.mailbox is None:
            raise Disconnected
        return self.mailbox

    async def log_in(self, account: Account | Elsewhere) -> Reply:
        """The client has shown to be *account*'s user; the reply to say so. No: `Link.open`."""
        if self.is_over():
            account.close()
            raise Disconnected
        if isinstance(account, Elsewhere):
            return await self._log_in_elsewhere(account)
        self.account = account
        self.state = State.AUTHENTICATED
        self._reader.admit_more()
        self.service.observer.authenticated(account.user)
        return Reply("Logged in", self.capability_code())

    async def _log_in_elsewhere(self, elsewhere: Elsewhere) -> Reply:
        self._link = elsewhere.link
        try:
            answer = await elsewhere.link.open(self.tag, self.connection)
        except No:
            self._link = None
            raise
        if self.is_over():
            raise Disconnected
        self.service.observer.authenticated(elsewhere.user)
        return Reply(answer=answer, then=self._relay)

    def _relay(self) -> None:
        """From here on this session has nothing to say."""
        link, self._link = self._link, None
        if link is None:
            # The client has gone since, and the link with it.
            return
        self.flush()
        self.state = State.RELAYED
        self.wire.relay(link, self._reader.surrender())

    def refused_login(self, refused: No) -> None:
        """A login failed: the log is told why, never who or with what."""
        self.service.observer.refused_login(refused.code or "refused")

    def select(self, mailbox: OpenMailbox) -> Selected:
        """Makes *mailbox*, opened with `woken`, the selected one."""
        if self.is_over():
            mailbox.close()
            raise Disconnected
        assert self.mailbox is None, "the one before is closed first"
        self.mailbox = Selected(mailbox)
        self.state = State.SELECTED
        return self.mailbox

    def unselect(self) -> bool:
        """Leaves the selected mailbox; whether there was one."""
        selected, self.mailbox = self.mailbox, None
        if selected is None:
            return False
        selected.mailbox.close()
        if self.state is State.SELECTED:
            self.state = State.AUTHENTICATED
        return True

    def enable_condstore(self) -> None:
        """A command has shown that the client knows mod-sequences. RFC 7162 §3.1."""
        if self.features.condstore:
            return
        self.features = replace(self.features, condstore=True)
        if self.mailbox is not None:
            # "MUST send HIGHESTMODSEQ of the selected mailbox": RFC 7162 §3.1, last paragraphs.
            self.send(
                b"* OK [HIGHESTMODSEQ %d] Mod-sequences are told\r\n" % self.mailbox.highest_modseq
            )

    def tell(self, *, expunge_allowed: bool) -> None:
        """Queues what is new in the selected mailbox, as far as it may be told now."""
        selected = self.mailbox
        if selected is None or not selected.has_news():
            return
        lines, ended = selected.news(self.features, expunge_allowed=expunge_allowed)
        self._out += lines
        if ended is not None:
            self.end(ended.reason, UNAVAILABLE)

    def woken(self) -> None:
        """The selected mailbox has news: told at once in IDLE, otherwise after the next command."""
        self._reader.news()

    async def next_line(self) -> bytes:
        """The client's next line as it is: what it answers to a continuation request."""
        self.flush()
        return await self._reader.next_line()

    async def next_line_or_news(self) -> bytes | None:
        """As `next_line`, or None as soon as the selected mailbox has news."""
        self.flush()
        return await self._reader.next_line_or_news()

    def begin_tls(self) -> None:
        """Starts TLS; whatever the client sent in the clear after STARTTLS is forgotten."""
        self._reader.drop()
        self.flush()
        self.wire.start_tls()

    # What the reader of commands asks.

    def is_over(self) -> bool:
        """Whether BYE was said, the connection is gone, or another server has it."""
        return self.state is State.LOGOUT or self.state is State.RELAYED

    def give_up(self, reason: str) -> None:
        """The client cannot be understood any more."""
        self.end(reason, CLIENTBUG)

    async def offer(
        self, segments: list[Segment], announced: LiteralAnnounced
    ) -> Upload | Refusal | None:
        """Where the literal that *announced* announces goes: see `Command.offer`."""
        head = Head()
        return await self._attempt(head, self._offer(head, segments, announced))

    async def _offer(
        self, head: Head, segments: list[Segment], announced: LiteralAnnounced
    ) -> Upload | None:
        arguments = Arguments(segments, utf8=self.features.utf8)
        row = self._read_head(arguments, head)
        return None if row.offer is None else await row.offer(self, arguments, announced)

    async def store(self, upload: Upload, data: bytes) -> Refusal | None:
        """Writes *data* to *upload*."""
        return await self._attempt(Head(), upload.write(data))

    async def rest(self) -> None:
        """Returns when the client has taken what it was sent, and others had a turn."""
        await self._attempt(Head(), self._rest())

    async def _rest(self) -> None:
        await self.drain()
        await self.service.waiting.pause()

    async def perform(self, segments: list[Segment], refusal: Refusal | None) -> None:
        """Runs a whole command, or answers it with *refusal*, then tells what is new."""
        started = self.service.waiting.seconds()
        head = Head()
        result = await self._attempt(head, self._run(head, segments, refusal))
        seconds = self.service.waiting.seconds() - started
        failed = await self._attempt(head, self._answer(head, result, seconds))
        if failed is not None:
            # Telling the news failed, or counting: nobody knows what the client has been told.
            self.end("internal error, it was logged", SERVERBUG)

    async def _answer(self, head: Head, result: Reply | Refusal, seconds: float) -> None:
        """Tells what is new and how the command ended, which took *seconds*."""
        if isinstance(result, Refusal):
            outcome, status, text = result.outcome, result.status(), result.text
            code = result.response_code()
        else:
            outcome, status = Outcome.OK, b"OK"
            text, code = result.text or f"{head.name} completed", result.code
        self.service.observer.command(head.name, outcome, seconds)
        if outcome is Outcome.BAD:
            await self._count_bad()
        else:
            self._bads = 0
            if self.mailbox is not None and head.row is not None:
                self.tell(expunge_allowed=head.expunge_allowed)
        if self.state is State.LOGOUT:
            return
        if isinstance(result, Reply) and result.answer is not None:
            self.send(result.answer)
        else:
            self.send(tagged(head.tag, status, text, code))
        if isinstance(result, Reply) and result.then is not None:
            result.then()

    async def _run(
        self, head: Head, segments: list[Segment], refusal: Refusal | None
    ) -> Reply | Refusal:
        arguments = Arguments(segments, utf8=self.features.utf8)
        if refusal is not None:
            with suppress(Bad):
                self._read_head(arguments, head)
            return refusal
        row = self._read_head(arguments, head)
        value = row.parse(arguments, head.uid)
        head.expunge_allowed = row.expunge is ExpungeRule.ALLOWED or (
            head.uid and not (row.names_numbers is not None and row.names_numbers(value))
        )
        self.tag = head.tag
        return await row.run(self, value)

    def _read_head(self, arguments: Arguments, head: Head) -> Command:
        """Reads tag and command word; *head* keeps what was found also when this raises."""
        head.tag = arguments.tag()
        arguments.space()
        word = arguments.command_word()
        if word == b"UID":
            head.uid = True
            arguments.space()
            word = arguments.command_word()
        row = self.service.commands.get(word)
        if row is None or (head.uid and not row.has_uid_form):
            raise Bad("unknown command")
        head.row = row
        if self.state not in row.states:
            raise Bad(f"{row.name} is not possible when {self.state.value}")
        return row

    async def _attempt(self, head: Head, work: Awaitable[T]) -> T | Refusal:
        """The one place where what is raised becomes an answer."""
        try:
            return await work
        except Bad as error:
            return Refusal(Outcome.BAD, error.text)
        except No as error:
            return Refusal(Outcome.NO, error.text, error.code, error.argument)
        except Disconnected:
            self.disconnected()
            return Refusal(Outcome.NO, "disconnected")
        except Exception:
            if self._gone:
                # The client left in the middle: what the command was using was closed under it.
                return Refusal(Outcome.NO, "disconnected")
            self.service.observer.fault(head.name)
            return Refusal(Outcome.FAULT, "internal error, it was logged", SERVERBUG)

    async def _count_bad(self) -> None:
        """Slows a flood of malformed commands, and ends it."""
        self._bads += 1
        if self._bads > BADS_MAX:
            self.end("too many malformed commands", CLIENTBUG)
        elif self._bads > BADS_FREE:
            promise: Promise[None] = self.service.waiting.promise()
            self.service.waiting.later(BAD_DELAY_SECONDS, lambda: promise.fire(None))
            await promise
