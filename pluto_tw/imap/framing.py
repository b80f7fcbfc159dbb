# SPDX-License-Identifier: GPL-3.0-or-later
"""
Where lines and literals begin and end in what a client sends.

Bytes go in by `feed`, events come out of `next_event`, one at a time and only when asked: while
a command runs nobody asks, and the bytes wait here. This module decides what is a line, what
announces a literal (RFC 9051 §4.3, RFC 7888, RFC 3516) and how to find the next command after
one that was refused. What a line means is for `grammar`; whether a literal is welcome is for
the session; when the transport is paused is for the shell, which sees `buffered`.

Invariants between calls:

- The events depend on the bytes alone, never on how they were cut into `feed` calls (the octets
  of a literal come in chunks that do follow the cuts).
- Each octet is searched for a line end once, so feeding single octets is not quadratic.
- After each error the framer is in step with the client again at the start of its next command,
  or `Hopeless` has been said and everything that follows is dropped.
- What is held is what was fed and not yet taken. A caller that takes all events before it feeds
  again holds at most `line_octets_max` and one feed.
"""

import re
from dataclasses import dataclass
from enum import Enum
from typing import assert_never

#: number64 of RFC 9051 §9: no literal announces more.
LITERAL_OCTETS_MAX = 2**63 - 1

#: The longest announcement that we look for, `~{` + 20 digits + `+}`: 2^63-1 has 19 digits.
ANNOUNCEMENT_OCTETS_MAX = 24

#: How much of a line that is too long is kept, so that its tag can be answered.
LINE_START_OCTETS = 128


@dataclass(frozen=True, slots=True)
class FramingLimits:
    """
    What one connection may make us hold or throw away, in octets.

    *line_octets_max* bounds the lines of one command together, without line ends and literals,
    so a command cannot grow by announcing ever more empty literals. *drain_octets_max* bounds
    what is read and dropped to get past one refused command.
    """

    line_octets_max: int
    drain_octets_max: int

    def __post_init__(self) -> None:
        if self.line_octets_max < LINE_START_OCTETS:
            raise ValueError(f"line_octets_max is {self.line_octets_max}, below the line start")


#: Nobody is known yet, so little is held. RFC 2683 §3.2.1.5 asks for 8000; the double leaves room
#: for the bearer tokens of RFC 7628, which directory servers make some thousand octets long.
BEFORE_LOGIN = FramingLimits(line_octets_max=16 * 1024, drain_octets_max=64 * 1024)

#: RFC 2683 §3.2.1.5 shows a client that names 10,000 messages one by one in 49,000 octets. With
#: UIDs of six digits that is 70,000. Draining goes as far as the largest messages that people
#: send: a client that is cut off instead connects again and sends the same again (RFC 7888 §4).
AFTER_LOGIN = FramingLimits(line_octets_max=128 * 1024, drain_octets_max=64 * 1024 * 1024)


class NeedData(Enum):
    """The one value that says: nothing more can be said before more is fed."""

    NEED_DATA = "need data"


NEED_DATA = NeedData.NEED_DATA


@dataclass(frozen=True, slots=True)
class Line:
    """The last, mostly the only, segment of a command, or a raw line; without its line end."""

    text: bytes


@dataclass(frozen=True, slots=True)
class LiteralAnnounced:
    """
    A segment that ends in `{n}`, `{n+}` or `~{n}`: *text* is what stands before that.

    Answer with `accept` or `refuse` before the next `next_event`. If *synchronising* the client
    waits for a continuation request (or for the tagged refusal) and sends nothing meanwhile.
    *binary* is the literal8 of RFC 3516. *size* is 0 to `LITERAL_OCTETS_MAX`.
    """

    text: bytes
    size: int
    synchronising: bool
    binary: bool


@dataclass(frozen=True, slots=True)
class LiteralChunk:
    """Octets of the accepted literal; *remaining* 0 marks the last chunk, which may be empty."""

    data: bytes
    remaining: int


@dataclass(frozen=True, slots=True)
class LineTooLong:
    """
    The lines of a command exceed `line_octets_max`. The rest of the command is skipped.

    *start* holds the first octets of the line that went over, at most `LINE_START_OCTETS`: with
    the tag, if it is the command's first line.
    """

    start: bytes


@dataclass(frozen=True, slots=True)
class Hopeless:
    """Nobody can tell any more where the next command starts: say BYE with *reason*, close."""

    reason: str


Event = Line | LiteralAnnounced | LiteralChunk | LineTooLong | Hopeless | NeedData
RawLineEvent = Line | LineTooLong | Hopeless | NeedData

_ANNOUNCEMENT = re.compile(rb"(~?)\{([0-9]{1,20})(\+?)\}\Z")

