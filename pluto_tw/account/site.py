# SPDX-License-Identifier: GPL-3.0-or-later
"""What the accounts of a node stand on: the replica that it is, and the shards that it has."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from pluto_tw.account.arrivals import Arrivals
from pluto_tw.account.bodies import Bodies
from pluto_tw.account.cache import IdleCache
from pluto_tw.account.facts import KeptFacts
from pluto_tw.account.log import CHANGES_MAX
from pluto_tw.account.members import Members
from pluto_tw.account.numbers import Numbers
from pluto_tw.account.pace import Pace
from pluto_tw.account.positions import Positions
from pluto_tw.account.shard import Shard
from pluto_tw.crdt.clock import next_stamp
from pluto_tw.crdt.rules import Rules
from pluto_tw.mail.waiting import Waiting

#: How long a replica that is not the sequencer lets clients wait for the sequencer's UIDs: nearly
#: all round trips between continents are shorter, and no person minds.
UID_WAIT_SECONDS: Final = 0.4

#: The largest message that APPEND takes: the limit of large providers, above all that is mail.
APPEND_OCTETS_MAX: Final = 50 * 1024 * 1024

#: Mailboxes of an account. Its boxes are in memory while it is used, some 0.6 KiB each.
MAILBOXES_MAX: Final = 10_000

#: Subscriptions of an account: some for each mailbox, as they outlive them.
SUBSCRIPTIONS_MAX: Final = 20_000


@dataclass(frozen=True, slots=True)
class Limits:
    """What one account may have."""

    append_octets_max: int = APPEND_OCTETS_MAX
    mailboxes_max: int = MAILBOXES_MAX
    subscriptions_max: int = SUBSCRIPTIONS_MAX
    #: Octets of all messages together; None: as many as fit.
    quota_octets_max: int | None = None
    #: Changes that the log of a mailbox keeps.
    log_changes_max: int = CHANGES_MAX


@dataclass(frozen=True, slots=True)
class Site:
    """
    The replica that this node is, among the *members* of its subnet, and *heard*, which tells the
    slots whose nodes were heard within three heartbeats. *pace* is how soon accounts forget; *idle*
    is what all of them keep in memory for later.
    """

    members: Members
    waiting: Waiting
    heard: Callable[[], frozenset[int]] = frozenset
    uid_wait_seconds: float = UID_WAIT_SECONDS
    #: Added to the patience with a silent sequencer: two replicas of one rank never act at once.
    jitter_seconds: float = 0.0
    limits: Limits = Limits()
    pace: Pace = field(default_factory=Pace)
    idle: IdleCache = field(default_factory=IdleCache)
    #: With `Members.replica_ids`, where replicas have ids.
    rules: Rules = Rules()  # noqa: RUF009

    @property
    def slot(self) -> int:
        """The slot of this replica."""
        return self.members.slot

    @property
    def first_modseq(self) -> int:
        """
        HIGHESTMODSEQ where nothing has ever happened: the least of ours that a client may bring.

        0 and 1 would mean that it knows nothing, and nobody could tell whose they are.
        """
        return next_stamp(1, 0, self.slot)


class Ground:
    """What all accounts of one shard, which is open, share. Raises `ShardFailed`."""

    def __init__(self, shard: Shard) -> None:
        self.shard = shard
        self.bodies = Bodies(shard)
        self.facts = KeptFacts(self.bodies)
        self.numbers = Numbers(shard)
        self.positions = Positions(shard)
        self.arrivals = Arrivals(self.bodies)
