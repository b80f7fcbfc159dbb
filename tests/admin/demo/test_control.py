# SPDX-License-Identifier: GPL-3.0-or-later
"""What a running demo is told."""

from pathlib import Path

import toml
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.admin.demo.control import Control, read_duration
from pluto_tw.admin.demo.links import Links
from pluto_tw.admin.demo.plan import DISTRIBUTORS, NODES, PLACES, Plan
from pluto_tw.admin.demo.supervisor import Supervisor
from pluto_tw.node.config import load


class ControlTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.plan = Plan(Path(self.mktemp()), 10_000)
        pairs = [(way.source, way.target) for way in self.plan.ways]
        self.links = Links(PLACES, pairs, Clock().seconds)
        supervisor = Supervisor(Clock(), self.plan, NODES, restarts=True, ready=lambda: None)
        self.control = Control(self.links, supervisor)

    def test_links_are_named_by_places_and_nodes(self) -> None:
        self.control.do(["cut", "eu", "us"])
        self.assertTrue(self.links.of("eu-worker-1", "us-worker-1").cut)
        self.assertTrue(self.links.of("eu-distributor", "us-worker-1").cut)
        self.assertFalse(self.links.of("eu-worker-1", "storage").cut)
        self.control.do(["delay", "eu", "storage", "80ms"])
        self.assertEqual(self.links.of("eu-worker-1", "storage").delay, 0.08)
        self.control.do(["throttle", "1000"])
        self.control.do(["heal"])
        for link in self.links.all():
            self.assertEqual((link.cut, link.delay, link.rate), (False, 0.0, None))

    def test_mistakes_are_told_with_what_is_expected(self) -> None:
        for words, text in (
            (["cut", "eu", "mars"], "'mars' is none of"),
            (["cut", "eu-worker-1", "eu-distributor"], "no link between"),
            (["delay", "eu", "us", "80"], "such as 80ms"),
            (["delay", "100s"], "at most 60s"),
            (["throttle", "3"], "100 or more"),
            (["kill", "mars"], "'mars' is none of the nodes: eu-worker-1"),
            (["dance"], "not understood: dance"),
        ):
            with self.assertRaisesRegex(ValueError, text):
                self.control.do(words)

    def test_durations(self) -> None:
        self.assertEqual([read_duration("80ms"), read_duration("1.5s")], [0.08, 1.5])

    def test_status_names_all_nodes_and_links(self) -> None:
        lines = self.control.do(["status"]).splitlines()
        self.assertEqual(len(lines), len(NODES) + len(self.links.all()))
        self.assertIn("eu-worker-1: down", lines)


class PlanTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.plan = Plan(Path("/demo"), 10_000)

    def test_ports_for_users_are_those_of_the_readme(self) -> None:
        eu, us = (
            toml.loads(self.plan.configs()[Path("/demo", region, "config.toml")])["Distributor"]
            for region in ("eu", "us")
        )
        self.assertEqual(eu["ListenMailAddr"], "127.0.0.1:10993")
        self.assertEqual(eu["ListenStartTLSAddr"], "127.0.0.1:10143")
        self.assertEqual(us["ListenMailAddr"], "127.0.0.1:11993")
        self.assertEqual(us["ListenStartTLSAddr"], "127.0.0.1:11143")

    def test_internal_ports_are_above_3000_and_nobody_elses(self) -> None:
        ports = [way.port for way in self.plan.ways]
        self.assertEqual(len(ports), len(set(ports)))
        self.assertGreater(min(ports), 13_000)
        self.assertFalse(set(ports) & {way.to for way in self.plan.ways})

    def test_configurations_have_no_mistakes(self) -> None:
        directory = Path(self.mktemp())
        for path, text in Plan(directory.absolute(), 10_000).configs().items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            problems = load(path).problems
            self.assertEqual((problems.errors, problems.warnings), ([], []))

    def test_each_region_goes_its_own_ways(self) -> None:
        """A distributor reaches its own worker directly, all else over the relay."""
        for distributor in DISTRIBUTORS:
            targets = {way.target for way in self.plan.ways if way.source == distributor}
            own = PLACES[distributor[:2]][1]
            self.assertEqual(targets, {"eu-worker-1", "us-worker-1", "storage"} - {own})
