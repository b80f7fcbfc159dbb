# SPDX-License-Identifier: GPL-3.0-or-later
"""
How far one peer is with one account: what it has, what is on its way, what comes next.

Events go in, and `next` says what to do; there is no I/O and no time in here. A progress begins
**probing**: the peer's vector is not known. It is **streaming** when it is; then there are two
vectors, what the peer has stated (and has durably), and what it has if nothing of what is on its
way is refused. When what it lacks is no longer in the log it takes a **snapshot**, and streams
again. When one of the two databases turns out to have been put back, the progress is **stopped**.

- Operations that were made here go at once, several batches ahead of the answers. Those of others
  go only when the peer still lacks them after a while (`overdue`): it has them from their origin,
  as a rule.
- An answer that leaves something out makes it go back to what is stated, when all answers are
  here: what was sent meanwhile stands on what was left out.
- What brought nothing on is not sent again before the peer states something new, or time has
  passed (`overdue`): no loop runs by itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

from pluto_tw.crdt.dots import EMPTY, Vector, is_below, joined, seq_of

#: Batches of one account that are on their way to one peer. A batch holds some thousand small
#: operations, and is short where it is sent for one command: four keep a line of 100 ms busy and
#: leave room in the peer's window (`window.py`) for other accounts.
BATCHES_IN_FLIGHT_MAX: Final = 4

#: Bodies that are noted as wanted: as many as one answer names. More are named by later answers.
WANTED_MAX: Final = 4096


class Pause(Enum):
    """What a progress waits for; the value is how long at most, in seconds."""

    #: Answers, which end by themselves.
    ANSWERS = 0.0
    #: Operations of other origins, which come from there: two heartbeats.
    OTHERS = 2.0
    #: A body that somebody else is sending.
    COMING = 0.2
    #: A peer that cannot take it now.
    UNABLE = 5.0
    #: A clock that is wrong.
    AHEAD = 30.0


@dataclass(frozen=True, slots=True)
class Probe:
    """Ask the peer for its vector."""


@dataclass(frozen=True, slots=True)
class SendBatch:
    """Send a batch of what who has *known* lacks: of the origin *slot*, or of all if None."""

    known: Vector
    slot: int | None


@dataclass(frozen=True, slots=True)
class SendBodies:
    """Send bodies that are wanted: `Progress.take_wanted`."""


@dataclass(frozen=True, slots=True)
class SendSnapshot:
    """Send a snapshot, or go on with it."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing is to be done before something comes, or the pause is over."""

    pause: Pause


@dataclass(frozen=True, slots=True)
class Rest:
    """The peer has everything."""


@dataclass(frozen=True, slots=True)
class Stop:
    """Nothing more goes to this peer before an operator has acted."""

    why: str


Action = Probe | SendBatch | SendBodies | SendSnapshot | Wait | Rest | Stop

_PROBE: Final = Probe()
_BODIES: Final = SendBodies()
_SNAPSHOT: Final = SendSnapshot()
_REST: Final = Rest()
_ANSWERS: Final = Wait(Pause.ANSWERS)


