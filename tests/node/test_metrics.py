# SPDX-License-Identifier: GPL-3.0-or-later
"""Metrics: what is counted, and the page."""

import re
from dataclasses import replace
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.imap.ports import Outcome
from pluto_tw.net.journal import Journal
from pluto_tw.net.limits import Limits, Presence
from pluto_tw.node import metrics, sources
from pluto_tw.node.metrics import METRICS, Collected, Latencies, family
from pluto_tw.node.metrics_page import site
from pluto_tw.replication.status import PeerState, PeerStatus, Status


class PageCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.registry = CollectorRegistry()
        self.reactor: Any = MemoryReactorClock()
        self.site = site(self.reactor, self.registry)

    def get(self, path: str = "/metrics", method: str = "GET") -> tuple[str, str]:
        """The head and the body of the answer."""
        protocol = self.site.buildProtocol(None)
        transport = StringTransport()
        protocol.makeConnection(transport)
        request = f"{method} {path} HTTP/1.0\r\nHost: localhost\r\n\r\n"
        protocol.dataReceived(request.encode("ascii"))
        head, _, body = transport.value().decode("utf-8").partition("\r\n\r\n")
        protocol.connectionLost(None)
        return head, body

    def values(self) -> dict[str, float]:
        """Each line of the page, with its value."""
        _, body = self.get()
        return {
            sample.name
            + (
                "{" + ",".join(map("=".join, sample.labels.items())) + "}" if sample.labels else ""
            ): (sample.value)
            for found in text_string_to_metric_families(body)
            for sample in found.samples
            if not sample.name.endswith("_created")
        }


class PageTests(PageCase):
    def test_it_is_what_prometheus_reads(self) -> None:
        self.registry.register(Collected([lambda: [family(metrics.SESSIONS, {(): 7})]]))
        head, body = self.get()
        self.assertIn("200 OK", head)
        self.assertRegex(head.lower(), r"content-type: text/plain; version=")
        self.assertIn("# TYPE pluto_sessions gauge\npluto_sessions 7.0\n", body)

    def test_nothing_else_is_there(self) -> None:
        self.assertIn("404", self.get("/")[0])
        self.assertIn("405", self.get(method="POST")[0])

    def test_what_is_not_documented_is_not_told(self) -> None:
        other = metrics.Described("pluto_other", "gauge", (), "x")
        with self.assertRaises(AssertionError):
            family(other, {})


class SourceTests(PageCase):
    def test_clients(self) -> None:
        journal, presence = Journal(), Presence(Limits())
        presence.enter("192.0.2.1")
        journal.counts.connections = 3
        journal.counts.commands["NOOP", Outcome.OK] = 2
        journal.counts.commands["NOOP", Outcome.BAD] = 1
        journal.counts.octets_in = 5
        self.registry.register(Collected([lambda: sources.clients(journal, presence)]))
        values = self.values()
        self.assertEqual(values["pluto_sessions"], 1)
        self.assertEqual(values["pluto_connections_total"], 3)
        self.assertEqual(values["pluto_commands_total{command=NOOP,outcome=ok}"], 2)
        self.assertEqual(values["pluto_commands_total{command=NOOP,outcome=bad}"], 1)
        self.assertEqual(values["pluto_octets_total{direction=in}"], 5)

    def test_a_distributor_has_the_originals_names(self) -> None:
        journal = Journal()
        journal.counts.connections = 3
        journal.counts.commands["LOGIN", Outcome.OK] = 2
        journal.counts.commands["LOGIN", Outcome.NO] = 4
        journal.counts.commands["LOGIN", Outcome.BAD] = 1
        self.registry.register(Collected([lambda: sources.distributor(journal)]))
        values = self.values()
        name = "pluto_distributor_commands_total"
        self.assertEqual(values[f"{name}{{command=LOGIN,status=success}}"], 2)
        self.assertEqual(values[f"{name}{{command=LOGIN,status=failure}}"], 5)
        self.assertEqual(values["pluto_distributor_connections_total"], 3)

    def test_peers(self) -> None:
        here = PeerStatus("us", 1, PeerState.LIVE, 0.5, 2.5, 7, 1, 10, 20, 3, 4, 5, 6, 0, 1, 2, "")
        away = replace(here, name="storage", state=PeerState.AWAY, heard_seconds=9.0)
        deaf = replace(here, name="jp", state=PeerState.AWAY)
        status = Status("subnet-1", "eu", 0, 1, 8, 9, (here, away, deaf))
        self.registry.register(Collected([lambda: sources.peers([status])]))
        values = self.values()

        def value(name: str, peer: str, more: str = "") -> float | None:
            return values.get(f"pluto_peer_{name}{{{more}peer={peer},subnet=subnet-1}}")

        self.assertEqual((value("up", "us"), value("up", "storage")), (1, 0))
        # One that is heard, and that we do not reach.
        self.assertEqual((value("up", "jp"), value("lag_seconds", "jp")), (0, None))
        # Of a peer that is away nobody knows what it lacks: that is no lag of none.
        self.assertEqual((value("lag_seconds", "us"), value("lag_seconds", "storage")), (2.5, None))
        self.assertEqual(value("lag_operations", "us"), 7)
        self.assertEqual(value("backlog_accounts", "us"), 1)
        self.assertEqual(value("operations_total", "us", "direction=sent,"), 3)
        self.assertEqual(value("bodies_total", "us", "direction=received,"), 6)
        self.assertEqual(value("octets_total", "storage", "direction=received,"), 20)
        self.assertEqual(value("snapshots_total", "us", "direction=received,"), 2)
        self.assertEqual(values["pluto_sequencer_handovers_total{subnet=subnet-1}"], 9)
        self.assertEqual(values["pluto_bodies_lost_total{subnet=subnet-1}"], 8)

    def test_latencies(self) -> None:
        latencies = Latencies()
        for seconds in (0.0005, 0.001, 0.002, 99.0):
            latencies.add("FETCH", seconds)
        self.registry.register(Collected([latencies.collect]))
        values = self.values()
        name = "pluto_command_seconds"
        buckets = {
            bound: values[f"{name}_bucket{{command=FETCH,le={bound}}}"]
            for bound in ("0.001", "0.003", "10.0", "+Inf")
        }
        self.assertEqual(buckets, {"0.001": 2, "0.003": 3, "10.0": 3, "+Inf": 4})
        self.assertEqual(values[f"{name}_count{{command=FETCH}}"], 4)
        self.assertAlmostEqual(values[f"{name}_sum{{command=FETCH}}"], 99.0035)


class ListTests(SynchronousTestCase):
    def test_every_metric_is_in_the_list_once(self) -> None:
        described = [
            value for value in vars(metrics).values() if isinstance(value, metrics.Described)
        ]
        self.assertEqual(sorted(map(id, described)), sorted(map(id, METRICS)))

    def test_names(self) -> None:
        """Prometheus's own rules: the unit, or `total` where it only grows, is last."""
        for one in METRICS:
            self.assertIsNotNone(re.fullmatch(r"pluto_[a-z_]+", one.name), one.name)
            self.assertEqual(one.kind == "counter", one.name.endswith("_total"), one.name)

    def test_users_are_no_labels(self) -> None:
        for one in METRICS:
            self.assertFalse({"user", "account", "key", "mailbox", "address"} & {*one.labels})
