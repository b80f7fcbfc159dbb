# SPDX-License-Identifier: GPL-3.0-or-later
"""What the parts of a node count, as metrics: see `metrics.py` for what each one means."""

from collections.abc import Iterator, Mapping, Sequence

from prometheus_client.metrics_core import Metric

from pluto_tw.account.shard import Shard, State
from pluto_tw.imap.ports import Outcome
from pluto_tw.net.journal import Journal
from pluto_tw.net.limits import Presence
from pluto_tw.node import metrics
from pluto_tw.node.expiry import Certificate
from pluto_tw.node.metrics import family
from pluto_tw.node.routed import Routed


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
