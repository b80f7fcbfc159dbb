# SPDX-License-Identifier: GPL-3.0-or-later
"""
The reference page of the metrics, made of their list.

`python -m pluto_tw.node.metrics_reference` prints it; a test compares it with
`docs/reference/metrics.md`.
"""

import sys

from pluto_tw.node.metrics import METRICS, Described

_HEAD = """\
# Metrics

What a node shows at its `PrometheusAddr`, as `/metrics`. Labels never hold names of users. Whoever
gets there may read it, so it belongs on a loopback address or a network of one's own. The metrics
`process_*` of Prometheus's library stand beside these.

This page is made from `pluto_tw/node/metrics.py` by `python -m pluto_tw.node.metrics_reference`.

| Metric | Kind | Labels | Meaning |
|---|---|---|---|
"""


def page() -> str:
    """The whole page, in Markdown."""
    return _HEAD + "".join(map(_row, METRICS))


def _row(metric: Described) -> str:
    labels = ", ".join(f"`{label}`" for label in metric.labels)
    return f"| `{metric.name}` | {metric.kind} | {labels} | {metric.meaning} |\n"


if __name__ == "__main__":
    sys.stdout.write(page())
