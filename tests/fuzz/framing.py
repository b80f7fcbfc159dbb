# SPDX-License-Identifier: GPL-3.0-or-later
"""
`python -m tests.fuzz.framing --inputs N --seed S`: random octets through framer and grammar.

For each input: the events are those of `expected_events`, a second reading of the rules that
sees the whole stream at once; what is held stays within the limits; whatever came, a command
that follows is understood; the grammar raises nothing but `Bad`, and `No` for long flags. The
first input that fails is printed with its seed.
"""

import argparse
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from random import Random

from pluto_tw.imap.framing import (
    ANNOUNCEMENT_OCTETS_MAX,
    LINE_START_OCTETS,
    LITERAL_OCTETS_MAX,
    NEED_DATA,
    Event,
    Framer,
    FramingLimits,
    Hopeless,
    Line,
    LineTooLong,
    LiteralAnnounced,
    LiteralChunk,
)
from pluto_tw.imap.grammar import Arguments, Literal, Segment
from pluto_tw.mail.errors import Bad, No

#: Small, so that small inputs reach them.
LIMITS = FramingLimits(line_octets_max=160, drain_octets_max=300)

#: Larger literals are refused by the checks here.
ACCEPTED_OCTETS_MAX = 40

#: The command that must be understood after whatever came before.
LAST = Line(b"zz99 NOOP")

#: `LAST` behind so many line ends that each open literal, of whatever kind, and the line behind it
#: have come to their ends.
FOLLOW = b"\n" * (LIMITS.drain_octets_max + ACCEPTED_OCTETS_MAX + 2) + LAST.text + b"\r\n"

#: All those line ends take most of the time, so not every input gets them.
FOLLOWED_SHARE = 0.2

_CORPUS = (
    b"a1 UID FETCH 1:* (UID FLAGS MODSEQ)\r\n",
    b"a2 LOGIN {5}\r\nalice {6+}\r\nsecret\r\n",
    b'a3 SELECT "INBOX" (QRESYNC (1 9223372036854775807 1:9 (1,2 3,4)))\n',
    b'a4 APPEND x (\\Seen $Forwarded) "17-Jul-1996 02:44:25 -0700" {12+}\r\nSubject: x\r\n\r\n',
    b"a5 APPEND {3}\r\nbox ~{4+}\r\n\0\1\2\3\r\n",
    b"a6 IDLE\r\nDONE {5+}\r\n",
    b"a7 APPEND x {99+}\r\n" + b"0123456789\n" * 9 + b" {3}\r\n",
    b"a8 STORE 1,2:4,* (UNCHANGEDSINCE 0) +FLAGS.SILENT \\Deleted a b c\r\n",
    b"a9 SEARCH RETURN (MIN PARTIAL -1:-100) CHARSET UTF-8 OR (SINCE 1-Feb-1994) TEXT {0}\r\n\r\n",
    b"b1 NOOP {99999999999999999999+}\r\n",
    b"b2 NOOP {9223372036854775808}\r\n",
    b"b3 " + b"x" * 200 + b"{7+}\r\n1234567\r\n",
    b'b4 LIST (SUBSCRIBED) "" ("&AOQ-*" %) RETURN (STATUS (MESSAGES))\r\n',
    b"b5 FETCH 1 BODY.PEEK[HEADER.FIELDS (From To)]<0.100>\r\n",
    b"b6 AUTHENTICATE PLAIN =\r\n",
)
_SCRAPS = (
    *(b"\r\n", b"\n", b"\r", b" ", b"{", b"}", b"~", b"+}", b"{0}\r\n", b"{0+}\r\n", b"{7+}\r\n"),
    *(b"~{2}\r\n", b"{300+}\r\n", b"{000000000000000005+}\r\n", b"9" * 30, b"0" * 30, b'"', b"\\"),
    *(
        b"(",
        b")",
        b"*",
        b"%",
        b"\0",
        b"\xff",
        b"\xc3\xa4",
        b"&",
        b"&AOQ-",
        b"NIL",
        b"$",
        b"-",
        b":",
    ),
    *(b"x" * 150, b"IDLE\r\n", b"1-Feb-1994", b"4294967296", b"+", b"{5+}\n", b"123+}\r\n"),
)

