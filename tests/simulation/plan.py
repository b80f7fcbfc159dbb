# SPDX-License-Identifier: GPL-3.0-or-later
"""
What is to happen in a run: a list of steps, made from a seed before the run begins.

Each step carries its own chance (`choice`), so that a run stays much the same when steps are left
out: that is how a failing one shrinks.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random

from tests.simulation.network import CALM, Weather

#: Virtual milliseconds in which clients act and faults begin and end.
BUSY_MS = 30_000


@dataclass(frozen=True, slots=True)
class Act:
    """Client number *client* does *verb*, one of `HABITS`, see `clients.py`."""

    at: int
    client: int
    verb: str
    choice: int


@dataclass(frozen=True, slots=True)
class Cut:
    """No message passes on *links*, each from a source to a target."""

    at: int
    until: int
    links: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Crash:
    """A node dies, and comes back with what it had committed."""

    at: int
    until: int
    slot: int


@dataclass(frozen=True, slots=True)
class Slow:
    """A node's commits take longer."""

    at: int
    until: int
    slot: int
    ms: int


@dataclass(frozen=True, slots=True)
class BadDisk:
    """Of a node's commits the share *share* fails."""

    at: int
    until: int
    slot: int
    share: float


@dataclass(frozen=True, slots=True)
class HandOver:
    """Whoever gives the UIDs names *slot* its successor."""

    at: int
    slot: int


@dataclass(frozen=True, slots=True)
class Loss:
    """A node dies and never comes back; the others remove it when they find out, at *until*."""

    at: int
    until: int
    slot: int


@dataclass(frozen=True, slots=True)
class Rollback:
    """At *until* a node's database is put back to what it was at *at*; it must notice."""

    at: int
    until: int
    slot: int


@dataclass(frozen=True, slots=True)
class Exile:
    """A node is cut off, and removed by force at *until*, while it still serves."""

    at: int
    until: int
    slot: int


@dataclass(frozen=True, slots=True)
class Leave:
    """A node is taken out as planned: it stops serving, and goes when all have what it has."""

    at: int
    slot: int


@dataclass(frozen=True, slots=True)
class Damage:
    """Octets of a body change on the disk of a node."""

    at: int
    slot: int


@dataclass(frozen=True, slots=True)
class Join:
    """A node is added in *slot*, and loads a snapshot."""

    at: int
    slot: int


Step = (
    Act | Cut | Crash | Slow | BadDisk | HandOver | Loss | Rollback | Exile | Leave | Damage | Join
)


@dataclass(frozen=True, slots=True)
class Settings:
    """What stays the same when a run shrinks."""

    seed: int
    mix: str
    #: Whether replicas are real accounts on SQLite, or the rules alone.
    account: bool = False
    replicas: int = 3
    clients: int = 3
    acts: int = 150
    #: One of `HABITS`.
    habits: str = "everything"
    #: Names of mailboxes that are given; 0: all that there are.
    names: int = 0
    weather: Weather = CALM
    cuts: int = 2
    crashes: int = 1
    #: The clock of each slot is wrong by up to this.
    skew_ms: int = 0
    #: UIDs in a run of a stripe.
    stripe: int = 64
    #: At this UID a mailbox's UIDs begin again at 1.
    uid_restart: int = 2**31
    #: The lowest slot; the others follow.
    first_slot: int = 0
    #: Operations of one origin in a message.
    batch_ops: int = 150
    #: The share of messages that carry the whole state instead of operations.
    snapshots: float = 0.0
    #: Records that are folded in one go; 0: nothing is folded.
    fold_slice: int = 1000
    #: Operations below stability are pruned from the log.
    prunes: bool = True
    uid_wait_ms: int = 400
    slows: int = 0
    handovers: int = 1
    losses: int = 0
    rollbacks: int = 0
    joins: int = 0
    bad_disks: int = 0
    exiles: int = 0
    leaves: int = 0
    damages: int = 0
    #: The share of batches that go without the bodies that they name.
    bare: float = 0.0
    #: Octets of a piece of a snapshot, about.
    piece_octets: int = 300
    #: What is settled goes on for so long, so that what is folded late is folded.
    rest_ms: int = 4_000


@dataclass(frozen=True, slots=True)
class Plan:
    """One run, in full."""

    settings: Settings
    steps: tuple[Step, ...]


#: How often clients do what, compared to each other.
HABITS = {
    "everything": {
        "append": 230,
        "store": 150,
        "expunge": 80,
        "copy": 50,
        "move": 90,
        "create": 55,
        "delete": 40,
        "rename": 55,
        "rename inbox": 4,
        "subscribe": 20,
        "annotate": 16,
        "roam": 60,
        "visit": 90,
        "follow": 60,
    },
    # Boxes that leave a name and come back to it, and clients that look at them from everywhere.
    "names": {
        "append": 200,
        "store": 20,
        "create": 60,
        "delete": 60,
        "rename": 250,
        "roam": 200,
        "visit": 100,
        "follow": 20,
    },
    # Mail arrives at both sides of a cut.
    "mail": {"append": 1},
}


