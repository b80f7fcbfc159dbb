# SPDX-License-Identifier: GPL-3.0-or-later
r"""
`UID FETCH 1:* (FLAGS)` through the whole core: from the command's octets to those of the answer.

It is what mail programs ask each time they come back to a mailbox. Three ways: nothing has
changed since somebody asked; one message has; nothing is ready. The account is the one of the
tests, whose flags are in memory as a real one's are.
"""

from benchmarks.measure import Figure, seconds_a_call
from pluto_tw.mail.flags import ANSWERED, FLAGGED, SEEN, Flag
from tests.support.connection import Client, World
from tests.support.messages import MESSAGES

COMMAND = b"A0042 UID FETCH 1:* (FLAGS)\r\n"
MESSAGES_HELD = 1000
#: What the messages have, in turn: a mailbox has few different sets of flags.
FLAG_SETS = (
    frozenset({SEEN}),
    frozenset({SEEN, ANSWERED}),
    frozenset[Flag](),
    frozenset({SEEN, FLAGGED, Flag("$Forwarded")}),
)

#: A thousand clients that come back to a mailbox of 1,000 take less than half a second together.
READY_MICROSECONDS_MAX = 0.4
#: The first of them.
MADE_MICROSECONDS_MAX = 2.0


def run() -> list[Figure]:
    """Measures the answer to `COMMAND` in microseconds a message."""
    world, client = selected()
    answer = ask(client)
    lines = answer.count(b"\r\n* ") + 1
    assert lines == MESSAGES_HELD, lines
    assert answer.endswith(b"\r\nA0042 OK UID FETCH completed\r\n"), answer[-80:]
    copied = seconds_a_call(lambda: bytes(bytearray(answer)))

    def ask_with_nothing_ready() -> None:
        world.account.drop_derived()
        ask(client)

    def ask_after_a_touch() -> None:
        world.account.raise_modseq("INBOX", MESSAGES_HELD // 2)
        ask(client)

    yardstick = f"copying the answer: {copied * 1e6 / MESSAGES_HELD:.3f} µs"
    return [
        Figure(name, seconds_a_call(f) * 1e6 / MESSAGES_HELD, "µs a message", bound, yardstick)
        for name, f, bound in (
            ("UID FETCH 1:* (FLAGS), ready", lambda: ask(client), READY_MICROSECONDS_MAX),
            ("UID FETCH 1:* (FLAGS), one touched", ask_after_a_touch, MADE_MICROSECONDS_MAX),
            ("UID FETCH 1:* (FLAGS), not ready", ask_with_nothing_ready, MADE_MICROSECONDS_MAX),
        )
    ]


def selected() -> tuple[World, Client]:
    r"""A client with a mailbox of `MESSAGES_HELD` selected, none of them `\Recent` to it."""
    world = World()
    for place in range(MESSAGES_HELD):
        world.account.deliver(MESSAGES["plain"], flags=FLAG_SETS[place % len(FLAG_SETS)])
    # Who comes first has all that is `\Recent`.
    first, client = world.logged_in(), world.logged_in()
    for each in (first, client):
        assert b" OK [READ-WRITE]" in each.ask(b"SELECT INBOX")
    return world, client


def ask(client: Client) -> bytes:
    """The answer to `COMMAND`."""
    written = client.wire.written
    written.clear()
    client.send(COMMAND)
    return written[0] if len(written) == 1 else b"".join(written)