_METHODS: tuple[Callable[[Arguments], object], ...] = (
    *(Arguments.tag, Arguments.command_word, Arguments.word, Arguments.space, Arguments.space_if),
    *(Arguments.space, Arguments.space, Arguments.end, Arguments.at_end, Arguments.at_literal),
    *(Arguments.atom, Arguments.astring, Arguments.string, Arguments.nstring, Arguments.quoted),
    *(Arguments.literal, Arguments.literal8, Arguments.message_literal, Arguments.rest),
    *(Arguments.base64, Arguments.initial_response, Arguments.number, Arguments.nz_number),
    *(Arguments.number64, Arguments.nz_number64, Arguments.mod_sequence_value),
    *(Arguments.mod_sequence_valzer, Arguments.partial, Arguments.partial_range),
    *(Arguments.sequence_set, Arguments.sequence_set_or_saved, Arguments.uid_set),
    *(Arguments.flag, Arguments.flag_list, Arguments.flags_bare, Arguments.entry_flag_name),
    *(Arguments.mailbox, Arguments.list_mailbox, Arguments.charset, Arguments.date),
    *(Arguments.date_time, Arguments.tagged_ext_label, Arguments.skip_tagged_ext_val),
    lambda arguments: arguments.keyword(b"UID", b"FETCH", b"NOOP"),
    lambda arguments: arguments.keyword_if(b"FLAGS"),
    lambda arguments: arguments.parenthesised(arguments.astring),
    lambda arguments: arguments.parenthesised(arguments.number, minimum=0),
    lambda arguments: arguments.nested(arguments.astring),
    lambda arguments: arguments.take_if(b"("),
    lambda arguments: arguments.take_if(b")"),
)


def drive(
    framer: Framer, chunks: Sequence[bytes], accepts: Callable[[LiteralAnnounced], bool]
) -> list[Event]:
    """
    All events of *chunks*, fed one after the other; the chunks of one literal made one.

    After a command that ends in IDLE the next line is taken raw.
    """
    events: list[Event] = []
    raw = False
    for chunk in chunks:
        framer.feed(chunk)
        while True:
            event = framer.next_line() if raw else framer.next_event()
            if event is NEED_DATA:
                break
            match event:
                case LiteralAnnounced():
                    if accepts(event):
                        framer.accept()
                    else:
                        framer.refuse()
                case LiteralChunk():
                    before = events[-1]
                    if isinstance(before, LiteralChunk):
                        events.pop()
                        event = LiteralChunk(before.data + event.data, event.remaining)
                case Line() | LineTooLong():
                    raw = not raw and isinstance(event, Line) and event.text.endswith(b"IDLE")
            events.append(event)
            if isinstance(event, Hopeless):
                return events
        held = framer.limits.line_octets_max + ANNOUNCEMENT_OCTETS_MAX
        assert framer.buffered <= held, f"{framer.buffered} octets are held"
    return events


def expected_events(
    stream: bytes, limits: FramingLimits, accepts: Callable[[LiteralAnnounced], bool]
) -> list[Event]:
    """What `drive` must give for *stream*."""
    return list(_expected(stream, limits, accepts))


def _expected(
    stream: bytes, limits: FramingLimits, accepts: Callable[[LiteralAnnounced], bool]
) -> Iterator[Event]:
    position = used = 0
    drained: int | None = None
    raw = False
    while True:
        content, line_end, _ = stream[position:].partition(b"\n")
        if drained is not None:
            drained += len(content) + len(line_end)
            if drained > limits.drain_octets_max:
                yield Hopeless("line too long")
                return
        allowed = limits.line_octets_max - used
        text = content[:-1] if line_end and content.endswith(b"\r") else content
        if drained is None and (len(text) > allowed if line_end else len(content) > allowed + 1):
            yield LineTooLong(text[: min(allowed, LINE_START_OCTETS)])
            drained = used = 0
            continue
        if not line_end:
            return
        position += len(content) + 1
        match = None if raw else re.search(rb"(~?)\{(\d{1,20})(\+?)\}\Z", text)
        if match is not None and int(match[2]) > LITERAL_OCTETS_MAX and not match[3]:
            match = None
        if not raw and (
            re.search(rb"\d{21}\+\}\Z", text)
            or (match is not None and int(match[2]) > LITERAL_OCTETS_MAX)
        ):
            yield Hopeless("literal too large")
            return
        if match is None:
            if drained is None:
                yield Line(text)
            raw = drained is None and not raw and text.endswith(b"IDLE")
            used, drained = 0, None
            continue
        announced = LiteralAnnounced(
            text[: match.start()], int(match[2]), not match[3], bool(match[1])
        )
        if drained is None:
            yield announced
            used += len(text)
            if accepts(announced):
                data = stream[position : position + announced.size]
                position += announced.size
                remaining = announced.size - len(data)
                if data or not remaining:
                    yield LiteralChunk(data, remaining)
                if remaining:
                    return
                continue
            used = 0
        if announced.synchronising:
            drained = None
            continue
        drained = (drained or 0) + announced.size
        if drained > limits.drain_octets_max:
            yield Hopeless("literal too large")
            return
        if position + announced.size > len(stream):
            return
        position += announced.size


