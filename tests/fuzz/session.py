# SPDX-License-Identifier: GPL-3.0-or-later
"""
`python -m tests.fuzz.session --inputs N --seed S`: command streams through whole sessions.

An input is a stream of commands to one of three connections of one account, or to all at once: as
a client sends them, or spoiled; while mailboxes change behind their backs, calls of the account
wait or are refused, clients do not read or are gone. After each input:

- nothing was raised but `Bad`, `No` and `Disconnected`;
- each command was answered exactly once, in order, or the connection has ended;
- everything told could be believed, and what a client believes is what its session shows;
- the session is in step: after a line end, and the octets of a literal that is still open, a NOOP
  is answered;
- a session holds no more than `OCTETS_HELD_MAX`.

Inputs come in worlds of `INPUTS_A_WORLD` with a seed each. The seed of one that fails is printed,
with the inputs that its connection had last.
"""

import argparse
import resource
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from random import Random
from time import process_time

from twisted.logger import ILogObserver, LogEvent, globalLogPublisher
from zope.interface import implementer

from pluto_tw.imap.command import State
from pluto_tw.imap.framing import AFTER_LOGIN, ANNOUNCEMENT_OCTETS_MAX
from pluto_tw.imap.reader import COMMAND_LITERAL_OCTETS_MAX
from pluto_tw.imap.table import ROWS
from tests.fuzz.disturbances import Disturbances, HastyWaiting
from tests.fuzz.peer import Peer, held_octets, is_inside, missing_octets
from tests.fuzz.streams import COMMANDS, SCRAPS, WAIT, command, cuts, spoiled
from tests.support.connection import World

#: Inputs before everything begins anew.
INPUTS_A_WORLD = 200
#: Connections at a time; enough for one that idles, one that is held up and one that acts.
CONNECTIONS = 3
#: Open literals up to this size are filled; the client of a larger one leaves.
FILLED_OCTETS_MAX = 70_000
#: What the shell gives a session at once.
FEED_OCTETS_MAX = 64 * 1024
#: What a session that waits for its client may hold of what it sent: the lines and the literals
#: of one command, and one feed.
OCTETS_HELD_MAX = (
    AFTER_LOGIN.line_octets_max
    + ANNOUNCEMENT_OCTETS_MAX
    + COMMAND_LITERAL_OCTETS_MAX
    + FEED_OCTETS_MAX
)
#: Seconds that pass before a session must have gone on: it slows malformed commands by one each.
PATIENCE_SECONDS = 100

_NAMES = {
    state: [row.name.encode() for row in ROWS if state in row.states and row.name != "LOGOUT"]
    for state in State
}
_MAIL = (b"FETCH", b"STORE", b"SEARCH", b"COPY", b"EXPUNGE", b"MOVE")


