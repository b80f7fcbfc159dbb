# SPDX-License-Identifier: GPL-3.0-or-later
"""All that a worker reads before it serves."""

import time
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.node.preparation import Prepared, PreparedReplica, prepare, worker
from pluto_tw.node.problems import ConfigurationRefused
from tests.node.test_config import SMALL
from tests.support.certificate import self_signed


class PrepareTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.directory = Path(self.mktemp()).absolute()
        self.directory.mkdir()
        self.write(SMALL)
        (self.directory / "users.txt").write_text("fred;secret\n")

    def write(self, text: str) -> None:
        (self.directory / "config.toml").write_text(text)

    def prepare(self, name: str = "worker-1") -> Prepared:
        return prepare(self.directory / "config.toml", worker(name), time.time())

    def errors(self, name: str = "worker-1") -> list[str]:
        with self.assertRaises(ConfigurationRefused) as raised:
            self.prepare(name)
        refused: ConfigurationRefused = raised.exception
        return [error.replace(f"{self.directory}/", "") for error in refused.errors]

    def replica(self, name: str = "worker-1") -> PreparedReplica:
        [found] = self.prepare(name).nodes
        assert isinstance(found, PreparedReplica)
        return found

    def test_the_least(self) -> None:
        prepared = self.replica("eu-worker-1")
        [subnet] = prepared.subnets
        self.assertEqual(subnet.name, "subnet-1")
        self.assertEqual(subnet.directory, self.directory / "mail")
        self.assertIsNone(prepared.pair)
        self.assertIsNone(prepared.internal)
        self.assertIsNotNone(prepared.users)

    def test_passwords_in_the_clear_are_warned_of(self) -> None:
        [warning] = self.prepare().warnings
        self.assertIn("1 of 1 passwords are in the clear", warning)

    def test_with_a_certificate(self) -> None:
        self_signed().save(self.directory, "public")
        pair = 'PublicCertLoc = "public.pem"\nPublicKeyLoc = "public.key"\n'
        self.write(SMALL.replace("AllowPlaintext = true\n", pair))
        self.assertIsNotNone(self.replica().pair)

    def test_mistakes_in_all_files_are_told_at_once(self) -> None:
        pair = 'PublicCertLoc = "none.pem"\nPublicKeyLoc = "none.key"\n'
        self.write(SMALL.replace("AllowPlaintext = true\n", pair).replace("127.0.0.1:0", "x"))
        (self.directory / "users.txt").write_text("fred\n")
        self.assertEqual(
            [error.partition(":")[0] for error in self.errors()],
            ["config.toml", "users.txt", "none.pem"],
        )

    def test_nobody_is_prepared_for_a_name_that_is_not_there(self) -> None:
        [error] = self.errors("worker-2")
        self.assertIn("there is no worker 'worker-2'", error)
