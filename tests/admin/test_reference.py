# SPDX-License-Identifier: GPL-3.0-or-later
"""The reference page is that of the commands as they are."""

from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.admin.reference import page
from tests.test_docs import DOCS


class ReferenceTests(SynchronousTestCase):
    maxDiff = None

    def test_the_page_is_up_to_date(self) -> None:
        """Else: `python -m pluto_tw.admin.reference > docs/reference/commands.md`."""
        written = (DOCS / "reference" / "commands.md").read_text(encoding="utf-8")
        self.assertEqual(written, page())