def _default(seed: int, chance: Random) -> Settings:
    return Settings(
        seed,
        "default",
        replicas=chance.choice((2, 3, 3, 3, 4)),
        clients=chance.randint(2, 5),
        acts=chance.choice((80, 200, 400)),
        weather=chance.choice(
            (
                Weather(),
                CALM,
                Weather(loss=0.2, repeats=0.1),
                Weather(latency_min=40, latency_max=60, loss=0.0, stragglers=0.0),
                Weather(latency_max=600),
            )
        ),
        cuts=chance.randint(0, 3),
        crashes=chance.randint(0, 2),
        skew_ms=chance.choice((0, 200, 5_000, 300_000)),
        batch_ops=chance.choice((150, 150, 10)),
        fold_slice=chance.choice((1000, 1000, 3)),
        uid_wait_ms=chance.choice((400, 400, 0)),
        slows=chance.randint(0, 1),
        handovers=chance.randint(0, 2),
    )


def _snapshots(seed: int, chance: Random) -> Settings:
    return replace(
        _default(seed, chance),
        mix="snapshots",
        replicas=chance.choice((3, 3, 4)),
        snapshots=0.25,
        fold_slice=chance.choice((1, 2, 5)),
        crashes=2,
        cuts=chance.randint(1, 3),
        joins=chance.randint(0, 1),
    )


def _five(seed: int, chance: Random) -> Settings:
    return replace(
        _default(seed, chance),
        mix="five",
        replicas=5,
        clients=5,
        cuts=4,
        crashes=4,
        weather=Weather(loss=0.2),
    )


def _small(seed: int, chance: Random) -> Settings:
    return replace(
        _default(seed, chance),
        mix="small",
        batch_ops=3,
        weather=Weather(repeats=0.2),
        uid_wait_ms=chance.choice((400, 0)),
    )


def _removal(seed: int, chance: Random) -> Settings:
    return replace(_default(seed, chance), mix="removal", replicas=4, losses=1)


def _rollback(seed: int, chance: Random) -> Settings:
    return replace(
        _default(seed, chance), mix="rollback", replicas=chance.choice((3, 4)), rollbacks=1
    )


def _stripes(seed: int, chance: Random) -> Settings:
    return replace(
        _default(seed, chance),
        mix="stripes",
        stripe=chance.choice((64, 32, 1)),
        uid_wait_ms=chance.choice((400, 0)),
        first_slot=chance.choice((0, 27)),
    )


def _names(seed: int, chance: Random) -> Settings:
    return replace(
        _default(seed, chance),
        mix="names",
        replicas=3,
        clients=5,
        acts=chance.choice((100, 200)),
        habits="names",
        names=chance.choice((2, 3)),
        cuts=chance.randint(2, 5),
        skew_ms=chance.choice((200, 30_000)),
    )


def _account(seed: int, chance: Random) -> Settings:
    return replace(
        _default(seed, chance),
        mix="account",
        account=True,
        replicas=chance.choice((2, 3)),
        acts=chance.choice((60, 120)),
        crashes=chance.randint(0, 4),
        habits=chance.choice(("everything", "everything", "everything", "names")),
        stripe=chance.choice((64, 64, 1)),
        uid_restart=chance.choice((2**31, 2**31, 2_500)),
        bad_disks=chance.randint(0, 2),
    )


def _account_snapshots(seed: int, chance: Random) -> Settings:
    return replace(
        _account(seed, chance),
        mix="account-snapshots",
        acts=chance.choice((60, 120, 200)),
        cuts=chance.randint(0, 3),
        crashes=chance.randint(1, 5),
        snapshots=0.5,
        fold_slice=chance.choice((1, 2, 5, 1000)),
        joins=chance.randint(1, 2),
        bad_disks=chance.randint(0, 1),
        bare=chance.choice((0.0, 0.3)),
        piece_octets=chance.choice((1, 300, 2000)),
    )


def _account_members(seed: int, chance: Random) -> Settings:
    goes = chance.choice(("losses", "exiles", "leaves", "rollbacks", "rollbacks", "all"))

    def count(what: str) -> int:
        return int(goes in (what, "all"))

    return replace(
        _account(seed, chance),
        mix="account-members",
        replicas=5 if goes == "all" else chance.choice((3, 4)),
        crashes=chance.randint(0, 3),
        stripe=chance.choice((64, 32, 1)),
        snapshots=0.2,
        fold_slice=chance.choice((2, 1000)),
        joins=chance.randint(0, 1),
        bad_disks=chance.randint(0, 1),
        bare=chance.choice((0.0, 0.3)),
        damages=chance.choice((0, 0, 3)),
        rest_ms=24_000,
        losses=count("losses"),
        exiles=count("exiles"),
        leaves=count("leaves"),
        rollbacks=count("rollbacks"),
    )


