# SPDX-License-Identifier: GPL-3.0-or-later
"""
The whole cluster under writers while its nodes are killed, and while its regions are cut off.

Which node is next, and where a writer goes that lost its connection, is drawn from a seed that is
printed; PLUTO_TW_SEED gives another.
"""

import os
import random
from collections import Counter
from functools import partial

from pluto_tw.admin.demo.plan import NODES
from tests.live.demo import REGIONS, DemoCase, wait_until
from tests.live.mailbox import Mailbox, everything, message
from tests.live.writers import Writer

SEED = int(os.environ.get("PLUTO_TW_SEED", "1"))

#: Whose mail is written while nodes are killed.
USERS = ("user4", "user5")

#: What each writer has to be told of before the next node is killed, and after one was.
ACKNOWLEDGED = 5


class KillTests(DemoCase):
    def equal(self, user: str) -> dict[str, Mailbox]:
        """All mail of *user*, when both regions and all replicas say the same of it."""
        self.wait_until_equal(user)
        eu, us = (everything(self.client(region, user)) for region in REGIONS)
        self.assertEqual(eu, us)
        return eu

    def test_no_acknowledged_message_is_lost_whichever_node_is_killed(self) -> None:
        print(f"seed {SEED}")
        chance = random.Random(SEED)
        writers = [
            Writer(self.demo, f"{user}-{region}", user, region, random.Random(chance.random()))
            for user in USERS
            for region in REGIONS
        ]
        for writer in writers:
            writer.start()
        for node in chance.sample(NODES, len(NODES)):
            for writer in writers:
                writer.wait_for(ACKNOWLEDGED)
            self.demo.crash(node)
            for writer in writers:
                writer.wait_for(ACKNOWLEDGED)
            wait_until(partial(self.demo.serves, node), f"{node} does not come back")
        for writer in writers:
            writer.stop()
        for user in USERS:
            found = Counter(self.equal(user)["INBOX"].names())
            own = [writer for writer in writers if writer.user == user]
            acknowledged = {name for writer in own for name in writer.acknowledged}
            repeated = {name for writer in own for name in writer.repeated}
            self.assertEqual(acknowledged - set(found), set(), "acknowledged, and lost")
            twice = {name for name, count in found.items() if count > 1}
            self.assertLessEqual(twice, repeated, "there twice, though sent once")
            print(f"{user}: {len(acknowledged)} acknowledged, {len(twice)} twice")

    def test_both_regions_that_wrote_while_cut_off_are_equal_when_healed(self) -> None:
        clients = {region: self.client(region, "user6") for region in REGIONS}
        eu, us = clients["eu"], clients["us"]
        for name in ("Old", "Work", "Work.Done", "Gone"):
            eu.create_folder(name)
        for number in range(10):
            eu.append("INBOX", message(f"before-{number}"))
        eu.append("Gone", message("in-gone"))
        before = self.equal("user6")
        self.assertEqual(len(before["INBOX"].messages), 10)

        self.demo.pluto("demo", "cut")
        for region, client in clients.items():
            client.select_folder("INBOX")
            uids = client.search("ALL")
            client.append("INBOX", message(f"apart-{region}"))
            client.add_flags(uids[:4], [b"\\Seen" if region == "eu" else b"\\Flagged"])
            client.add_flags(uids[4], [f"$From-{region}"])
        uids = eu.search("ALL")
        # Flags against flags, a move against a flag, a deletion against a move, two moves.
        eu.remove_flags(uids[0], [b"\\Seen"])
        eu.move(uids[5], "Work")
        us.add_flags(uids[5], [b"\\Answered"])
        eu.move(uids[6], "Work")
        us.delete_messages(uids[6])
        us.uid_expunge(uids[6])
        eu.move(uids[7], "Old")
        us.move(uids[7], "Work.Done")
        eu.delete_messages(uids[8])
        eu.uid_expunge(uids[8])
        # Folders: renamed here and written there, deleted here and written there, two new names.
        eu.rename_folder("Work", "Jobs")
        us.append("Work", message("into-work"))
        eu.delete_folder("Gone")
        us.append("Gone", message("into-gone"))
        eu.rename_folder("Old", "Older")
        us.rename_folder("Old", "Ancient")
        for region, client in clients.items():
            client.create_folder("Same")
            client.append("Same", message(f"same-{region}"))
        self.demo.pluto("demo", "heal")

        found = self.equal("user6")
        places = {name: where for where, mailbox in found.items() for name in mailbox.names()}
        for name in ("apart-eu", "apart-us", "into-work", "into-gone", "same-eu", "same-us"):
            self.assertIn(name, places)
        inbox = {each.name: each for each in found["INBOX"].messages}
        self.assertEqual(inbox["before-0"].flags, {b"\\Flagged"})
        self.assertEqual(inbox["before-1"].flags, {b"\\Seen", b"\\Flagged"})
        self.assertEqual(inbox["before-4"].flags, {b"$From-eu", b"$From-us"})
        self.assertNotIn("before-8", places)
        self.assertEqual(found["INBOX"].uid_validity, before["INBOX"].uid_validity)
