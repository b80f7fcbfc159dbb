# SPDX-License-Identifier: GPL-3.0-or-later
"""
What the core costs a command and a connection: octets in by `Session.receive`, out at a wire.

The account and the clock are those of the tests, which answer at once; there is no transport.
"""

import tracemalloc
from itertools import cycle

from benchmarks.measure import Figure, seconds_a_call
from pluto_tw.imap.ports import Connection
from pluto_tw.imap.session import Session
from tests.support.connection import Client, RecordingWire, World
from tests.support.messages import MESSAGES

NOOP = b"A0042 NOOP\r\n"
#: Commands in one piece of input: what clients that pipeline send.
PIPELINED = 10
STORES = (
    b"A0042 UID STORE 7 +FLAGS.SILENT (\\Flagged)\r\n",
    b"A0042 UID STORE 7 -FLAGS.SILENT (\\Flagged)\r\n",
)
TOUR = (
    b"a1 LOGIN user secret\r\n",
    b"a2 ENABLE CONDSTORE\r\n",
    b'a3 LIST "" "*"\r\n',
    b"a4 SELECT INBOX\r\n",
    b"a5 UID FETCH 1:* (UID FLAGS)\r\n",
    b"a6 CLOSE\r\n",
    b"a7 LOGOUT\r\n",
)
MESSAGES_HELD = 10
#: Sessions that memory is measured with: what all share is lost among them.
SESSIONS = 500

#: A server that answers 10,000 of them a second spends 15 % of a core here. The floor is what any
#: dispatch costs in this language: a dozen calls and two coroutines.
NOOP_MICROSECONDS_MAX = 15
#: The same without what is paid once for a piece of input.
PIPELINED_MICROSECONDS_MAX = 15
#: A third of it is the account of the tests. A STORE is written to disk besides: that takes longer.
STORE_MICROSECONDS_MAX = 100
#: Seven commands and a session; a login's hash of the password takes a hundred times as long.
TOUR_MICROSECONDS_MAX = 500
#: Ten thousand idle connections are 20 MiB here; TLS takes ten times as much.
SESSION_KIB_MAX = 2


def run() -> list[Figure]:
    """Measures commands in microseconds, and an idle session in KiB."""
    world = World()
    for _ in range(MESSAGES_HELD):
        world.account.deliver(MESSAGES["plain"])
    client = world.logged_in()
    assert b" OK " in client.ask(b"SELECT INBOX")
    assert exchange(client, NOOP) == b"A0042 OK NOOP completed\r\n"
    noop = seconds_a_call(lambda: exchange(client, NOOP))
    pipelined = seconds_a_call(lambda: exchange(client, NOOP * PIPELINED)) / PIPELINED
    stores = cycle(STORES)
    assert exchange(client, next(stores)) == b"A0042 OK UID STORE completed\r\n"
    store = seconds_a_call(lambda: exchange(client, next(stores)))
    assert tour(world) == len(TOUR)
    whole = seconds_a_call(lambda: tour(world))
    return [
        Figure("NOOP", noop * 1e6, "µs", NOOP_MICROSECONDS_MAX, ""),
        Figure("NOOP, pipelined", pipelined * 1e6, "µs", PIPELINED_MICROSECONDS_MAX, "ten at once"),
        Figure("UID STORE of one flag", store * 1e6, "µs", STORE_MICROSECONDS_MAX, _of(noop)),
        Figure(
            f"LOGIN to LOGOUT, {len(TOUR)} commands", whole * 1e6, "µs", TOUR_MICROSECONDS_MAX, ""
        ),
        Figure("idle session", session_kib(world), "KiB", SESSION_KIB_MAX, "without transport"),
    ]


def _of(noop: float) -> str:
    return f"NOOP: {noop * 1e6:.1f} µs"


def exchange(client: Client, octets: bytes) -> bytes:
    """The answer to *octets*, which comes at once."""
    client.wire.written.clear()
    client.send(octets)
    # A world counts every command; here there is no end to them.
    client.world.observer.commands.clear()
    return b"".join(client.wire.written)


def tour(world: World) -> int:
    """A whole connection; how many of its commands were answered OK."""
    client = world.connect()
    answered = sum(b" OK " in exchange(client, command) for command in TOUR)
    world.observer.users.clear()
    return answered


def session_kib(world: World) -> float:
    """What one more session, that was greeted and is silent, takes of memory."""
    connection = Connection("192.0.2.1", 40000, True)
    wire = RecordingWire(closed=True)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        sessions = [Session(world.service, wire, connection) for _ in range(SESSIONS)]
        for session in sessions:
            session.greet()
        held = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    return held / SESSIONS / 1024
