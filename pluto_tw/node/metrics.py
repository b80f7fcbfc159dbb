# SPDX-License-Identifier: GPL-3.0-or-later
"""
The metrics of a node: which there are, and what each one counts.

All are read from what other parts of the process count anyway, when somebody asks for the page: so
counting costs nothing more, and what is on the page is what those parts believe. `METRICS` is the
whole list, and the reference page is made of it; labels never hold names of users.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector


@dataclass(frozen=True, slots=True)
class Described:
    """A metric: its *name* on the page, its *kind* as Prometheus calls it, what it counts."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    labels: tuple[str, ...]
    meaning: str


def _counter(name: str, meaning: str, *labels: str) -> Described:
    return Described(name, "counter", labels, meaning)


def _gauge(name: str, meaning: str, *labels: str) -> Described:
    return Described(name, "gauge", labels, meaning)


NODE_INFO: Final = _gauge(
    "pluto_node_info", "Always 1; what this node is.", "name", "role", "version"
)
CERTIFICATE_EXPIRY: Final = _gauge(
    "pluto_certificate_not_after_seconds", "When a certificate in use ends, POSIX time.", "file"
)

SESSIONS: Final = _gauge("pluto_sessions", "Connections of clients that there are now.")
CONNECTIONS: Final = _counter("pluto_connections_total", "Connections of clients.")
REFUSED_CONNECTIONS: Final = _counter(
    "pluto_connections_refused_total", "Connections that were one too many, by limit.", "limit"
)
ENDINGS: Final = _counter(
    "pluto_connections_ended_total", "Connections that ended, by reason.", "reason"
)
LOGINS: Final = _counter("pluto_logins_total", "Logins that succeeded.")
REFUSED_LOGINS: Final = _counter(
    "pluto_logins_refused_total", "Logins that did not, by response code.", "code"
)
COMMANDS: Final = _counter(
    "pluto_commands_total", "Commands of clients, by name and outcome.", "command", "outcome"
)
COMMAND_SECONDS: Final = Described(
    "pluto_command_seconds",
    "histogram",
    ("command",),
    "From a command's last octet to its tagged answer.",
)
FAULTS: Final = _counter("pluto_faults_total", "Faults of ours; each is in the log.")
OCTETS: Final = _counter(
    "pluto_octets_total",
    "Octets of connections that have ended, without TLS's own: in from clients, out to them.",
    "direction",
)

DISTRIBUTOR_COMMANDS: Final = _counter(
    "pluto_distributor_commands_total",
    "Commands that the distributor has answered itself; status is success or failure.",
    "command",
    "status",
)
DISTRIBUTOR_CONNECTIONS: Final = _counter(
    "pluto_distributor_connections_total", "Connections of clients to the distributor."
)
ROUTED: Final = _counter(
    "pluto_distributor_logins_routed_total",
    "Logins that a replica has taken; place 0 is the region's worker, higher ones are failovers.",
    "replica",
    "place",
)
ROUTE_FAILURES: Final = _counter(
    "pluto_distributor_replica_failures_total",
    "Logins that a replica did not take: away, unavailable, refused.",
    "replica",
    "failure",
)
ROUTES_EXHAUSTED: Final = _counter(
    "pluto_distributor_logins_exhausted_total", "Logins that no replica has taken."
)

SHARD_STATE: Final = _gauge(
    "pluto_shard_open", "1 while a shard takes writes, 0 otherwise.", "subnet", "shard"
)
TRANSACTIONS: Final = _counter(
    "pluto_shard_transactions_total", "Transactions that were synced.", "subnet", "shard"
)
COMMITS: Final = _counter(
    "pluto_shard_commits_total",
    "Commits of accounts; over transactions, how many share a sync.",
    "subnet",
    "shard",
)
SHARD_FAILURES: Final = _counter(
    "pluto_shard_failures_total", "Transactions that failed.", "subnet", "shard"
)
SHARD_QUEUE: Final = _gauge(
    "pluto_shard_queue_octets", "What waits for the next transaction.", "subnet", "shard"
)
HALTED: Final = _gauge(
    "pluto_accounts_halted", "Accounts that wait for an operator, as the log says.", "subnet"
)

