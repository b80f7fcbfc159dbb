# SPDX-License-Identifier: GPL-3.0-or-later
import base64
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.admin.running import Ran, pluto
from tests.node.original import ORIGINAL

WORKER = """\
[Workers.worker-1]
Name = "eu-worker-1"
ListenMailAddr = "127.0.0.1:143"
AllowPlaintext = true
StoreRoot = "mail"
AuthAdapter = "AuthFile"
    [Workers.worker-1.AuthFile]
    File = "users.txt"
    [Workers.worker-1.Peers.subnet-1]
"""


#: A hash, whatever of.
USERS = "user1;{SSHA512}" + base64.b64encode(bytes(72)).decode() + "\n"


class CheckTests(SynchronousTestCase):
    def check(self, text: str, *options: object) -> Ran:
        directory = Path(self.mktemp())
        directory.mkdir()
        (directory / "users.txt").write_text(USERS)
        file = directory / "config.toml"
        file.write_text(text)
        return pluto("config", "check", "--config", file, *options)

    def test_nothing_wrong_is_status_0(self) -> None:
        ran = self.check(WORKER)
        self.assertEqual(ran.status, 0, ran.out)
        self.assertIn("good for eu-worker-1", ran.out)

    def test_warnings_only_are_status_1(self) -> None:
        ran = self.check(WORKER + '[IMAP]\nGreating = "x"\n')
        self.assertEqual(ran.status, 1)
        self.assertRegex(ran.out, r"^warning: .*IMAP\.Greating.*Greeting\?")

    def test_errors_are_status_2_and_all_told(self) -> None:
        """Those of reading, and those that a start would find."""
        text = WORKER.replace('"mail"', "7") + '[IMAP]\nHierarchySeparator = "!"\n[Storage]\n'
        ran = self.check(text)
        self.assertEqual(ran.status, 2)
        for key in ("HierarchySeparator is '!'", "StoreRoot is 7", "Storage.Name is missing"):
            self.assertIn(key, ran.out)

    def test_one_node_only(self) -> None:
        self.assertEqual(self.check(WORKER, "--name", "worker-1").status, 0)
        self.assertEqual(self.check(WORKER, "--name", "eu-worker-1").status, 0)
        ran = self.check(WORKER, "--name", "nobody")
        self.assertEqual(ran.status, 2)
        self.assertIn(
            "there is no node 'nobody': expected one of the nodes, which are: eu-worker-1", ran.out
        )

    def test_what_a_configuration_of_the_original_lacks(self) -> None:
        ran = self.check(ORIGINAL)
        self.assertEqual(ran.status, 2)
        self.assertIn("StoreRoot is missing", ran.out)
        self.assertIn("MaildirRoot: it has no meaning here", ran.out)

    def test_files_that_it_names_are_read(self) -> None:
        ran = self.check(WORKER.replace("users.txt", "nobody.txt"))
        self.assertEqual(ran.status, 2)
        self.assertIn("nobody.txt: No such file", ran.out)

    def test_a_file_that_is_none(self) -> None:
        ran = pluto("config", "check", "--config", "/nowhere/config.toml")
        self.assertEqual((ran.status, len(ran.lines())), (2, 1))
