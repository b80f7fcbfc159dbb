# SPDX-License-Identifier: GPL-3.0-or-later
"""What the parts of a node count, as metrics: see `metrics.py` for what each one means."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from prometheus_client.metrics_core import Metric

from pluto_tw.account.shard import Shard, State
from pluto_tw.imap.ports import Outcome
from pluto_tw.net.journal import Journal
from pluto_tw.net.limits import Presence
from pluto_tw.node import metrics
from pluto_tw.node.expiry import Certificate
from pluto_tw.node.metrics import Values, family
from pluto_tw.node.routed import Routed
from pluto_tw.replication.pulse import SILENCE_SECONDS
from pluto_tw.replication.status import PeerState, PeerStatus, Status


def clients(journal: Journal, presence: Presence) -> Iterator[Metric]:
    """Connections of clients and what they asked."""
    counts = journal.counts
    yield family(metrics.SESSIONS, {(): presence.connections})
    yield family(metrics.CONNECTIONS, {(): counts.connections})
    yield family(
        metrics.REFUSED_CONNECTIONS,
        {(limit.value,): count for limit, count in counts.refused_connections.items()},
    )
    yield family(
        metrics.ENDINGS, {(ending.value,): count for ending, count in counts.endings.items()}
    )
    yield family(metrics.LOGINS, {(): counts.logins})
    yield family(
        metrics.REFUSED_LOGINS,
        {(code,): count for code, count in counts.refused_logins.items()},
    )
    yield family(
        metrics.COMMANDS,
        {(name, outcome.value): count for (name, outcome), count in counts.commands.items()},
    )
    yield family(metrics.FAULTS, {(): counts.faults})
    yield family(metrics.OCTETS, {("in",): counts.octets_in, ("out",): counts.octets_out})


def distributor(journal: Journal) -> Iterator[Metric]:
    """What the original's distributor counted, by its names."""
    counts = journal.counts
    yield family(metrics.DISTRIBUTOR_CONNECTIONS, {(): counts.connections})
    by_status: dict[tuple[str, ...], float] = {}
    for (name, outcome), count in counts.commands.items():
        status = "success" if outcome is Outcome.OK else "failure"
        by_status[name, status] = by_status.get((name, status), 0) + count
    yield family(metrics.DISTRIBUTOR_COMMANDS, by_status)


def shards(subnet: str, found: Sequence[Shard]) -> Iterator[Metric]:
    """The databases of one subnet."""
    by_name = {(subnet, shard.name): shard for shard in found}
    yield family(
        metrics.SHARD_STATE,
        {name: float(shard.state is State.OPEN) for name, shard in by_name.items()},
    )
    yield family(
        metrics.TRANSACTIONS, {name: shard.count.transactions for name, shard in by_name.items()}
    )
    yield family(metrics.COMMITS, {name: shard.count.works for name, shard in by_name.items()})
    yield family(
        metrics.SHARD_FAILURES, {name: shard.count.failures for name, shard in by_name.items()}
    )
    yield family(
        metrics.SHARD_QUEUE, {name: shard.queued_octets for name, shard in by_name.items()}
    )


def peers(statuses: Sequence[Status]) -> Iterator[Metric]:
    """The other replicas of each subnet."""
    found = [(status.subnet, peer) for status in statuses for peer in status.peers]
    up = [(subnet, peer) for subnet, peer in found if _is_up(peer)]

    def each(peers: Sequence[tuple[str, PeerStatus]], what: str) -> Values:
        return {(subnet, peer.name): getattr(peer, what) for subnet, peer in peers}

    yield family(metrics.PEER_UP, {(subnet, one.name): float(_is_up(one)) for subnet, one in found})
    yield family(metrics.PEER_LAG_SECONDS, each(up, "lag_seconds"))
    yield family(metrics.PEER_LAG_OPERATIONS, each(up, "lag_operations"))
    yield family(metrics.PEER_BACKLOG, each(up, "backlog_accounts"))
    for described, what in _TRANSFERRED.items():
        values: dict[tuple[str, ...], float] = {}
        for way in ("sent", "received"):
            for name, value in each(found, f"{what}_{way}").items():
                values[*name, way] = value
        yield family(described, values)
    yield family(metrics.HANDOVERS, {(status.subnet,): status.handovers for status in statuses})
    yield family(metrics.LOST_BODIES, {(one.subnet,): one.lost_bodies for one in statuses})


def _is_up(peer: PeerStatus) -> bool:
    """Both ways: that it dials us says nothing of what it lacks."""
    heard = peer.heard_seconds is not None and peer.heard_seconds <= SILENCE_SECONDS
    return heard and peer.state in (PeerState.CATCHING_UP, PeerState.LIVE)


#: What `PeerStatus` counts both ways.
_TRANSFERRED: Final = {
    metrics.PEER_OPERATIONS: "operations",
    metrics.PEER_BODIES: "bodies",
    metrics.PEER_OCTETS: "octets",
    metrics.PEER_SNAPSHOTS: "snapshots",
}


def routes(routed: Routed) -> Iterator[Metric]:
    """Where a distributor's logins went."""
    yield family(metrics.ROUTED, routed.taken_by)
    yield family(metrics.ROUTE_FAILURES, routed.failures)
    yield family(metrics.ROUTES_EXHAUSTED, {(): routed.exhaustions})


def node(
    name: str, role: str, version: str, certificates: Sequence[Certificate]
) -> Iterator[Metric]:
    """What the node is."""
    yield family(metrics.NODE_INFO, {(name, role, version): 1})
    ends: Mapping[tuple[str, ...], float] = {
        (str(certificate.file),): certificate.not_after for certificate in certificates
    }
    yield family(metrics.CERTIFICATE_EXPIRY, ends)
