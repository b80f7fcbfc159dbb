# SPDX-License-Identifier: GPL-3.0-or-later
"""The page of the events that a node tells, and the code that tells them."""

import re

from twisted.trial.unittest import SynchronousTestCase

from tests.test_docs import DOCS, ROOT

EVENT = re.compile(r'\bevent="([\w-]+)"')


class EventsPageTests(SynchronousTestCase):
    def test_the_page_has_every_event(self) -> None:
        page = (DOCS / "reference" / "events.md").read_text(encoding="utf-8")
        rows = [line.split("|")[1] for line in page.splitlines() if line.startswith("| `")]
        named = {name for cell in rows for name in re.findall(r"`([\w-]+)`", cell)}
        sources = (ROOT / "pluto_tw" / "node").glob("*.py")
        told = {
            name for source in sources for name in EVENT.findall(source.read_text(encoding="utf-8"))
        }
        self.assertEqual(named, told)