def small_only(announced: LiteralAnnounced) -> bool:
    """Accepts what is small, but for each seventh size, so that all paths are walked."""
    return announced.size <= ACCEPTED_OCTETS_MAX and announced.size % 7 != 0


def random_stream(random: Random) -> bytes:
    """Commands with some of their octets changed, and scraps of all that has a meaning."""
    stream = bytearray()
    for _ in range(random.randrange(1, 5)):
        if random.random() < 0.6:
            stream += random.choice(_CORPUS)
        else:
            stream += b"".join(random.choices(_SCRAPS, k=random.randrange(1, 6)))
    for _ in range(random.choice((0, 0, 1, 1, 2, 5))):
        place = random.randrange(len(stream))
        match random.randrange(4):
            case 0:
                stream[place] = random.randrange(256)
            case 1:
                del stream[place : place + random.randrange(1, 9)]
            case 2:
                stream[place:place] = random.choice(_SCRAPS)
            case _:
                stream[place:place] = stream[place : place + random.randrange(40)]
        stream = stream or bytearray(b"\n")
    return bytes(stream)


def random_cuts(random: Random, stream: bytes) -> list[bytes]:
    """*stream* in pieces, sometimes single octets."""
    if random.random() < 0.1:
        return [stream[place : place + 1] for place in range(len(stream))]
    cuts = sorted(random.randrange(len(stream) + 1) for _ in range(random.randrange(4)))
    return [stream[start:end] for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)]


def commands_in(events: Sequence[Event]) -> Iterator[list[Segment]]:
    """The segments of each command that was read to its end."""
    segments: list[Segment] = []
    binary = False
    for event in events:
        match event:
            case LiteralChunk():
                segments.append(Literal(event.data, binary))
            case Line() | LiteralAnnounced():
                if len(segments) % 2:
                    # The literal announced last was refused: this is another command.
                    segments = []
                segments.append(event.text)
                if isinstance(event, LiteralAnnounced):
                    binary = event.binary
                else:
                    yield segments
                    segments = []
            case _:
                segments = []


def check_grammar(random: Random, segments: Sequence[Segment]) -> None:
    """Takes random values from *segments*: only what a client is told of may be raised."""
    arguments = Arguments(segments, utf8=random.random() < 0.3)
    try:
        for method in random.choices(_METHODS, k=12):
            method(arguments)
    except (Bad, No) as refusal:
        assert refusal.text.isascii(), refusal.text
        assert refusal.text.isprintable(), refusal.text


def check_input(random: Random) -> None:
    """One random stream; `AssertionError` or whatever else it raises is a mistake of ours."""
    stream = random_stream(random)
    followed = random.random() < FOLLOWED_SHARE
    if followed:
        stream += FOLLOW
    framer = Framer(LIMITS)
    events = drive(framer, random_cuts(random, stream), small_only)
    assert events == expected_events(stream, LIMITS, small_only), stream
    if followed:
        assert isinstance(events[-1], Hopeless) or events[-1] == LAST, stream
        assert framer.buffered == 0, stream
    for segments in commands_in(events):
        if segments != [b""]:
            check_grammar(random, segments)


def main(arguments: Sequence[str]) -> int:
    """Runs the checks; 1 if one failed."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--inputs", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    for seed in range(options.seed, options.seed + options.inputs):
        try:
            check_input(Random(seed))
        except Exception:
            print(f"failed: python -m tests.fuzz.framing --inputs 1 --seed {seed}")
            raise
    print(f"{options.inputs} inputs from seed {options.seed}: no failure")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
