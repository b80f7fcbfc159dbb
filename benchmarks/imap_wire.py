# SPDX-License-Identifier: GPL-3.0-or-later
"""
The way of one command from bytes to its value, without the command itself.

`UID FETCH 1:* (UID FLAGS MODSEQ)` is what a client that synchronises sends for each mailbox.
"""

from benchmarks.measure import Figure, seconds_a_call
from pluto_tw.imap.commands import fetch
from pluto_tw.imap.fetch_items import Attribute
from pluto_tw.imap.framing import AFTER_LOGIN, Framer, Line
from pluto_tw.imap.grammar import Arguments
from pluto_tw.mail.sets import SequenceSet

COMMAND = b"A0042 UID FETCH 1:* (UID FLAGS MODSEQ)\r\n"
VALUE = fetch.Fetch(
    SequenceSet.parse(b"1:*"),
    True,
    (Attribute.UID, Attribute.FLAGS, Attribute.MODSEQ),
    None,
    False,
)

#: A session that answers 2,000 commands a second spends 3 % of its time here.
FETCH_MICROSECONDS_MAX = 15


def run() -> list[Figure]:
    """Measures what `parse` costs on one connection."""
    framer = Framer(AFTER_LOGIN)
    assert parse(framer) == (b"A0042", VALUE)
    bare = seconds_a_call(lambda: COMMAND.split())
    return [
        Figure(
            "parse UID FETCH 1:* (UID FLAGS MODSEQ)",
            seconds_a_call(lambda: parse(framer)) * 1e6,
            "µs",
            FETCH_MICROSECONDS_MAX,
            f"bytes.split: {bare * 1e6:.2f} µs",
        )
    ]


def parse(framer: Framer) -> tuple[bytes, fetch.Fetch]:
    """Tag and value of `COMMAND`, fed to *framer*; words are read as the session reads them."""
    framer.feed(COMMAND)
    event = framer.next_event()
    assert isinstance(event, Line)
    arguments = Arguments((event.text,))
    tag = arguments.tag()
    arguments.space()
    prefix = arguments.command_word()
    arguments.space()
    name = arguments.command_word()
    assert (prefix, name) == (b"UID", b"FETCH")
    return tag, fetch.parse(arguments, True)
