# SPDX-License-Identifier: GPL-3.0-or-later
"""The reference page is that of the keys as they are."""

from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.node import metrics_reference
from pluto_tw.node.reference import page
from tests.test_docs import DOCS


class ReferenceTests(SynchronousTestCase):
    def test_the_page_is_up_to_date(self) -> None:
        """Else: `python -m pluto_tw.node.reference > docs/reference/configuration.md`."""
        written = (DOCS / "reference" / "configuration.md").read_text(encoding="utf-8")
        self.assertEqual(written, page())

    def test_so_is_that_of_the_metrics(self) -> None:
        """Else: `python -m pluto_tw.node.metrics_reference > docs/reference/metrics.md`."""
        written = (DOCS / "reference" / "metrics.md").read_text(encoding="utf-8")
        self.assertEqual(written, metrics_reference.page())
