# SPDX-License-Identifier: GPL-3.0-or-later
"""`pluto user` on a file."""

import getpass
import io
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from pluto_tw.admin.commands import run
from pluto_tw.auth.users_file import read_file

CONFIGURATION = """
[Distributor]
Name = "eu-distributor"
AuthAdapter = "AuthFile"
  [Distributor.AuthFile]
  File = "users.txt"
  Separator = ";"
"""


#: There are no replicas in that configuration.
NOBODY_ASKED = "no replica could be asked for mail of an earlier user: the configuration has none\n"


class UsersCommandTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.directory = Path(self.mktemp())
        self.directory.mkdir()
        self.config = self.directory / "config.toml"
        self.config.write_text(CONFIGURATION)
        self.users = self.directory / "users.txt"
        self.users.write_text("")

    def pluto(self, *arguments: str, typed: str = "") -> tuple[int, str, str]:
        self.patch(sys, "stdin", io.StringIO(typed))
        out, errors = io.StringIO(), io.StringIO()
        status = run(["user", *arguments, "--config", str(self.config)], out, errors)
        return status, out.getvalue(), errors.getvalue()

    def test_a_user_is_added_with_a_hash(self) -> None:
        self.assertEqual(
            self.pluto("add", "Fred", "--stdin", typed="secret\n"),
            (0, NOBODY_ASKED + "user Fred has ID 1\n", ""),
        )
        [user] = read_file(self.users, ";").in_order
        self.assertEqual(user.password.scheme, "ARGON2ID")
        self.assertTrue(user.password.matches(b"secret"))

    def test_passwords_are_asked_for_twice(self) -> None:
        typed = iter(["secret", "secrte"])
        self.patch(getpass, "getpass", lambda prompt: next(typed))
        status, _, errors = self.pluto("add", "fred")
        self.assertEqual((status, errors), (1, "pluto: the two are not the same\n"))
        self.assertEqual(self.users.read_text(), "")

    def test_hashes_are_taken_as_they_are(self) -> None:
        status, _, _ = self.pluto("add", "fred", "--stdin", "--hashed", typed="{PLAIN}x")
        self.assertEqual((status, self.users.read_text()), (0, "fred;{PLAIN}x\n"))
        status, _, errors = self.pluto("passwd", "fred", "--stdin", "--hashed", typed="{MD5}x")
        self.assertEqual(status, 1)
        self.assertIn("{MD5} is no scheme", errors)

    def test_lists_and_deletes(self) -> None:
        self.users.write_text("fred;x\nfrida;{PLAIN}y\n")
        self.assertEqual(self.pluto("delete", "fred")[0], 0)
        self.assertEqual(self.pluto("list"), (0, "2\tPLAIN\tfrida\n", ""))

    def test_what_cannot_be_is_said_with_a_status(self) -> None:
        self.assertEqual(
            self.pluto("delete", "nobody"),
            (1, "", "pluto: there is no user of that name: nobody\n"),
        )
        self.assertEqual(self.pluto("add", "fred", "--stdin")[0], 1)

    def test_a_node_without_users_is_named(self) -> None:
        status, _, errors = self.pluto("list", "--node", "eu-worker-1")
        self.assertEqual(status, 2)
        self.assertIn("there is no node 'eu-worker-1' with an AuthAdapter", errors)

    def test_an_unknown_adapter_is_named_with_those_that_there_are(self) -> None:
        self.config.write_text(
            CONFIGURATION.replace("AuthFile", "AuthLdap").replace("Separator", "X")
        )
        status, _, errors = self.pluto("list")
        self.assertEqual(status, 2)
        self.assertIn("AuthFile, AuthPostgres", errors)