class Progress:
    """Of a peer, from the replica *slot*, whose durable operations are *own*."""

    __slots__ = (
        "_back",
        "_bodies",
        "_everybody",
        "_in_flight",
        "_pause",
        "_probing",
        "_sent",
        "_slot",
        "_snapshot",
        "_stopped",
        "_wanted",
        "own",
        "stated",
    )

    def __init__(self, slot: int, own: Vector, stated: Vector | None = None) -> None:
        self._slot = slot
        #: What is durable here.
        self.own = own
        #: What the peer has stated; None while that is not known.
        self.stated = stated
        self._sent: Vector = EMPTY
        self._in_flight = 0
        self._bodies = 0
        self._wanted: dict[bytes, int] = {}
        self._everybody = False
        self._back = False
        self._probing = False
        self._pause: Pause | None = None
        self._snapshot = False
        self._stopped = ""

    # What to do.

    def next(self) -> Action:
        """What to do now; ask again after each event, and after each thing that was done."""
        if self._stopped:
            return Stop(self._stopped)
        if self.stated is None:
            if self._probing:
                return _ANSWERS
            return _PROBE if self._pause is None else Wait(self._pause)
        if not self._snapshot and is_below(self.own, self.stated):
            return _ANSWERS if self.is_waited_for else _REST
        if self._wanted:
            return _BODIES
        if self._pause is not None:
            return Wait(self._pause)
        if self._back or self._bodies or self._in_flight >= BATCHES_IN_FLIGHT_MAX:
            return _ANSWERS
        if self._snapshot:
            return _ANSWERS if self._in_flight else _SNAPSHOT
        known = joined(self.stated, self._sent)
        if seq_of(known, self._slot) < seq_of(self.own, self._slot) and not self._everybody:
            return SendBatch(known, self._slot)
        if self._everybody and not is_below(self.own, known):
            return SendBatch(known, None)
        return _ANSWERS if self._in_flight else Wait(Pause.OTHERS)

    @property
    def is_waited_for(self) -> bool:
        """Whether answers are to come."""
        return bool(self._in_flight or self._bodies or self._probing)

    @property
    def operations_lacking(self) -> int:
        """How many operations the peer lacks, as far as is known."""
        stated = self.stated or EMPTY
        return sum(max(0, seq - seq_of(stated, slot)) for slot, seq in enumerate(self.own))

    @property
    def takes_snapshot(self) -> bool:
        """Whether the peer is being sent a snapshot."""
        return self._snapshot

    # What happened here.

    def committed(self, own: Vector) -> None:
        """So much is durable here."""
        self.own = own

    def overdue(self) -> None:
        """
        The pause is over. If others were to send what the peer lacks, everything is sent from
        here now, whoever made it.
        """
        if self._pause in (None, Pause.OTHERS):
            self._everybody = True
        self._pause = None
        self._back = True
        self._settle()

    def pruned(self) -> None:
        """What the peer lacks is not in the log any more."""
        self._snapshot = True

    def take_wanted(self, limit: int) -> list[tuple[bytes, int]]:
        """At most *limit* bodies, (hash, size), to send now; `bodies_sent` for each afterwards."""
        taken = list(self._wanted.items())[:limit]
        for hash, _ in taken:
            del self._wanted[hash]
        self._bodies += len(taken)
        return taken

    # What the peer says.

    def probe(self) -> None:
        """The peer is asked for its vector."""
        self._probing = True

    def probed(self, vector: Vector, *, loading: bool = False) -> None:
        """
        It answers: this is what it has, even if it had stated more before; *loading*: of a
        snapshot.
        """
        self._probing = False
        self.stated = vector
        self._sent = EMPTY
        self._pause = None
        self._snapshot = loading

    def probe_failed(self) -> None:
        """It cannot tell now."""
        self._probing = False
        self._pause = Pause.UNABLE

    def states(self, vector: Vector) -> None:
        """It has so much, at least."""
        if self.stated is None or is_below(vector, self.stated):
            return
        self.stated = joined(self.stated, vector)
        if is_below(self.own, self.stated):
            self._everybody = False
        if self._pause is not Pause.AHEAD:
            self._pause = None

    def sent(self, reached: Vector) -> None:
        """A batch is on its way after which the peer has *reached*."""
        self._sent = joined(self._sent, reached)
        self._in_flight += 1

    def answered(
        self,
        reached: Vector,
        vector: Vector,
        missing: Sequence[tuple[bytes, int]] = (),
        pause: Pause | None = None,
    ) -> None:
        """
        The answer to that batch: the peer has *vector* now, and needs the bodies *missing*.

        *pause*: why it must not be sent again at once.
        """
        self._in_flight -= 1
        before = self.stated
        self.states(vector)
        if not is_below(reached, self.stated or EMPTY):
            # Behind one that came to less than it should, nothing is what this one must come to.
            is_behind, self._back = self._back, True
            self.wants(missing, pause)
            if pause is None and not missing and self.stated == before and not is_behind:
                # It stands on operations of others that are on their way, or so it seems.
                self._pause = Pause.OTHERS
        self._settle()

    def bodies_sent(self, *, pause: Pause | None = None) -> None:
        """One body that was taken by `take_wanted` is there, or cannot be sent: *pause*."""
        self._bodies -= 1
        if pause is not None:
            self._pause = pause

    def wants(self, missing: Sequence[tuple[bytes, int]], pause: Pause | None = None) -> None:
        """It needs the bodies *missing*; *pause*: why it must not be sent the rest at once."""
        for hash, size in missing[: max(0, WANTED_MAX - len(self._wanted))]:
            self._wanted[hash] = size
        if pause is not None:
            self._pause = pause

    def snapshot_ended(self, vector: Vector) -> None:
        """The snapshot was taken, or is not needed."""
        self._snapshot = False
        self.probed(vector)

    def unable(self, pause: Pause = Pause.UNABLE) -> None:
        """The peer cannot take what it was asked to take, for now."""
        self._pause = pause

    def failed(self) -> None:
        """The batch that was sent has no answer: its outcome is unknown."""
        self._in_flight -= 1
        self._back = True
        self._pause = Pause.UNABLE
        self._settle()

    def interrupted(self) -> None:
        """What was being done has failed, here or there: whatever it was, it is done again."""
        self._probing = False
        self._pause = Pause.UNABLE

    def stop(self, why: str) -> None:
        """One of the two databases was put back."""
        self._stopped = why

    # Leaves.

    def _settle(self) -> None:
        if self._back and not self._in_flight:
            self._back = False
            self._sent = EMPTY
            if self.stated is not None and is_below(self.own, self.stated):
                self._everybody = False
