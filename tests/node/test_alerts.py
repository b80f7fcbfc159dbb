# SPDX-License-Identifier: GPL-3.0-or-later
"""The alerts that come with pluto_tw speak of metrics that there are."""

import re
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.node.metrics import METRICS

ALERTS = Path(__file__).resolve().parents[2] / "deploy" / "prometheus" / "alerts.yml"


class AlertTests(SynchronousTestCase):
    def test_each_metric_exists_with_its_labels(self) -> None:
        labels = {metric.name: {*metric.labels, "instance"} for metric in METRICS}
        rules = ALERTS.read_text(encoding="utf-8").split("- alert: ")[1:]
        self.assertGreater(len(rules), 5)
        for rule in rules:
            expression = re.search(r"(?m)^ +expr: (.*)$", rule)
            assert expression is not None, rule
            found = re.findall(r"pluto_\w+", expression[1])
            self.assertEqual(len(found), 1, rule)
            self.assertIn(found[0], labels)
            self.assertLessEqual({*re.findall(r"\$labels\.(\w+)", rule)}, labels[found[0]], rule)
