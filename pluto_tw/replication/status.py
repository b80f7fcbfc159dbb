# SPDX-License-Identifier: GPL-3.0-or-later
"""How replication stands, as values: for metrics, `pluto status` and people."""

from dataclasses import dataclass
from enum import Enum


class PeerState(Enum):
    """How the link to a peer stands; the value is for people."""

    #: There is no connection to it.
    AWAY = "away"
    #: It is connected, and both find out who they are.
    GREETING = "greeting"
    #: One of the two versions, configurations or databases is wrong: `PeerStatus.error` says why.
    REFUSED = "refused"
    #: It is no member yet, or has no databases yet.
    JOINING = "joining"
    #: It is sent what it has missed.
    CATCHING_UP = "catching up"
    #: It has everything, or is about to.
    LIVE = "live"


@dataclass(frozen=True, slots=True)
class PeerStatus:
    """
    One other member, or a configured peer that is none yet (*slot* None).

    *heard_seconds* ago it was heard last, None if never. The peer lacks *lag_operations* operations
    of *backlog_accounts* accounts, as far as is known, and has lacked the oldest of them for
    *lag_seconds*; while it is catching up there may be more. Octets, operations and bodies are
    counted since the start of the process; of operations and bodies only what was new to the other
    side. *error*: the last one, for people; empty if there was none.
    """

    name: str
    slot: int | None
    state: PeerState
    heard_seconds: float | None
    lag_seconds: float
    lag_operations: int
    backlog_accounts: int
    octets_sent: int
    octets_received: int
    operations_sent: int
    operations_received: int
    bodies_sent: int
    bodies_received: int
    snapshots_running: int
    snapshots_sent: int
    snapshots_received: int
    error: str


@dataclass(frozen=True, slots=True)
class Status:
    """
    The replica *name* of *subnet*; *level* is what all members that were met understand.

    *lost_bodies*: how many bodies some member has called lost; *handovers*: how often this replica
    made another one the sequencer of an account.
    """

    subnet: str
    name: str
    slot: int
    level: int
    lost_bodies: int
    handovers: int
    peers: tuple[PeerStatus, ...]