def _restart(seed: int, chance: Random) -> Settings:
    return replace(
        _default(seed, chance),
        mix="restart",
        stripe=chance.choice((1, 64)),
        uid_restart=chance.choice((100, 2_500, 10_000)),
        cuts=chance.randint(1, 4),
    )


def _tail(seed: int, chance: Random) -> Settings:
    return Settings(
        seed,
        "tail",
        clients=4,
        acts=chance.choice((100, 200)),
        habits="mail",
        weather=Weather(40, 60, 0.0, 0.0, 0.0),
        cuts=1,
        crashes=0,
        handovers=0,
        batch_ops=chance.choice((5, 150)),
    )


MIXES: dict[str, Callable[[int, Random], Settings]] = {
    "default": _default,
    "snapshots": _snapshots,
    "five": _five,
    "small": _small,
    "removal": _removal,
    "rollback": _rollback,
    "stripes": _stripes,
    "names": _names,
    "tail": _tail,
    "restart": _restart,
    "account": _account,
    "account-snapshots": _account_snapshots,
    "account-members": _account_members,
}


#: Which mix shows a broken rule soonest, of those that `default` does not.
SUITED = {
    "K2": "tail",
    "K11": "tail",
    "K11b": "tail",
    "S1": "names",
    "S2": "names",
    "S5": "snapshots",
}


def make_plan(seed: int, mix: str = "default") -> Plan:
    """The run number *seed* of *mix*."""
    chance = Random(f"plan {mix} {seed}")
    settings = MIXES[mix](seed, chance)
    slots = range(settings.first_slot, settings.first_slot + settings.replicas)
    steps: list[Step] = []
    habits = HABITS[settings.habits]
    verbs = list(habits)
    weights = list(habits.values())
    for _ in range(settings.acts):
        (verb,) = chance.choices(verbs, weights)
        steps.append(
            Act(
                chance.randrange(BUSY_MS),
                chance.randrange(settings.clients),
                verb,
                chance.getrandbits(32),
            )
        )
    for _ in range(settings.cuts):
        at, until = _span(chance, 1000, 18_000)
        steps.append(Cut(at, until, _links(chance, list(slots))))
    # A newcomer may die while it loads.
    mortal = range(slots.start, slots.stop + (settings.joins if settings.account else 0))
    for _ in range(settings.crashes):
        at, until = _span(chance, 50, 6_000)
        steps.append(Crash(at, until, chance.choice(mortal)))
    for _ in range(settings.slows):
        at, until = _span(chance, 1000, 10_000)
        steps.append(Slow(at, until, chance.choice(slots), chance.choice((50, 300, 1200))))
    for _ in range(settings.handovers):
        steps.append(HandOver(chance.randrange(BUSY_MS), chance.choice(slots)))
    for _ in range(settings.losses):
        at, until = _span(chance, 2_000, 12_000)
        steps.append(Loss(at, until, chance.choice(slots)))
    for _ in range(settings.rollbacks):
        at, until = _span(chance, 500, 8_000)
        steps.append(Rollback(at, until, chance.choice(slots)))
    for number in range(settings.joins):
        steps.append(
            Join(chance.randrange(2_000, BUSY_MS), settings.first_slot + settings.replicas + number)
        )
    for _ in range(settings.exiles):
        at, until = _span(chance, 2_000, 12_000)
        steps.append(Exile(at, until, chance.choice(slots)))
    for _ in range(settings.leaves):
        steps.append(Leave(chance.randrange(2_000, BUSY_MS), chance.choice(slots)))
    for _ in range(settings.damages):
        steps.append(Damage(chance.randrange(5_000, BUSY_MS), chance.choice(slots)))
    for _ in range(settings.bad_disks):
        at, until = _span(chance, 500, 8_000)
        steps.append(BadDisk(at, until, chance.choice(slots), chance.choice((0.1, 0.5, 1.0))))
    steps.sort(key=lambda step: step.at)
    return Plan(settings, tuple(steps))


def _span(chance: Random, shortest: int, longest: int) -> tuple[int, int]:
    length = chance.randint(shortest, longest)
    at = chance.randrange(BUSY_MS - min(length, BUSY_MS - 1))
    return at, at + length


def _links(chance: Random, slots: list[int]) -> tuple[tuple[int, int], ...]:
    """A part of the nodes is cut off from the others: from both sides, or from one."""
    part = chance.sample(slots, chance.randint(1, len(slots) - 1))
    rest = [slot for slot in slots if slot not in part]
    there = [(a, b) for a in part for b in rest]
    back = [(b, a) for a in part for b in rest]
    return tuple(chance.choice((there + back, there + back, there, back)))