PEER_UP: Final = _gauge(
    "pluto_peer_up",
    "1 while another replica takes what we send, and was heard within three heartbeats.",
    "subnet",
    "peer",
)
PEER_LAG_SECONDS: Final = _gauge(
    "pluto_peer_lag_seconds",
    "How long a peer that is up has lacked the oldest change that it lacks.",
    "subnet",
    "peer",
)
PEER_LAG_OPERATIONS: Final = _gauge(
    "pluto_peer_lag_operations",
    "Operations that a peer that is up lacks, as far as is known.",
    "subnet",
    "peer",
)
PEER_BACKLOG: Final = _gauge(
    "pluto_peer_backlog_accounts",
    "Accounts of which a peer that is up lacks something.",
    "subnet",
    "peer",
)
PEER_OPERATIONS: Final = _counter(
    "pluto_peer_operations_total",
    "Operations that were new to a peer, or to us from it.",
    "subnet",
    "peer",
    "direction",
)
PEER_BODIES: Final = _counter(
    "pluto_peer_bodies_total",
    "Bodies of messages sent to a peer and received from it.",
    "subnet",
    "peer",
    "direction",
)
PEER_OCTETS: Final = _counter(
    "pluto_peer_octets_total",
    "Octets of operations, bodies and snapshots sent to a peer and received from it.",
    "subnet",
    "peer",
    "direction",
)
PEER_SNAPSHOTS: Final = _counter(
    "pluto_peer_snapshots_total",
    "Snapshots of accounts sent to a peer and received from it, whole.",
    "subnet",
    "peer",
    "direction",
)
HANDOVERS: Final = _counter(
    "pluto_sequencer_handovers_total",
    "Accounts whose numbering of mail was handed to the replica where they are written.",
    "subnet",
)
LOST_BODIES: Final = _counter(
    "pluto_bodies_lost_total",
    "Bodies that a member was asked for and does not have.",
    "subnet",
)

#: In the order of the reference page.
METRICS: Final = (
    NODE_INFO,
    CERTIFICATE_EXPIRY,
    SESSIONS,
    CONNECTIONS,
    REFUSED_CONNECTIONS,
    ENDINGS,
    LOGINS,
    REFUSED_LOGINS,
    COMMANDS,
    COMMAND_SECONDS,
    FAULTS,
    OCTETS,
    DISTRIBUTOR_COMMANDS,
    DISTRIBUTOR_CONNECTIONS,
    ROUTED,
    ROUTE_FAILURES,
    ROUTES_EXHAUSTED,
    SHARD_STATE,
    TRANSACTIONS,
    COMMITS,
    SHARD_FAILURES,
    SHARD_QUEUE,
    HALTED,
    PEER_UP,
    PEER_LAG_SECONDS,
    PEER_LAG_OPERATIONS,
    PEER_BACKLOG,
    PEER_OPERATIONS,
    PEER_BODIES,
    PEER_OCTETS,
    PEER_SNAPSHOTS,
    HANDOVERS,
    LOST_BODIES,
)

#: The values of a metric's labels, in their order, and its value.
Values = Mapping[tuple[str, ...], float]

#: What one part of the node has counted: called for each page, on the reactor's thread.
Source = Callable[[], Iterable[Metric]]


def family(described: Described, values: Values) -> Metric:
    """*described* with its *values*; a counter or a gauge."""
    assert described in METRICS, "a metric is documented"
    assert described.kind != "histogram", "`Latencies` makes those"
    make = CounterMetricFamily if described.kind == "counter" else GaugeMetricFamily
    found = make(described.name, described.meaning, labels=described.labels)
    for labels, value in values.items():
        found.add_metric(labels, value)
    return found


class Collected(Collector):
    """The *sources* of a node as one collector."""

    def __init__(self, sources: Sequence[Source]) -> None:
        self._sources = sources

    def collect(self) -> Iterator[Metric]:
        """Called by Prometheus's library for each page."""
        for source in self._sources:
            yield from source()

    def describe(self) -> list[Metric]:
        """Nothing is asked before the first page: the parts may not have started yet."""
        return []


#: Upper bounds in seconds: from memory, from a disk, over an ocean, and what a person waits for.
LATENCY_SECONDS: Final = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)


class Latencies:
    """How long commands took, by name; names are from a table, so there are few."""

    def __init__(self) -> None:
        #: For each bound, and for what is above all, how many.
        self._counts: dict[str, list[int]] = {}
        self._sums: dict[str, float] = {}

    def add(self, command: str, seconds: float) -> None:
        """One more."""
        counts = self._counts.get(command)
        if counts is None:
            counts = self._counts[command] = [0] * (len(LATENCY_SECONDS) + 1)
            self._sums[command] = 0.0
        place = 0
        while place < len(LATENCY_SECONDS) and seconds > LATENCY_SECONDS[place]:
            place += 1
        counts[place] += 1
        self._sums[command] += seconds

    def collect(self) -> Iterator[Metric]:
        """A `Source`."""
        described = COMMAND_SECONDS
        found = HistogramMetricFamily(described.name, described.meaning, labels=described.labels)
        for command, counts in self._counts.items():
            below, buckets = 0, []
            for bound, count in zip((*LATENCY_SECONDS, float("inf")), counts, strict=True):
                below += count
                buckets.append(("+Inf" if bound == float("inf") else str(bound), below))
            found.add_metric((command,), buckets, self._sums[command])
        yield found
