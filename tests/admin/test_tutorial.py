# SPDX-License-Identifier: GPL-3.0-or-later
"""What docs/tutorial/two-machines.md has its reader write and run is good, on both machines."""

import io
import re
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.admin.running import pluto

PAGE = Path(__file__).resolve().parents[2] / "docs" / "tutorial" / "two-machines.md"


class TwoMachinesTests(SynchronousTestCase):
    def test_configurations_certificates_and_users_of_both_machines_are_good(self) -> None:
        root = Path(self.mktemp()).resolve()
        root.mkdir()
        page = PAGE.read_text(encoding="utf-8")
        block = re.search(r"(?ms)^```toml\n(.*?)^```$", page)
        exchange = re.search(r"(?m)^    sed (.*) config\.toml > config-b\.toml$", page)
        assert block is not None and exchange is not None
        text = re.sub(r"/(?:etc|var/lib)/pluto", str(root), block[1])
        files = {"config.toml": text, "config-b.toml": self.exchanged(text, exchange[1])}
        for name, content in files.items():
            (root / name).write_text(content)
        configurations = [word for name in files for word in ("--config", root / name)]

        self.assertEqual(pluto("pki", *configurations).status, 0)
        made = {file.name for file in (root / "certs").iterdir()}
        self.assertLessEqual(
            {"root-cert.pem", "root-key.pem", "b-worker-cert.pem", "a-distributor-key.pem"}, made
        )
        self.assertEqual(pluto("test-public", "--dir", root / "certs").status, 0)
        self.patch(sys, "stdin", io.StringIO("a password\n"))
        added = pluto("user", "add", "anna", "--stdin", *configurations[:2])
        self.assertEqual((added.status, added.errors), (0, ""))
        for name in files:
            checked = pluto("config", "check", "--config", root / name)
            self.assertEqual((checked.status, checked.out.count("good for")), (0, 1), checked.out)

    def exchanged(self, text: str, arguments: str) -> str:
        """*text* as the page's sed makes it of the other machine's."""
        for pattern, put in re.findall(r"s/(.*?)/(.*?)/g", arguments):
            text = re.sub(pattern, put, text)
        self.assertIn('"b-worker"', text)
        return text
