# SPDX-License-Identifier: GPL-3.0-or-later
"""The units in `deploy/systemd`, looked at by systemd's own eyes."""

import os
import shutil
import subprocess
from pathlib import Path

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from tests.test_docs import ROOT

UNITS = sorted((ROOT / "deploy" / "systemd").glob("*.service"))


class UnitTests(SynchronousTestCase):
    def test_there_is_one_for_each_command(self) -> None:
        self.assertEqual(
            [unit.name for unit in UNITS],
            [
                "pluto-distributor.service",
                "pluto-storage.service",
                "pluto-worker@.service",
                "pluto.service",
            ],
        )

    def test_systemd_has_nothing_to_say(self) -> None:
        verify = shutil.which("systemd-analyze")
        if verify is None:
            missing = "systemd-analyze is missing: apt-get install systemd"
            self.assertFalse(os.environ.get("PLUTO_TW_NOTHING_SKIPPED"), missing)
            raise SkipTest(missing)
        directory = Path(self.mktemp()).absolute()
        directory.mkdir(parents=True)
        for unit in UNITS:
            # What is installed elsewhere is nothing that is wrong with a unit.
            text = unit.read_text("utf-8").replace("/opt/pluto/bin/twistd", "/bin/true")
            name = unit.name.replace("@.", "@worker-1.")
            (directory / name).write_text(text, "utf-8")
        done = subprocess.run(
            [verify, "verify", "--man=no", *map(str, sorted(directory.iterdir()))],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        ours = [line for line in done.stderr.splitlines() if "pluto" in line]
        self.assertEqual(ours, [])
