# SPDX-License-Identifier: GPL-3.0-or-later
"""
mbsync against one region of the demo, then against the other one with the same state.

UIDVALIDITY and UIDs of one region hold at the other: what was synchronised there is known here.
"""

from pathlib import Path

from imapclient import IMAPClient

from tests.live.demo import TLS, DemoCase
from tests.live.mbsync import Mbsync, flags_of

USER = "user7"
MESSAGES = 1000
FOLDERS = ("INBOX", "Archive")


class MbsyncTests(DemoCase):
    def sync(self, near: Mbsync, region: str) -> None:
        self.wait_until_equal(USER)
        certificate = self.demo.directory / "certs" / "public-distributor-cert.pem"
        near.sync(self.demo.base + TLS[region], certificate)

    def standing(self, client: IMAPClient) -> list[dict[bytes, int]]:
        """How many messages ever came into each folder, and how often something was changed."""
        wanted = ("MESSAGES", "UIDNEXT", "UIDVALIDITY", "HIGHESTMODSEQ")
        return [client.folder_status(folder, wanted) for folder in FOLDERS]

    def test_state_of_one_region_is_good_at_the_other(self) -> None:
        near = Mbsync(Path(self.mktemp()), USER)
        for number in range(MESSAGES):
            near.put(FOLDERS[number % 3 == 0], number, "FS" if number % 2 else "")
        self.sync(near, "eu")
        us = self.client("us", USER)
        self.wait_until_equal(USER)
        files, far = near.files(), self.standing(us)
        self.assertEqual(len(files), MESSAGES)
        self.assertEqual(sum(status[b"MESSAGES"] for status in far), MESSAGES)

        # Nothing is transferred: no file is touched, no UID given, no flag stored.
        self.sync(near, "us")
        self.assertEqual((near.files(), self.standing(us)), (files, far))

        # A change at each side, by way of the one region and then of the other.
        eu = self.client("eu", USER)
        us.select_folder("INBOX")
        us.add_flags([1, 2, 3], [b"\\Answered"])
        us.append("INBOX", b"Subject: far\r\n\r\ntext\r\n")
        near.put("Archive", MESSAGES)
        [removed] = [path for path in near.messages("INBOX") if "near 8\n" in path.read_text()]
        removed.unlink()
        self.sync(near, "eu")
        self.sync(near, "us")
        self.assertEqual(len(near.messages("INBOX")), 666)
        self.assertEqual(len([p for p in near.messages("INBOX") if "R" in flags_of(p)]), 3)
        for region in (eu, us):
            self.assertEqual([status[b"MESSAGES"] for status in self.standing(region)], [666, 335])

        files, far = near.files(), self.standing(eu)
        self.sync(near, "eu")
        self.assertEqual((near.files(), self.standing(eu)), (files, far))