#: More digits than any size has, and the `+` says that this many octets are on their way.
_RUNAWAY = re.compile(rb"[0-9]{21}\+\}\Z")


class _State(Enum):
    LINE = "at or in a line"
    ANNOUNCED = "waits for accept or refuse"
    LITERAL = "in an accepted literal"
    SKIPPED_LINE = "in a line of a refused command"
    SKIPPED_LITERAL = "in a literal of a refused command"
    SKIPPED_RAW_LINE = "in a raw line that is too long"
    HOPELESS = "said Hopeless"


class Framer:
    """The framing of one connection. *limits* may be replaced at any time, as at login."""

    __slots__ = (
        "_announced",
        "_buffer",
        "_command_octets",
        "_drained",
        "_hopeless",
        "_remaining",
        "_searched",
        "_state",
        "limits",
    )

    def __init__(self, limits: FramingLimits = BEFORE_LOGIN) -> None:
        self.limits = limits
        self._buffer = bytearray()
        #: No LF stands in the buffer before this index.
        self._searched = 0
        self._state = _State.LINE
        #: Octets of the earlier lines of the command that is being read.
        self._command_octets = 0
        self._announced: LiteralAnnounced | None = None
        #: Octets of the current literal, accepted or skipped, that have not come yet.
        self._remaining = 0
        self._drained = 0
        self._hopeless: Hopeless | None = None

    @property
    def buffered(self) -> int:
        """Octets fed and not yet taken."""
        return len(self._buffer)

    def feed(self, data: bytes) -> None:
        """Add what the transport delivered. Says nothing: ask `next_event`."""
        if self._state is not _State.HOPELESS:
            self._buffer += data

    def next_event(self) -> Event:
        """
        The next event of the command stream, or `NEED_DATA`.

        Must not be called between a `LiteralAnnounced` and its answer. Once `Hopeless`, always
        `Hopeless`.
        """
        if self._state is _State.LINE:
            return self._line()
        if self._state is _State.LITERAL:
            return self._literal_chunk()
        if self._skip():
            return self._line()
        return self._hopeless or NEED_DATA

    def next_line(self) -> RawLineEvent:
        """
        The next line as it stands, whatever it ends in: a SASL response or IDLE's DONE.

        Must be called between commands only. RFC 9051 §6.2.2, §6.3.13.
        """
        if self._state is not _State.LINE and not self._skip():
            return self._hopeless or NEED_DATA
        return self._take_line(_State.SKIPPED_RAW_LINE)

    def accept(self) -> None:
        """Let the octets of the announced literal come as `LiteralChunk` events."""
        announced = self._answered()
        self._remaining = announced.size
        self._state = _State.LITERAL

    def refuse(self) -> None:
        """
        Give the announced literal and its command up.

        A synchronising client has sent nothing and sends nothing but its next command. Otherwise
        the octets are on their way: they and what follows in that command are dropped, further
        literals too, up to one that is synchronising, which the client will not send. The client
        may be answered at once (RFC 7888 §3).
        """
        announced = self._answered()
        self._command_octets = 0
        if announced.synchronising:
            self._state = _State.LINE
        else:
            self._drained = 0
            self._skip_literal(announced.size)

    def drop(self) -> None:
        """
        Forget all that was fed: at STARTTLS nothing sent in the clear may be taken as sent inside
        TLS (RFC 9051 §6.2.1). The next octet starts a command.
        """
        self._buffer.clear()
        self._searched = 0
        self._command_octets = 0
        self._announced = None
        if self._state is not _State.HOPELESS:
            self._state = _State.LINE

    def surrender(self) -> bytes:
        """What was fed and not taken, between two commands. Nothing may be fed any more."""
        assert self._state in (_State.LINE, _State.HOPELESS), "a command is not cut in two"
        rest = bytes(self._buffer)
        self._buffer.clear()
        return rest

    def _answered(self) -> LiteralAnnounced:
        announced = self._announced
        if announced is None:
            raise RuntimeError("no literal waits for an answer")
        self._announced = None
        return announced

    def _line(self) -> Event:
        event = self._take_line(_State.SKIPPED_LINE)
        if not isinstance(event, Line):
            return event
        text = event.text
        if not text.endswith(b"}"):
            self._command_octets = 0
            return event
        announced = _announcement(text)
        if isinstance(announced, Hopeless):
            return self._give_up(announced)
        if announced is None:
            self._command_octets = 0
            return event
        self._command_octets += len(text)
        self._announced = announced
        self._state = _State.ANNOUNCED
        return announced

    def _take_line(self, skipped: _State) -> Line | LineTooLong | NeedData:
        buffer = self._buffer
        octets_max = max(0, self.limits.line_octets_max - self._command_octets)
        end = buffer.find(b"\n", self._searched)
        if end < 0:
            # One octet more than fits may be the CR of a line that just fits.
            if len(buffer) <= octets_max + 1:
                self._searched = len(buffer)
                return NEED_DATA
            return self._too_long(octets_max, skipped)
        # RFC 9051 §2.2 wants CRLF. A bare LF is taken too: people who type into `openssl s_client`
        # or `nc` send it, as do scripts, and no valid command holds one outside a literal.
        text_end = end - 1 if end and buffer[end - 1] == 0x0D else end
        if text_end > octets_max:
            return self._too_long(octets_max, skipped)
        text = bytes(buffer[:text_end])
        del buffer[: end + 1]
        self._searched = 0
        return Line(text)

    def _too_long(self, octets_max: int, skipped: _State) -> LineTooLong:
        start = bytes(self._buffer[: min(octets_max, LINE_START_OCTETS)])
        self._command_octets = 0
        self._drained = 0
        self._state = skipped
        return LineTooLong(start)

    def _literal_chunk(self) -> LiteralChunk | NeedData:
        buffer = self._buffer
        if self._remaining and not buffer:
            return NEED_DATA
        data = bytes(buffer[: self._remaining])
        del buffer[: len(data)]
        self._remaining -= len(data)
        if not self._remaining:
            self._state = _State.LINE
        return LiteralChunk(data, self._remaining)

    def _skip(self) -> bool:
        """Drop what belongs to a refused command; true when its end was reached."""
        while True:
            match self._state:
                case _State.SKIPPED_LITERAL:
                    taken = min(self._remaining, len(self._buffer))
                    del self._buffer[:taken]
                    self._remaining -= taken
                    if self._remaining:
                        return False
                    self._state = _State.SKIPPED_LINE
                case _State.SKIPPED_LINE | _State.SKIPPED_RAW_LINE:
                    if not self._skip_line():
                        return False
                case _State.LINE:
                    return True
                case _State.HOPELESS:
                    return False
                case _State.ANNOUNCED | _State.LITERAL:
                    raise RuntimeError(f"asked out of turn: {self._state.value}")
                case never:
                    assert_never(never)

    def _skip_line(self) -> bool:
        """Drop up to the LF; true when the state has moved on."""
        buffer = self._buffer
        end = buffer.find(b"\n", self._searched)
        if end < 0:
            # An announcement and a CR may yet turn out to be the end of this line.
            excess = max(0, len(buffer) - ANNOUNCEMENT_OCTETS_MAX - 1)
            del buffer[:excess]
            self._drained += excess
            self._searched = len(buffer)
            if self._drained + len(buffer) > self.limits.drain_octets_max:
                self._give_up(Hopeless("line too long"))
            return False
        tail = bytes(buffer[max(0, end - ANNOUNCEMENT_OCTETS_MAX - 1) : end]).removesuffix(b"\r")
        del buffer[: end + 1]
        self._searched = 0
        self._drained += end + 1
        if self._drained > self.limits.drain_octets_max:
            self._give_up(Hopeless("line too long"))
            return False
        announced = _announcement(tail) if self._state is _State.SKIPPED_LINE else None
        if isinstance(announced, Hopeless):
            self._give_up(announced)
            return False
        if announced is None or announced.synchronising:
            self._state = _State.LINE
        else:
            self._skip_literal(announced.size)
        return True

    def _skip_literal(self, size: int) -> None:
        self._drained += size
        if self._drained > self.limits.drain_octets_max:
            self._give_up(Hopeless("literal too large"))
        else:
            self._remaining = size
            self._state = _State.SKIPPED_LITERAL

    def _give_up(self, hopeless: Hopeless) -> Hopeless:
        self._hopeless = hopeless
        self._state = _State.HOPELESS
        self._buffer.clear()
        return hopeless


def _announcement(text: bytes) -> LiteralAnnounced | Hopeless | None:
    """
    What the end of *text*, a line without its line end, announces.

    `None` also when the size is no number64 and the client waits for an answer: the line then is
    an ordinary one, and no grammar has a `{` there, so the answer will be BAD. RFC 7888 §3: each
    line's end counts, whatever stands before it; a quoted string ends in a quote, not in `}`.
    """
    tail_start = max(0, len(text) - ANNOUNCEMENT_OCTETS_MAX)
    match = _ANNOUNCEMENT.search(text, tail_start)
    if match is None:
        return Hopeless("literal too large") if _RUNAWAY.search(text, tail_start) else None
    tilde, digits, plus = match.groups()
    size = int(digits)
    if size > LITERAL_OCTETS_MAX:
        return Hopeless("literal too large") if plus else None
    return LiteralAnnounced(text[: match.start()], size, not plus, bool(tilde))
