# SPDX-License-Identifier: GPL-3.0-or-later
r"""
Dialogues as text, in the manner of the RFCs, run against the real session.

A file in `tests/transcripts` holds dialogues; each begins with a line `== title` and runs in a
world of its own. Its lines:

    C1: a NOOP            connection 1 sends this line, CRLF is added
    S1: a OK NOOP ...     connection 1 receives this line next; `...` stands for any text
    S1: * OK [UIDNEXT <u>]   `<u>`: a run of characters other than space ( ) [ ]; when it was seen
                          before it must be the same, and in C lines it stands for what it was
    S1~ * FLAGS ...       may come or not
    @ login 1             a directive, see `DIRECTIVES`
    # remark

A connection opens at its first line; its greeting is passed over unless the first line is an `S`
line. Before each `C` line and at the end all that was received must have been told by `S` lines.
Literals need nothing special: their lines are lines.
"""

import re
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pluto_tw.mail.errors import No
from pluto_tw.mail.flags import flag_set
from pluto_tw.mail.messages import NewMessage
from pluto_tw.mail.names import MailboxName
from tests.support.connection import Client, World
from tests.support.messages import MESSAGES

TRANSCRIPTS = Path(__file__).parent.parent / "transcripts"

_NAME = re.compile(r"<([a-z][a-z0-9]*)>")


@dataclass(frozen=True)
class Dialogue:
    """One dialogue: where it stands, and its lines with their numbers."""

    path: Path
    title: str
    lines: tuple[tuple[int, str], ...]

    @property
    def name(self) -> str:
        """Names the dialogue as a test."""
        return f"{self.path.stem}: {self.title}"


def dialogues(path: Path) -> Iterator[Dialogue]:
    """The dialogues of one file."""
    title = ""
    lines: list[tuple[int, str]] = []
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        if line.startswith("== "):
            if lines:
                yield Dialogue(path, title, tuple(lines))
            title, lines = line[3:].strip(), []
        elif line.strip() and not line.startswith("#"):
            lines.append((number, line))
    if lines:
        yield Dialogue(path, title, tuple(lines))


def all_dialogues() -> list[Dialogue]:
    """The dialogues of all files."""
    return [d for path in sorted(TRANSCRIPTS.glob("*.txt")) for d in dialogues(path)]


class Mismatch(AssertionError):
    """What was received is not what the dialogue tells."""


