# SPDX-License-Identifier: GPL-3.0-or-later
"""
The way of one command from bytes to its parts, without the command itself.

`UID FETCH 1:* (UID FLAGS MODSEQ)` is what a client that synchronises sends for each mailbox; the
loop here is what the parser of FETCH does with it.
"""

from benchmarks.measure import Figure, seconds_a_call
from pluto_tw.imap.framing import AFTER_LOGIN, Framer, Line
from pluto_tw.imap.grammar import Arguments
from pluto_tw.mail.sets import SequenceSet

COMMAND = b"A0042 UID FETCH 1:* (UID FLAGS MODSEQ)\r\n"
TAKEN = (b"A0042", b"UID", b"FETCH", SequenceSet.parse(b"1:*"), [b"UID", b"FLAGS", b"MODSEQ"])

#: A session that answers 2,000 commands a second spends 3 % of its time here.
FETCH_MICROSECONDS_MAX = 15


def run() -> list[Figure]:
    """Measures what `tokenise` costs on one connection."""
    framer = Framer(AFTER_LOGIN)
    assert tokenise(framer) == TAKEN
    bare = seconds_a_call(lambda: COMMAND.split())
    return [
        Figure(
            "tokenise UID FETCH 1:* (UID FLAGS MODSEQ)",
            seconds_a_call(lambda: tokenise(framer)) * 1e6,
            "µs",
            FETCH_MICROSECONDS_MAX,
            f"bytes.split: {bare * 1e6:.2f} µs",
        )
    ]


def tokenise(framer: Framer) -> tuple[bytes, bytes, bytes, SequenceSet, list[bytes]]:
    """Tag, words, set and items of `COMMAND`, fed to *framer*."""
    framer.feed(COMMAND)
    event = framer.next_event()
    assert isinstance(event, Line)
    arguments = Arguments((event.text,))
    tag = arguments.tag()
    arguments.space()
    uid = arguments.command_word()
    arguments.space()
    command = arguments.command_word()
    arguments.space()
    numbers = arguments.sequence_set()
    arguments.space()
    items = arguments.parenthesised(arguments.word)
    arguments.end()
    return tag, uid, command, numbers, items
