# SPDX-License-Identifier: GPL-3.0-or-later
"""The command `twistd pluto-worker`, without a process."""

import sys
from pathlib import Path

from twisted.application.service import IServiceMaker
from twisted.plugin import getPlugins
from twisted.python.usage import UsageError
from twisted.scripts._twistd_unix import ServerOptions
from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.node.command import log_stream
from pluto_tw.node.process import ProcessService
from pluto_tw.node.worker_command import Options, makeService
from tests.node.test_config import SMALL


class OptionsTests(SynchronousTestCase):
    def test_a_name_is_needed(self) -> None:
        with self.assertRaisesRegex(UsageError, "--name is missing"):
            Options().parseOptions([])

    def test_levels(self) -> None:
        options = Options()
        options.parseOptions(["--name", "a", "--loglevel", "debug"])
        self.assertEqual(options["loglevel"], "debug")
        with self.assertRaisesRegex(UsageError, "--loglevel is one of debug, info, "):
            Options().parseOptions(["--name", "a", "--loglevel", "loud"])

    def test_twistd_finds_it(self) -> None:
        makers = {maker.tapname: maker for maker in getPlugins(IServiceMaker)}
        maker = makers["pluto-worker"]
        self.assertIs(maker.options, Options)
        self.assertIs(maker.makeService, makeService)


class MakeServiceTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.directory = Path(self.mktemp()).absolute()
        self.directory.mkdir()
        self.config = self.directory / "config.toml"
        self.config.write_text(SMALL)
        (self.directory / "users.txt").write_text("fred;secret\n")

    def options(self, *more: str) -> Options:
        twistd = ServerOptions()
        command = ["pluto-worker", "--config", str(self.config), "--name", "worker-1", *more]
        twistd.parseOptions(["-n", "--pidfile=", *command])
        options = twistd.subOptions
        assert isinstance(options, Options)
        return options

    def test_a_service(self) -> None:
        self.assertIsInstance(makeService(self.options()), ProcessService)

    def test_mistakes_end_the_process_with_all_of_them(self) -> None:
        self.config.write_text(SMALL + "[IMAP]\nGreeting = 1\nConnectionsMax = 0\n")
        with self.assertRaises(SystemExit) as raised:
            makeService(self.options())
        self.assertEqual(len(str(raised.exception.code).splitlines()), 2)

    def test_where_the_log_goes(self) -> None:
        self.assertIs(log_stream({"logfile": None, "nodaemon": True}), sys.stdout)
        self.assertIs(log_stream({"logfile": "-", "nodaemon": False}), sys.stdout)
        name = self.directory / "log"
        with log_stream({"logfile": str(name), "nodaemon": True}) as stream:
            stream.write("x\n")
        self.assertEqual(name.stat().st_mode & 0o777, 0o600)