class Play:
    """One dialogue being run."""

    def __init__(self, dialogue: Dialogue) -> None:
        self.dialogue = dialogue
        self.world = World()
        self.clients: dict[str, Client] = {}
        #: Lines received and not yet told.
        self.pending: dict[str, list[str]] = {}
        self.names: dict[str, str] = {}
        self.secure = True
        self.tls_available = False

    def run(self) -> None:
        """Raises `Mismatch` where the dialogue and the session differ."""
        for number, line in self.dialogue.lines:
            try:
                self._line(line)
            except Mismatch as error:
                raise Mismatch(f"{self.dialogue.path.name}:{number}: {line}\n{error}") from None
        self._nothing_pending()
        for client in self.clients.values():
            client.vanish()
        self.world.settle()
        if self.world.observer.faults:
            raise Mismatch("bugs:\n" + "\n".join(self.world.observer.faults))

    def _line(self, line: str) -> None:
        match = re.match(r"([CS])(\d)([:~]) ?(.*)\Z", line)
        if line.startswith("@ "):
            name, _, rest = line[2:].strip().partition(" ")
            directive = DIRECTIVES.get(name)
            if directive is None:
                raise Mismatch(f"no directive {name}: {', '.join(DIRECTIVES)}")
            directive(self, rest)
        elif match is None:
            raise Mismatch("neither a C, S or @ line")
        elif match[1] == "C":
            self._nothing_pending()
            client = self._client(match[2], greeted=True)
            client.send(self._filled(match[4]).encode("utf-8") + b"\r\n")
        else:
            self._client(match[2], greeted=False)
            self._told(match[2], match[4], optional=match[3] == "~")

    def _client(self, number: str, *, greeted: bool) -> Client:
        if number not in self.clients:
            client = self.world.connect(secure=self.secure, tls_available=self.tls_available)
            self.clients[number] = client
            self.pending[number] = []
            if greeted:
                client.received()
        return self.clients[number]

    def _receive(self) -> None:
        for number, client in self.clients.items():
            data = client.received().decode("utf-8", "surrogateescape")
            self.pending[number] += data.split("\r\n")[:-1]
            if data and not data.endswith("\r\n"):
                raise Mismatch(f"{number} received an unfinished line: {data!r}")

    def _nothing_pending(self) -> None:
        self._receive()
        for number, lines in self.pending.items():
            if lines:
                raise Mismatch(f"S{number} told more: " + "\n".join(lines))

    def _told(self, number: str, expected: str, *, optional: bool) -> None:
        self._receive()
        lines = self.pending[number]
        if not lines:
            if optional:
                return
            raise Mismatch("nothing more was received")
        match = self._pattern(expected).fullmatch(lines[0])
        if match is None:
            if optional:
                return
            raise Mismatch("received: " + "\n".join(lines))
        del lines[0]
        self.names.update(match.groupdict())

    def _pattern(self, expected: str) -> re.Pattern[str]:
        """*expected* as a pattern; names seen before are filled in."""
        pattern = ""
        fresh: set[str] = set()
        for piece in re.split(r"(\.\.\.|<[a-z][a-z0-9]*>)", expected):
            name = _NAME.fullmatch(piece)
            if piece == "...":
                pattern += ".*"
            elif name is None:
                pattern += re.escape(piece)
            elif name[1] in self.names:
                pattern += re.escape(self.names[name[1]])
            elif name[1] in fresh:
                pattern += f"(?P={name[1]})"
            else:
                fresh.add(name[1])
                pattern += rf"(?P<{name[1]}>[^ ()\[\]]+)"
        return re.compile(pattern)

    def _filled(self, text: str) -> str:
        return _NAME.sub(lambda match: self.names.get(match[1], match[0]), text)

    # Directives.

    def login(self, rest: str) -> None:
        """`login 1 2`: these connections log in."""
        for number in rest.split():
            client = self._client(number, greeted=True)
            client.send(b"login LOGIN user secret\r\n")
            if b"login OK" not in client.received():
                raise Mismatch("LOGIN failed")

    def select(self, rest: str) -> None:
        """`select INBOX 1 2`: these connections log in, if need be, and select it."""
        self._open("SELECT", rest)

    def examine(self, rest: str) -> None:
        """`examine INBOX 1 2`: these connections log in, if need be, and select it read-only."""
        self._open("EXAMINE", rest)

    def _open(self, command: str, rest: str) -> None:
        mailbox, *numbers = rest.split()
        for number in numbers:
            if number not in self.clients:
                self.login(number)
            self.clients[number].send(f"select {command} {mailbox}\r\n".encode())
            if b"select OK" not in self.clients[number].received():
                raise Mismatch(f"{command} failed")

    def mailbox(self, rest: str) -> None:
        """`mailbox Work \\Sent`: a mailbox is created, with these special uses."""
        name, *uses = rest.split()
        self._now(self.world.account.create(MailboxName(name), frozenset(uses)))

    def message(self, rest: str) -> None:
        r"""`message INBOX plain \Seen`: a message of `tests.support.messages` arrives."""
        mailbox, which, *flags = rest.split()
        octets = MESSAGES[which]
        upload = self.world.account.upload(len(octets))
        self._now(upload.write(octets))
        message = NewMessage(upload, flag_set(flags), None)
        self._now(self.world.account.append(MailboxName(mailbox), [message]))

    def advance(self, rest: str) -> None:
        """`advance 30`: so many seconds pass."""
        self.world.clock.advance(float(rest))

    def hold(self, rest: str) -> None:
        """`hold`: what the account is asked waits."""
        self.world.account.hold()

    def release(self, rest: str) -> None:
        """`release`: what waits goes on."""
        self.world.account.release()

    def fail(self, rest: str) -> None:
        """`fail UNAVAILABLE text`: what the account is asked next fails so."""
        code, _, text = rest.partition(" ")
        self.world.account.fail_next(No(code, text))

    def plaintext(self, rest: str) -> None:
        """`plaintext`: connections from here on are not secure, but TLS can be started."""
        self.secure = False
        self.tls_available = True

    def secured(self, rest: str) -> None:
        """`secured 1`: the TLS handshake of this connection is done."""
        self.clients[rest].secure()

    def gone(self, rest: str) -> None:
        """`gone 1`: the connection is lost."""
        self._nothing_pending()
        self.clients.pop(rest).vanish()

    def _now(self, work: Awaitable[object]) -> None:
        done: list[bool] = []

        async def run() -> None:
            await work
            done.append(True)

        self.world.waiting.start(run())
        if not done:
            raise Mismatch("the account makes the directive wait")


DIRECTIVES: dict[str, Callable[[Play, str], None]] = {
    method.__name__: method
    for method in (
        Play.login,
        Play.select,
        Play.examine,
        Play.mailbox,
        Play.message,
        Play.advance,
        Play.hold,
        Play.release,
        Play.fail,
        Play.plaintext,
        Play.secured,
        Play.gone,
    )
}