class Play:
    """One world, its connections, and what happens to them."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.world = World()
        self.waiting = HastyWaiting(self.world.clock, self.world.waiting.now)
        self.world.service = replace(self.world.service, waiting=self.waiting)
        self.disturbances = Disturbances(self.random, self.world.account)
        self.tags = 0
        self.peers: list[Peer] = []
        self.peers += [self._connect() for _ in range(CONNECTIONS)]
        for name in (b"Work", b"Work.a", b"Sent"):
            self._send(self.peers[0], b"x CREATE " + name + b"\r\n")
        self._go_on()

    def one_input(self) -> None:
        """Raises whatever is wrong."""
        random = self.random
        place = random.randrange(CONNECTIONS)
        if self.peers[place].is_gone():
            self.peers[place] = self._connect()
        peer = self.peers[place]
        gone = [other.is_gone() for other in self.peers]
        answers, commands = self._answers(), len(self.world.observer.commands)
        self._close(peer)
        if random.random() < 0.3:
            self._disturb()
        self.waiting.hasty = random.random() < 0.3
        self._some_input(peer)
        self._go_on()
        if random.random() < 0.05:
            peer.open = True
        acted = [other for other in self.peers if other.acted and not other.open]
        for other in acted:
            self._end_command(other)
        for other in acted:
            self._ask(other)
        self._check()
        if gone == [other.is_gone() for other in self.peers]:
            whole = not any(other.open for other in self.peers)
            fresh = self._answers() - answers
            asked = len(self.world.observer.commands) - commands
            assert fresh == asked or not whole, f"{asked} commands, {fresh} answers"
        self.disturbances.cut_back()

    # Inputs.

    def _some_input(self, peer: Peer) -> None:
        chance = self.random.random()
        if chance < 0.5 and not self._is_held_up():
            self._in_order(peer)
        elif chance < 0.9:
            self._blindly(peer)
        elif chance < 0.97:
            for other in self.random.sample(self.peers, CONNECTIONS):
                self._close(other)
                self._blindly(other)
                self.disturbances.change()
        elif chance < 0.975:
            peer.acted = True
            self._send(peer, self.random.choice((b"\r\n", b"a b\r\n")) * 60)
        elif chance < 0.985:
            self._blindly(peer)
            peer.session.end_of_input()
            self._go_on()
            assert peer.is_gone(), "nothing more comes, but the connection is open"
        else:
            self._blindly(peer)
            peer.client.vanish()

    def _in_order(self, peer: Peer) -> None:
        """Commands as a client sends them: each is answered exactly once."""
        peer.acted = True
        tags: list[bytes] = []
        before = len(peer.believer.answered)
        pipelined: list[bytes] = []
        for _ in range(self.random.choice((1, 1, 2, 3, 6))):
            name, text = self._command(peer)
            tags.append(self._last_tag())
            parts = text.split(WAIT)
            # What is sent in the clear behind STARTTLS is dropped.
            if len(parts) == 1 and name != b"STARTTLS":
                pipelined.append(text)
                continue
            self._feed(peer, b"".join(pipelined))
            pipelined.clear()
            for part in parts:
                self._feed(peer, part)
                self._go_on()
                if not peer.believer.invited:
                    break
                if self.random.random() < 0.3:
                    self.disturbances.change()
        self._feed(peer, b"".join(pipelined))
        self._go_on()
        answered = peer.believer.answered[before:]
        if peer.is_gone():
            tags = tags[: len(answered)]
        assert answered == tags, f"answered: {answered}, sent: {tags}"

    def _blindly(self, peer: Peer) -> None:
        """Commands that are mostly spoiled, whatever is answered."""
        count = self.random.choice((1, 1, 2, 3))
        stream = b"".join(self._command(peer)[1] for _ in range(count)).replace(WAIT, b"")
        if self.random.random() < 0.8:
            stream = spoiled(self.random, stream)
        elif self.random.random() < 0.1:
            stream = b"".join(self.random.choices(SCRAPS, k=8))
        peer.acted = peer.spoiled = True
        self._feed(peer, stream)

    def _command(self, peer: Peer) -> tuple[bytes, bytes]:
        """The name and the text of a command, mostly one that the state allows."""
        names: Sequence[bytes] = _NAMES[peer.session.state]
        chance = self.random.random()
        if chance < 0.01:
            names = (b"LOGOUT",)
        elif chance < 0.1 or not names:
            names = tuple(COMMANDS)
        elif peer.session.state is State.SELECTED and chance < 0.5:
            names = _MAIL
        elif peer.session.state is State.AUTHENTICATED and chance < 0.4:
            names = (b"SELECT",)
        name = names[int(self.random.random() * len(names))]
        self.tags += 1
        return name, command(self.random, name, self._last_tag())

    def _last_tag(self) -> bytes:
        return b"t%d" % self.tags

    def _feed(self, peer: Peer, stream: bytes) -> None:
        peer.silent |= b"SILENT" in stream.upper()
        for piece in cuts(self.random, stream):
            self._send(peer, piece)

    def _send(self, peer: Peer, data: bytes) -> None:
        if data and not peer.is_gone():
            peer.sent.append(data)
            peer.client.send(data)

    # What happens besides.

    def _disturb(self) -> None:
        chance = self.random.random()
        if chance < 0.5:
            self.disturbances.change()
        elif chance < 0.9:
            self.disturbances.obstruct()
        else:
            self.random.choice(self.peers).client.wire.block()

    def _is_held_up(self) -> bool:
        return self.disturbances.is_held or any(peer.is_blocked for peer in self.peers)

    # Checks.

    def _go_on(self) -> None:
        """Lets everything happen that can: what was held goes on, clients read, time passes."""
        self.world.account.release()
        for peer in self.peers:
            peer.client.wire.unblock()
        for _ in range(PATIENCE_SECONDS):
            if not self.world.clock.getDelayedCalls():
                break
            self.world.clock.advance(1)
        assert not self.world.clock.getDelayedCalls(), "still busy"
        for peer in self.peers:
            peer.take()
            if peer.client.wire.tls_started:
                peer.client.secure()

    def _close(self, peer: Peer) -> None:
        """Ends what the input before has left open."""
        if peer.open:
            peer.open = False
            peer.silent = peer.spoiled = True
            self._end_command(peer)
            self._ask(peer)

    def _end_command(self, peer: Peer) -> None:
        """Ends what the client may be in the middle of."""
        filling = b""
        while peer.spoiled and not peer.is_gone():
            # An empty line ends a line or IDLE, and `*` an exchange of AUTHENTICATE.
            self._send(peer, filling + b"\r\n*\r\n")
            self._go_on()
            peer.spoiled = is_inside(peer.session)
            missing = missing_octets(peer.session)
            if missing > FILLED_OCTETS_MAX:
                peer.client.vanish()
                return
            filling = b"x" * missing

    def _ask(self, peer: Peer) -> None:
        """The session answers a NOOP, and tells with it all that is new."""
        peer.acted = False
        peer.told = True
        self.tags += 1
        self._send(peer, self._last_tag() + b" NOOP\r\n")
        self._go_on()
        assert peer.is_gone() or peer.believer.succeeded == self._last_tag(), "out of step"

    def _check(self) -> None:
        faults = self.world.observer.faults
        assert not faults, faults[0]
        for peer in self.peers:
            session = peer.session
            if peer.is_gone():
                continue
            assert not session._out, "something is queued and not sent"
            assert session.waits_for_client
            assert peer.client.wire.waiting == 0
            held = held_octets(session)
            assert held <= OCTETS_HELD_MAX, f"{held} octets are held"
            if peer.open:
                continue
            assert not peer.believer.loose, peer.believer.loose
            if peer.told:
                peer.compare()

    def _answers(self) -> int:
        return sum(len(peer.believer.answered) for peer in self.peers)

    # Below all.

    def _connect(self) -> Peer:
        if self.random.random() < 0.1:
            peer = Peer(self.world.connect(secure=False, tls_available=True))
        else:
            peer = Peer(self.world.connect())
            if self.random.random() < 0.8:
                peer.client.send(b"login LOGIN user secret\r\n")
            if self.random.random() < 0.4:
                extensions = self.random.choice((b"CONDSTORE", b"QRESYNC", b"IMAP4rev2 QRESYNC"))
                peer.client.send(b"enable ENABLE " + extensions + b"\r\n")
        self._go_on()
        peer.take()
        peer.believer.loose.clear()
        return peer


def run(inputs: int, seed: int, report: Callable[[str], None]) -> int:
    """
    *inputs* inputs in worlds with the seeds from *seed* on; how many commands they were.

    Raises what the first that fails raised, after *report* was told how to repeat it.
    """
    commands = 0
    failures: list[LogEvent] = []

    @implementer(ILogObserver)
    def observe(event: LogEvent) -> None:
        if "log_failure" in event:
            failures.append(event)

    globalLogPublisher.addObserver(observe)
    try:
        for start in range(0, inputs, INPUTS_A_WORLD):
            play = Play(seed)
            for number in range(min(INPUTS_A_WORLD, inputs - start)):
                try:
                    play.one_input()
                    assert not failures, failures[0]["log_failure"].getTraceback()
                except Exception:
                    report(
                        f"failed: python -m tests.fuzz.session --inputs {number + 1} --seed {seed}"
                    )
                    for peer in play.peers:
                        report(f"last sent: {[*peer.sent]}")
                    raise
            commands += len(play.world.observer.commands)
            seed += 1
    finally:
        globalLogPublisher.removeObserver(observe)
    return commands


def main(arguments: Sequence[str]) -> int:
    """Runs the inputs; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--inputs", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    started = process_time()
    commands = run(options.inputs, options.seed, print)
    seconds = process_time() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(
        f"{options.inputs} inputs from seed {options.seed}, {commands} commands: no failure,"
        f" {options.inputs / seconds:.0f} inputs a second, {peak} MiB at most"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
